/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads by signed tokens. */
#include "node/node.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/node_api.h"
#include "base/json.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/time.h"
#include "node/test_world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_download_gives_the_archive_with_its_checksum_as_tag),
        WORLD_TEST(bad_download_tokens_are_refused),
        WORLD_TEST(one_token_is_one_download),
        WORLD_TEST(a_denied_token_downloads_nothing_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
