/* SPDX-License-Identifier: Apache-2.0 */
#include "node/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "node/test_scratch.h"

/* Jobs that wait until they are let go; what began is written down in order. */
struct stage {
    pthread_mutex_t mutex;
    pthread_cond_t has_changed;
    char began[256]; /* one letter of each backup */
    size_t running, running_most;
    bool may_end;
    unsigned again; /* so many times 'a' is to run again */
};

static unsigned run(struct job *job, void *context)
{
    struct stage *stage = context;
    pthread_mutex_lock(&stage->mutex);
    size_t length = strlen(stage->began);
    stage->began[length] = job->record.backup[0];
    stage->began[length + 1] = '\0';
    stage->running++;
    if (stage->running > stage->running_most)
        stage->running_most = stage->running;
    pthread_cond_broadcast(&stage->has_changed);
    while (!stage->may_end && !cancel_is_set(&job->cancel))
        thread_wait(&stage->has_changed, &stage->mutex, 5);
    stage->running--;
    unsigned again_ms = stage->again > 0 && job->record.backup[0] == 'a' ? 100 : QUEUE_ENDED;
    stage->again -= again_ms > 0;
    pthread_mutex_unlock(&stage->mutex);
    return again_ms;
}

static int set_up(void **context)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    pthread_mutex_init(&stage->mutex, NULL);
    thread_cond_init(&stage->has_changed);
    *context = stage;
    return 0;
}

static int tear_down(void **context)
{
    struct stage *stage = *context;
    pthread_cond_destroy(&stage->has_changed);
    pthread_mutex_destroy(&stage->mutex);
    free(stage);
    return 0;
}

static void add(struct queue *queue, const char *server, char letter)
{
    struct error err = ERROR_INIT;
    struct journal_job record = {.kind = JOB_BACKUP, .order = (char[]){"{}"}};
    snprintf(record.server, sizeof(record.server), "%s", server);
    snprintf(record.backup, sizeof(record.backup), "%c", letter);
    struct job *job = job_from_record(&record, &err);
    assert_non_null(job);
    queue_add(queue, job);
}

/* Wait until `count` jobs have begun; false after ten seconds. */
static bool wait_for(struct stage *stage, size_t count)
{
    int64_t deadline_us = time_monotonic_us() + 10 * 1000 * 1000;
    pthread_mutex_lock(&stage->mutex);
    while (strlen(stage->began) < count && time_monotonic_us() < deadline_us)
        thread_wait(&stage->has_changed, &stage->mutex, 20);
    bool have = strlen(stage->began) >= count;
    pthread_mutex_unlock(&stage->mutex);
    return have;
}

static void let_go(struct stage *stage)
{
    pthread_mutex_lock(&stage->mutex);
    stage->may_end = true;
    pthread_cond_broadcast(&stage->has_changed);
    pthread_mutex_unlock(&stage->mutex);
}

static void jobs_of_one_server_run_one_after_the_other(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(3, run, stage);
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    add(queue, SERVER, 'b');
    add(queue, OTHER_SERVER, 'c');
    assert_true(wait_for(stage, 2));
    usleep(50 * 1000); /* time for a wrong third one to begin */
    assert_string_equal(stage->began, "ac");
    let_go(stage);
    assert_true(wait_for(stage, 3));
    assert_string_equal(stage->began, "acb");
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    queue_free(queue);
}

static void no_more_run_at_once_than_there_are_threads(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(2, run, stage);
    for (int i = 0; i < 6; i++) {
        char server[UUID_TEXT_BYTES];
        snprintf(server, sizeof(server), "server %d", i);
        add(queue, server, (char)('a' + i));
    }
    assert_true(wait_for(stage, 2));
    usleep(50 * 1000);
    let_go(stage);
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_int_equal(stage->running_most, 2);
    assert_int_equal(strlen(stage->began), 6);
    queue_free(queue);
}

static void jobs_run_in_the_order_of_their_arrival(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    for (int i = 0; i < 8; i++)
        add(queue, i % 2 == 0 ? SERVER : OTHER_SERVER, (char)('a' + i));
    let_go(stage);
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_string_equal(stage->began, "abcdefgh");
    queue_free(queue);
}

static void servers_take_turns(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    add(queue, SERVER, 'b');
    add(queue, SERVER, 'c');
    add(queue, SERVER, 'd');
    add(queue, OTHER_SERVER, 'e');
    add(queue, OTHER_SERVER, 'f');
    add(queue, "a third one", 'g');
    let_go(stage);
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_string_equal(stage->began, "aegbfcd");
    queue_free(queue);
}

static void end_one(struct queue *queue, const char *backup)
{
    queue_drop(queue, (struct queue_filter){.kind = JOB_BACKUP, .backup = backup});
}

static void who_comes_again_waits_for_who_has_waited(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    add(queue, SERVER, 'b');
    add(queue, OTHER_SERVER, 'c');
    end_one(queue, "a");
    assert_true(wait_for(stage, 2));
    add(queue, "a third one", 'd');
    end_one(queue, "c");
    assert_true(wait_for(stage, 3));
    add(queue, OTHER_SERVER, 'e');
    end_one(queue, "d");
    assert_true(wait_for(stage, 4));
    add(queue, "a third one", 'f');
    let_go(stage);
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_string_equal(stage->began, "acdbef");
    queue_free(queue);
}

static void a_cancelled_job_that_waits_is_given_back(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    struct queue_filter filter = {.kind = JOB_BACKUP, .server = SERVER, .backup = "b"};
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    add(queue, SERVER, 'b');
    add(queue, SERVER, 'c');
    struct job *job = queue_cancel(queue, filter);
    assert_non_null(job);
    assert_string_equal(job->record.backup, "b");
    assert_true(job_is_void(job));
    job_free(job);
    assert_null(queue_cancel(queue, filter));
    let_go(stage);
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_string_equal(stage->began, "ac");
    queue_free(queue);
}

static void a_cancelled_job_that_runs_is_told_to_stop(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    struct queue_filter filter = {.kind = JOB_BACKUP, .server = SERVER, .backup = "a"};
    assert_null(queue_cancel(queue, filter));
    assert_true(queue_wait_gone(queue, filter, 10000));
    queue_free(queue);
}

static void what_is_to_run_again_is_not_cancelled(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    stage->again = 2;
    stage->may_end = true;
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    usleep(20 * 1000); /* it has returned, and waits */
    assert_null(queue_cancel(queue, (struct queue_filter){.kind = JOB_BACKUP}));
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_string_equal(stage->began, "aaa");
    queue_free(queue);
}

static void a_dropped_job_that_waits_never_runs(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    add(queue, SERVER, 'b');
    add(queue, SERVER, 'c');
    struct queue_filter filter = {.kind = JOB_BACKUP, .server = SERVER, .backup = "b"};
    assert_true(queue_has(queue, filter));
    queue_drop(queue, filter);
    assert_false(queue_has(queue, filter));
    let_go(stage);
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_string_equal(stage->began, "ac");
    queue_free(queue);
}

static void a_dropped_job_that_runs_is_told_to_stop(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    struct queue_filter filter = {.kind = JOB_BACKUP, .server = SERVER, .backup = "a"};
    assert_false(queue_wait_gone(queue, filter, 20));
    queue_drop(queue, filter);
    assert_true(queue_wait_gone(queue, filter, 10000));
    queue_free(queue);
}

static void a_stop_ends_what_runs_and_leaves_what_waits(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    add(queue, SERVER, 'b');
    queue_free(queue);
    assert_string_equal(stage->began, "a");
}

static void what_is_to_run_again_keeps_its_server_but_no_thread(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    stage->again = 2;
    stage->may_end = true;
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 1));
    add(queue, SERVER, 'b');
    add(queue, OTHER_SERVER, 'c');
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    assert_string_equal(stage->began, "acaab");
    queue_free(queue);
}

static void what_is_to_run_again_can_be_dropped(void **context)
{
    struct stage *stage = *context;
    struct queue *queue = queue_create(1, run, stage);
    stage->again = 1000;
    stage->may_end = true;
    add(queue, SERVER, 'a');
    assert_true(wait_for(stage, 2));
    queue_drop(queue, (struct queue_filter){.kind = JOB_BACKUP, .server = SERVER});
    assert_true(queue_wait_gone(queue, (struct queue_filter){.kind = JOB_BACKUP}, 10000));
    queue_free(queue);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(jobs_of_one_server_run_one_after_the_other),
        TEST(no_more_run_at_once_than_there_are_threads),
        TEST(jobs_run_in_the_order_of_their_arrival),
        TEST(servers_take_turns),
        TEST(who_comes_again_waits_for_who_has_waited),
        TEST(a_cancelled_job_that_waits_is_given_back),
        TEST(a_cancelled_job_that_runs_is_told_to_stop),
        TEST(what_is_to_run_again_is_not_cancelled),
        TEST(a_dropped_job_that_waits_never_runs),
        TEST(a_dropped_job_that_runs_is_told_to_stop),
        TEST(a_stop_ends_what_runs_and_leaves_what_waits),
        TEST(what_is_to_run_again_keeps_its_server_but_no_thread),
        TEST(what_is_to_run_again_can_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
