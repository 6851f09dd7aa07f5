/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_BENCH_TEST_H
#define TREE_BENCH_TEST_H

#include "tree/scratch_test.h"
#include "tree/stage.h"

/*
 * For tests: a stage beside a live directory.  All of these fail the test where they fail, but for
 * put(), whose error is in bench->err.
 */
struct bench {
    struct scratch scratch; /* "live" and "stage" are in it */
    struct stage *stage;
    struct sink *sink;
    struct report report;
    struct entry entry;
    struct error err;
    struct buf text;
};

/* Set-up and tear-down of a test, whose state is a bench. */
int bench_begin(void **state);
int bench_end(void **state);
#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

void create_with(struct bench *bench, const struct stage_options *options);
void create(struct bench *bench);

/* One entry with its content; a link's target is its content. */
int put(struct bench *bench, enum entry_type type, const char *path, const char *content);
#define PUT(...) assert_int_equal(put(bench, __VA_ARGS__), 0)

void finish(struct bench *bench);
void exchange(struct bench *bench);
void discard(struct bench *bench);

/* Of things in bench->scratch. */
void expect_text(struct bench *bench, const char *path, const char *content);
bool exists(struct bench *bench, const char *path);

void set_time(int dir_fd, const char *path, time_t s, long ns);

#endif
