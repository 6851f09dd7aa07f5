/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "base/time.h"
#include "base/uuid.h"

static _Atomic(int) done;

static void count(void *argument)
{
    done++;
}

static void a_pool_runs_all_that_was_queued_before_it_ends(void **state)
{
    struct error err = ERROR_INIT;
    struct pool *pool = pool_create("test", 3, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pool_submit(pool, count, NULL, &err), 0);
    pool_free(pool);
    assert_int_equal(done, 1000);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_for_gate(void *argument)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void a_full_queue_refuses(void **state)
{
    struct error err = ERROR_INIT;
    struct pool *pool = pool_create("test", 1, 2);
    pthread_mutex_lock(&gate);
    int refused = 0;
    for (int i = 0; i < 10; i++) {
        if (pool_submit(pool, wait_for_gate, NULL, &err) < 0) {
            assert_int_equal(err.code, ERROR_LIMIT);
            error_clear(&err);
            refused++;
        }
    }
    assert_in_range(refused, 7, 8);
    pthread_mutex_unlock(&gate);
    pool_free(pool);
}

static void waiting_ends_at_its_time(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    thread_cond_init(&cond);
    pthread_mutex_lock(&mutex);
    int64_t start = time_monotonic_us();
    assert_false(thread_wait(&cond, &mutex, 30));
    assert_true(time_monotonic_us() - start >= 29000);
    pthread_mutex_unlock(&mutex);
    pthread_cond_destroy(&cond);
}

static void times_survive_their_texts(void **state)
{
    static const struct {
        int64_t at_us;
        const char *atom, *sql, *http;
    } rows[] = {
        {INT64_C(1697812200000000), "2023-10-20T14:30:00+00:00", "2023-10-20 14:30:00",
         "Fri, 20 Oct 2023 14:30:00 GMT"},
        {INT64_C(784111777000000), "1994-11-06T08:49:37+00:00", "1994-11-06 08:49:37",
         "Sun, 06 Nov 1994 08:49:37 GMT"},
        {INT64_C(-1000000), "1969-12-31T23:59:59+00:00", "1969-12-31 23:59:59",
         "Wed, 31 Dec 1969 23:59:59 GMT"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        char text[TIME_TEXT_BYTES];
        int64_t back;
        time_format_atom(rows[i].at_us, text);
        assert_string_equal(text, rows[i].atom);
        assert_int_equal(time_parse(text, &back, &err), 0);
        assert_true(back == rows[i].at_us);
        time_format_sql(rows[i].at_us, text);
        assert_string_equal(text, rows[i].sql);
        assert_int_equal(time_parse(text, &back, &err), 0);
        assert_true(back == rows[i].at_us);
        time_format_http(rows[i].at_us, text);
        assert_string_equal(text, rows[i].http);
    }
}

static void the_calendar_agrees_with_libc(void **state)
{
    char ours[TIME_TEXT_BYTES], theirs[TIME_TEXT_BYTES];
    for (int64_t second = -62135596800; second < INT64_C(253402300800); second += 86399 * 37) {
        time_t when = second;
        struct tm parts;
        gmtime_r(&when, &parts);
        snprintf(theirs, sizeof(theirs), "%04d-%02d-%02d %02d:%02d:%02d", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        time_format_sql(second * 1000000, ours);
        assert_string_equal(ours, theirs);
    }
}

static void what_is_not_a_time_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "2023-10-20",
                                      "2023-13-20 00:00:00",
                                      "now",
                                      "2023-10-20 14:30",
                                      "2023-10-20 14:30:00+02:00",
                                      "2023-10-32 00:00:00",
                                      "2023-10-20x14:30:00"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        int64_t at_us;
        assert_int_equal(time_parse(bad[i], &at_us, &err), -1);
        assert_int_equal(err.code, ERROR_INVALID);
    }
}

static void uuids_have_one_form(void **state)
{
    char text[UUID_TEXT_BYTES], canonical[UUID_TEXT_BYTES];
    uuid_make(text);
    assert_true(uuid_is_canonical(text));
    assert_int_equal(text[14], '4');
    assert_true(uuid_canonicalize("D3AAC109-0000-4000-8000-00000000000F", canonical));
    assert_string_equal(canonical, "d3aac109-0000-4000-8000-00000000000f");
    static const char *const bad[] = {"",
                                      "d3aac109",
                                      "d3aac109-0000-4000-8000-00000000000",
                                      "d3aac109-0000-4000-8000-00000000000f0",
                                      "d3aac109x0000-4000-8000-00000000000f",
                                      "../../../../../../../../etc/passwd..",
                                      "g3aac109-0000-4000-8000-00000000000f"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(uuid_is_canonical(bad[i]));
        assert_false(uuid_canonicalize(bad[i], canonical));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_runs_all_that_was_queued_before_it_ends),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(waiting_ends_at_its_time),
        cmocka_unit_test(times_survive_their_texts),
        cmocka_unit_test(the_calendar_agrees_with_libc),
        cmocka_unit_test(what_is_not_a_time_is_refused),
        cmocka_unit_test(uuids_have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
