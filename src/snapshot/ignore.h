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
 *  - one pattern a line; "\r" at the end and blanks around go, so does a byte order mark; blank
 *    lines and '#…' are nothing; "\#" and "\!" are the characters themselves, as is any character
 *    after a backslash
 *  - "!pattern" takes back; the last pattern that matches a path decides; a "!" works
 *    below an ignored directory too
 *  - a line of nothing but slashes names nothing (Wings: everything; an empty backup helps nobody)
 *  - a leading '/' anchors at the root; so does a name, a slash and later "*." ("name/" "*.ext");
 *    every other pattern, also with a slash inside, matches at any depth
 *  - a pattern matches the path itself and everything below it; "dir/" matches what is below dir
 *  - '*' and '?' match within one part; "**" with a slash before or behind it matches across parts:
 *    "a/" "**" "/b" is also a/b, "a/" "**" is a and all below it; [a-z] and [!a] (or [^a]) match one
 *    character of a class, never '/'; every other character is itself.  Characters are bytes.
 *
 * Unlike Wings' own matcher, '?' and [!a] work, an odd character never voids a pattern, and "/" "**" is
 * everything (there: nothing).
 */
struct ignore;

enum {
    IGNORE_TEXT_MAX_BYTES = 32 * 1024,
    IGNORE_PATTERNS_MAX = 256,
    IGNORE_WILDCARDS_MAX = 16, /* in one pattern: runs of '*', '?' and classes */
};

/*
 * LIMIT where a limit above is passed, with the line's number.  An unclosed '[' stands for itself.
 * The empty text gives rules that ignore nothing.
 */
struct ignore *ignore_parse(struct slice text, struct error *err);
void ignore_free(struct ignore *ignore);

/* Whether there is no rule at all. */
bool ignore_is_empty(const struct ignore *ignore);

/* The verdict on a canonical path.  Linear in its length for each pattern.  Thread-safe. */
bool ignore_matches(const struct ignore *ignore, struct slice path, bool is_directory);

/*
 * Whether everything below the directory is ignored, so that nobody need look there.  (With "dir/"
 * that is so although `dir` itself is not ignored.)  May say no where it is so.
 */
bool ignore_prunes(const struct ignore *ignore, struct slice directory_path);

#endif
