/* SPDX-License-Identifier: Apache-2.0 */
/* A file as the answer: conditions first (RFC 9110, section 13.2.2), then the range (section 14). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "net/http_internal.h"

enum range_kind {
    RANGE_WHOLE,
    RANGE_PART,
    RANGE_NONE, /* cannot be satisfied */
};

struct range {
    uint64_t offset, length;
};

/* Digits at `*cursor`; a number too large becomes the largest. */
static bool read_number(const char **cursor, uint64_t *value)
{
    const char *start = *cursor;
    *value = 0;
    for (; **cursor >= '0' && **cursor <= '9'; (*cursor)++) {
        uint64_t digit = (uint64_t)(**cursor - '0');
        *value = *value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *value * 10 + digit;
    }
    return *cursor > start;
}

/* Malformed, or more than one range: the whole file, as the RFC allows. */
static enum range_kind parse_range(const char *text, uint64_t size, struct range *range)
{
    if (strncasecmp(text, "bytes=", 6) != 0)
        return RANGE_WHOLE;
    const char *cursor = text + 6;
    uint64_t first;
    uint64_t last;
    bool has_first = read_number(&cursor, &first);
    if (*cursor++ != '-')
        return RANGE_WHOLE;
    bool has_last = read_number(&cursor, &last);
    if (*cursor != '\0' || (!has_first && !has_last) || (has_first && has_last && last < first))
        return RANGE_WHOLE;
    if (!has_first) {
        first = last < size ? size - last : 0;
        if (last == 0)
            return RANGE_NONE;
        has_last = false;
    }
    if (first >= size)
        return RANGE_NONE;
    uint64_t end = has_last && last < size ? last + 1 : size;
    *range = (struct range){.offset = first, .length = end - first};
    return RANGE_PART;
}

static bool is_weak(const char *tag)
{
    return tag[0] == 'W' && tag[1] == '/';
}

/* Whether a list of entity tags names `etag`.  Weak tags count only where `weak_counts`. */
static bool list_has_tag(const char *list, const char *etag, bool weak_counts)
{
    const char *opaque = is_weak(etag) ? etag + 2 : etag;
    if (is_weak(etag) && !weak_counts)
        return false;
    size_t length = strlen(opaque);
    const char *cursor = list + strspn(list, " \t,");
    if (strcmp(cursor, "*") == 0)
        return true;
    while (*cursor != '\0') {
        bool is_this_weak = is_weak(cursor);
        cursor += is_this_weak ? 2 : 0;
        const char *close = *cursor == '"' ? strchr(cursor + 1, '"') : NULL;
        if (close == NULL)
            return false;
        size_t found = (size_t)(close + 1 - cursor);
        if (found == length && memcmp(cursor, opaque, length) == 0 &&
            (weak_counts || !is_this_weak))
            return true;
        cursor = close + 1;
        cursor += strspn(cursor, " \t,");
    }
    return false;
}

/* 0, 304 or 412. */
static unsigned check_conditions(const struct http_request *request, const char *etag,
                                 const char *modified)
{
    const char *match = http_header(request, "If-Match");
    if (match != NULL && !list_has_tag(match, etag, false))
        return 412;
    const char *none_match = http_header(request, "If-None-Match");
    if (none_match != NULL)
        return list_has_tag(none_match, etag, true) ? 304 : 0;
    const char *since = http_header(request, "If-Modified-Since");
    return since != NULL && strcmp(since, modified) == 0 ? 304 : 0;
}

static enum range_kind choose_range(const struct http_request *request, const char *etag,
                                    const char *modified, uint64_t size, struct range *range)
{
    const char *wanted = request->method == HTTP_GET ? http_header(request, "Range") : NULL;
    if (wanted == NULL)
        return RANGE_WHOLE;
    const char *condition = http_header(request, "If-Range");
    if (condition != NULL) {
        bool holds = condition[0] == '"' ? !is_weak(etag) && strcmp(condition, etag) == 0
                                         : strcmp(condition, modified) == 0;
        if (!holds)
            return RANGE_WHOLE;
    }
    return parse_range(wanted, size, range);
}

static void answer_error(struct http_reply *reply, const struct http_request *request, int fd,
                         unsigned status)
{
    close(fd);
    reply_drop_header(reply, "Content-Type");
    reply_drop_header(reply, "Content-Disposition");
    exchange_write_error(request->exchange, status,
                         status == 412 ? "The file is not the one that was expected."
                                       : "The file does not have that range.");
}

void http_reply_file(struct http_reply *reply, const struct http_request *request, int fd,
                     uint64_t size_bytes, int64_t modified_at_us, const char *etag)
{
    char modified[TIME_TEXT_BYTES];
    time_format_http(modified_at_us, modified);
    http_reply_header(reply, "ETag", etag);
    http_reply_header(reply, "Last-Modified", modified);
    http_reply_header(reply, "Accept-Ranges", "bytes");

    unsigned status = check_conditions(request, etag, modified);
    if (status == 412) {
        answer_error(reply, request, fd, status);
        return;
    }
    if (status == 304) {
        close(fd);
        reply->status = status;
        return;
    }
    char text[80];
    struct range range = {.offset = 0, .length = size_bytes};
    enum range_kind kind = choose_range(request, etag, modified, size_bytes, &range);
    if (kind == RANGE_NONE) {
        snprintf(text, sizeof(text), "bytes */%" PRIu64, size_bytes);
        http_reply_header(reply, "Content-Range", text);
        answer_error(reply, request, fd, 416);
        return;
    }
    if (kind == RANGE_PART) {
        snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.offset,
                 range.offset + range.length - 1, size_bytes);
        http_reply_header(reply, "Content-Range", text);
        reply->status = 206;
    }
    reply->fd = fd;
    reply->fd_offset = range.offset;
    reply->fd_length = range.length;
}
