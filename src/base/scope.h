/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SCOPE_H
#define BASE_SCOPE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"

/*
 * Cleanup that is bound to the scope of a variable:
 *
 *     scope_free char *text = xstrdup("…");
 *     scope_fd int fd = open(…);
 *
 * To keep the value, take it out: `return scope_take(text);`.  A module with a
 * type of its own declares its scope with SCOPE_DEFINE beside its free function.
 */
#define SCOPE(function) __attribute__((cleanup(function)))

#define SCOPE_DEFINE(name, type, free_function)                                                    \
    static inline void scope_##name##_end(type *value)                                             \
    {                                                                                              \
        if (*value != NULL)                                                                        \
            free_function(*value);                                                                 \
    }

#define scope_take(pointer)                                                                        \
    ({                                                                                             \
        __auto_type taken_ = (pointer);                                                            \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

static inline void scope_free_end(void *pointer)
{
    free(*(void **)pointer);
}
#define scope_free SCOPE(scope_free_end)

static inline void scope_fd_end(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define scope_fd SCOPE(scope_fd_end)

static inline int scope_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define scope_buf SCOPE(buf_free)

SCOPE_DEFINE(stdio, FILE *, fclose)
#define scope_file SCOPE(scope_stdio_end)

#endif
