/* SPDX-License-Identifier: Apache-2.0 */
/* The framing guard.  When in doubt it refuses. */
#include "net/guard.h"

#include <string.h>
#include <strings.h>

#include "net/http.h"

/* What the fields said about the frame. */
struct frame {
    struct slice host, length, coding;
    unsigned hosts, lengths, codings;
};

static bool is_alphanumeric(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct slice text)
{
    const unsigned char *in = text.data;
    for (size_t i = 0; i < text.length; i++)
        if (!is_alphanumeric(in[i]) && (in[i] == '\0' || strchr("!#$%&'*+-.^_`|~", in[i]) == NULL))
            return false;
    return text.length > 0;
}

static bool has_control_bytes(struct slice text)
{
    const unsigned char *in = text.data;
    for (size_t i = 0; i < text.length; i++)
        if ((in[i] < 0x20 && in[i] != '\t') || in[i] == 0x7f)
            return true;
    return false;
}

static bool is_name(struct slice text, const char *name)
{
    return text.length == strlen(name) && strncasecmp(text.data, name, text.length) == 0;
}

/*
 * A folded line arrives glued to the name of the field that it continues.  For
 * fields that frame the body that would hide them.
 */
static bool hides_a_frame(struct slice name)
{
    static const char *const framing[] = {"content-length", "transfer-encoding"};
    for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
        size_t length = strlen(framing[i]);
        if (name.length > length && strncasecmp(name.data, framing[i], length) == 0)
            return true;
    }
    return false;
}

static const char *check_field(const struct guard_field *field, struct frame *frame)
{
    if (!is_token(field->name) || hides_a_frame(field->name))
        return "A header's name is malformed.";
    if (has_control_bytes(field->value))
        return "A header's value has control bytes.";
    if (is_name(field->name, "host")) {
        frame->host = field->value;
        frame->hosts++;
    } else if (is_name(field->name, "content-length")) {
        frame->length = field->value;
        frame->lengths++;
    } else if (is_name(field->name, "transfer-encoding")) {
        frame->coding = field->value;
        frame->codings++;
    }
    return NULL;
}

/* Digits, few enough not to overflow. */
static bool read_length(struct slice text, uint64_t *length)
{
    const char *in = text.data;
    if (text.length == 0 || text.length > 18)
        return false;
    *length = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (in[i] < '0' || in[i] > '9')
            return false;
        *length = *length * 10 + (uint64_t)(in[i] - '0');
    }
    return true;
}

static bool is_host(struct slice text)
{
    const unsigned char *in = text.data;
    for (size_t i = 0; i < text.length; i++)
        if (!is_alphanumeric(in[i]) && (in[i] == '\0' || strchr(".-_:[]%", in[i]) == NULL))
            return false;
    return text.length > 0 && text.length <= 255 + 6;
}

static const char *check_frame(const struct frame *frame, bool is_old,
                               struct guard_verdict *verdict)
{
    if (frame->hosts != 1 || !is_host(frame->host))
        return "Exactly one Host header is needed.";
    if (frame->lengths > 1 || frame->codings > 1 || (frame->lengths > 0 && frame->codings > 0))
        return "The request's length is ambiguous.";
    if (frame->codings == 1) {
        if (is_old || !is_name(frame->coding, "chunked"))
            return "The only transfer coding here is chunked, in HTTP/1.1.";
        verdict->has_body = true;
        verdict->is_chunked = true;
    }
    if (frame->lengths == 1) {
        if (!read_length(frame->length, &verdict->body_bytes))
            return "The Content-Length is not a number.";
        verdict->has_body = verdict->body_bytes > 0;
    }
    return NULL;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The path of a target in origin form, or in absolute form for this very host (RFC 9112, section 3.2). */
static const char *find_path(const char *target, struct slice host)
{
    if (target[0] == '/')
        return target;
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    if (scheme == 0 || strncasecmp(target + scheme, host.data, host.length) != 0)
        return NULL;
    const char *path = target + scheme + host.length;
    return path[0] == '\0' ? "/" : path[0] == '/' ? path : NULL;
}

static const char *check_target(const char *target)
{
    bool is_in_path = true;
    for (const char *c = target; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte <= 0x20 || byte == 0x7f)
            return "The address has blanks or control bytes.";
        if (byte == '?')
            is_in_path = false;
        if (byte != '%' || !is_in_path)
            continue;
        int high = hex_value(c[1]);
        int low = high < 0 ? -1 : hex_value(c[2]);
        if (low < 0 || (high == 0 && low == 0))
            return "The address has a malformed escape.";
    }
    return NULL;
}

static struct guard_verdict refuse(unsigned status, const char *reason)
{
    return (struct guard_verdict){.status = status, .reason = reason};
}

struct guard_verdict guard_check(const struct guard_head *head)
{
    struct guard_verdict verdict = {0};
    bool is_old = strcmp(head->version, "HTTP/1.0") == 0;
    if (!is_old && strcmp(head->version, "HTTP/1.1") != 0)
        return refuse(400, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    if (head->bytes > HTTP_HEAD_MAX_BYTES || head->field_count > GUARD_FIELDS_MAX)
        return refuse(431, "The request's headers are too large.");
    if (strlen(head->target) > HTTP_PATH_MAX_BYTES)
        return refuse(414, "The address is too long.");

    struct frame frame = {0};
    const char *reason = NULL;
    for (size_t i = 0; i < head->field_count && reason == NULL; i++)
        reason = check_field(&head->fields[i], &frame);
    if (reason == NULL)
        reason = check_frame(&frame, is_old, &verdict);
    if (reason == NULL)
        reason = check_target(head->target);
    if (reason != NULL)
        return refuse(400, reason);
    verdict.path = find_path(head->target, frame.host);
    if (verdict.path == NULL)
        return refuse(400, "The address is not a path.");
    return verdict;
}
