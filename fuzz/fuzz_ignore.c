/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ignore rules: the first line of the input is the path, the rest are the rules.
 * Claims: what matches a directory matches all below it, unless a "!" is there; a pruned directory
 * has nothing below it that is kept; the verdict is always the same.
 */
#include <assert.h>

#include "snapshot/entry.h"
#include "snapshot/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ignore *ignore, struct slice path, bool has_negative)
{
    struct buf child = BUF_INIT;
    bool is_match = ignore_matches(ignore, path, false);
    bool is_pruned = ignore_prunes(ignore, path);
    static const char *const names[] = {"/x", "/a.log", "/x/y", "/.\n"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        buf_clear(&child);
        buf_add(&child, path.data, path.length);
        buf_add_str(&child, names[i]);
        bool is_child_match = ignore_matches(ignore, buf_slice(&child), false);
        if ((is_match && !has_negative) || is_pruned)
            assert(is_child_match);
    }
    assert(is_match == ignore_matches(ignore, path, true));
    buf_free(&child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL)
        return 0;
    struct slice path = slice_of(data, (size_t)(end - data));
    struct slice rules = slice_of(end + 1, size - path.length - 1);
    struct ignore *ignore = ignore_parse(rules, &err);
    if (ignore == NULL) {
        assert(err.code == ERROR_LIMIT);
        return 0;
    }
    if (path.length > 0 && entry_path_is_canonical(path))
        check(ignore, path, rules.length > 0 && memchr(rules.data, '!', rules.length) != NULL);
    ignore_free(ignore);
    return 0;
}
