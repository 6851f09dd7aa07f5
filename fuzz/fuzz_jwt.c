/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: the input as a whole token, and, since no fuzzer guesses a signature, as the claims and
 * as the header of a rightly signed one.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scope.h"
#include "base/text.h"
#include "crypt/jwt.h"
#include "crypt/mac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[] = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

static void verify(struct slice token)
{
    struct error err = ERROR_INIT;
    scope_json json_t *claims = jwt_verify(token, slice_str(key), "backup-download", 1000, &err);
    if (claims == NULL)
        assert(err.code == ERROR_DENIED);
    else
        assert(json_is_integer(json_object_get(claims, "exp")) && !error_is_set(&err));
}

static void verify_with_header(struct slice header)
{
    scope_buf struct buf token = BUF_INIT;
    uint8_t mac[MAC_BYTES];
    base64url_add(&token, header);
    buf_add_char(&token, '.');
    base64url_add(&token, slice_str("{\"exp\":2000,\"scope\":\"backup-download\"}"));
    mac_sha256(slice_str(key), buf_slice(&token), mac);
    buf_add_char(&token, '.');
    base64url_add(&token, slice_of(mac, sizeof(mac)));
    verify(buf_slice(&token));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    verify(input);
    scope_buf struct buf token = BUF_INIT;
    jwt_sign(&token, slice_str(key), "fuzz", input);
    verify(buf_slice(&token));
    verify_with_header(input);
    return 0;
}
