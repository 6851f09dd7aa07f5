/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens, HS256: BASE64URL(header) "." BASE64URL(claims) "." BASE64URL(mac).
 * Nothing of a token is parsed as JSON before its signature was found right.
 */
#include "crypt/jwt.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "crypt/mac.h"

struct parts {
    struct slice header, claims, signature;
    struct slice is_signed; /* header "." claims */
};

void jwt_sign(struct buf *out, struct slice key, const char *jti, struct slice claims)
{
    assert(key.length > 0);
    scope_buf struct buf header = BUF_INIT;
    struct json_writer w = json_writer_to(&header);
    json_begin_object(&w);
    json_field_string(&w, "typ", "JWT");
    json_field_string(&w, "alg", "HS256");
    json_field_string(&w, "jti", jti);
    json_end_object(&w);

    size_t start = out->length;
    base64url_add(out, buf_slice(&header));
    buf_add_char(out, '.');
    base64url_add(out, claims);
    uint8_t mac[MAC_BYTES];
    mac_sha256(key, slice_of(out->data + start, out->length - start), mac);
    buf_add_char(out, '.');
    base64url_add(out, slice_of(mac, sizeof(mac)));
}

static int split(struct slice token, struct parts *parts, struct error *err)
{
    if (token.length > JWT_MAX_BYTES)
        return error_set(err, ERROR_DENIED, "the token is longer than %d bytes", JWT_MAX_BYTES);
    const char *text = token.data;
    const char *end = text + token.length;
    const char *first = token.length > 0 ? memchr(text, '.', token.length) : NULL;
    const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
        return error_set(err, ERROR_DENIED, "the token does not have three parts");
    parts->header = slice_of(text, (size_t)(first - text));
    parts->claims = slice_of(first + 1, (size_t)(second - first - 1));
    parts->signature = slice_of(second + 1, (size_t)(end - second - 1));
    parts->is_signed = slice_of(text, (size_t)(second - text));
    return 0;
}

static int check_signature(const struct parts *parts, struct slice key, struct error *err)
{
    /* Whoever has no key would otherwise accept what anybody can sign. */
    if (key.length == 0)
        return error_set(err, ERROR_DENIED, "there is no key to check the token with");
    scope_buf struct buf signature = BUF_INIT;
    uint8_t mac[MAC_BYTES];
    mac_sha256(key, parts->is_signed, mac);
    if (!base64url_decode(parts->signature, &signature) ||
        !secret_equal(buf_slice(&signature), slice_of(mac, sizeof(mac))))
        return error_set(err, ERROR_DENIED, "the token's signature is wrong");
    return 0;
}

/* A part that is a JSON object; DENIED otherwise.  The reason must not quote the token: jansson's text may. */
static json_t *read_part(struct slice part, const char *what, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    if (!base64url_decode(part, &text)) {
        error_set(err, ERROR_DENIED, "the token's %s is not base64url", what);
        return NULL;
    }
    struct error reason = ERROR_INIT;
    scope_json json_t *object = json_read(buf_slice(&text), &reason);
    if (!json_is_object(object)) {
        error_set(err, ERROR_DENIED, "the token's %s is not a JSON object", what);
        return NULL;
    }
    return scope_take(object);
}

static int check_header(struct slice part, struct error *err)
{
    scope_json json_t *header = read_part(part, "header", err);
    if (header == NULL)
        return -1;
    if (strcmp(json_get_string(header, "alg", ""), "HS256") != 0)
        return error_set(err, ERROR_DENIED, "the token's algorithm is not HS256");
    /* RFC 7515, section 4.1.11: extensions that must be understood; none is. */
    if (json_object_get(header, "crit") != NULL)
        return error_set(err, ERROR_DENIED, "the token demands extensions that are not known");
    return 0;
}

static int check_not_before(const json_t *claims, const char *name, int64_t now_s,
                            struct error *err)
{
    const json_t *value = json_object_get(claims, name);
    if (value == NULL)
        return 0;
    if (!json_is_integer(value))
        return error_set(err, ERROR_DENIED, "the token's '%s' is not an integer", name);
    if (json_integer_value(value) > now_s + JWT_LEEWAY_S)
        return error_set(err, ERROR_DENIED, "the token's '%s' is in the future", name);
    return 0;
}

static int check_times(const json_t *claims, int64_t now_s, struct error *err)
{
    const json_t *expires = json_object_get(claims, "exp");
    if (!json_is_integer(expires))
        return error_set(err, ERROR_DENIED, "the token has no integer 'exp'");
    if (json_integer_value(expires) <= now_s)
        return error_set(err, ERROR_DENIED, "the token has expired");
    if (check_not_before(claims, "nbf", now_s, err) < 0)
        return -1;
    return check_not_before(claims, "iat", now_s, err);
}

/* Whether the words of `list`, separated by single spaces (RFC 8693, section 4.2), hold `scope`. */
static bool list_holds(const char *list, const char *scope)
{
    size_t length = strlen(scope);
    for (const char *word = list;; word++) {
        size_t word_length = strcspn(word, " ");
        if (word_length == length && memcmp(word, scope, length) == 0)
            return length > 0;
        word += word_length;
        if (*word == '\0')
            return false;
    }
}

json_t *jwt_verify(struct slice token, struct slice key, const char *scope, int64_t now_s,
                   struct error *err)
{
    struct parts parts;
    if (split(token, &parts, err) < 0 || check_signature(&parts, key, err) < 0 ||
        check_header(parts.header, err) < 0)
        return NULL;
    scope_json json_t *claims = read_part(parts.claims, "body", err);
    if (claims == NULL || check_times(claims, now_s, err) < 0)
        return NULL;
    if (!list_holds(json_get_string(claims, "scope", ""), scope)) {
        error_set(err, ERROR_DENIED, "the token's scope does not hold '%s'", scope);
        return NULL;
    }
    return scope_take(claims);
}
