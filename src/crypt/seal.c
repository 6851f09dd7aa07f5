/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed secrets, byte for byte as Laravel's Encrypter makes them (layout in the header).  Nothing is
 * deciphered before its MAC was found right; plain text is wiped from every buffer but the caller's.
 */
#include "crypt/seal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "crypt/mac.h"

enum {
    IV_BYTES = 16,
    BLOCK_BYTES = 16,
    /* base64 twice, JSON around it */
    SEALED_MAX_BYTES = 3 * SEAL_TEXT_MAX_BYTES
};
static const char key_prefix[] = "base64:";

static EVP_CIPHER *cipher;

static void must(bool ok)
{
    if (!ok) {
        fputs("roost: OpenSSL cannot encrypt with AES-256-CBC\n", stderr);
        abort();
    }
}

static void fetch_cipher(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    must(cipher != NULL);
}

static EVP_CIPHER_CTX *make_context(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fetch_cipher);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    must(context != NULL);
    return context;
}

static void wipe_and_free(struct buf *text)
{
    if (text->capacity > 0)
        OPENSSL_cleanse(text->data, text->capacity);
    buf_free(text);
}
#define scope_secret SCOPE(wipe_and_free)

int seal_keys_add(struct seal_keys *keys, const char *app_key, struct error *err)
{
    if (keys->count == SEAL_KEYS_MAX)
        return error_set(err, ERROR_INVALID, "more than %d keys", SEAL_KEYS_MAX);
    scope_secret struct buf key = BUF_INIT;
    if (!text_starts_with(app_key, key_prefix) ||
        strlen(app_key) > sizeof(key_prefix) + 2 * SEAL_KEY_BYTES ||
        !base64_decode(slice_str(app_key + strlen(key_prefix)), &key) ||
        key.length != SEAL_KEY_BYTES)
        return error_set(err, ERROR_INVALID,
                         "the key is not 'base64:' and %d bytes in base64, as APP_KEY is",
                         SEAL_KEY_BYTES);
    memcpy(keys->keys[keys->count++], key.data, SEAL_KEY_BYTES);
    return 0;
}

void seal_key_make(struct buf *app_key)
{
    uint8_t key[SEAL_KEY_BYTES];
    random_bytes(key, sizeof(key));
    buf_add_str(app_key, key_prefix);
    base64_add(app_key, slice_of(key, sizeof(key)));
    OPENSSL_cleanse(key, sizeof(key));
}

/* The MAC covers the two base64 texts, not what they stand for. */
static void mac_of(const uint8_t *key, struct slice iv_base64, struct slice value_base64,
                   uint8_t mac[MAC_BYTES])
{
    scope_buf struct buf text = BUF_INIT;
    buf_add(&text, iv_base64.data, iv_base64.length);
    buf_add(&text, value_base64.data, value_base64.length);
    mac_sha256(slice_of(key, SEAL_KEY_BYTES), buf_slice(&text), mac);
}

static void encrypt(const uint8_t *key, const uint8_t *iv, struct slice plain, struct buf *out)
{
    EVP_CIPHER_CTX *context = make_context();
    buf_reserve(out, plain.length + BLOCK_BYTES);
    unsigned char *place = (unsigned char *)out->data + out->length;
    int length = 0;
    int rest = 0;
    must(EVP_EncryptInit_ex2(context, cipher, key, iv, NULL) == 1 &&
         EVP_EncryptUpdate(context, place, &length, plain.data, (int)plain.length) == 1 &&
         EVP_EncryptFinal_ex(context, place + length, &rest) == 1);
    out->length += (size_t)length + (size_t)rest;
    out->data[out->length] = '\0';
    EVP_CIPHER_CTX_free(context);
}

static bool decrypt(const uint8_t *key, const uint8_t *iv, struct slice secret, struct buf *out)
{
    EVP_CIPHER_CTX *context = make_context();
    buf_reserve(out, secret.length + BLOCK_BYTES);
    unsigned char *place = (unsigned char *)out->data + out->length;
    int length = 0;
    int rest = 0;
    bool is_good =
        EVP_DecryptInit_ex2(context, cipher, key, iv, NULL) == 1 &&
        EVP_DecryptUpdate(context, place, &length, secret.data, (int)secret.length) == 1 &&
        EVP_DecryptFinal_ex(context, place + length, &rest) == 1;
    if (is_good) {
        out->length += (size_t)length + (size_t)rest;
        out->data[out->length] = '\0';
    }
    EVP_CIPHER_CTX_free(context);
    return is_good;
}

void seal_string(const struct seal_keys *keys, const char *secret, struct buf *sealed)
{
    size_t length = strlen(secret);
    assert(keys->count > 0 && length <= SEAL_TEXT_MAX_BYTES);
    scope_secret struct buf plain = BUF_INIT;
    buf_reserve(&plain, length + 32); /* at once: growing would leave copies behind */
    buf_printf(&plain, "s:%zu:\"", length);
    buf_add(&plain, secret, length);
    buf_add_str(&plain, "\";");

    uint8_t iv[IV_BYTES];
    random_bytes(iv, sizeof(iv));
    scope_buf struct buf value = BUF_INIT;
    encrypt(keys->keys[0], iv, buf_slice(&plain), &value);
    scope_buf struct buf iv_base64 = BUF_INIT;
    scope_buf struct buf value_base64 = BUF_INIT;
    base64_add(&iv_base64, slice_of(iv, sizeof(iv)));
    base64_add(&value_base64, buf_slice(&value));
    uint8_t mac[MAC_BYTES];
    char mac_hex[2 * MAC_BYTES + 1];
    mac_of(keys->keys[0], buf_slice(&iv_base64), buf_slice(&value_base64), mac);
    hex_encode(mac, sizeof(mac), mac_hex);

    scope_buf struct buf json = BUF_INIT;
    struct json_writer w = json_writer_to(&json);
    json_begin_object(&w);
    json_field_string(&w, "iv", iv_base64.data);
    json_field_string(&w, "value", value_base64.data);
    json_field_string(&w, "mac", mac_hex);
    json_field_string(&w, "tag", "");
    json_end_object(&w);
    base64_add(sealed, buf_slice(&json));
}

static int not_sealed(struct error *err, const char *why)
{
    return error_set(err, ERROR_CORRUPT, "the stored secret cannot be opened: %s", why);
}

/* The key whose MAC fits, or NULL. */
static const uint8_t *find_key(const struct seal_keys *keys, const json_t *envelope)
{
    const char *iv = json_get_string(envelope, "iv", "");
    const char *value = json_get_string(envelope, "value", "");
    uint8_t claimed[MAC_BYTES];
    if (!hex_decode(json_get_string(envelope, "mac", ""), claimed, sizeof(claimed)))
        return NULL;
    for (size_t i = 0; i < keys->count; i++) {
        uint8_t mac[MAC_BYTES];
        mac_of(keys->keys[i], slice_str(iv), slice_str(value), mac);
        if (secret_equal(slice_of(mac, sizeof(mac)), slice_of(claimed, sizeof(claimed))))
            return keys->keys[i];
    }
    return NULL;
}

/* PHP: s:LENGTH:"BYTES"; and nothing after it. */
static bool unserialize(struct slice plain, struct slice *secret)
{
    const char *text = plain.data;
    const char *quote = plain.length > 2 ? memchr(text, '"', plain.length) : NULL;
    if (quote == NULL || quote - text < 4 || quote - text > 12 || memcmp(text, "s:", 2) != 0 ||
        quote[-1] != ':')
        return false;
    char digits[16] = "";
    memcpy(digits, text + 2, (size_t)(quote - text) - 3);
    uint64_t length;
    size_t head = (size_t)(quote - text) + 1;
    if (!text_to_u64(digits, 0, SEAL_TEXT_MAX_BYTES, &length) ||
        plain.length != head + length + 2 || memcmp(text + head + length, "\";", 2) != 0)
        return false;
    *secret = slice_of(text + head, length);
    return true;
}

int seal_open(const struct seal_keys *keys, const char *sealed, struct buf *secret,
              struct error *err)
{
    size_t length = strnlen(sealed, SEALED_MAX_BYTES + 1);
    if (length > SEALED_MAX_BYTES)
        return not_sealed(err, "it is too long");
    scope_buf struct buf json = BUF_INIT;
    struct error reason = ERROR_INIT;
    scope_json json_t *envelope = NULL;
    if (base64_decode(slice_of(sealed, length), &json))
        envelope = json_read(buf_slice(&json), &reason);
    if (!json_is_object(envelope))
        return not_sealed(err, "it is not a sealed text");
    const uint8_t *key = find_key(keys, envelope);
    if (key == NULL)
        return not_sealed(err, "it was sealed with another key, or changed");

    scope_buf struct buf iv = BUF_INIT;
    scope_buf struct buf value = BUF_INIT;
    if (!base64_decode(slice_str(json_get_string(envelope, "iv", "")), &iv) ||
        iv.length != IV_BYTES ||
        !base64_decode(slice_str(json_get_string(envelope, "value", "")), &value))
        return not_sealed(err, "its parts are not base64");
    scope_secret struct buf plain = BUF_INIT;
    struct slice text;
    if (!decrypt(key, (const uint8_t *)iv.data, buf_slice(&value), &plain) ||
        !unserialize(buf_slice(&plain), &text))
        return not_sealed(err, "it does not hold a text");
    buf_add(secret, text.data, text.length);
    return 0;
}
