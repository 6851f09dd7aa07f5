/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/node_api.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/time.h"
#include "node/test_world.h"

#define API "/api/servers/" SERVER
#define RESTORE API "/backup/" BACKUP "/restore"
#define TRUNCATING "{\"adapter\":\"wings\",\"truncate_directory\":true}"
#define MERGING "{\"adapter\":\"wings\",\"truncate_directory\":false}"

static int set_up(void **context)
{
    struct world *world = world_make();
    world_start_node(world);
    *context = world;
    return 0;
}

static int tear_down(void **context)
{
    world_free(*context);
    return 0;
}

static void write_live(struct world *world, const char *name, const char *text)
{
    scope_free char *path = scratch_path("%s/%s", world->live, name);
    scratch_write(path, text);
}

static void assert_live(struct world *world, const char *name, const char *text)
{
    scope_free char *path = scratch_path("%s/%s", world->live, name);
    scope_free char *found = scratch_read(path);
    assert_string_equal(found, text);
}

static char *archive_path(struct world *world, const char *backup)
{
    return scratch_path("%s/" SERVER "/%s.tar.gz", world->backups, backup);
}

/* Restore, wait for the report and say whether it was one of success. */
static bool restore(struct world *world, const char *order)
{
    size_t before = world->panel.restores;
    assert_int_equal(world_call(world, "POST", RESTORE, order, NULL), 202);
    world_wait_restores(world, before + 1);
    return strcmp(world->panel.restore, "{\"successful\":true}") == 0;
}

static void calls_without_the_token_are_refused(void **context)
{
    struct world *world = *context;
    const struct {
        const char *header;
        unsigned status;
        const char *text;
    } rows[] = {
        {"X-Nothing: 1", 401, NODE_ERROR_NO_TOKEN},
        {"Authorization: Basic abc", 401, NODE_ERROR_NO_TOKEN},
        {"Authorization: Bearer wrong", 403, NODE_ERROR_BAD_TOKEN},
        {"Authorization: Bearer " TOKEN_ID "." TOKEN, 403, NODE_ERROR_BAD_TOKEN},
    };
    for (int operation = 0; operation < NODE_OP_COUNT; operation++) {
        const struct node_operation_form *form =
            node_operation_form((enum node_operation)operation);
        for (size_t i = 0; form->needs_node_token && i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct error err = ERROR_INIT;
            scope_free char *url = scratch_path("%s%s", world->node_url, form->pattern);
            const char *const headers[] = {rows[i].header, NULL};
            struct http_call call = {
                .method = http_method_name(form->method), .url = url, .headers = headers};
            struct http_answer answer;
            must(http_client_call(world->client, &call, &answer, &err), &err);
            assert_int_equal(answer.status, rows[i].status);
            assert_non_null(strstr(answer.body.data, rows[i].text));
            http_answer_free(&answer);
        }
    }
}

static void bad_orders_are_refused_in_the_documented_words(void **context)
{
    struct world *world = *context;
    static const struct {
        const char *path, *body;
        unsigned status;
        const char *text;
    } rows[] = {
        {API "/backup", "", 400, NODE_ERROR_UNPARSABLE},
        {API "/backup", "{", 400, NODE_ERROR_UNEXPECTED},
        {API "/backup", "null", 400, NODE_ERROR_UNEXPECTED},
        {API "/backup", "[]", 400, NODE_ERROR_UNEXPECTED},
        {API "/backup", "{\"adapter\":\"ftp\",\"uuid\":\"" BACKUP "\"}", 400, NODE_ERROR_ADAPTER},
        {API "/backup", "{\"uuid\":\"" BACKUP "\"}", 400, NODE_ERROR_ADAPTER},
        {API "/backup", "{\"adapter\":\"wings\",\"uuid\":\"../../etc/passwd\"}", 400,
         NODE_ERROR_BAD_UUID},
        {API "/backup", "{\"adapter\":\"wings\",\"uuid\":7}", 400, NODE_ERROR_BAD_UUID},
        {API "/backup", "{\"adapter\":\"wings\"}", 400, NODE_ERROR_BAD_UUID},
        {API "/backup", "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\",\"ignore\":[]}", 400,
         "ignore"},
        {API "/backup",
         "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\",\"ignore\":\"*1*2*3*4*5*6*7*8*9*0*1*2*"
         "3*4*5*6*7*8*9\"}",
         400, ""},
        {API "/backup", "{\"adapter\":\"s3\",\"uuid\":\"" BACKUP "\",\"ignore\":\"\"}", 400,
         NODE_ERROR_NO_OBJECT_STORAGE},
        {RESTORE, "", 400, NODE_ERROR_UNPARSABLE},
        {RESTORE, "{\"adapter\":\"wings\",\"truncate_directory\":\"yes\"}", 400,
         "truncate_directory"},
        {RESTORE, "{\"adapter\":\"s3\",\"truncate_directory\":true}", 400, NODE_ERROR_NO_URL},
        {RESTORE, "{\"adapter\":\"s3\",\"download_url\":\"http://x/\"}", 400,
         NODE_ERROR_NO_OBJECT_STORAGE},
        {RESTORE, TRUNCATING, 404, NODE_ERROR_NO_BACKUP},
        {API "/backup/..%2f..%2fx/restore", TRUNCATING, 404, NODE_ERROR_NO_BACKUP},
        {API "/ws/deny", "{\"jtis\":\"x\"}", 400, "jtis"},
        {API "/ws/deny", "{\"jtis\":[\"\"]}", 400, "jtis"},
        {"/api/servers/33333333-3333-4333-8333-333333333333/backup", "{}", 404,
         NODE_ERROR_NO_SERVER},
        {"/api/servers/..%2f..%2fetc/backup", "{}", 404, NODE_ERROR_NO_SERVER},
    };
    write_live(world, "level.dat", "live");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scope_buf struct buf body = BUF_INIT;
        unsigned status = world_call(world, "POST", rows[i].path, rows[i].body, &body);
        if (status != rows[i].status || strstr(body.data, rows[i].text) == NULL ||
            strstr(body.data, "\"request_id\":\"") == NULL)
            fail_msg("row %zu: %u %s", i, status, body.data);
    }
    assert_live(world, "level.dat", "live");
    assert_int_equal(world->panel.reports + world->panel.restores, 0);
}

static void a_backup_is_made_and_reported(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "hello");
    world_back_up(world, BACKUP);
    assert_string_equal(world->panel.authorization, "Bearer " TOKEN_ID "." TOKEN);
    assert_non_null(strstr(world->panel.report, "\"checksum_type\":\"sha256\""));
    assert_non_null(strstr(world->panel.report, "\"parts\":null"));
    scope_free char *path = archive_path(world, BACKUP);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    scope_free char *size = scratch_path("\"size\":%ld,", (long)info.st_size);
    assert_non_null(strstr(world->panel.report, size));
}

static void an_order_that_is_repeated_is_reported_again(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    scope_free char *path = archive_path(world, BACKUP);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    world_back_up(world, BACKUP);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void a_backup_of_another_server_is_not_taken_over(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    assert_int_equal(world_call(world, "POST", "/api/servers/" OTHER_SERVER "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     409);
    assert_int_equal(world_call(world, "POST",
                                "/api/servers/" OTHER_SERVER "/backup/" BACKUP "/restore",
                                TRUNCATING, NULL),
                     404);
    assert_int_equal(
        world_call(world, "DELETE", "/api/servers/" OTHER_SERVER "/backup/" BACKUP, NULL, NULL),
        404);
    scope_free char *path = archive_path(world, BACKUP);
    assert_true(scratch_exists(path));
}

static void a_backup_without_a_directory_fails(void **context)
{
    struct world *world = *context;
    assert_int_equal(world_call(world, "POST", "/api/servers/" OTHER_SERVER "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    assert_string_equal(world->panel.report, "{\"checksum\":\"\",\"checksum_type\":\"\",\"size\":0,"
                                             "\"successful\":false,\"parts\":null}");
}

static void a_report_is_repeated_until_the_panel_takes_it(void **context)
{
    struct world *world = *context;
    world_answer(world, 503, 204);
    assert_int_equal(world_call(world, "POST", API "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    world_answer(world, 404, 204);
    world_wait_reports(world, 2);
    world_answer(world, 204, 204);
    world_wait_reports(world, 3);
    usleep(1500 * 1000); /* time for a wrong fourth one */
    assert_int_equal(world->panel.reports, 3);
    scope_free char *path = archive_path(world, BACKUP);
    assert_true(scratch_exists(path));
}

static void a_report_survives_a_restart(void **context)
{
    struct world *world = *context;
    world_answer(world, 503, 204);
    assert_int_equal(world_call(world, "POST", API "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    world_stop_node(world);
    size_t heard = world->panel.reports;
    world_answer(world, 204, 204);
    world_start_node(world);
    world_wait_reports(world, heard + 1);
    assert_non_null(strstr(world->panel.report, "\"successful\":true"));
}

static void a_conflict_keeps_the_archive(void **context)
{
    struct world *world = *context;
    world_answer(world, 400, 204);
    assert_int_equal(world_call(world, "POST", API "/backup",
                                "{\"adapter\":\"wings\",\"uuid\":\"" BACKUP "\"}", NULL),
                     202);
    world_wait_reports(world, 1);
    usleep(1500 * 1000);
    assert_int_equal(world->panel.reports, 1);
    scope_free char *path = archive_path(world, BACKUP);
    assert_true(scratch_exists(path));
}

static void a_truncating_restore_brings_the_old_state_alone(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    write_live(world, "extra", "x");
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "old");
    assert_live(world, "extra", "");
}

static void a_merging_restore_keeps_what_the_archive_does_not_have(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    write_live(world, "extra", "x");
    assert_true(restore(world, MERGING));
    assert_live(world, "level.dat", "old");
    assert_live(world, "extra", "x");
}

/* The trees that lie beside the live directory, once the sweeper has had its time. */
static bool is_swept(struct world *world)
{
    scope_free char *command = scratch_path("test -z \"$(ls -A %s | grep roost)\"", world->servers);
    for (int i = 0; i < 100; i++) {
        if (system(command) == 0)
            return true;
        usleep(50 * 1000);
    }
    return false;
}

static void a_restore_leaves_nothing_beside_the_directory(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    assert_true(restore(world, TRUNCATING));
    assert_true(is_swept(world));
}

static void a_damaged_archive_leaves_the_directory_alone(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    scope_free char *path = archive_path(world, BACKUP);
    scope_fd int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    /* A whole empty gzip member more: every checksum inside is right, only the digest is not. */
    assert_int_equal(write(fd, "\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0", 20), 20);
    assert_false(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "new");
    assert_true(is_swept(world));
}

static void the_panels_checksum_counts_too(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    assert_false(restore(world, "{\"adapter\":\"wings\",\"truncate_directory\":true,\"checksum\":"
                                "\"sha1:0000000000000000000000000000000000000000\"}"));
    assert_live(world, "level.dat", "new");
}

static void a_restore_over_the_disk_limit_fails(void **context)
{
    struct world *world = *context;
    scope_free char *path = scratch_path("%s/big", world->live);
    scratch_write(path, "");
    assert_int_equal(truncate(path, 0), 0);
    scope_buf struct buf text = BUF_INIT;
    for (int i = 0; i < 3 * 1024 * 1024 / 16; i++)
        buf_printf(&text, "%015d\n", i);
    scratch_write(path, text.data);
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    world->panel.disk_mib = 2;
    assert_false(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "new");
    world->panel.disk_mib = 4;
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "");
}

static void a_second_restore_of_a_server_is_refused(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    world_hold_servers(world, true);
    assert_int_equal(world_call(world, "POST", RESTORE, TRUNCATING, NULL), 202);
    assert_int_equal(world_call(world, "POST", RESTORE, TRUNCATING, NULL), 409);
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, NULL), 409);
    scope_buf struct buf body = BUF_INIT;
    assert_int_equal(world_call(world, "GET", API, NULL, &body), 200);
    assert_non_null(strstr(body.data, "\"is_suspended\":true"));
    world_hold_servers(world, false);
    world_wait_restores(world, 1);
}

static void a_restore_that_a_stop_interrupts_is_reported_as_failed(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "level.dat", "new");
    world_hold_servers(world, true);
    assert_int_equal(world_call(world, "POST", RESTORE, TRUNCATING, NULL), 202);
    world_stop_node(world);
    world_hold_servers(world, false);
    world_start_node(world);
    world_wait_restores(world, 1);
    assert_string_equal(world->panel.restore, "{\"successful\":false}");
    assert_live(world, "level.dat", "new");
    assert_true(is_swept(world));
}

static void a_flat_archive_of_wings_is_found(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, OTHER_BACKUP);
    scope_free char *own = archive_path(world, OTHER_BACKUP);
    scope_free char *flat = scratch_path("%s/" BACKUP ".tar.gz", world->backups);
    assert_int_equal(rename(own, flat), 0);
    write_live(world, "level.dat", "new");
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "level.dat", "old");
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, NULL), 204);
    assert_false(scratch_exists(flat));
}

static void deleting_removes_the_archive_once(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    scope_buf struct buf body = BUF_INIT;
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, NULL), 204);
    assert_int_equal(world_call(world, "DELETE", API "/backup/" BACKUP, NULL, &body), 404);
    assert_non_null(strstr(body.data, NODE_ERROR_NO_BACKUP));
    scope_free char *path = archive_path(world, BACKUP);
    assert_false(scratch_exists(path));
}

static void deleting_all_is_for_one_server(void **context)
{
    struct world *world = *context;
    scope_free char *other = scratch_path("%s/" OTHER_SERVER, world->backups);
    scope_free char *foreign = scratch_path("%s/foreign.tar.gz", other);
    scratch_directory(other);
    scratch_write(foreign, "x");
    const char *const paths[] = {API "/backup/delete-all", API "/deleteAllBackups"};
    for (size_t i = 0; i < 2; i++) {
        world_back_up(world, BACKUP);
        world_back_up(world, OTHER_BACKUP);
        assert_int_equal(world_call(world, "DELETE", paths[i], NULL, NULL), 204);
        scope_free char *path = archive_path(world, BACKUP);
        assert_false(scratch_exists(path));
        assert_int_equal(world_call(world, "DELETE", paths[i], NULL, NULL), 204);
    }
    assert_true(scratch_exists(foreign));
}

static void an_attached_directory_is_backed_up_and_restored(void **context)
{
    struct world *world = *context;
    struct error err = ERROR_INIT;
    scope_free char *attached = scratch_path("%s/elsewhere", world->directory);
    scope_free char *file = scratch_path("%s/elsewhere/level.dat", world->directory);
    scratch_directory(attached);
    scratch_write(file, "old");
    must(node_attach_directory(world->directory, SERVER, attached, &err), &err);
    world_back_up(world, BACKUP);
    scratch_write(file, "new");
    assert_true(restore(world, TRUNCATING));
    scope_free char *text = scratch_read(file);
    assert_string_equal(text, "old");
}

static void the_tenants_ignore_file_counts(void **context)
{
    struct world *world = *context;
    write_live(world, ".pteroignore", "*.log\n");
    write_live(world, "a.log", "x");
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    write_live(world, "a.log", "y");
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "a.log", "");
    assert_live(world, "level.dat", "old");
}

static void a_linked_ignore_file_has_no_effect(void **context)
{
    struct world *world = *context;
    scope_free char *target = scratch_path("%s/secret", world->directory);
    scope_free char *link = scratch_path("%s/.pteroignore", world->live);
    scratch_write(target, "*.log\n");
    assert_int_equal(symlink(target, link), 0);
    write_live(world, "a.log", "x");
    world_back_up(world, BACKUP);
    assert_true(restore(world, TRUNCATING));
    assert_live(world, "a.log", "x");
}

/* ---- downloads ---- */

struct grant {
    const char *key, *server, *backup;
    int64_t life_s;
    bool is_for_websocket;
};

static char *download_path(struct grant grant)
{
    struct node_token_grant full = {
        .issuer = "http://panel",
        .audience = "http://node",
        .token = grant.key == NULL ? TOKEN : grant.key,
        .server_uuid = grant.server == NULL ? SERVER : grant.server,
        .backup_uuid = grant.backup == NULL ? BACKUP : grant.backup,
        .user_uuid = OTHER_SERVER,
        .user_id = 1,
        .permissions = (const char *const[]){"*", NULL},
        .now_s = time_now_us() / 1000000 + (grant.life_s < 0 ? 2 * grant.life_s : 0),
        .lifetime_s = grant.life_s < 0 ? -grant.life_s : 900,
    };
    scope_buf struct buf token = BUF_INIT;
    if (grant.is_for_websocket)
        node_api_sign_websocket(&token, &full);
    else
        node_api_sign_download(&token, &full);
    return scratch_path("/download/backup?token=%s", token.data);
}

/* A call without the node's token, with one header. */
static unsigned fetch(struct world *world, const char *method, const char *path, const char *header,
                      struct http_answer *answer)
{
    struct error err = ERROR_INIT;
    scope_free char *url = scratch_path("%s%s", world->node_url, path);
    const char *const headers[] = {header, NULL};
    struct http_call call = {.method = method, .url = url, .headers = headers};
    must(http_client_call(world->client, &call, answer, &err), &err);
    return answer->status;
}

static unsigned fetch_status(struct world *world, const char *method, const char *path,
                             const char *header)
{
    struct http_answer answer;
    unsigned status = fetch(world, method, path, header, &answer);
    http_answer_free(&answer);
    return status;
}

static void a_download_gives_the_archive_with_its_checksum_as_tag(void **context)
{
    struct world *world = *context;
    write_live(world, "level.dat", "old");
    world_back_up(world, BACKUP);
    scope_free char *path = download_path((struct grant){.key = NULL});
    struct http_answer answer;
    assert_int_equal(fetch(world, "GET", path, NULL, &answer), 200);
    scope_free char *archive = archive_path(world, BACKUP);
    struct stat info;
    assert_int_equal(stat(archive, &info), 0);
    assert_int_equal(answer.body.length, info.st_size);
    assert_string_equal(answer.content_type, "application/octet-stream");
    assert_memory_equal(answer.etag, "\"sha256:", 8);
    http_answer_free(&answer);
    assert_int_equal(fetch(world, "GET", path, "Range: bytes=10-", &answer), 206);
    assert_int_equal(answer.body.length, info.st_size - 10);
    http_answer_free(&answer);
}

static void bad_download_tokens_are_refused(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    const struct {
        struct grant grant;
        unsigned status;
    } rows[] = {
        {{.key = "another node's secret"}, 403},
        {{.life_s = -100}, 403},
        {{.is_for_websocket = true}, 403},
        {{.server = OTHER_SERVER}, 404},
        {{.server = "33333333-3333-4333-8333-333333333333"}, 404},
        {{.backup = OTHER_BACKUP}, 404},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scope_free char *path = download_path(rows[i].grant);
        assert_int_equal(fetch_status(world, "GET", path, NULL), rows[i].status);
    }
    assert_int_equal(fetch_status(world, "GET", "/download/backup", NULL), 403);
    assert_int_equal(fetch_status(world, "GET", "/download/backup?token=a.b.c", NULL), 403);
}

/* Start from the beginning as if from another address, which the node's proxy names. */
static unsigned start_from(struct world *world, const char *path, int number)
{
    scope_free char *header = scratch_path("X-Forwarded-For: 10.0.0.%d", number);
    return fetch_status(world, "GET", path, header);
}

static void one_token_is_one_download(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    scope_free char *path = download_path((struct grant){.key = NULL});
    for (int i = 0; i < 20; i++)
        assert_int_equal(fetch_status(world, "HEAD", path, NULL), 200);
    for (int i = 0; i < 20; i++)
        assert_int_equal(start_from(world, path, i % 5), 200);
    world_stop_node(world);
    world_start_node(world);
    assert_int_equal(start_from(world, path, 0), 200);
    assert_int_equal(start_from(world, path, 6), 404);
    assert_int_equal(start_from(world, path, 0), 200);
    assert_int_equal(fetch_status(world, "GET", path, "Range: bytes=5-1"), 404);
    assert_int_equal(fetch_status(world, "GET", path, "Range: bytes=0-"), 404);
    assert_int_equal(fetch_status(world, "GET", path, "Range: bytes=-5"), 404);
    assert_int_equal(fetch_status(world, "GET", path, "Range: bytes=1"), 404);
    assert_int_equal(fetch_status(world, "GET", path, "Range: bytes=1-2,0-"), 404);
    assert_int_equal(fetch_status(world, "GET", path, "Range: bytes=1-"), 206);
    assert_int_equal(fetch_status(world, "GET", path, "Range: bytes=10-19"), 206);
    assert_int_equal(fetch_status(world, "HEAD", path, NULL), 200);
}

static void a_denied_token_downloads_nothing_after_a_restart(void **context)
{
    struct world *world = *context;
    world_back_up(world, BACKUP);
    scope_free char *path = download_path((struct grant){.key = NULL});
    assert_int_equal(fetch_status(world, "HEAD", path, NULL), 200);
    /* The jti is in the claims: read it back from the token. */
    const char *claims_start = strchr(path, '.') + 1;
    scope_buf struct buf claims = BUF_INIT;
    assert_true(base64url_decode(slice_of(claims_start, strcspn(claims_start, ".")), &claims));
    struct error err = ERROR_INIT;
    scope_json json_t *object = json_read(buf_slice(&claims), &err);
    scope_free char *body = scratch_path("{\"jtis\":[\"%s\"]}", json_get_string(object, "jti", ""));
    assert_int_equal(world_call(world, "POST", API "/ws/deny", body, NULL), 204);
    assert_int_equal(fetch_status(world, "HEAD", path, NULL), 403);
    world_stop_node(world);
    world_start_node(world);
    assert_int_equal(fetch_status(world, "HEAD", path, NULL), 403);
}

static void the_node_says_what_it_runs_on(void **context)
{
    struct world *world = *context;
    scope_buf struct buf body = BUF_INIT;
    assert_int_equal(world_call(world, "GET", "/api/system", NULL, &body), 200);
    assert_non_null(strstr(body.data, "\"os\":\"linux\""));
    assert_non_null(strstr(body.data, "\"cpu_count\":"));
    assert_int_equal(world_call(world, "OPTIONS", "/api/servers", NULL, NULL), 204);
    assert_int_equal(world_call(world, "POST", API "/sync", NULL, NULL), 204);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_without_the_token_are_refused),
        TEST(bad_orders_are_refused_in_the_documented_words),
        TEST(a_backup_is_made_and_reported),
        TEST(an_order_that_is_repeated_is_reported_again),
        TEST(a_backup_of_another_server_is_not_taken_over),
        TEST(a_backup_without_a_directory_fails),
        TEST(a_report_is_repeated_until_the_panel_takes_it),
        TEST(a_report_survives_a_restart),
        TEST(a_conflict_keeps_the_archive),
        TEST(a_truncating_restore_brings_the_old_state_alone),
        TEST(a_merging_restore_keeps_what_the_archive_does_not_have),
        TEST(a_restore_leaves_nothing_beside_the_directory),
        TEST(a_damaged_archive_leaves_the_directory_alone),
        TEST(the_panels_checksum_counts_too),
        TEST(a_restore_over_the_disk_limit_fails),
        TEST(a_second_restore_of_a_server_is_refused),
        TEST(a_restore_that_a_stop_interrupts_is_reported_as_failed),
        TEST(a_flat_archive_of_wings_is_found),
        TEST(deleting_removes_the_archive_once),
        TEST(deleting_all_is_for_one_server),
        TEST(an_attached_directory_is_backed_up_and_restored),
        TEST(the_tenants_ignore_file_counts),
        TEST(a_linked_ignore_file_has_no_effect),
        TEST(a_download_gives_the_archive_with_its_checksum_as_tag),
        TEST(bad_download_tokens_are_refused),
        TEST(one_token_is_one_download),
        TEST(a_denied_token_downloads_nothing_after_a_restart),
        TEST(the_node_says_what_it_runs_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
