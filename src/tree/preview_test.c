/* SPDX-License-Identifier: Apache-2.0 */
/* The preview of ignore rules (snapshot/preview.h) on real trees, against the copy that it foretells. */
#include "snapshot/preview.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "snapshot/copy.h"
#include "tree/scratch_test.h"
#include "tree/walk.h"

static void make_tree(struct scratch *scratch)
{
    scratch_make(scratch);
    make_directory(scratch->fd, "a");
    make_directory(scratch->fd, "a/b");
    make_directory(scratch->fd, "cache");
    make_directory(scratch->fd, "cache/deep");
    make_file(scratch->fd, "a/one.log", "1");
    make_file(scratch->fd, "a/b/two.log", "22");
    make_file(scratch->fd, "a/b/three.txt", "333");
    make_file(scratch->fd, "cache/four", "4444");
    make_file(scratch->fd, "cache/deep/five", "55555");
    make_file(scratch->fd, "cache-not", "666666");
    make_file(scratch->fd, "x", "7777777");
    assert_int_equal(linkat(scratch->fd, "cache/four", scratch->fd, "four", 0), 0);
    assert_int_equal(linkat(scratch->fd, "cache/four", scratch->fd, "z", 0), 0);
    assert_int_equal(symlinkat("x", scratch->fd, "a/link"), 0);
}

static struct ignore *parse(const char *text, enum ignore_mode mode)
{
    struct error err = ERROR_INIT;
    struct ignore *ignore = ignore_parse(slice_str(text), mode, &err);
    if (ignore == NULL)
        fail_msg("%s", err.text);
    return ignore;
}

static void add_item(const struct preview_item *item, void *context)
{
    struct buf *out = context;
    buf_printf(out, "|%.*s", (int)item->path.length, (const char *)item->path.data);
    if (item->type == ENTRY_DIRECTORY)
        buf_printf(out, "/%s %llu", item->keeps_directory ? "*" : "",
                   (unsigned long long)item->objects);
    buf_printf(out, " %llu :%zu", (unsigned long long)item->bytes, item->rule->line);
}

static void run(const struct scratch *scratch, const struct ignore *ignore, uint64_t limit,
                struct preview *preview, struct buf *items)
{
    struct error err = ERROR_INIT;
    struct preview_options options = {.visit = add_item, .context = items, .limit_entries = limit};
    struct source *source =
        walk_open(scratch->fd, &(struct walk_options){.wants_no_content = true}, &err);
    assert_non_null(source);
    assert_int_equal(preview_run(source, ignore, &options, preview, &err), 0);
    source_free(source);
}

static void expect_items(const struct scratch *scratch, const char *rules, enum ignore_mode mode,
                         const char *expected)
{
    struct buf items = BUF_INIT;
    struct preview preview;
    struct ignore *ignore = parse(rules, mode);
    run(scratch, ignore, 0, &preview, &items);
    assert_string_equal(items.data, expected);
    buf_free(&items);
    ignore_free(ignore);
}

static void items_name_sizes_and_rules(void **state)
{
    struct scratch scratch;
    make_tree(&scratch);
    expect_items(&scratch, "", IGNORE_WINGS, "");
    expect_items(&scratch, "# first\n*.log", IGNORE_WINGS, "|a/b/two.log 2 :2|a/one.log 1 :2");
    expect_items(&scratch, "cache", IGNORE_WINGS, "|cache/ 3 9 :1");
    expect_items(&scratch, "cache/", IGNORE_WINGS, "|cache/* 3 9 :1");
    expect_items(&scratch, "cache/", IGNORE_GIT, "|cache/ 3 9 :1");
    expect_items(&scratch, "cache\n!five", IGNORE_WINGS, "|cache/four 4 :1");
    expect_items(&scratch, "cache\n!five", IGNORE_GIT, "|cache/ 3 9 :1");
    expect_items(&scratch, "a/*\n!a/b/", IGNORE_GIT, "|a/link 0 :1|a/one.log 1 :1");
    scratch_remove(&scratch);
}

/* Every decision twice: once foretold, once copied. */
static void what_is_kept_is_what_a_copy_copies(void **state)
{
    static const char *const lists[] = {
        "",          "cache",      "cache/", "cache\n!five",     "*",
        "*\n!cache", "a/*\n!a/b/", "*.log",  "four\nx\n",        "z\n",
        "/a\n",      "*\n!*.txt",  "deep\n", "link\ncache/four",
    };
    struct scratch scratch;
    make_tree(&scratch);
    for (size_t i = 0; i < 2 * sizeof(lists) / sizeof(lists[0]); i++) {
        struct buf items = BUF_INIT;
        struct preview preview;
        struct report report;
        struct error err = ERROR_INIT;
        struct ignore *ignore = parse(lists[i / 2], i % 2 == 0 ? IGNORE_WINGS : IGNORE_GIT);
        run(&scratch, ignore, 0, &preview, &items);
        struct source *source = walk_open(scratch.fd, &(struct walk_options){0}, &err);
        struct sink *nowhere = null_sink_create();
        report_init(&report);
        struct copy_options options = {.ignore = ignore};
        assert_int_equal(copy_entries(source, nowhere, &options, &report, &err), 0);
        assert_int_equal(preview.kept.files, report.files);
        assert_int_equal(preview.kept.directories, report.directories);
        assert_int_equal(preview.kept.links, report.symlinks + report.hardlinks);
        assert_int_equal(preview.kept.bytes, report.content_bytes);
        report_free(&report);
        sink_free(nowhere);
        source_free(source);
        ignore_free(ignore);
        buf_free(&items);
    }
    scratch_remove(&scratch);
}

static void rules_without_effect_are_known(void **state)
{
    struct scratch scratch;
    struct preview preview;
    struct buf items = BUF_INIT;
    make_tree(&scratch);
    struct ignore *ignore = parse("nothing\ncache/\n!cache/four\n*.log\n*.log\n", IGNORE_GIT);
    run(&scratch, ignore, 0, &preview, &items);
    static const bool expected[] = {false, true, false, false, true};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(preview.has_effect[i], expected[i]);
    ignore_free(ignore);
    buf_free(&items);
    scratch_remove(&scratch);
}

static void a_limit_cuts_and_says_so(void **state)
{
    struct scratch scratch;
    struct preview preview;
    struct buf items = BUF_INIT;
    make_tree(&scratch);
    struct ignore *ignore = parse("cache\n", IGNORE_WINGS);
    run(&scratch, ignore, 100, &preview, &items);
    assert_false(preview.is_cut);
    buf_clear(&items);
    /* The root, a, b and its two, link, one.log, cache-not comes after cache/: its first two. */
    run(&scratch, ignore, 9, &preview, &items);
    assert_true(preview.is_cut);
    assert_string_equal(items.data, "|cache/ 1 0 :1");
    ignore_free(ignore);
    buf_free(&items);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_name_sizes_and_rules),
        cmocka_unit_test(what_is_kept_is_what_a_copy_copies),
        cmocka_unit_test(rules_without_effect_are_known),
        cmocka_unit_test(a_limit_cuts_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
