/* SPDX-License-Identifier: Apache-2.0 */
/* Digests over OpenSSL: the implementations are fetched once, for fetching costs more than hashing a small file. */
#include "crypt/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

struct digester {
    enum digest_type type;
    EVP_MD_CTX *context;
};

static const struct {
    const char *name;
    const char *openssl_name;
    size_t length;
} types[] = {
    [DIGEST_SHA256] = {"sha256", "SHA256", 32},
    [DIGEST_SHA1] = {"sha1", "SHA1", 20},
};
static EVP_MD *implementations[sizeof(types) / sizeof(types[0])];

/* OpenSSL's digests fail only where there is no memory or no library. */
static void must(bool ok)
{
    if (!ok) {
        fputs("roost: OpenSSL cannot compute digests\n", stderr);
        abort();
    }
}

static void fetch_implementations(void)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        implementations[i] = EVP_MD_fetch(NULL, types[i].openssl_name, NULL);
        must(implementations[i] != NULL);
    }
}

static const EVP_MD *implementation_of(enum digest_type type)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_implementations);
    return implementations[type];
}

struct digester *digester_create(enum digest_type type)
{
    struct digester *digester = xcalloc(1, sizeof(*digester));
    digester->type = type;
    digester->context = EVP_MD_CTX_new();
    must(digester->context != NULL &&
         EVP_DigestInit_ex2(digester->context, implementation_of(type), NULL) == 1);
    return digester;
}

void digester_add(struct digester *digester, const void *bytes, size_t length)
{
    must(EVP_DigestUpdate(digester->context, bytes, length) == 1);
}

void digester_finish(struct digester *digester, struct digest *digest)
{
    *digest = (struct digest){.type = digester->type};
    must(EVP_DigestFinal_ex(digester->context, digest->bytes, NULL) == 1);
}

void digester_free(struct digester *digester)
{
    if (digester == NULL)
        return;
    EVP_MD_CTX_free(digester->context);
    free(digester);
}

void digest_of(enum digest_type type, struct slice bytes, struct digest *digest)
{
    *digest = (struct digest){.type = type};
    must(EVP_Digest(bytes.data, bytes.length, digest->bytes, NULL, implementation_of(type), NULL) ==
         1);
}

const char *digest_type_name(enum digest_type type)
{
    return types[type].name;
}

bool digest_type_parse(const char *name, enum digest_type *type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0) {
            *type = (enum digest_type)i;
            return true;
        }
    }
    return false;
}

size_t digest_length(enum digest_type type)
{
    return types[type].length;
}

void digest_hex(const struct digest *digest, char hex[DIGEST_HEX_BYTES])
{
    hex_encode(digest->bytes, digest_length(digest->type), hex);
}

bool digest_parse(enum digest_type type, const char *hex, struct digest *digest)
{
    struct digest parsed = {.type = type};
    if (!hex_decode(hex, parsed.bytes, digest_length(type)))
        return false;
    *digest = parsed;
    return true;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->type == b->type && CRYPTO_memcmp(a->bytes, b->bytes, digest_length(a->type)) == 0;
}
