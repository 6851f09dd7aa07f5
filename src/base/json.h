/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/scope.h"

/*
 * Reading: jansson, strict (duplicate keys, trailing bytes, bad UTF-8 and NUL in
 * strings are errors).  The result is the caller's to json_decref(); INVALID says what and where.
 * The caller bounds `text.length`; depth is bounded here, and how many values there are: a value
 * takes some hundred bytes, however short its text is.
 */
enum {
    JSON_DEPTH_MAX = 64,
    JSON_VALUES_MAX = 100 * 1000
};
json_t *json_read(struct slice text, struct error *err);

static inline void scope_json_end(json_t **value)
{
    json_decref(*value);
}
#define scope_json SCOPE(scope_json_end)

/* The string, integer or boolean below `key`, or the fallback where it is missing or of another type. */
const char *json_get_string(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);

/*
 * Writing: straight into a buf, commas by itself.  Keys are literals of ours
 * and not escaped.  Bytes of a string that are not UTF-8 become U+FFFD.
 *
 *     struct json_writer w = json_writer_to(&body);
 *     json_begin_object(&w);
 *     json_key(&w, "uuid"); json_put_string(&w, backup->uuid);
 *     json_end_object(&w);
 */
struct json_writer {
    struct buf *out;
    bool needs_comma;
};

struct json_writer json_writer_to(struct buf *out);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_put_string(struct json_writer *w, const char *text); /* NULL writes null */
void json_put_string_slice(struct json_writer *w, struct slice text);
void json_put_int(struct json_writer *w, int64_t value);
void json_put_uint(struct json_writer *w, uint64_t value);
void json_put_bool(struct json_writer *w, bool value);
void json_put_double(struct json_writer *w,
                     double value); /* three decimals; null where not finite */
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, struct slice json); /* JSON that is trusted */

/* A key and its value in one line. */
void json_field_string(struct json_writer *w, const char *key, const char *text);
void json_field_int(struct json_writer *w, const char *key, int64_t value);
void json_field_uint(struct json_writer *w, const char *key, uint64_t value);
void json_field_bool(struct json_writer *w, const char *key, bool value);

#endif
