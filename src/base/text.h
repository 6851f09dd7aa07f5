/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Small things that one does with text.  ASCII only where letters' case matters; no locale. */

bool utf8_is_valid(struct slice text); /* RFC 3629: no surrogates, no overlong forms */
size_t utf8_count(struct slice text);  /* code points of valid UTF-8 */

/* `text` as valid UTF-8: what is not becomes U+FFFD.  For names that are shown, never for access. */
void utf8_add_lossy(struct buf *out, struct slice text);

bool text_equals_ignoring_case(const char *a, const char *b);
bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);

/* `text` without blanks, tabs and line ends around it; points into `text`. */
struct slice text_trim(struct slice text);

/* A decimal number, whole text, no sign, no blanks, min <= value <= max; false otherwise. */
bool text_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* "10", "64 KiB", "2 GiB", "1MB": bytes.  INVALID names what was expected. */
int text_to_size(const char *text, uint64_t *size_bytes, struct error *err);

/* "250 ms", "30 s", "15 min", "6 h", "2 d"; a bare number counts in seconds.  Gives milliseconds. */
int text_to_duration(const char *text, uint64_t *duration_ms, struct error *err);

/* "1.3 GiB": for people. */
void text_add_size(struct buf *out, uint64_t size_bytes);

/* Lower-case hexadecimal; `out` has room for 2 * length + 1. */
void hex_encode(const void *bytes, size_t length, char *out);
bool hex_decode(const char *text, void *out, size_t length); /* exactly 2 * length digits */

/* RFC 4648: standard alphabet with padding (section 4), URL alphabet without (section 5). */
void base64_add(struct buf *out, struct slice bytes);
void base64url_add(struct buf *out, struct slice bytes);
bool base64_decode(struct slice text, struct buf *out);    /* strict; false: not base64 */
bool base64url_decode(struct slice text, struct buf *out); /* strict, no padding */

#endif
