/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_AUTH_H
#define PANEL_AUTH_H

#include "base/uuid.h"
#include "crypt/seal.h"
#include "db/api_key.h"
#include "panel/reader.h"

/* Whom a bearer token speaks for. */
struct auth {
    int64_t key_id;
    int64_t user_id;
    enum api_key_type type;
    enum api_key_dialect dialect;
    char user_uuid[UUID_TEXT_BYTES];
    char identifier[API_KEY_IDENTIFIER_LENGTH + 1];
    bool is_root_admin;
    bool needs_two_factor; /* the panel demands it and the account does not have it */
    char *allowed_ips;     /* JSON array; NULL: any */
    int64_t expires_at_us; /* 0: never */
    int64_t last_used_at_us;
};

struct auth_slot;
void auth_slot_free(struct auth_slot *slot); /* NULL is fine */

/*
 * 1, 0 (no such key, wrong secret, expired) or -1.  `*auth` is borrowed from the reader until its
 * thread's next call.  An unknown identifier costs what a known one with a wrong secret costs:
 * it is compared with `decoy_secret`.
 */
struct auth_keys {
    const struct seal_keys *app_keys;
    const char *decoy_secret;
};
int auth_find(struct reader *reader, const struct auth_keys *keys, const char *token,
              int64_t now_us, struct auth **auth, struct error *err);

/* Call where a key was used: whether its last use is to be written.  At most once a minute. */
bool auth_take_touch(struct auth *auth, int64_t now_us);

#endif
