/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "net/app_fixture.h"

static struct app app;

#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"

static int start(void **state)
{
    app_start(&app, (struct http_server_config){0});
    return 0;
}

static int stop(void **state)
{
    app_stop(&app, 1000);
    return 0;
}

static struct raw_answer ask_file(const char *method, const char *headers)
{
    scope_free char *text = xasprintf("%s /file HTTP/1.1\r\nHost: h\r\n%s\r\n", method, headers);
    return raw_ask(app.port, text);
}

struct row {
    const char *headers;
    unsigned status;
    size_t first, length; /* of what is sent, where status is 206 */
};

enum {
    ALL = APP_FILE_BYTES
};

static const struct row rows[] = {
    {"", 200, 0, 0},
    {"Range: bytes=0-0\r\n", 206, 0, 1},
    {"Range: bytes=5-9\r\n", 206, 5, 5},
    {"Range: BYTES=5-9\r\n", 206, 5, 5},
    {"Range: bytes=0-\r\n", 206, 0, ALL},
    {"Range: bytes=299999-\r\n", 206, ALL - 1, 1},
    {"Range: bytes=299999-99999999999999999999999\r\n", 206, ALL - 1, 1},
    {"Range: bytes=-1\r\n", 206, ALL - 1, 1},
    {"Range: bytes=-300000\r\n", 206, 0, ALL},
    {"Range: bytes=-99999999999999999999999\r\n", 206, 0, ALL},
    {"Range: bytes=300000-\r\n", 416, 0, 0},
    {"Range: bytes=99999999999999999999999-\r\n", 416, 0, 0},
    {"Range: bytes=-0\r\n", 416, 0, 0},
    /* Malformed, or several: the whole file. */
    {"Range: bytes=1-2,4-5\r\n", 200, 0, 0},
    {"Range: bytes=2-1\r\n", 200, 0, 0},
    {"Range: bytes=-\r\n", 200, 0, 0},
    {"Range: bytes=\r\n", 200, 0, 0},
    {"Range: bytes\r\n", 200, 0, 0},
    {"Range: bytes=a-b\r\n", 200, 0, 0},
    {"Range: bytes=+1-2\r\n", 200, 0, 0},
    {"Range: bytes=1-2x\r\n", 200, 0, 0},
    {"Range: bytes= 1-2\r\n", 200, 0, 0},
    {"Range: lines=1-2\r\n", 200, 0, 0},
    /* If-Range: a strong tag or the date, exactly. */
    {"Range: bytes=5-9\r\nIf-Range: \"v1\"\r\n", 206, 5, 5},
    {"Range: bytes=5-9\r\nIf-Range: \"v2\"\r\n", 200, 0, 0},
    {"Range: bytes=5-9\r\nIf-Range: W/\"v1\"\r\n", 200, 0, 0},
    {"Range: bytes=5-9\r\nIf-Range: " MODIFIED "\r\n", 206, 5, 5},
    {"Range: bytes=5-9\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 200, 0, 0},
    {"Range: bytes=300000-\r\nIf-Range: \"v2\"\r\n", 200, 0, 0},
    /* Conditions come before ranges. */
    {"If-None-Match: \"v1\"\r\n", 304, 0, 0},
    {"If-None-Match: W/\"v1\"\r\n", 304, 0, 0},
    {"If-None-Match: \"a\" , \"v1\"\r\n", 304, 0, 0},
    {"If-None-Match: *\r\n", 304, 0, 0},
    {"If-None-Match: \"v1\r\n", 200, 0, 0},
    {"If-None-Match: v1\r\n", 200, 0, 0},
    {"If-None-Match: \"v2\"\r\n", 200, 0, 0},
    {"If-None-Match: \"v2\"\r\nIf-Modified-Since: " MODIFIED "\r\n", 200, 0, 0},
    {"If-Modified-Since: " MODIFIED "\r\n", 304, 0, 0},
    {"If-None-Match: \"v1\"\r\nRange: bytes=300000-\r\n", 304, 0, 0},
    {"If-Match: \"v1\"\r\n", 200, 0, 0},
    {"If-Match: *\r\n", 200, 0, 0},
    {"If-Match: \"a\",\"v1\"\r\nRange: bytes=5-9\r\n", 206, 5, 5},
    {"If-Match: \"v2\"\r\n", 412, 0, 0},
    {"If-Match: W/\"v1\"\r\n", 412, 0, 0},
    {"If-Match: \"v2\"\r\nIf-None-Match: \"v1\"\r\n", 412, 0, 0},
};

static void check_part(const struct row *row, const struct raw_answer *answer)
{
    char value[256];
    char expected[100];
    snprintf(expected, sizeof(expected), "bytes %zu-%zu/%d", row->first,
             row->first + row->length - 1, APP_FILE_BYTES);
    assert_string_equal(raw_header(answer, "Content-Range", value), expected);
    assert_true(
        slice_equal(buf_slice(&answer->body), slice_of(app.file_bytes + row->first, row->length)));
}

static void check_error(const struct row *row, const struct raw_answer *answer)
{
    char value[256];
    assert_string_equal(raw_header(answer, "Content-Type", value), "application/json");
    assert_string_equal(raw_header(answer, "Content-Disposition", value), "");
    assert_non_null(strstr(answer->body.data, "\"status\":4"));
    if (row->status == 416)
        assert_string_equal(raw_header(answer, "Content-Range", value), "bytes */300000");
}

static void ranges_and_conditions_are_answered(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[256];
        struct raw_answer answer = ask_file("GET", rows[i].headers);
        if (answer.status != rows[i].status || answer.was_cut)
            fail_msg("%s: %s", rows[i].headers, answer.head.data);
        assert_string_equal(raw_header(&answer, "ETag", value), "\"v1\"");
        assert_string_equal(raw_header(&answer, "Last-Modified", value), MODIFIED);
        assert_string_equal(raw_header(&answer, "Accept-Ranges", value), "bytes");
        if (answer.status == 206)
            check_part(&rows[i], &answer);
        else if (answer.status == 200)
            assert_true(slice_equal(buf_slice(&answer.body), slice_of(app.file_bytes, ALL)));
        else if (answer.status == 304)
            assert_string_equal(raw_header(&answer, "Content-Type", value), "");
        else
            check_error(&rows[i], &answer);
        if (answer.status == 200 || answer.status == 206) {
            assert_string_equal(raw_header(&answer, "Content-Type", value),
                                "application/octet-stream");
            assert_string_equal(raw_header(&answer, "Content-Disposition", value), "attachment");
        }
        raw_answer_free(&answer);
    }
}

static void head_tells_the_whole_size(void **state)
{
    char value[256];
    struct raw_answer answer = ask_file("HEAD", "Range: bytes=5-9\r\n");
    assert_int_equal(answer.status, 200);
    assert_string_equal(raw_header(&answer, "Content-Length", value), "300000");
    raw_answer_free(&answer);
    answer = ask_file("HEAD", "If-None-Match: \"v1\"\r\n");
    assert_int_equal(answer.status, 304);
    raw_answer_free(&answer);
}

static void a_client_that_leaves_midway_harms_nobody(void **state)
{
    for (int i = 0; i < 20; i++) {
        int fd = raw_connect(app.port);
        raw_send(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
        char bytes[100];
        assert_true(read(fd, bytes, sizeof(bytes)) > 0);
        close(fd);
    }
    struct raw_answer answer = ask_file("GET", "Range: bytes=0-0\r\n");
    assert_int_equal(answer.status, 206);
    raw_answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_and_conditions_are_answered),
        cmocka_unit_test(head_tells_the_whole_size),
        cmocka_unit_test(a_client_that_leaves_midway_harms_nobody),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
