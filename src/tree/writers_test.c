/* SPDX-License-Identifier: Apache-2.0 */
/* The writers: content at every boundary, bounded descriptors, errors with a name. */
#include "tree/writers.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "tree/scratch_test.h"

enum {
    LARGEST_BYTES = (9 << 20) + 4097,
    SMALL_FILES = 3000,
};

struct world {
    struct scratch scratch;
    struct writers *writers;
    struct error err;
    uint8_t *content; /* LARGEST_BYTES of what no two places have alike */
};

static int begin(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    scratch_make(&world->scratch);
    world->writers = writers_new();
    world->content = xmalloc(LARGEST_BYTES);
    for (size_t i = 0; i < LARGEST_BYTES; i++)
        world->content[i] = (uint8_t)(i * 2654435761U >> 13);
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    writers_free(world->writers);
    scratch_remove(&world->scratch);
    free(world->content);
    free(world);
    return 0;
}

static size_t open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void start(struct world *world, const char *name, uint64_t size_bytes)
{
    struct writers_task task = {
        .fd = openat(world->scratch.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
        .path = slice_str(name),
        .size_bytes = size_bytes,
        .sets_mode = true,
        .attributes = {.mode = 0640, .mtime = {.tv_sec = 1234567, .tv_nsec = 89}},
    };
    assert_true(task.fd >= 0);
    writers_begin(world->writers, &task);
}

/* In pieces of `step` bytes, each from memory that is overwritten at once; every third is put into its place. */
static int fill(struct world *world, size_t size, size_t step)
{
    scope_free uint8_t *piece = xmalloc(step);
    size_t count = 0, length = 0;
    for (size_t at = 0; at < size; at += length) {
        size_t room = 0;
        void *place = count++ % 3 == 0 ? writers_room(world->writers, at, &room) : NULL;
        length = size - at < step ? size - at : step;
        if (place != NULL) {
            length = length < room ? length : room;
            memcpy(place, world->content + at, length);
            if (writers_write(world->writers, at, place, length, &world->err) < 0)
                return -1;
            continue;
        }
        memcpy(piece, world->content + at, length);
        if (writers_write(world->writers, at, piece, length, &world->err) < 0)
            return -1;
        memset(piece, 0xee, length);
    }
    return writers_end(world->writers, &world->err);
}

static void expect(struct world *world, const char *name, size_t size)
{
    scope_buf struct buf got = BUF_INIT;
    struct stat status;
    assert_int_equal(file_read(world->scratch.fd, name, LARGEST_BYTES + 1, &got, &world->err), 0);
    assert_int_equal(got.length, size);
    assert_memory_equal(got.data, world->content, size);
    assert_int_equal(fstatat(world->scratch.fd, name, &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(status.st_mtim.tv_sec, 1234567);
    assert_int_equal(status.st_mtim.tv_nsec, 89);
}

static void content_is_right_at_every_boundary(void **state)
{
    static const size_t SIZES[] = {
        0,         1,       4095,          4096,    4097,          (512 << 10) - 1,
        512 << 10, 524289,  (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (1 << 20) + 4096,
        2 << 20,   3000000, (8 << 20) - 1, 8 << 20, LARGEST_BYTES, 100,
    };
    static const size_t STEPS[] = {256 << 10, 1 << 20, 65537, 4099};
    struct world *world = *state;
    char name[40];
    for (size_t step = 0; step < 4; step++)
        for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
            snprintf(name, sizeof(name), "%zu-%zu-%zu", step, i, SIZES[i]);
            start(world, name, SIZES[i]);
            assert_int_equal(fill(world, SIZES[i], STEPS[step]), 0);
        }
    assert_int_equal(writers_drain(world->writers, &world->err), 0);
    assert_int_equal(writers_pending_bytes(world->writers), 0);
    for (size_t step = 0; step < 4; step++)
        for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
            snprintf(name, sizeof(name), "%zu-%zu-%zu", step, i, SIZES[i]);
            expect(world, name, SIZES[i]);
        }
}

static void descriptors_are_bounded_however_many_files_come(void **state)
{
    struct world *world = *state;
    size_t before = open_descriptors(), most = 0;
    char name[40];
    for (size_t i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof(name), "%zu", i);
        start(world, name, i % 5000);
        assert_int_equal(fill(world, i % 5000, 1000), 0);
        if (i % 50 == 0) {
            size_t now = open_descriptors();
            most = now > most ? now : most;
        }
    }
    assert_true(most <= before + (size_t)WRITERS_BLOCKS * WRITERS_PIECES + 1);
    assert_int_equal(writers_drain(world->writers, &world->err), 0);
    assert_int_equal(open_descriptors(), before);
    for (size_t i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof(name), "%zu", i);
        expect(world, name, i % 5000);
    }
}

static void holes_stay_where_nothing_is_written(void **state)
{
    struct world *world = *state;
    uint64_t far = 5ULL << 30;
    struct writers_task task = {
        .fd = openat(world->scratch.fd, "sparse", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
        .path = slice_str("sparse"),
        .size_bytes = far + 10,
        .has_holes = true,
        .attributes = {.mode = 0600},
    };
    assert_int_equal(ftruncate(task.fd, (off_t)task.size_bytes), 0);
    writers_begin(world->writers, &task);
    struct error *err = &world->err;
    assert_int_equal(writers_write(world->writers, 12345, world->content, 6000000, err), 0);
    assert_int_equal(writers_write(world->writers, far, world->content, 10, err), 0);
    assert_int_equal(writers_end(world->writers, err), 0);
    assert_int_equal(writers_drain(world->writers, err), 0);

    scope_free uint8_t *got = xmalloc(6000000);
    scope_fd int fd = openat(world->scratch.fd, "sparse", O_RDONLY | O_CLOEXEC);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, far + 10);
    assert_true(status.st_blocks * 512 < 8 << 20);
    assert_int_equal(file_pread_full(fd, got, 6000000, 12345, err), 6000000);
    assert_memory_equal(got, world->content, 6000000);
    assert_int_equal(file_pread_full(fd, got, 11, far, err), 10);
    assert_memory_equal(got, world->content, 10);
}

/* What a full disk does, without one: the kernel lets no file grow beyond 3 MiB. */
static void an_error_names_the_file_and_stops_all_writing(void **state)
{
    struct world *world = *state;
    struct rlimit before, limit;
    size_t descriptors = open_descriptors();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 3 << 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    start(world, "fits", 2 << 20);
    assert_int_equal(fill(world, 2 << 20, 1 << 20), 0);
    start(world, "too large", LARGEST_BYTES);
    int result = fill(world, LARGEST_BYTES, 1 << 20);
    if (result == 0)
        result = writers_drain(world->writers, &world->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(result, -1);
    assert_non_null(strstr(world->err.text, "writing 'too large'"));

    /* Every later call says it again. */
    struct error again = ERROR_INIT;
    assert_int_equal(writers_drain(world->writers, &again), -1);
    assert_string_equal(again.text, world->err.text);
    writers_free(world->writers);
    world->writers = NULL;
    assert_int_equal(open_descriptors(), descriptors);
}

static void freed_in_the_middle_it_leaves_nothing_open(void **state)
{
    struct world *world = *state;
    size_t before = open_descriptors();
    start(world, "whole", 100);
    assert_int_equal(fill(world, 100, 100), 0);
    start(world, "half", LARGEST_BYTES);
    assert_int_equal(writers_write(world->writers, 0, world->content, 3 << 20, &world->err), 0);
    writers_free(world->writers);
    world->writers = NULL;
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(content_is_right_at_every_boundary, begin, end),
        cmocka_unit_test_setup_teardown(descriptors_are_bounded_however_many_files_come, begin,
                                        end),
        cmocka_unit_test_setup_teardown(holes_stay_where_nothing_is_written, begin, end),
        cmocka_unit_test_setup_teardown(an_error_names_the_file_and_stops_all_writing, begin, end),
        cmocka_unit_test_setup_teardown(freed_in_the_middle_it_leaves_nothing_open, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
