/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

/*
 * Errors are values on the caller's stack.  A function that can fail returns
 * 0 or -1 (or a pointer or NULL) and takes `struct error *err` last:
 *
 *     struct error err = ERROR_INIT;
 *     if (thing_open(path, &err) < 0)
 *         return error_wrap(&err, "opening thing '%s'", path);
 *
 * The first to know sets the error, whoever knows the intent wraps it, the top
 * reports it: log or return, never both.  Nothing here allocates and nothing
 * here can fail.  Setting an error that is set, or wrapping one that is not, is
 * a bug and asserts.
 *
 * Texts are lower case without a full stop, name their subject in 'quotes' and
 * what was being tried, and never hold a secret.
 */

/* What the caller may do about it.  HTTP status and exit code derive from it. */
enum error_code {
    ERROR_NONE = 0,
    ERROR_INVALID,     /* the input is wrong: correct it */
    ERROR_NOT_FOUND,   /* it is not there */
    ERROR_CONFLICT,    /* it is there already, or in the wrong state */
    ERROR_DENIED,      /* not allowed */
    ERROR_CORRUPT,     /* stored bytes are not what was stored */
    ERROR_LIMIT,       /* a named limit was reached */
    ERROR_NO_SPACE,    /* the file system or the quota is full */
    ERROR_UNAVAILABLE, /* try again later */
    ERROR_IO,          /* the machine failed */
    ERROR_CANCELLED,   /* somebody asked us to stop */
};

struct error {
    enum error_code code;
    int os_errno; /* 0 where no system call was involved */
    char text[500];
};

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        .code = ERROR_NONE                                                                         \
    }

/* Set an error.  Returns -1, so that `return error_set(…)` reads well. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Set an error from an errno value; the code follows from it and its text is appended. */
int error_set_os(struct error *err, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "what was being tried: " before the text.  Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forget an error that was dealt with. */
void error_clear(struct error *err);

bool error_is_set(const struct error *err);

/* "not found", "limit", …: one or two words for logs and JSON. */
const char *error_code_name(enum error_code code);

/* Exit status of a program that ends with this error: 1, or 2 for INVALID input. */
int error_exit_status(const struct error *err);

#endif
