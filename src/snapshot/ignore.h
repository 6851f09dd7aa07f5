/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_IGNORE_H
#define SNAPSHOT_IGNORE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Which paths a backup leaves out.  A tenant writes these patterns, so they are
 * limited, matched in linear time, and can do no more than name files below the root.
 * Characters are bytes; there is one list, and no list in a directory below the root is read.
 */
enum ignore_mode {
    /*
     * What users of Wings wrote their lists for (the default).
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
     *    "a/" "**" "/b" is also a/b, "a/" "**" is a and all below it; [a-z], [!a] (or [^a]) and
     *    [[:alpha:]] match one character of a class, never '/'; every other character is itself
     *
     * Unlike Wings' own matcher, '?' and [!a] work, an odd character never voids a pattern, "/" "**" is
     * everything (there: nothing), and a '#' or '!' behind blanks or a "!" is no escape of what follows.
     */
    IGNORE_WINGS,

    /*
     * gitignore(5) to the letter, the root's .gitignore being the only one; case counts.  What differs most: a slash
     * before the end anchors; "dir/" is the directory itself, and no file of that name; a "!" cannot take
     * back what lies below a directory that is left out; blanks in front count; a '[' without an end voids the
     * pattern.
     */
    IGNORE_GIT,
};

struct ignore;

enum {
    IGNORE_TEXT_MAX_BYTES = 32 * 1024,
    IGNORE_PATTERNS_MAX = 256,
    IGNORE_WILDCARDS_MAX = 16, /* in one pattern: runs of '*', '?' and classes */
};

/*
 * LIMIT where a limit above is passed, with the line's number.  In mode `wings` an unclosed '[' stands for itself.
 * The empty text gives rules that ignore nothing.
 */
struct ignore *ignore_parse(struct slice text, enum ignore_mode mode, struct error *err);
void ignore_free(struct ignore *ignore);

/* "wings", "git"; false: neither. */
bool ignore_mode_parse(const char *name, enum ignore_mode *mode);

/* Whether there is no rule at all. */
bool ignore_is_empty(const struct ignore *ignore);

/* The verdict on a canonical path.  Linear in its length for each pattern.  Thread-safe. */
bool ignore_matches(const struct ignore *ignore, struct slice path, bool is_directory);

/*
 * Whether everything below the directory is ignored, so that nobody need look there.  (With "dir/" in mode
 * `wings` that is so although `dir` itself is not ignored.)  May say no where it is so.
 */
bool ignore_prunes(const struct ignore *ignore, struct slice directory_path);

/* A line that is a pattern; `text` as it stands there, borrowed from the rules. */
struct ignore_rule {
    size_t line; /* from 1 */
    struct slice text;
    bool is_negative; /* "!" */
};
size_t ignore_rule_count(const struct ignore *ignore);
const struct ignore_rule *ignore_rule(const struct ignore *ignore, size_t number); /* from 0 */

/*
 * Which rule gives these verdicts, by its number: IGNORE_NO_RULE where none matches, a negative one where it takes
 * back.  ignore_find_pruning() finds positive ones only.
 */
#define IGNORE_NO_RULE SIZE_MAX
size_t ignore_find(const struct ignore *ignore, struct slice path, bool is_directory);
size_t ignore_find_pruning(const struct ignore *ignore, struct slice directory_path);

#endif
