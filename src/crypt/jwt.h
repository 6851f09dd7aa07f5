/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPT_JWT_H
#define CRYPT_JWT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

/*
 * JSON Web Tokens (RFC 7519), HS256 only: the algorithm is pinned, never taken from the token.
 */
enum {
    JWT_MAX_BYTES = 8192,
    JWT_LEEWAY_S = 60
};

/* header {"typ":"JWT","alg":"HS256","jti":<jti>}; `claims` is a complete JSON object. */
void jwt_sign(struct buf *out, struct slice key, const char *jti, struct slice claims);

/*
 * The claims of a good token, the caller's to json_decref(): signature right, `exp` there
 * and not past at `now_s`, `nbf` and `iat` (where there) not in the future by more than
 * JWT_LEEWAY_S, and `scope` a space-separated list that holds `scope`.  A token without
 * scope is refused.  DENIED otherwise; the text says why, without the token.
 */
json_t *jwt_verify(struct slice token, struct slice key, const char *scope, int64_t now_s,
                   struct error *err);

#endif
