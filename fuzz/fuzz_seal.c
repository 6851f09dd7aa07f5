/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed secrets: the input as the sealed text; as its JSON; and, since no fuzzer guesses a MAC, as
 * the plain text of one that was rightly sealed.
 */
#include <assert.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/text.h"
#include "crypt/mac.h"
#include "crypt/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char app_key[] = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
static const char iv_base64[] = "AAAAAAAAAAAAAAAAAAAAAA==";

static void open_text(const struct seal_keys *keys, const char *sealed)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf secret = BUF_INIT;
    if (seal_open(keys, sealed, &secret, &err) < 0)
        assert(err.code == ERROR_CORRUPT && secret.length == 0);
    else
        assert(secret.length <= SEAL_TEXT_MAX_BYTES);
}

static void open_plain(const struct seal_keys *keys, struct slice plain)
{
    static const uint8_t iv[16];
    scope_free uint8_t *value = xmalloc(plain.length + 32);
    int length = 0;
    int rest = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(context, EVP_aes_256_cbc(), NULL, keys->keys[0], iv);
    EVP_EncryptUpdate(context, value, &length, plain.data, (int)plain.length);
    EVP_EncryptFinal_ex(context, value + length, &rest);
    EVP_CIPHER_CTX_free(context);

    scope_buf struct buf value_base64 = BUF_INIT;
    scope_buf struct buf signed_text = BUF_INIT;
    base64_add(&value_base64, slice_of(value, (size_t)length + (size_t)rest));
    buf_printf(&signed_text, "%s%s", iv_base64, value_base64.data);
    uint8_t mac[MAC_BYTES];
    char hex[2 * MAC_BYTES + 1];
    mac_sha256(slice_of(keys->keys[0], SEAL_KEY_BYTES), buf_slice(&signed_text), mac);
    hex_encode(mac, sizeof(mac), hex);

    scope_buf struct buf json = BUF_INIT;
    scope_buf struct buf sealed = BUF_INIT;
    buf_printf(&json, "{\"iv\":\"%s\",\"value\":\"%s\",\"mac\":\"%s\"}", iv_base64,
               value_base64.data, hex);
    base64_add(&sealed, buf_slice(&json));
    open_text(keys, sealed.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    struct error err = ERROR_INIT;
    struct seal_keys keys = {0};
    if (seal_keys_add(&keys, app_key, &err) < 0)
        return 0;
    scope_buf struct buf text = BUF_INIT;
    scope_buf struct buf sealed = BUF_INIT;
    buf_add(&text, data, size);
    base64_add(&sealed, buf_slice(&text));
    open_text(&keys, text.data);
    open_text(&keys, sealed.data);
    open_plain(&keys, buf_slice(&text));
    return 0;
}
