/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ignore rules: the first line of the input is the path, the rest are the rules, read in both modes.
 * Claims: the verdict is always the same, and that of the rule that is named; a pruned directory has
 * nothing below it that is kept.  In mode `wings` what matches a directory matches all below it, unless a "!" is
 * there; in mode `git` whatever is there, and a pruned directory is one that is ignored.
 */
#include <assert.h>

#include "snapshot/entry.h"
#include "snapshot/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool agrees(const struct ignore *ignore, struct slice path, bool is_directory)
{
    bool is_match = ignore_matches(ignore, path, is_directory);
    size_t rule = ignore_find(ignore, path, is_directory);
    if (rule == IGNORE_NO_RULE)
        assert(!is_match);
    else
        assert(is_match == !ignore_rule(ignore, rule)->is_negative);
    return is_match;
}

static void check(const struct ignore *ignore, enum ignore_mode mode, struct slice path,
                  bool has_negative)
{
    struct buf child = BUF_INIT;
    bool is_match = agrees(ignore, path, true);
    bool is_pruned = ignore_prunes(ignore, path);
    static const char *const names[] = {"/x", "/a.log", "/x/y", "/.\n"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        buf_clear(&child);
        buf_add(&child, path.data, path.length);
        buf_add_str(&child, names[i]);
        bool is_child_match = agrees(ignore, buf_slice(&child), i % 2 == 0);
        if (is_pruned || (is_match && (mode == IGNORE_GIT || !has_negative)))
            assert(is_child_match);
    }
    if (mode == IGNORE_GIT) {
        assert(is_match == is_pruned);
    } else {
        assert(is_match == ignore_matches(ignore, path, false));
    }
    buf_free(&child);
}

static void check_mode(struct slice path, struct slice rules, enum ignore_mode mode)
{
    struct error err = ERROR_INIT;
    struct ignore *ignore = ignore_parse(rules, mode, &err);
    if (ignore == NULL) {
        assert(err.code == ERROR_LIMIT);
        return;
    }
    for (size_t i = 0; i < ignore_rule_count(ignore); i++)
        assert(ignore_rule(ignore, i)->line > 0 && ignore_rule(ignore, i)->text.length > 0);
    bool has_negative = rules.length > 0 && memchr(rules.data, '!', rules.length) != NULL;
    if (path.length > 0 && entry_path_is_canonical(path))
        check(ignore, mode, path, has_negative);
    ignore_free(ignore);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL)
        return 0;
    struct slice path = slice_of(data, (size_t)(end - data));
    struct slice rules = slice_of(end + 1, size - path.length - 1);
    check_mode(path, rules, IGNORE_WINGS);
    check_mode(path, rules, IGNORE_GIT);
    return 0;
}
