/* SPDX-License-Identifier: Apache-2.0 */
/* The copier between a source that plays a script and a sink that writes a protocol. */
#include "snapshot/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"

struct line {
    enum entry_type type;
    const char *path;
    const char *text; /* content or link */
};

struct script {
    struct source source;
    const struct line *lines;
    size_t count, next, skipped, declined;
    size_t at; /* in the content */
    bool ends_early;
};

static int script_next(struct source *source, struct entry *entry, struct error *err)
{
    struct script *script = (struct script *)source;
    if (script->next == script->count)
        return 0;
    const struct line *line = &script->lines[script->next++];
    buf_add_str(&entry->path, line->path);
    entry->type = line->type;
    script->at = 0;
    if (line->type == ENTRY_FILE)
        entry->size_bytes = entry->stored_bytes = strlen(line->text);
    else if (line->type != ENTRY_DIRECTORY)
        buf_add_str(&entry->link, line->text);
    return 1;
}

static ssize_t script_read(struct source *source, void *bytes, size_t length, struct error *err)
{
    struct script *script = (struct script *)source;
    if (script->ends_early)
        return 0;
    size_t part = length < 3 ? length : 3;
    memcpy(bytes, script->lines[script->next - 1].text + script->at, part);
    script->at += part;
    return (ssize_t)part;
}

static void script_skip(struct source *source)
{
    struct script *script = (struct script *)source;
    const char *path = script->lines[script->next - 1].path;
    size_t length = strlen(path);
    script->skipped++;
    while (script->next < script->count &&
           strncmp(script->lines[script->next].path, path, length) == 0 &&
           script->lines[script->next].path[length] == '/')
        script->next++;
}

static void script_decline(struct source *source)
{
    ((struct script *)source)->declined++;
}

static uint64_t script_estimate(struct source *source)
{
    return 4711;
}

static void script_free(struct source *source)
{
}

static const struct source_ops script_ops = {
    .next = script_next,
    .read = script_read,
    .skip_directory = script_skip,
    .decline = script_decline,
    .estimate_bytes = script_estimate,
    .free = script_free,
};

static const struct source_ops plain_ops = {
    .next = script_next,
    .read = script_read,
    .free = script_free,
};

struct protocol {
    struct sink sink;
    struct buf text;
    bool fails_to_write;
};

static int protocol_entry(struct sink *sink, const struct entry *entry, struct error *err)
{
    struct protocol *protocol = (struct protocol *)sink;
    buf_printf(&protocol->text, "|%s", entry->path.data);
    if (entry->link.length > 0)
        buf_printf(&protocol->text, "->%s", entry->link.data);
    return 0;
}

static int protocol_write(struct sink *sink, const void *bytes, size_t length, struct error *err)
{
    struct protocol *protocol = (struct protocol *)sink;
    if (protocol->fails_to_write)
        return error_set(err, ERROR_NO_SPACE, "no space");
    buf_printf(&protocol->text, ":%.*s", (int)length, (const char *)bytes);
    return 0;
}

static int protocol_finish(struct sink *sink, struct error *err)
{
    buf_add_str(&((struct protocol *)sink)->text, "|end");
    return 0;
}

static void protocol_free(struct sink *sink)
{
    buf_free(&((struct protocol *)sink)->text);
}

static const struct sink_ops protocol_ops = {
    .entry = protocol_entry,
    .write = protocol_write,
    .finish = protocol_finish,
    .free = protocol_free,
};

static const struct line sample[] = {
    {ENTRY_DIRECTORY, "", ""},     {ENTRY_FILE, "a", "12345"},      {ENTRY_DIRECTORY, "logs", ""},
    {ENTRY_FILE, "logs/x", "log"}, {ENTRY_HARDLINK, "z", "logs/x"}, {ENTRY_SYMLINK, "zz", "/etc"},
};

struct bench {
    struct script script;
    struct protocol protocol;
    struct report report;
    struct error err;
};

static struct bench bench_of(const struct source_ops *ops)
{
    return (struct bench){
        .script = {.source = {.ops = ops},
                   .lines = sample,
                   .count = sizeof(sample) / sizeof(sample[0])},
        .protocol = {.sink = {.ops = &protocol_ops}, .text = BUF_INIT},
        .err = ERROR_INIT,
    };
}

static int bench_copy(struct bench *bench, const struct copy_options *options)
{
    return copy_entries(&bench->script.source, &bench->protocol.sink, options, &bench->report,
                        &bench->err);
}

static void bench_free(struct bench *bench)
{
    report_free(&bench->report);
    sink_free(&bench->protocol.sink);
    source_free(&bench->script.source);
}

static void everything_is_copied_and_counted(void **state)
{
    struct bench bench = bench_of(&script_ops);
    struct progress progress = {0};
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.progress = &progress}), 0);
    assert_string_equal(bench.protocol.text.data,
                        "||a:123:45|logs|logs/x:log|z->logs/x|zz->/etc|end");
    assert_int_equal(bench.report.files, 2);
    assert_int_equal(bench.report.directories, 2);
    assert_int_equal(bench.report.symlinks, 1);
    assert_int_equal(bench.report.hardlinks, 1);
    assert_int_equal(bench.report.content_bytes, 8);
    assert_int_equal(progress.entries, 6);
    assert_int_equal(progress.content_bytes, 8);
    assert_int_equal(progress.expected_bytes, 4711);
    assert_null(bench.script.source.report);
    bench_free(&bench);
}

static struct ignore *rules(const char *text)
{
    struct error err = ERROR_INIT;
    struct ignore *ignore = ignore_parse(slice_str(text), IGNORE_WINGS, &err);
    assert_non_null(ignore);
    return ignore;
}

static void ignored_directories_are_pruned(void **state)
{
    struct bench bench = bench_of(&script_ops);
    struct ignore *ignore = rules("logs");
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.ignore = ignore}), 0);
    assert_int_equal(bench.script.skipped, 1);
    assert_int_equal(bench.report.ignored, 1);
    assert_non_null(strstr(bench.protocol.text.data, "|a:123:45|zz->/etc|end"));
    ignore_free(ignore);
    bench_free(&bench);
}

static void a_directory_stays_where_something_may_come_back(void **state)
{
    struct bench bench = bench_of(&script_ops);
    struct ignore *ignore = rules("*\n!x");
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.ignore = ignore}), 0);
    assert_string_equal(bench.protocol.text.data, "||logs|logs/x:log|end");
    assert_int_equal(bench.report.ignored, 3);
    assert_int_equal(bench.script.declined, 1); /* "a" */
    ignore_free(ignore);
    bench_free(&bench);
}

static void contents_go_but_the_directory_stays(void **state)
{
    struct bench bench = bench_of(&script_ops);
    struct ignore *ignore = rules("logs/\nz*");
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.ignore = ignore}), 0);
    assert_string_equal(bench.protocol.text.data, "||a:123:45|logs|end");
    ignore_free(ignore);
    bench_free(&bench);
}

static void a_link_to_an_ignored_file_is_named(void **state)
{
    struct bench bench = bench_of(&plain_ops);
    struct ignore *ignore = rules("x");
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.ignore = ignore}), 0);
    assert_string_equal(bench.protocol.text.data, "||a:123:45|logs|zz->/etc|end");
    assert_int_equal(bench.report.item_count, 1);
    assert_int_equal(bench.report.items[0].kind, REPORT_REFUSED);
    assert_string_equal(bench.report.items[0].path, "z");
    ignore_free(ignore);
    bench_free(&bench);
}

static int select_and_copy(struct bench *bench, const char *first, const char *second)
{
    scope_selection struct selection *selection = selection_new();
    assert_int_equal(selection_add(selection, slice_str(first), &bench->err), 0);
    assert_int_equal(selection_add(selection, slice_str(second), &bench->err), 0);
    return bench_copy(bench, &(struct copy_options){.selection = selection});
}

static void only_what_is_selected_is_copied(void **state)
{
    struct bench bench = bench_of(&script_ops);
    assert_int_equal(select_and_copy(&bench, "logs/x", "zz"), 0);
    assert_string_equal(bench.protocol.text.data, "||logs|logs/x:log|zz->/etc|end");
    assert_int_equal(bench.script.declined, 1); /* "a" */
    assert_int_equal(bench.report.ignored, 0);
    assert_int_equal(bench.report.omissions, 0);
    bench_free(&bench);
}

static void directories_that_nobody_selected_are_skipped(void **state)
{
    struct bench bench = bench_of(&script_ops);
    assert_int_equal(select_and_copy(&bench, "a", "zz"), 0);
    assert_string_equal(bench.protocol.text.data, "||a:123:45|zz->/etc|end");
    assert_int_equal(bench.script.skipped, 1);
    bench_free(&bench);
}

/* What is on the way must be a directory: a link there leads elsewhere, and is not what was meant. */
static void only_directories_are_on_the_way(void **state)
{
    struct bench bench = bench_of(&script_ops);
    assert_int_equal(select_and_copy(&bench, "a", "zz/passwd"), -1);
    assert_null(strstr(bench.protocol.text.data, "zz"));
    bench_free(&bench);
}

static void what_is_selected_and_not_there_fails_the_copy(void **state)
{
    struct bench bench = bench_of(&script_ops);
    assert_int_equal(select_and_copy(&bench, "a", "logs/y"), -1);
    assert_int_equal(bench.err.code, ERROR_NOT_FOUND);
    assert_string_equal(bench.err.text, "'logs/y' is not in the backup");
    assert_null(strstr(bench.protocol.text.data, "|end"));
    bench_free(&bench);
}

static void a_link_to_what_is_not_selected_fails_the_copy(void **state)
{
    struct bench bench = bench_of(&plain_ops);
    assert_int_equal(select_and_copy(&bench, "a", "z"), -1);
    assert_int_equal(bench.err.code, ERROR_INVALID);
    assert_string_equal(bench.err.text, "'z' is a second name of 'logs/x', which is not selected");
    bench_free(&bench);
}

static void limits_end_a_copy_before_the_work(void **state)
{
    struct bench bench = bench_of(&script_ops);
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.limit_content_bytes = 7}), -1);
    assert_int_equal(bench.err.code, ERROR_LIMIT);
    assert_null(strstr(bench.protocol.text.data, "logs/x"));
    bench_free(&bench);

    bench = bench_of(&script_ops);
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.limit_content_bytes = 8}), 0);
    bench_free(&bench);

    bench = bench_of(&script_ops);
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.limit_entries = 5}), -1);
    assert_int_equal(bench.err.code, ERROR_LIMIT);
    bench_free(&bench);
}

static void errors_of_both_ends_name_the_entry(void **state)
{
    struct bench bench = bench_of(&script_ops);
    bench.protocol.fails_to_write = true;
    assert_int_equal(bench_copy(&bench, &(struct copy_options){0}), -1);
    assert_int_equal(bench.err.code, ERROR_NO_SPACE);
    assert_string_equal(bench.err.text, "copying 'a': no space");
    bench_free(&bench);

    bench = bench_of(&script_ops);
    bench.script.ends_early = true;
    assert_int_equal(bench_copy(&bench, &(struct copy_options){0}), -1);
    assert_int_equal(bench.err.code, ERROR_CORRUPT);
    bench_free(&bench);
}

static void a_cancelled_copy_does_not_finish(void **state)
{
    struct bench bench = bench_of(&script_ops);
    struct cancel cancel = {0};
    cancel_set(&cancel);
    assert_int_equal(bench_copy(&bench, &(struct copy_options){.cancel = &cancel}), -1);
    assert_int_equal(bench.err.code, ERROR_CANCELLED);
    assert_string_equal(bench.protocol.text.data, "");
    bench_free(&bench);
}

static void hostile_entries_do_not_reach_the_sink(void **state)
{
    static const struct line hostile[] = {{ENTRY_FILE, "../x", "1"}};
    struct bench bench = bench_of(&script_ops);
    bench.script.lines = hostile;
    bench.script.count = 1;
    assert_int_equal(bench_copy(&bench, &(struct copy_options){0}), -1);
    assert_int_equal(bench.err.code, ERROR_DENIED);
    assert_string_equal(bench.protocol.text.data, "");
    bench_free(&bench);
}

static void a_rate_is_kept(void **state)
{
    static char megabyte[100 * 1000 + 1];
    static struct line lines[3];
    memset(megabyte, 'x', sizeof(megabyte) - 1);
    for (int i = 0; i < 3; i++)
        lines[i] = (struct line){ENTRY_FILE, &"abc"[i], megabyte};
    struct bench bench = bench_of(&script_ops);
    bench.script.lines = lines;
    bench.script.count = 3;
    struct sink *nowhere = null_sink_create();
    int64_t before_us = time_monotonic_us();
    /* One second's worth goes at once, half of one later. */
    assert_int_equal(copy_entries(&bench.script.source, nowhere,
                                  &(struct copy_options){.rate_bytes_per_s = 200 * 1000}, NULL,
                                  &bench.err),
                     0);
    int64_t took_us = time_monotonic_us() - before_us;
    assert_in_range(took_us, 400 * 1000, 2000 * 1000);
    sink_free(nowhere);
    bench_free(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_copied_and_counted),
        cmocka_unit_test(ignored_directories_are_pruned),
        cmocka_unit_test(a_directory_stays_where_something_may_come_back),
        cmocka_unit_test(contents_go_but_the_directory_stays),
        cmocka_unit_test(a_link_to_an_ignored_file_is_named),
        cmocka_unit_test(only_what_is_selected_is_copied),
        cmocka_unit_test(directories_that_nobody_selected_are_skipped),
        cmocka_unit_test(only_directories_are_on_the_way),
        cmocka_unit_test(what_is_selected_and_not_there_fails_the_copy),
        cmocka_unit_test(a_link_to_what_is_not_selected_fails_the_copy),
        cmocka_unit_test(limits_end_a_copy_before_the_work),
        cmocka_unit_test(errors_of_both_ends_name_the_entry),
        cmocka_unit_test(a_cancelled_copy_does_not_finish),
        cmocka_unit_test(hostile_entries_do_not_reach_the_sink),
        cmocka_unit_test(a_rate_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
