/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as values: fixed size, never allocating, wrapped on the way up. */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static void
vset(struct error *err, enum error_code code, int os_errno, const char *format, va_list args)
{
    assert(err != NULL && err->code == ERROR_NONE && code != ERROR_NONE);
    err->code = code;
    err->os_errno = os_errno;
    vsnprintf(err->text, sizeof(err->text), format, args);
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vset(err, code, 0, format, args);
    va_end(args);
    return -1;
}

static enum error_code code_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOENT:
    case ENOTDIR:
        return ERROR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
    case EISDIR:
    case EBUSY:
    case EADDRINUSE:
        return ERROR_CONFLICT;
    case EACCES:
    case EPERM:
    case EROFS:
    case EXDEV: /* openat2: the path leaves its root */
    case ELOOP: /* openat2: a link where none may be followed */
        return ERROR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERROR_NO_SPACE;
    case ENAMETOOLONG:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ERROR_LIMIT;
    case ECONNREFUSED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERROR_UNAVAILABLE;
    default:
        return ERROR_IO;
    }
}

int error_set_os(struct error *err, int os_errno, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vset(err, code_of_errno(os_errno), os_errno, format, args);
    va_end(args);
    size_t length = strlen(err->text);
    char reason[128];
    snprintf(err->text + length, sizeof(err->text) - length, ": %s",
             strerror_r(os_errno, reason, sizeof(reason)));
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    assert(err != NULL && err->code != ERROR_NONE);
    char inner[sizeof(err->text)];
    memcpy(inner, err->text, sizeof(inner));
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    size_t length = strlen(err->text);
    snprintf(err->text + length, sizeof(err->text) - length, ": %s", inner);
    return -1;
}

void error_clear(struct error *err)
{
    err->code = ERROR_NONE;
    err->os_errno = 0;
    err->text[0] = '\0';
}

bool error_is_set(const struct error *err)
{
    return err->code != ERROR_NONE;
}

const char *error_code_name(enum error_code code)
{
    switch (code) {
    case ERROR_NONE:
        return "none";
    case ERROR_INVALID:
        return "invalid";
    case ERROR_NOT_FOUND:
        return "not found";
    case ERROR_CONFLICT:
        return "conflict";
    case ERROR_DENIED:
        return "denied";
    case ERROR_CORRUPT:
        return "corrupt";
    case ERROR_LIMIT:
        return "limit";
    case ERROR_NO_SPACE:
        return "no space";
    case ERROR_UNAVAILABLE:
        return "unavailable";
    case ERROR_IO:
        return "io";
    case ERROR_CANCELLED:
        return "cancelled";
    }
    return "unknown";
}

int error_exit_status(const struct error *err)
{
    if (err->code == ERROR_NONE)
        return 0;
    return err->code == ERROR_INVALID ? 2 : 1;
}
