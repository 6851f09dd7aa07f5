/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_IGNORE_H
#define SNAPSHOT_IGNORE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Which paths a backup leaves out.  A tenant writes these patterns, so they are
 * limited, matched in linear time, and can do no more than name files below the root.
 *
 * Semantics `wings` (the default): what users of Wings wrote their lists for.
 *  - one pattern a line; "\r" at the end and blanks around go; blank lines and '#…' are nothing;
 *    "\#" and "\!" are the characters themselves
 *  - "!pattern" takes back; the last pattern that matches a path decides; a "!" works
 *    below an ignored directory too
 *  - a leading '/' anchors at the root; "name/*.ext" (a word, a slash, star-dot) is anchored;
 *    every other pattern, also with a slash inside, matches at any depth
 *  - a pattern matches the path itself and everything below it; "dir/" matches what is below dir
 *  - '*' and '?' match within one part, "**" across parts, [a-z] and [!a] one character of
 *    a class; every other character is itself
 */
struct ignore;

enum {
    IGNORE_TEXT_MAX_BYTES = 32 * 1024,
    IGNORE_PATTERNS_MAX = 256,
    IGNORE_WILDCARDS_MAX = 16, /* in one pattern */
};

/*
 * LIMIT where a limit above is passed, with the line's number.  An unclosed '[' stands for itself.
 * The empty text gives rules that ignore nothing.
 */
struct ignore *ignore_parse(struct slice text, struct error *err);
void ignore_free(struct ignore *ignore);

/* Whether there is no rule at all. */
bool ignore_is_empty(const struct ignore *ignore);

/* The verdict on a path without leading slash.  Linear in its length for each pattern.  Thread-safe. */
bool ignore_matches(const struct ignore *ignore, struct slice path, bool is_directory);

/* Whether everything below the ignored directory is ignored too, so that nobody need look there. */
bool ignore_prunes(const struct ignore *ignore, struct slice directory_path);

#endif
