/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API keys, cached by the digest of the whole token: what is in memory is no key, and only good
 * tokens are kept, so that nobody fills the cache with guesses.
 */
#include "panel/auth.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypt/digest.h"
#include "crypt/mac.h"
#include "db/user.h"

enum {
    TOKEN_LENGTH = API_KEY_TOKEN_BYTES - 1,
    TOUCH_EVERY_US = 60 * 1000000,
};

struct auth_slot {
    struct digest digest;
    uint64_t version;
    struct auth auth;
};

void auth_slot_free(struct auth_slot *slot)
{
    if (slot == NULL)
        return;
    free(slot->auth.allowed_ips);
    free(slot);
}

/* `settings::pterodactyl:auth:2fa_required`: 0 nobody, 1 administrators, 2 everybody. */
static int needs_two_factor(struct db_session *session, const struct user *user, bool *needs,
                            struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, "SELECT settings.value FROM settings WHERE settings.key = ?",
                 DB_PARAMS(db_text("settings::pterodactyl:auth:2fa_required")), &rows, err) < 0)
        return -1;
    int more = db_next(&rows, err);
    if (more < 0)
        return -1;
    const char *value = more > 0 ? db_get_text(&rows, 0) : NULL;
    int required = value == NULL ? 0 : *value == '1' ? 1 : *value == '2' ? 2 : 0;
    *needs = !user->has_totp && (required == 2 || (required == 1 && user->is_root_admin));
    return 0;
}

/* Everything that is compared is compared, also where the identifier is unknown. */
static bool is_secret_right(const struct auth_keys *keys, const struct api_key *key, bool is_known,
                            const char *secret)
{
    scope_buf struct buf stored = BUF_INIT;
    struct error err = ERROR_INIT;
    const char *sealed = is_known ? key->sealed_secret : keys->decoy_secret;
    if (seal_open(keys->app_keys, sealed, &stored, &err) < 0) {
        log_warning("an API key does not open with our application keys key=%" PRId64
                    " reason='%s'",
                    key->id, err.text);
        return false;
    }
    bool is_equal = secret_equal(buf_slice(&stored), slice_str(secret));
    explicit_bzero(stored.data, stored.length);
    return is_equal && is_known;
}

static int load_user(struct db_session *session, int64_t user_id, struct auth *auth,
                     struct error *err)
{
    struct user user = {0};
    int found = user_find(session, user_id, &user, err);
    if (found > 0) {
        snprintf(auth->user_uuid, sizeof(auth->user_uuid), "%s", user.uuid);
        auth->is_root_admin = user.is_root_admin;
        found = needs_two_factor(session, &user, &auth->needs_two_factor, err) < 0 ? -1 : 1;
    }
    user_free(&user);
    return found;
}

static int load(struct db_session *session, const struct auth_keys *keys, const char *token,
                struct auth *auth, struct error *err)
{
    char identifier[API_KEY_IDENTIFIER_LENGTH + 1];
    snprintf(identifier, sizeof(identifier), "%s", token);
    struct api_key key = {0};
    int found = api_key_find(session, identifier, &key, err);
    if (found < 0)
        return -1;
    bool is_right = is_secret_right(keys, &key, found > 0, token + API_KEY_IDENTIFIER_LENGTH);
    if (is_right) {
        *auth = (struct auth){
            .key_id = key.id,
            .user_id = key.user_id,
            .type = key.type,
            .dialect = key.dialect,
            .allowed_ips = scope_take(key.allowed_ips),
            .expires_at_us = key.expires_at_us,
            .last_used_at_us = key.last_used_at_us,
        };
        snprintf(auth->identifier, sizeof(auth->identifier), "%s", key.identifier);
    }
    api_key_free(&key);
    return is_right ? load_user(session, auth->user_id, auth, err) : 0;
}

static bool is_expired(const struct auth *auth, int64_t now_us)
{
    return auth->expires_at_us != 0 && auth->expires_at_us <= now_us;
}

int auth_find(struct reader *reader, const struct auth_keys *keys, const char *token,
              int64_t now_us, struct auth **auth, struct error *err)
{
    if (strlen(token) != TOKEN_LENGTH)
        return 0;
    struct digest digest;
    digest_of(DIGEST_SHA256, slice_of(token, TOKEN_LENGTH), &digest);
    struct auth_slot **place = &reader->auths[digest.bytes[0] % READER_SLOTS];
    struct auth_slot *slot = *place;
    bool is_cached =
        slot != NULL && slot->version == reader->version && digest_equal(&slot->digest, &digest);
    if (!is_cached) {
        slot = xcalloc(1, sizeof(*slot));
        slot->digest = digest;
        slot->version = reader->version;
        int found = load(reader->session, keys, token, &slot->auth, err);
        if (found <= 0) {
            auth_slot_free(slot);
            return found;
        }
        auth_slot_free(*place);
        *place = slot;
    }
    *auth = &slot->auth;
    return is_expired(&slot->auth, now_us) ? 0 : 1;
}

bool auth_take_touch(struct auth *auth, int64_t now_us)
{
    bool is_old =
        now_us - auth->last_used_at_us >= TOUCH_EVERY_US || auth->last_used_at_us > now_us;
    if (is_old)
        auth->last_used_at_us = now_us;
    return is_old;
}
