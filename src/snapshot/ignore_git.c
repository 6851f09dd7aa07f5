/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns as git has them: gitignore(5), and where that is silent what `git check-ignore` of git 2.39 does.
 *
 * The verdict on a path goes from its first part down: the first directory on the way whose last matching
 * pattern is no "!" decides for all below it; only without one, the path's own last matching pattern counts.
 * All of them come from one run of each pattern over the path, so that depth costs nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "snapshot/ignore_internal.h"

enum {
    PARTS_ON_STACK = 64,
};

/* Blanks at the end, but for one that a backslash protects; a backslash at the very end keeps them. */
static struct slice without_trailing_blanks(struct slice line)
{
    const char *bytes = line.data;
    size_t kept = 0;
    for (size_t i = 0; i < line.length; i++) {
        bool is_protected = bytes[i] == '\\';
        if (is_protected && ++i == line.length)
            return line;
        if (is_protected || bytes[i] != ' ')
            kept = i + 1;
    }
    return slice_of(bytes, kept);
}

bool git_read_line(struct slice *line, bool *is_negative)
{
    const char *bytes = line->data;
    size_t length = line->length;
    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    const char *zero = length > 0 ? memchr(bytes, '\0', length) : NULL;
    if (zero != NULL)
        length = (size_t)(zero - bytes);
    *line = without_trailing_blanks(slice_of(bytes, length));
    if (line->length == 0 || bytes[0] == '#')
        return false;
    *is_negative = bytes[0] == '!';
    if (*is_negative)
        *line = slice_of(bytes + 1, line->length - 1);
    return !ignore_names_nothing(*line);
}

/*
 * "**" crosses slashes where slashes or the pattern's ends are around it.  As git does it: "the
 * beginning" is where the pattern stops being plain text, so that "foo**" "/bar" crosses them too.
 */
static bool is_double(struct slice text, size_t at, size_t next, size_t start)
{
    const char *bytes = text.data;
    if (next - at < 2 || (at > start && bytes[at - 1] != '/'))
        return false;
    return next == text.length || bytes[next] == '/' ||
           (bytes[next] == '\\' && next + 1 < text.length && bytes[next + 1] == '/');
}

/* A run of stars at `at`.  Returns where what it stands for ends. */
static size_t add_stars(struct pattern *pattern, struct slice text, size_t at, size_t start)
{
    const char *bytes = text.data;
    size_t next = at;
    while (next < text.length && bytes[next] == '*')
        next++;
    if (pattern->is_for_names || !is_double(text, at, next, start)) {
        pattern_add_star(pattern);
        return next;
    }
    if (next < text.length && bytes[next] == '/') {
        pattern_add_parents(pattern);
        return next + 1;
    }
    pattern_add_anything(pattern);
    return next;
}

/* The item at `at`.  Returns where it ends; 0: nothing can match such a pattern. */
static size_t add_item(struct pattern *pattern, struct slice text, size_t at, size_t start)
{
    const unsigned char *bytes = text.data;
    struct byte_set set = {{0}};
    size_t used = 1;
    switch (bytes[at]) {
    case '*':
        return add_stars(pattern, text, at, start);
    case '\\':
        if (at + 1 == text.length)
            return 0;
        pattern_add_byte(pattern, bytes[at + 1]);
        return at + 2;
    case '?':
        set_invert(&set);
        break;
    case '[':
        used = class_read(bytes + at, text.length - at, &set);
        if (used == 0)
            return 0;
        break;
    default:
        pattern_add_byte(pattern, bytes[at]);
        return at + 1;
    }
    set_remove(&set, '/');
    pattern_add_set(pattern, &set);
    return at + used;
}

static size_t plain_length(struct slice text)
{
    const char *bytes = text.data;
    size_t length = 0;
    while (length < text.length && strchr("*?[\\", bytes[length]) == NULL)
        length++;
    return length;
}

void git_compile(struct pattern *pattern, struct slice line)
{
    const char *bytes = line.data;
    if (bytes[line.length - 1] == '/') {
        pattern->is_for_directories = true;
        line.length--;
    }
    pattern->is_for_names = memchr(bytes, '/', line.length) == NULL;
    if (bytes[0] == '/')
        line = slice_of(bytes + 1, line.length - 1);
    /* Three bytes become three items at most. */
    pattern_begin(pattern, line.length);
    size_t start = plain_length(line);
    for (size_t at = 0; at < line.length;) {
        at = add_item(pattern, line, at, start);
        if (at == 0) {
            pattern->is_dead = true;
            return;
        }
    }
}

/* ---- the verdict ---- */

struct search {
    const struct ignore *ignore;
    size_t number; /* of the pattern that is looked at */
    size_t *rules; /* by part: the last pattern that matches the path up to it */
    size_t *ends;  /* by part: where it ends in the path */
    size_t parts;
    bool is_directory;
};

static void split(struct search *search, struct slice path)
{
    const char *bytes = path.data;
    for (size_t i = 0; i <= path.length; i++) {
        if (i < path.length && bytes[i] != '/')
            continue;
        search->rules[search->parts] = IGNORE_NO_RULE;
        search->ends[search->parts++] = i;
    }
}

static void part_matches(void *context, size_t part)
{
    struct search *search = context;
    const struct pattern *pattern = &search->ignore->patterns[search->number];
    bool is_directory = part + 1 < search->parts || search->is_directory;
    if (search->rules[part] == IGNORE_NO_RULE && (is_directory || !pattern->is_for_directories))
        search->rules[part] = search->number;
}

static void match_names(struct search *search, const struct pattern *pattern, struct slice path)
{
    size_t start = 0;
    for (size_t part = 0; part < search->parts; part++) {
        struct slice name = slice_of((const char *)path.data + start, search->ends[part] - start);
        start = search->ends[part] + 1;
        if (search->rules[part] == IGNORE_NO_RULE &&
            pattern_run(pattern, name, false) >= PATTERN_MATCH)
            part_matches(search, part);
    }
}

static size_t decide(const struct search *search)
{
    for (size_t part = 0; part + 1 < search->parts; part++) {
        size_t rule = search->rules[part];
        if (rule != IGNORE_NO_RULE && !search->ignore->patterns[rule].rule.is_negative)
            return rule;
    }
    return search->rules[search->parts - 1];
}

size_t git_find(const struct ignore *ignore, struct slice path, bool is_directory)
{
    size_t few[2 * PARTS_ON_STACK];
    size_t parts = 1;
    for (size_t i = 0; i < path.length; i++)
        parts += ((const char *)path.data)[i] == '/';
    size_t *memory =
        parts <= PARTS_ON_STACK ? few : xreallocarray(NULL, parts, 2 * sizeof(*memory));
    struct search search = {
        .ignore = ignore, .rules = memory, .ends = memory + parts, .is_directory = is_directory};
    split(&search, path);
    for (search.number = ignore->count; search.number-- > 0;) {
        const struct pattern *pattern = &ignore->patterns[search.number];
        if (pattern->is_dead)
            continue;
        if (pattern->is_for_names)
            match_names(&search, pattern, path);
        else
            pattern_run_parts(pattern, path, part_matches, &search);
    }
    size_t rule = decide(&search);
    if (memory != few)
        free(memory);
    return rule;
}
