/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPT_DIGEST_H
#define CRYPT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Digests of files, over OpenSSL.  SHA-1 is there because Wings' type is SHA-1; it proves identity, not intent. */
enum digest_type {
    DIGEST_SHA256,
    DIGEST_SHA1,
};

enum {
    DIGEST_MAX_BYTES = 32,
    DIGEST_HEX_BYTES = 2 * DIGEST_MAX_BYTES + 1
};

struct digest {
    enum digest_type type;
    uint8_t bytes[DIGEST_MAX_BYTES];
};

struct digester; /* one thread at a time */
struct digester *digester_create(enum digest_type type);
void digester_add(struct digester *digester, const void *bytes, size_t length);
void digester_finish(struct digester *digester, struct digest *digest); /* once */
void digester_free(struct digester *digester);

void digest_of(enum digest_type type, struct slice bytes, struct digest *digest);

const char *digest_type_name(enum digest_type type); /* "sha256", "sha1": on the wire */
bool digest_type_parse(const char *name, enum digest_type *type);
size_t digest_length(enum digest_type type); /* in bytes */
void digest_hex(const struct digest *digest, char hex[DIGEST_HEX_BYTES]);
bool digest_parse(enum digest_type type, const char *hex, struct digest *digest);
bool digest_equal(const struct digest *a, const struct digest *b); /* constant time */

#endif
