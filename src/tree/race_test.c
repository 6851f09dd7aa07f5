/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk against a tenant who swaps things while it reads.  The secret lies
 * outside the root; no byte of it may come out.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "tree/scratch_test.h"
#include "tree/walk.h"

enum {
    RACE_US = 900 * 1000,
};

static const char SECRET[] = "TOP-SECRET";

struct race {
    struct scratch inside, outside;
    _Atomic(bool) is_over;
    void (*turn)(struct race *race);
    unsigned long turns;
};

static void *run(void *argument)
{
    struct race *race = argument;
    while (!race->is_over) {
        race->turn(race);
        race->turns++;
    }
    return NULL;
}

/* A file and a link to the secret, a directory and a link to the secret's directory, swapped. */
static void swap_links(struct race *race)
{
    int fd = race->inside.fd;
    renameat2(fd, "m-file", fd, "link-to-file", RENAME_EXCHANGE);
    renameat2(fd, "m-directory", fd, "link-to-directory", RENAME_EXCHANGE);
}

/* The entry's content, and whether the secret is in it. */
static size_t check_entry(struct source *source, const struct entry *entry)
{
    char bytes[65536];
    ssize_t got;
    size_t total = 0;
    struct error err = ERROR_INIT;
    while ((got = source_read(source, bytes, sizeof(bytes), &err)) > 0) {
        total += (size_t)got;
        assert_null(memmem(bytes, (size_t)got, SECRET, strlen(SECRET)));
    }
    assert_int_equal(got, 0);
    assert_null(strstr(entry->path.data, "secret"));
    return total;
}

static unsigned long walk_until(struct race *race, int64_t end_us)
{
    struct walk_options options = {0};
    unsigned long walks = 0;
    for (; time_monotonic_us() < end_us; walks++) {
        struct error err = ERROR_INIT;
        struct entry entry;
        struct source *source = walk_open(race->inside.fd, &options, &err);
        size_t entries = 0;
        int more;
        entry_init(&entry);
        while ((more = source_next(source, &entry, &err)) > 0) {
            check_entry(source, &entry);
            assert_true(++entries < 1000);
        }
        assert_int_equal(more, 0);
        entry_free(&entry);
        source_free(source);
    }
    return walks;
}

static void a_swapped_link_never_leads_out(void **state)
{
    struct race race = {.turn = swap_links};
    scratch_make(&race.inside);
    scratch_make(&race.outside);
    make_file(race.outside.fd, "secret", SECRET);
    scope_free char *secret = xasprintf("%s/secret", race.outside.path);
    int fd = race.inside.fd;
    make_file(fd, "m-file", "harmless");
    make_directory(fd, "m-directory");
    make_file(fd, "m-directory/file", "harmless");
    assert_int_equal(symlinkat(secret, fd, "link-to-file"), 0);
    assert_int_equal(symlinkat(race.outside.path, fd, "link-to-directory"), 0);

    pthread_t thread = thread_start("tenant", run, &race);
    unsigned long walks = walk_until(&race, time_monotonic_us() + RACE_US);
    race.is_over = true;
    pthread_join(thread, NULL);
    assert_true(walks > 10 && race.turns > 10);
    scratch_remove(&race.inside);
    scratch_remove(&race.outside);
}

/* Every byte of the file is the same letter; each turn writes another one in place. */
static void rewrite(struct race *race)
{
    static char content[200 * 1000];
    memset(content, (int)('a' + race->turns % 26), sizeof(content));
    scope_fd int fd = openat(race->inside.fd, "file", O_WRONLY);
    if (pwrite(fd, content, sizeof(content), 0) < 0)
        abort();
    nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
}

static bool is_one_letter(const char *bytes, size_t length)
{
    return length == 0 || memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* What is not named in the report is one state of the file. */
static void mixed_content_is_always_named(void **state)
{
    static char bytes[200 * 1000];
    unsigned unnamed = 0;
    struct race race = {.turn = rewrite};
    struct walk_options options = {0};
    scratch_make(&race.inside);
    make_large_file(race.inside.fd, "file", sizeof(bytes), 'a');
    pthread_t thread = thread_start("tenant", run, &race);
    int64_t end_us = time_monotonic_us() + RACE_US;
    while (time_monotonic_us() < end_us) {
        struct error err = ERROR_INIT;
        struct report report;
        struct entry entry;
        report_init(&report);
        entry_init(&entry);
        struct source *source = walk_open(race.inside.fd, &options, &err);
        source->report = &report;
        assert_int_equal(source_next(source, &entry, &err), 1);
        assert_int_equal(source_next(source, &entry, &err), 1);
        ssize_t got = source_read(source, bytes, sizeof(bytes), &err);
        assert_int_equal(got, sizeof(bytes));
        if (!is_one_letter(bytes, sizeof(bytes)) && find_item(&report, "file") == NULL)
            unnamed++;
        entry_free(&entry);
        source_free(source);
        report_free(&report);
    }
    race.is_over = true;
    pthread_join(thread, NULL);
    assert_int_equal(unnamed, 0);
    scratch_remove(&race.inside);
}

/*
 * A single write that is held up in its middle: its last page is one that a userfaultfd gives only when it is told.
 * The half that is written can be read all the while, and the file's times say nothing.
 */
enum {
    HELD_BYTES = 8 << 20, /* several of the pieces that a write is cut into */
    HELD_PAGE = 4096,
    HELD_UP_US = 150 * 1000,
};

struct held_write {
    int file_fd, fault_fd;
    char *bytes;
};

/* Registers the last page of the bytes; false: not allowed here. */
static bool hold_last_page(struct held_write *held)
{
    struct uffdio_api api = {.api = UFFD_API};
    held->fault_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (held->fault_fd < 0)
        return false;
    held->bytes =
        mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(held->bytes != MAP_FAILED);
    memset(held->bytes, 'b', HELD_BYTES - HELD_PAGE);
    struct uffdio_register range = {
        .range = {(uintptr_t)held->bytes + HELD_BYTES - HELD_PAGE, HELD_PAGE},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };
    return ioctl(held->fault_fd, UFFDIO_API, &api) == 0 &&
           ioctl(held->fault_fd, UFFDIO_REGISTER, &range) == 0;
}

static void *write_held(void *argument)
{
    struct held_write *held = argument;
    if (pwrite(held->file_fd, held->bytes, HELD_BYTES, 0) != HELD_BYTES)
        abort();
    return NULL;
}

static void *let_go(void *argument)
{
    static char page[HELD_PAGE];
    struct held_write *held = argument;
    memset(page, 'b', sizeof(page));
    usleep(HELD_UP_US);
    struct uffdio_copy copy = {
        .dst = (uintptr_t)held->bytes + HELD_BYTES - HELD_PAGE,
        .src = (uintptr_t)page,
        .len = HELD_PAGE,
    };
    if (ioctl(held->fault_fd, UFFDIO_COPY, &copy) < 0)
        abort();
    return NULL;
}

static void wait_for_half(const struct held_write *held)
{
    for (char byte = 'a'; byte == 'a';) {
        usleep(1000);
        assert_int_equal(pread(held->file_fd, &byte, 1, 0), 1);
    }
    usleep(20 * 1000); /* more than a tick of the clock that stamps files */
}

/* Whether the file is a single letter, or else is named. */
static bool is_whole_or_named(int root_fd)
{
    struct walk_options options = {0};
    struct error err = ERROR_INIT;
    struct report report;
    struct entry entry;
    scope_free char *bytes = xmalloc(HELD_BYTES);
    report_init(&report);
    entry_init(&entry);
    struct source *source = walk_open(root_fd, &options, &err);
    source->report = &report;
    assert_int_equal(source_next(source, &entry, &err), 1);
    assert_int_equal(source_next(source, &entry, &err), 1);
    size_t total = 0;
    for (ssize_t got; total < HELD_BYTES; total += (size_t)got) {
        got = source_read(source, bytes + total, HELD_BYTES - total, &err);
        assert_true(got > 0);
    }
    assert_int_equal(source_next(source, &entry, &err), 0);
    bool is_good = is_one_letter(bytes, total) || find_item(&report, "file") != NULL;
    entry_free(&entry);
    source_free(source);
    report_free(&report);
    return is_good;
}

static void a_write_that_is_held_up_does_not_pass(void **state)
{
    struct held_write held;
    if (!hold_last_page(&held))
        return without("userfaultfd");
    struct scratch scratch;
    scratch_make(&scratch);
    make_large_file(scratch.fd, "file", HELD_BYTES, 'a');
    held.file_fd = openat(scratch.fd, "file", O_RDWR | O_CLOEXEC);
    pthread_t writer = thread_start("writer", write_held, &held);
    wait_for_half(&held);
    pthread_t helper = thread_start("helper", let_go, &held);
    bool is_good = is_whole_or_named(scratch.fd);
    pthread_join(helper, NULL);
    pthread_join(writer, NULL);
    assert_true(is_good);
    close(held.file_fd);
    close(held.fault_fd);
    munmap(held.bytes, HELD_BYTES);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swapped_link_never_leads_out),
        cmocka_unit_test(mixed_content_is_always_named),
        cmocka_unit_test(a_write_that_is_held_up_does_not_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
