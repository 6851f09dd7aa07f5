/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signed tokens with which users come to a node: downloads and the websocket.  Claims are
 * upstream's, newer (scope) and older (unique_id, user_id) ones together, so that every daemon
 * finds its own.
 */
#include <inttypes.h>
#include <stdio.h>

#include "api/node_api.h"
#include "base/random.h"
#include "crypt/digest.h"
#include "crypt/jwt.h"
#include "net/url.h"

enum {
    NOT_BEFORE_SLACK_S = 300, /* nodes' clocks are not ours */
    UNIQUE_ID_LENGTH = 16
};

/* The same for every token of a user and server, so that all of them can be denied at once. */
static void make_jti(const struct node_token_grant *grant, char jti[DIGEST_HEX_BYTES])
{
    char subject[96];
    int length =
        snprintf(subject, sizeof(subject), "%" PRId64 "%s", grant->user_id, grant->server_uuid);
    struct digest digest;
    digest_of(DIGEST_SHA256, slice_of(subject, (size_t)length), &digest);
    digest_hex(&digest, jti);
}

static void put_common(struct json_writer *w, const struct node_token_grant *grant, const char *jti,
                       const char *scope)
{
    char unique_id[UNIQUE_ID_LENGTH + 1];
    random_alphanumeric(unique_id, UNIQUE_ID_LENGTH);
    json_field_string(w, "iss", grant->issuer);
    json_key(w, "aud");
    json_begin_array(w);
    json_put_string(w, grant->audience);
    json_end_array(w);
    json_field_string(w, "jti", jti);
    json_field_int(w, "iat", grant->now_s);
    json_field_int(w, "nbf", grant->now_s - NOT_BEFORE_SLACK_S);
    json_field_int(w, "exp", grant->now_s + grant->lifetime_s);
    json_field_string(w, "scope", scope);
    json_field_string(w, "server_uuid", grant->server_uuid);
    json_field_string(w, "user_uuid", grant->user_uuid);
    json_field_int(w, "user_id", grant->user_id);
    json_field_string(w, "unique_id", unique_id);
}

void node_api_sign_download(struct buf *out, const struct node_token_grant *grant)
{
    char jti[DIGEST_HEX_BYTES];
    make_jti(grant, jti);
    scope_buf struct buf claims = BUF_INIT;
    struct json_writer w = json_writer_to(&claims);
    json_begin_object(&w);
    put_common(&w, grant, jti, NODE_SCOPE_DOWNLOAD);
    json_field_string(&w, "backup_uuid", grant->backup_uuid);
    if (grant->file != NULL) { /* percent-encoded: names are bytes */
        scope_buf struct buf file = BUF_INIT;
        url_encode(&file, slice_str(grant->file));
        json_field_string(&w, "file", file.data);
    }
    json_end_object(&w);
    jwt_sign(out, slice_str(grant->token), jti, buf_slice(&claims));
}

void node_api_sign_websocket(struct buf *out, const struct node_token_grant *grant)
{
    char jti[DIGEST_HEX_BYTES];
    make_jti(grant, jti);
    scope_buf struct buf claims = BUF_INIT;
    struct json_writer w = json_writer_to(&claims);
    json_begin_object(&w);
    put_common(&w, grant, jti, NODE_SCOPE_WEBSOCKET);
    json_key(&w, "permissions");
    json_begin_array(&w);
    for (const char *const *permission = grant->permissions; *permission != NULL; permission++)
        json_put_string(&w, *permission);
    json_end_array(&w);
    json_end_object(&w);
    jwt_sign(out, slice_str(grant->token), jti, buf_slice(&claims));
}
