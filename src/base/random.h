/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>

/* From the kernel's generator; fit for secrets.  Aborts where there is none.  Thread-safe. */
void random_bytes(void *out, size_t length);

/* `length` characters of [A-Za-z0-9], each equally likely, and a NUL: out has length + 1 bytes. */
void random_alphanumeric(char *out, size_t length);

#endif
