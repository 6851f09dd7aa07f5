/* SPDX-License-Identifier: Apache-2.0 */
#include "tree/bench_test.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

int bench_begin(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    scratch_make(&bench->scratch);
    report_init(&bench->report);
    entry_init(&bench->entry);
    bench->text = (struct buf)BUF_INIT;
    *state = bench;
    return 0;
}

int bench_end(void **state)
{
    struct bench *bench = *state;
    stage_free(bench->stage);
    scratch_remove(&bench->scratch);
    report_free(&bench->report);
    entry_free(&bench->entry);
    buf_free(&bench->text);
    free(bench);
    return 0;
}

void create_with(struct bench *bench, const struct stage_options *options)
{
    bench->stage = stage_create(bench->scratch.fd, "live", "stage", options, &bench->err);
    if (bench->stage == NULL)
        fail_msg("%s", bench->err.text);
    bench->sink = stage_sink(bench->stage);
    bench->sink->report = &bench->report;
}

void create(struct bench *bench)
{
    create_with(bench, &(struct stage_options){0});
}

int put(struct bench *bench, enum entry_type type, const char *path, const char *content)
{
    struct entry *entry = &bench->entry;
    entry_clear(entry);
    buf_add_str(&entry->path, path);
    entry->type = type;
    entry->mode = type == ENTRY_DIRECTORY ? 0755 : 0644;
    entry->uid = geteuid();
    entry->gid = getegid();
    entry->mtime_s = 1000000000;
    error_clear(&bench->err);
    if (type == ENTRY_FILE) {
        entry->size_bytes = entry->stored_bytes = strlen(content);
        if (sink_entry(bench->sink, entry, &bench->err) < 0)
            return -1;
        return sink_write(bench->sink, content, strlen(content), &bench->err);
    }
    buf_add_str(&entry->link, type == ENTRY_DIRECTORY ? "" : content);
    return sink_entry(bench->sink, entry, &bench->err);
}

void finish(struct bench *bench)
{
    if (sink_finish(bench->sink, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
}

void exchange(struct bench *bench)
{
    if (stage_exchange(bench->stage, EXCHANGE_DIRECTORY, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
}

void discard(struct bench *bench)
{
    if (stage_discard(bench->stage, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
    assert_int_equal(faccessat(bench->scratch.fd, "stage", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

void expect_text(struct bench *bench, const char *path, const char *content)
{
    buf_clear(&bench->text);
    read_text(bench->scratch.fd, path, &bench->text);
    assert_string_equal(bench->text.data, content);
}

bool exists(struct bench *bench, const char *path)
{
    return faccessat(bench->scratch.fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void set_time(int dir_fd, const char *path, time_t s, long ns)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = s, .tv_nsec = ns}};
    assert_int_equal(utimensat(dir_fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}
