/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ignore rules: lines, their limits, and the verdict, which the last pattern that matches gives.  What a
 * line means is its mode's: ignore_wings.c, ignore_git.c.
 */
#include "snapshot/ignore.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "snapshot/ignore_internal.h"

static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF";

static bool text_ends_with_return(struct slice line)
{
    return line.length > 0 && ((const char *)line.data)[line.length - 1] == '\r';
}

static struct slice next_line(struct slice *rest)
{
    const char *start = rest->data;
    const char *end = memchr(start, '\n', rest->length);
    size_t length = end == NULL ? rest->length : (size_t)(end - start);
    size_t used = end == NULL ? length : length + 1;
    *rest = slice_of(start + used, rest->length - used);
    return slice_of(start, length);
}

/* Runs of '*', '?' and '['; what a backslash protects does not count. */
static int count_wildcards(struct slice line)
{
    const char *bytes = line.data;
    int count = 0;
    for (size_t i = 0; i < line.length; i++) {
        if (bytes[i] == '\\')
            i++;
        else if (bytes[i] == '?' || bytes[i] == '[')
            count++;
        else if (bytes[i] == '*' && (i == 0 || bytes[i - 1] != '*'))
            count++;
    }
    return count;
}

bool ignore_names_nothing(struct slice line)
{
    const char *bytes = line.data;
    for (size_t i = 0; i < line.length; i++)
        if (bytes[i] != '/')
            return false;
    return true;
}

static int add_line(struct ignore *ignore, struct slice line, size_t number, struct error *err)
{
    bool is_git = ignore->mode == IGNORE_GIT;
    struct slice left = line;
    bool is_negative = false;
    if (is_git ? !git_read_line(&left, &is_negative) : !wings_read_line(&left, &is_negative))
        return 0;
    if (ignore->count == IGNORE_PATTERNS_MAX)
        return error_set(err, ERROR_LIMIT, "line %zu: more than %d ignore patterns", number,
                         IGNORE_PATTERNS_MAX);
    if (count_wildcards(left) > IGNORE_WILDCARDS_MAX)
        return error_set(err, ERROR_LIMIT, "line %zu: more than %d wildcards in an ignore pattern",
                         number, IGNORE_WILDCARDS_MAX);
    struct pattern *pattern = &ignore->patterns[ignore->count++];
    pattern->rule = (struct ignore_rule){
        .line = number,
        .text = slice_of(line.data, line.length - text_ends_with_return(line)),
        .is_negative = is_negative,
    };
    if (is_git)
        git_compile(pattern, left);
    else
        wings_compile(pattern, left);
    return 0;
}

struct ignore *ignore_parse(struct slice text, enum ignore_mode mode, struct error *err)
{
    if (text.length > IGNORE_TEXT_MAX_BYTES) {
        error_set(err, ERROR_LIMIT, "ignore patterns of more than %d bytes", IGNORE_TEXT_MAX_BYTES);
        return NULL;
    }
    size_t mark = strlen(BYTE_ORDER_MARK);
    if (text.length >= mark && memcmp(text.data, BYTE_ORDER_MARK, mark) == 0)
        text = slice_of((const char *)text.data + mark, text.length - mark);

    struct ignore *ignore = xcalloc(1, sizeof(*ignore));
    ignore->mode = mode;
    ignore->patterns = xcalloc(IGNORE_PATTERNS_MAX, sizeof(*ignore->patterns));
    ignore->text = xmalloc(text.length + 1);
    if (text.length > 0)
        memcpy(ignore->text, text.data, text.length);
    struct slice rest = slice_of(ignore->text, text.length);
    for (size_t number = 1; rest.length > 0; number++) {
        if (add_line(ignore, next_line(&rest), number, err) < 0) {
            ignore_free(ignore);
            return NULL;
        }
    }
    return ignore;
}

void ignore_free(struct ignore *ignore)
{
    if (ignore == NULL)
        return;
    for (size_t i = 0; i < ignore->count; i++)
        pattern_clear(&ignore->patterns[i]);
    free(ignore->patterns);
    free(ignore->text);
    free(ignore);
}

bool ignore_mode_parse(const char *name, enum ignore_mode *mode)
{
    if (strcmp(name, "wings") == 0)
        *mode = IGNORE_WINGS;
    else if (strcmp(name, "git") == 0)
        *mode = IGNORE_GIT;
    else
        return false;
    return true;
}

bool ignore_is_empty(const struct ignore *ignore)
{
    return ignore->count == 0;
}

size_t ignore_rule_count(const struct ignore *ignore)
{
    return ignore->count;
}

const struct ignore_rule *ignore_rule(const struct ignore *ignore, size_t number)
{
    assert(number < ignore->count);
    return &ignore->patterns[number].rule;
}

size_t ignore_find(const struct ignore *ignore, struct slice path, bool is_directory)
{
    if (ignore->mode == IGNORE_GIT)
        return git_find(ignore, path, is_directory);
    for (size_t i = ignore->count; i-- > 0;)
        if (pattern_run(&ignore->patterns[i], path, false) >= PATTERN_MATCH)
            return i;
    return IGNORE_NO_RULE;
}

/* From the last pattern back: one that takes all below decides, unless a later "!" might take back. */
static size_t find_pruning(const struct ignore *ignore, struct slice directory_path)
{
    for (size_t i = ignore->count; i-- > 0;) {
        const struct pattern *pattern = &ignore->patterns[i];
        enum pattern_verdict verdict = pattern_run(pattern, directory_path, true);
        if (pattern->rule.is_negative && verdict != PATTERN_DEAD)
            return IGNORE_NO_RULE;
        if (!pattern->rule.is_negative && verdict == PATTERN_FOREVER)
            return i;
    }
    return IGNORE_NO_RULE;
}

static bool leaves_out(const struct ignore *ignore, size_t rule)
{
    return rule != IGNORE_NO_RULE && !ignore->patterns[rule].rule.is_negative;
}

size_t ignore_find_pruning(const struct ignore *ignore, struct slice directory_path)
{
    if (ignore->mode == IGNORE_WINGS)
        return find_pruning(ignore, directory_path);
    size_t rule = git_find(ignore, directory_path, true);
    return leaves_out(ignore, rule) ? rule : IGNORE_NO_RULE;
}

bool ignore_matches(const struct ignore *ignore, struct slice path, bool is_directory)
{
    return leaves_out(ignore, ignore_find(ignore, path, is_directory));
}

bool ignore_prunes(const struct ignore *ignore, struct slice directory_path)
{
    return ignore_find_pruning(ignore, directory_path) != IGNORE_NO_RULE;
}
