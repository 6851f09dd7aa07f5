/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>

/*
 * UUIDs (RFC 9562) travel as text: 36 characters, lower case, and a NUL.
 * Whatever becomes part of a file name passes uuid_is_canonical() first.
 */
enum {
    UUID_TEXT_BYTES = 37,
    UUID_SHORT_LENGTH = 8
};

void uuid_make(char text[UUID_TEXT_BYTES]); /* random, version 4 */

/* Exactly 8-4-4-4-12 lower-case hexadecimal digits. */
bool uuid_is_canonical(const char *text);

/* The same with upper-case letters too; writes the canonical form to `canonical`. */
bool uuid_canonicalize(const char *text, char canonical[UUID_TEXT_BYTES]);

#endif
