/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/*
 * Allocation that aborts where there is no memory: stores are crash-safe, so a
 * crash loses nothing, and no caller carries a branch that no test can reach.
 * A size that comes from outside is compared with a named limit first.
 * What these return is freed with free().
 */
void *xmalloc(size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xaligned_alloc(size_t alignment, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size_bytes) __attribute__((returns_nonnull));
void *xreallocarray(void *old, size_t count, size_t size_bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *bytes, size_t length) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
