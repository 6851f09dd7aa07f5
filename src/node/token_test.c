/* SPDX-License-Identifier: Apache-2.0 */
#include "node/token.h"

#include <stdlib.h>

#include "api/node_api.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypt/jwt.h"
#include "node/test_scratch.h"

#define KEY "the node's secret of sixty-four characters, as a panel makes them"
#define NOW_S INT64_C(1700000000)

struct state {
    char directory[128];
    struct journal *journal;
};

static void open_journal(struct state *state)
{
    struct error err = ERROR_INIT;
    state->journal = journal_open(state->directory, &err);
    assert_non_null(state->journal);
}

static int set_up(void **context)
{
    struct state *state = xcalloc(1, sizeof(*state));
    scratch_make(state->directory);
    open_journal(state);
    *context = state;
    return 0;
}

static int tear_down(void **context)
{
    struct state *state = *context;
    journal_close(state->journal);
    scratch_remove(state->directory);
    free(state);
    return 0;
}

/* A complete set of claims; a test changes one word of it. */
#define CLAIMS(scope, server, backup, more)                                                        \
    "{\"jti\":\"j\",\"iat\":1700000000,\"nbf\":1699999700,\"exp\":1700000900,\"scope\":\"" scope   \
    "\",\"server_uuid\":\"" server "\",\"backup_uuid\":\"" backup                                  \
    "\",\"unique_id\":\"u\",\"permissions\":[\"websocket.connect\"" more "]}"

static int read_download(struct state *state, const char *claims, int64_t now_s,
                         struct token *token, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    jwt_sign(&text, slice_str(KEY), "j", slice_str(claims));
    return token_read_download(state->journal, KEY, buf_slice(&text), now_s, token, err);
}

static void a_good_download_token_is_read(void **context)
{
    struct error err = ERROR_INIT;
    struct token token;
    must(
        read_download(*context, CLAIMS("backup-download", SERVER, BACKUP, ""), NOW_S, &token, &err),
        &err);
    assert_string_equal(token.server, SERVER);
    assert_string_equal(token.backup, BACKUP);
    assert_string_equal(token.unique_id, "u");
    assert_int_equal(token.expires_at_s, 1700000900);
}

static void odd_tokens_are_refused(void **context)
{
    const struct {
        const char *claims;
        int64_t now_s;
    } rows[] = {
        {CLAIMS("websocket", SERVER, BACKUP, ""), NOW_S},
        {CLAIMS("file-download", SERVER, BACKUP, ""), NOW_S},
        {CLAIMS("", SERVER, BACKUP, ""), NOW_S},
        {CLAIMS("backup-download", "../../etc", BACKUP, ""), NOW_S},
        {CLAIMS("backup-download", SERVER, "../../../etc/passwd", ""), NOW_S},
        {CLAIMS("backup-download", SERVER, "", ""), NOW_S},
        {CLAIMS("backup-download", SERVER, BACKUP, ""), NOW_S + 901},
        {CLAIMS("backup-download", SERVER, BACKUP, ""), NOW_S - 2000},
        {"{\"jti\":\"j\",\"iat\":1700000000,\"exp\":1800000000,\"scope\":\"backup-download\","
         "\"server_uuid\":\"" SERVER "\",\"backup_uuid\":\"" BACKUP "\",\"unique_id\":\"u\"}",
         NOW_S},
        {"{\"iat\":1700000000,\"exp\":1700000900,\"scope\":\"backup-download\",\"server_uuid\":"
         "\"" SERVER "\",\"backup_uuid\":\"" BACKUP "\",\"unique_id\":\"u\"}",
         NOW_S},
        {"{\"jti\":\"j\",\"exp\":1700000900,\"scope\":\"backup-download\",\"server_uuid\":"
         "\"" SERVER "\",\"backup_uuid\":\"" BACKUP "\"}",
         NOW_S},
        {"{\"jti\":\"j\",\"scope\":\"backup-download\",\"server_uuid\":\"" SERVER
         "\",\"backup_uuid\":\"" BACKUP "\",\"unique_id\":\"u\"}",
         NOW_S},
        {"{}", NOW_S},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        struct token token;
        if (read_download(*context, rows[i].claims, rows[i].now_s, &token, &err) == 0)
            fail_msg("row %zu was accepted", i);
        assert_int_equal(err.code, ERROR_DENIED);
    }
}

static void unsigned_and_foreign_tokens_are_refused(void **context)
{
    struct state *state = *context;
    const char *claims = CLAIMS("backup-download", SERVER, BACKUP, "");
    scope_buf struct buf foreign = BUF_INIT;
    jwt_sign(&foreign, slice_str("another node's secret"), "j", slice_str(claims));
    scope_buf struct buf none = BUF_INIT;
    base64url_add(&none, slice_str("{\"typ\":\"JWT\",\"alg\":\"none\"}"));
    buf_add_char(&none, '.');
    base64url_add(&none, slice_str(claims));
    buf_add_char(&none, '.');
    const char *const texts[] = {foreign.data, none.data, "", "a.b.c", "…"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = ERROR_INIT;
        struct token token;
        if (token_read_download(state->journal, KEY, slice_str(texts[i]), NOW_S, &token, &err) == 0)
            fail_msg("text %zu was accepted", i);
        assert_int_equal(err.code, ERROR_DENIED);
    }
}

static void a_denied_token_stays_denied_after_a_restart(void **context)
{
    struct state *state = *context;
    const char *claims = CLAIMS("backup-download", SERVER, BACKUP, "");
    struct error err = ERROR_INIT;
    struct token token;
    must(journal_deny_token(state->journal, "j", NOW_S - 1, &err), &err);
    must(read_download(state, claims, NOW_S, &token, &err), &err);
    must(journal_deny_token(state->journal, "j", NOW_S, &err), &err);
    journal_close(state->journal);
    open_journal(state);
    assert_int_equal(read_download(state, claims, NOW_S, &token, &err), -1);
    assert_int_equal(err.code, ERROR_DENIED);
}

static int read_websocket(struct state *state, const char *claims, const char *server,
                          struct token *token, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    jwt_sign(&text, slice_str(KEY), "j", slice_str(claims));
    return token_read_websocket(state->journal, KEY, buf_slice(&text), server, NOW_S, token, err);
}

static void a_websocket_token_holds_for_its_server_and_permissions(void **context)
{
    struct error err = ERROR_INIT;
    struct token token;
    must(read_websocket(*context, CLAIMS("websocket", SERVER, BACKUP, ""), SERVER, &token, &err),
         &err);
    assert_false(token.may_read_backups);
    must(read_websocket(*context, CLAIMS("websocket", SERVER, BACKUP, ",\"backup.read\""), SERVER,
                        &token, &err),
         &err);
    assert_true(token.may_read_backups);
    must(read_websocket(*context, CLAIMS("websocket", SERVER, BACKUP, ",\"*\""), SERVER, &token,
                        &err),
         &err);
    assert_true(token.may_read_backups);
    assert_int_equal(read_websocket(*context, CLAIMS("websocket", SERVER, BACKUP, ""), OTHER_SERVER,
                                    &token, &err),
                     -1);
    assert_int_equal(err.code, ERROR_DENIED);
    error_clear(&err);
    assert_int_equal(read_websocket(*context, CLAIMS("backup-download", SERVER, BACKUP, ""), SERVER,
                                    &token, &err),
                     -1);
    assert_int_equal(err.code, ERROR_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_download_token_is_read),
        TEST(odd_tokens_are_refused),
        TEST(unsigned_and_foreign_tokens_are_refused),
        TEST(a_denied_token_stays_denied_after_a_restart),
        TEST(a_websocket_token_holds_for_its_server_and_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
