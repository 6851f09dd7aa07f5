/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 over OpenSSL: a context that knows its digest is made once and copied for each use. */
#include "crypt/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static EVP_MAC_CTX *pattern;

static void must(bool ok)
{
    if (!ok) {
        fputs("roost: OpenSSL cannot compute HMAC-SHA256\n", stderr);
        abort();
    }
}

static void make_pattern(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(hmac != NULL);
    pattern = EVP_MAC_CTX_new(hmac);
    must(pattern != NULL);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    must(EVP_MAC_CTX_set_params(pattern, params) == 1);
    EVP_MAC_free(hmac); /* the pattern holds its own reference */
}

void mac_sha256(struct slice key, struct slice bytes, uint8_t mac[MAC_BYTES])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_pattern);
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(pattern);
    must(context != NULL);
    /* A NULL key would mean "as before"; an empty one is a key. */
    const void *key_bytes = key.length > 0 ? key.data : "";
    size_t length = 0;
    must(EVP_MAC_init(context, key_bytes, key.length, NULL) == 1 &&
         EVP_MAC_update(context, bytes.data, bytes.length) == 1 &&
         EVP_MAC_final(context, mac, &length, MAC_BYTES) == 1 && length == MAC_BYTES);
    EVP_MAC_CTX_free(context);
}

bool secret_equal(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || CRYPTO_memcmp(a.data, b.data, a.length) == 0);
}
