/* SPDX-License-Identifier: Apache-2.0 */
#include "tree/walk_bench_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

int walk_bench_begin(void **state)
{
    struct walk_bench *bench = xcalloc(1, sizeof(*bench));
    scratch_make(&bench->scratch);
    report_init(&bench->report);
    entry_init(&bench->entry);
    bench->text = (struct buf)BUF_INIT;
    *state = bench;
    return 0;
}

int walk_bench_end(void **state)
{
    struct walk_bench *bench = *state;
    source_free(bench->source);
    scratch_remove(&bench->scratch);
    report_free(&bench->report);
    entry_free(&bench->entry);
    buf_free(&bench->text);
    free(bench);
    return 0;
}

void walk_start(struct walk_bench *bench)
{
    struct walk_options options = {.wants_holes = true};
    bench->source = walk_open(bench->scratch.fd, &options, &bench->err);
    assert_non_null(bench->source);
    bench->source->report = &bench->report;
}

void expect_entry(struct walk_bench *bench, const char *path)
{
    int more = source_next(bench->source, &bench->entry, &bench->err);
    if (more < 0)
        fail_msg("%s", bench->err.text);
    assert_int_equal(more, 1);
    assert_string_equal(bench->entry.path.data, path);
}

void expect_end(struct walk_bench *bench)
{
    assert_int_equal(source_next(bench->source, &bench->entry, &bench->err), 0);
    assert_int_equal(source_next(bench->source, &bench->entry, &bench->err), 0);
}

size_t read_rest(struct walk_bench *bench, size_t at_most)
{
    static char bytes[100 * 1000];
    ssize_t got;
    size_t total = 0;
    while (total < at_most &&
           (got = source_read(bench->source, bytes, sizeof(bytes), &bench->err)) != 0) {
        assert_true(got > 0);
        buf_add(&bench->text, bytes, (size_t)got);
        total += (size_t)got;
    }
    return total;
}

void expect_item(struct walk_bench *bench, const char *path, enum report_kind kind)
{
    const struct report_item *item = find_item(&bench->report, path);
    if (item == NULL)
        fail_msg("'%s' is not in the report", path);
    assert_int_equal(item->kind, kind);
}
