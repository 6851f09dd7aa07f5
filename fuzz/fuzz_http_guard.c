/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framing guard.  An input is "TARGET VERSION\n" and lines "NAME:VALUE\n", cut as
 * libmicrohttpd cuts them.  Whatever passes must mean one thing, which is checked here by
 * counting again.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/scope.h"
#include "net/guard.h"
#include "net/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count_fields(const struct guard_head *head, const char *name)
{
    unsigned count = 0;
    for (size_t i = 0; i < head->field_count; i++)
        count += head->fields[i].name.length == strlen(name) &&
                 strncasecmp(head->fields[i].name.data, name, strlen(name)) == 0;
    return count;
}

static void check_accepted(const struct guard_head *head, const struct guard_verdict *verdict)
{
    unsigned lengths = count_fields(head, "Content-Length");
    unsigned codings = count_fields(head, "Transfer-Encoding");
    assert(count_fields(head, "Host") == 1);
    assert(lengths + codings <= 1);
    assert(verdict->is_chunked == (codings == 1));
    assert(lengths == 1 || verdict->body_bytes == 0);
    assert(verdict->path[0] == '/' && strlen(verdict->path) <= HTTP_PATH_MAX_BYTES);
    assert(strcasestr(verdict->path, "%00") == NULL || strchr(verdict->path, '?') != NULL);
    for (size_t i = 0; i < head->field_count; i++)
        assert(memchr(head->fields[i].value.data, '\0', head->fields[i].value.length) == NULL);
}

static void read_field(char *line, size_t length, struct guard_field *field)
{
    char *colon = memchr(line, ':', length);
    size_t name_length = colon == NULL ? length : (size_t)(colon - line);
    size_t value_at = colon == NULL ? length : name_length + 1;
    field->name = slice_of(line, name_length);
    field->value = slice_of(line + value_at, length - value_at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scope_buf struct buf text = BUF_INIT;
    buf_add(&text, data, size);
    static struct guard_field fields[GUARD_FIELDS_MAX];
    struct guard_head head = {.fields = fields, .version = "", .target = text.data, .bytes = size};
    size_t line_length = strcspn(text.data, "\n");
    char *rest = text.data + line_length + (text.data[line_length] == '\n');
    char *blank = memchr(text.data, ' ', line_length);
    text.data[line_length] = '\0';
    if (blank != NULL) {
        *blank = '\0';
        head.version = blank + 1;
    }
    const char *end = text.data + text.length;
    while (rest < end && head.field_count < GUARD_FIELDS_MAX) {
        char *stop = memchr(rest, '\n', (size_t)(end - rest));
        size_t length = stop == NULL ? (size_t)(end - rest) : (size_t)(stop - rest);
        read_field(rest, length, &fields[head.field_count++]);
        rest += length + (stop != NULL);
    }
    struct guard_verdict verdict = guard_check(&head);
    assert((verdict.status == 0) == (verdict.path != NULL));
    if (verdict.status == 0)
        check_accepted(&head, &verdict);
    return 0;
}
