/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that aborts rather than fails. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *memory)
{
    if (memory == NULL) {
        static const char text[] = "roost: out of memory\n";
        fwrite(text, 1, sizeof(text) - 1, stderr);
        abort();
    }
    return memory;
}

void *xmalloc(size_t size_bytes)
{
    return check(malloc(size_bytes > 0 ? size_bytes : 1));
}

void *xaligned_alloc(size_t alignment, size_t size_bytes)
{
    return check(aligned_alloc(alignment, size_bytes));
}

void *xcalloc(size_t count, size_t size_bytes)
{
    return check(calloc(count > 0 ? count : 1, size_bytes > 0 ? size_bytes : 1));
}

void *xrealloc(void *old, size_t size_bytes)
{
    return check(realloc(old, size_bytes > 0 ? size_bytes : 1));
}

void *xreallocarray(void *old, size_t count, size_t size_bytes)
{
    return check(reallocarray(old, count > 0 ? count : 1, size_bytes > 0 ? size_bytes : 1));
}

char *xstrdup(const char *text)
{
    return check(strdup(text));
}

char *xstrndup(const char *text, size_t length)
{
    return check(strndup(text, length));
}

void *xmemdup(const void *bytes, size_t length)
{
    void *copy = xmalloc(length);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int length = vasprintf(&text, format, args);
    va_end(args);
    return check(length < 0 ? NULL : text);
}
