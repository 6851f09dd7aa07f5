/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPT_MAC_H
#define CRYPT_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* HMAC-SHA256 (RFC 2104). */
enum {
    MAC_BYTES = 32
};
void mac_sha256(struct slice key, struct slice bytes, uint8_t mac[MAC_BYTES]);

/* Whether two secrets are equal, in a time that tells nothing but their lengths. */
bool secret_equal(struct slice a, struct slice b);

#endif
