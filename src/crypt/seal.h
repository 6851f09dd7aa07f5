/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPT_SEAL_H
#define CRYPT_SEAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Secrets at rest, sealed as Pterodactyl (Laravel's Encrypter) seals them, so that both read
 * the same database.  AES-256-CBC with PKCS#7, then HMAC-SHA256 over the two base64 texts:
 *
 *     base64( {"iv": b64(16 bytes), "value": b64(ciphertext), "mac": hex, "tag": ""} )
 *     mac = HMAC-SHA256(key, iv_b64 || value_b64)
 *
 * The plain text is what PHP's serialize() makes of a string: s:32:"…";
 */
enum {
    SEAL_KEY_BYTES = 32,
    SEAL_KEYS_MAX = 8,
    SEAL_TEXT_MAX_BYTES = 4096
};

struct seal_keys {
    uint8_t keys[SEAL_KEYS_MAX][SEAL_KEY_BYTES]; /* the first one seals, all may open */
    size_t count;
};

/* "base64:…": 32 bytes, as in APP_KEY.  INVALID otherwise; the text does not hold the key. */
int seal_keys_add(struct seal_keys *keys, const char *app_key, struct error *err);

/* A fresh key in that form. */
void seal_key_make(struct buf *app_key);

void seal_string(const struct seal_keys *keys, const char *secret, struct buf *sealed);

/* CORRUPT: not sealed with one of the keys.  The MAC is checked first, in constant time. */
int seal_open(const struct seal_keys *keys, const char *sealed, struct buf *secret,
              struct error *err);

#endif
