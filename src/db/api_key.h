/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_API_KEY_H
#define DB_API_KEY_H

#include "base/buf.h"
#include "crypt/seal.h"
#include "db/db.h"

/*
 * API keys: identifier (16 characters, "ptlc_" or "ptla_" and 11 random ones) and secret (32).  The
 * identifier is found by its bytes; the secret rests sealed and is compared in constant time.
 */
enum api_key_type {
    API_KEY_CLIENT = 1,      /* ptlc_ */
    API_KEY_APPLICATION = 2, /* ptla_: refused on client routes */
};

enum api_key_dialect {
    API_KEY_DIALECT_AUTO,
    API_KEY_DIALECT_CLASSIC,
    API_KEY_DIALECT_EXTENDED,
};

enum {
    API_KEY_IDENTIFIER_LENGTH = 16,
    API_KEY_SECRET_LENGTH = 32,
    API_KEY_TOKEN_BYTES = API_KEY_IDENTIFIER_LENGTH + API_KEY_SECRET_LENGTH + 1,
    API_KEYS_MAX_PER_USER = 25,
};

struct api_key {
    int64_t id;
    int64_t user_id;
    enum api_key_type type;
    enum api_key_dialect dialect;
    char identifier[API_KEY_IDENTIFIER_LENGTH + 1];
    char *sealed_secret;
    char *allowed_ips; /* JSON array of texts; NULL: any */
    char *memo;
    int64_t last_used_at_us; /* 0: never */
    int64_t expires_at_us;   /* 0: never */
};

void api_key_free(struct api_key *key);

/*
 * Makes identifier and secret; `token` gets the whole key, which is never shown again.  Sets `id` and
 * `identifier` only.  LIMIT beyond API_KEYS_MAX_PER_USER keys of that type; CONFLICT: no such user.
 */
int api_key_create(struct db_session *session, const struct seal_keys *keys, struct api_key *key,
                   char token[API_KEY_TOKEN_BYTES], struct error *err);

/* By the token's first 16 bytes, case counts.  1, 0 or -1.  Does not look at the secret. */
int api_key_find(struct db_session *session, const char *identifier, struct api_key *key,
                 struct error *err);
int api_key_each(struct db_session *session, int64_t user_id /* 0: all */,
                 int (*visit)(const struct api_key *key, void *context, struct error *err),
                 void *context, struct error *err);

/* last_used_at; nothing where the key is gone. */
int api_key_touch(struct db_session *session, int64_t id, int64_t at_us, struct error *err);
int api_key_delete(struct db_session *session, const char *identifier,
                   struct error *err); /* NOT_FOUND */

#endif
