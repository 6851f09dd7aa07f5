/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler may ask of a request.  Texts that are made on the way live in the exchange. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "net/http_internal.h"
#include "net/url.h"

static const char *keep(struct http_exchange *exchange, const char *bytes, size_t length)
{
    struct http_text *text = xmalloc(sizeof(*text) + length + 1);
    memcpy(text->text, bytes, length);
    text->text[length] = '\0';
    text->next = exchange->texts;
    exchange->texts = text;
    return text->text;
}

const char *http_header(const struct http_request *request, const char *name)
{
    struct http_exchange *exchange = request->exchange;
    const char *value = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
    if (value == NULL)
        return NULL;
    struct slice trimmed = text_trim(slice_str(value));
    const char *start = trimmed.data;
    return start[trimmed.length] == '\0' ? start : keep(exchange, start, trimmed.length);
}

const char *http_bearer(const struct http_request *request)
{
    const char *value = http_header(request, "Authorization");
    if (value == NULL || strncasecmp(value, "bearer ", 7) != 0)
        return NULL;
    value += 7;
    value += strspn(value, " \t");
    return *value == '\0' ? NULL : value;
}

const char *http_param(const struct http_request *request, const char *name)
{
    const struct http_route_match *match = &request->exchange->match;
    assert(match->route != NULL);
    for (size_t i = 0; i < match->route->name_count; i++)
        if (strcmp(match->route->names[i], name) == 0)
            return match->values[i];
    assert(false && "the route has no such parameter");
    return "";
}

/* Pairs that are malformed are not there. */
const char *http_query(const struct http_request *request, const char *name)
{
    struct http_exchange *exchange = request->exchange;
    struct buf text = BUF_INIT;
    const char *found = NULL;
    size_t found_length = 0;
    for (const char *cursor = exchange->query; cursor != NULL && *cursor != '\0';) {
        size_t length = strcspn(cursor, "&");
        size_t name_length = strcspn(cursor, "=&");
        buf_clear(&text);
        if (url_decode_form(slice_of(cursor, name_length), &text) && strcmp(text.data, name) == 0) {
            found = cursor + name_length + (name_length < length);
            found_length = (size_t)(cursor + length - found);
        }
        cursor += length + (cursor[length] == '&');
    }
    buf_clear(&text);
    const char *value = NULL;
    if (found != NULL && url_decode_form(slice_of(found, found_length), &text))
        value = keep(exchange, text.data, text.length);
    buf_free(&text);
    return value;
}

void request_make_id(char id[HTTP_REQUEST_ID_BYTES])
{
    /* The kernel is asked once for many: a system call for each request would show. */
    static _Thread_local unsigned char pool[1024];
    static _Thread_local size_t left;
    if (left == 0) {
        random_bytes(pool, sizeof(pool));
        left = sizeof(pool);
    }
    unsigned char *b = pool + sizeof(pool) - left;
    left -= 16;
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    static const char digits[] = "0123456789abcdef";
    char *out = id;
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[b[i] >> 4];
        *out++ = digits[b[i] & 15];
    }
    *out = '\0';
}

static bool is_trusted(const struct http_server *server, const char *address)
{
    for (char *const *range = server->trusted_proxies; *range != NULL; range++)
        if (address_in_range(address, *range))
            return true;
    return false;
}

static bool is_named(const struct guard_field *field, const char *name)
{
    return field->name.length == strlen(name) &&
           strncasecmp(field->name.data, name, field->name.length) == 0;
}

/* The last element of a comma list, which is cut off it; false: the list is empty. */
static bool take_last(struct slice *list, struct slice *element)
{
    const char *start = list->data;
    if (list->length == 0)
        return false;
    size_t i = list->length;
    while (i > 0 && start[i - 1] != ',')
        i--;
    *element = text_trim(slice_of(start + i, list->length - i));
    list->length = i > 0 ? i - 1 : 0;
    return true;
}

/* "10.0.0.1", "10.0.0.1:80", "[::1]:80", "::1" */
static bool read_address(struct slice element, char out[ADDRESS_TEXT_BYTES])
{
    char text[ADDRESS_TEXT_BYTES + 8];
    if (element.length >= sizeof(text))
        return false;
    memcpy(text, element.data, element.length);
    text[element.length] = '\0';
    char *start = text;
    char *colon = strchr(text, ':');
    if (text[0] == '[') {
        start++;
        start[strcspn(start, "]")] = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    return address_normalize(start, out);
}

/* From the right: each trusted hop tells who was before it.  False: the rest is not to be believed. */
static bool follow_hops(struct http_exchange *exchange, struct slice list)
{
    struct slice element;
    while (is_trusted(exchange->server, exchange->remote_address)) {
        char address[ADDRESS_TEXT_BYTES];
        if (!take_last(&list, &element))
            return true;
        if (!read_address(element, address))
            return false;
        memcpy(exchange->remote_address, address, sizeof(address));
    }
    return false;
}

void request_apply_proxies(struct http_exchange *exchange, const struct guard_field *fields,
                           size_t count)
{
    if (exchange->server->trusted_proxies == NULL ||
        !is_trusted(exchange->server, exchange->remote_address))
        return;
    bool goes_on = true;
    for (size_t i = count; i-- > 0;) {
        if (goes_on && is_named(&fields[i], "x-forwarded-for"))
            goes_on = follow_hops(exchange, fields[i].value);
        if (!is_named(&fields[i], "x-forwarded-proto"))
            continue;
        struct slice list = fields[i].value;
        struct slice scheme;
        if (take_last(&list, &scheme))
            exchange->request.is_tls =
                scheme.length == 5 && strncasecmp(scheme.data, "https", 5) == 0;
    }
}
