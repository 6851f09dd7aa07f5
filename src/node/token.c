/* SPDX-License-Identifier: Apache-2.0 */
/* Reading signed tokens: whatever is missing or odd in one makes it void. */
#include "node/token.h"

#include <stdio.h>

#include "api/node_api.h"
#include "crypt/jwt.h"
#include "net/url.h"

/* A claim of at most `room` - 1 bytes; false where it is missing, empty or longer. */
static bool copy_claim(const json_t *claims, const char *name, char *out, size_t room)
{
    const char *text = json_get_string(claims, name, "");
    size_t length = strlen(text);
    if (length == 0 || length >= room)
        return false;
    snprintf(out, room, "%s", text);
    return true;
}

static int64_t claim_time(const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);
    if (json_is_integer(value))
        return json_integer_value(value);
    /* Upstream's library writes fractions of a second. */
    double seconds = json_is_real(value) ? json_real_value(value) : 0;
    return seconds > 0 && seconds < 1e12 ? (int64_t)seconds : 0;
}

static int read_common(struct journal *journal, const json_t *claims, int64_t now_s,
                       struct token *token, struct error *err)
{
    *token = (struct token){
        .issued_at_s = claim_time(claims, "iat"),
        .expires_at_s = claim_time(claims, "exp"),
    };
    if (!copy_claim(claims, "jti", token->jti, sizeof(token->jti)) ||
        !copy_claim(claims, "server_uuid", token->server, sizeof(token->server)) ||
        !uuid_is_canonical(token->server))
        return error_set(err, ERROR_DENIED, "a claim is missing from the token");
    if (token->expires_at_s - now_s > TOKEN_LIFE_MAX_S)
        return error_set(err, ERROR_DENIED, "the token would live for too long");
    bool is_denied;
    if (journal_is_denied(journal, token->jti, token->issued_at_s, &is_denied, err) < 0)
        return -1;
    return is_denied ? error_set(err, ERROR_DENIED, "the token was denied") : 0;
}

/* A claim that is there and makes no sense never becomes the whole archive. */
static int read_file(const json_t *claims, struct token *token, struct error *err)
{
    const json_t *claim = json_object_get(claims, "file");
    scope_buf struct buf file = BUF_INIT;
    if (claim == NULL)
        return 0;
    if (!json_is_string(claim) ||
        !url_decode(slice_of(json_string_value(claim), json_string_length(claim)), &file) ||
        !entry_path_is_canonical(buf_slice(&file)))
        return error_set(err, ERROR_DENIED, "the token's file is no path");
    token->has_file = true;
    memcpy(token->file, file.data, file.length + 1);
    return 0;
}

int token_read_download(struct journal *journal, const char *key, struct slice text, int64_t now_s,
                        struct token *token, struct error *err)
{
    scope_json json_t *claims = jwt_verify(text, slice_str(key), NODE_SCOPE_DOWNLOAD, now_s, err);
    if (claims == NULL || read_common(journal, claims, now_s, token, err) < 0)
        return -1;
    if (!copy_claim(claims, "backup_uuid", token->backup, sizeof(token->backup)) ||
        !uuid_is_canonical(token->backup) ||
        !copy_claim(claims, "unique_id", token->unique_id, sizeof(token->unique_id)))
        return error_set(err, ERROR_DENIED, "a claim is missing from the token");
    return read_file(claims, token, err);
}

static bool grants(const json_t *claims, const char *permission)
{
    const json_t *permissions = json_object_get(claims, "permissions");
    for (size_t i = 0; i < json_array_size(permissions); i++) {
        const char *granted = json_string_value(json_array_get(permissions, i));
        if (granted != NULL && (strcmp(granted, permission) == 0 || strcmp(granted, "*") == 0))
            return true;
    }
    return false;
}

int token_read_websocket(struct journal *journal, const char *key, struct slice text,
                         const char *server, int64_t now_s, struct token *token, struct error *err)
{
    scope_json json_t *claims = jwt_verify(text, slice_str(key), NODE_SCOPE_WEBSOCKET, now_s, err);
    if (claims == NULL || read_common(journal, claims, now_s, token, err) < 0)
        return -1;
    if (strcmp(token->server, server) != 0)
        return error_set(err, ERROR_DENIED, "the token is for another server");
    token->may_read_backups = grants(claims, "backup.read");
    return 0;
}
