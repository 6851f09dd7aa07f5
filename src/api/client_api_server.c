/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The panel's end of the client API: what requests say.  As upstream, texts are trimmed and an
 * empty one counts as absent before any rule looks at it; booleans are true, false, 1, 0, "1" and
 * "0".
 */
#include <stdio.h>
#include <string.h>

#include "api/client_api.h"
#include "base/text.h"
#include "net/url.h"

enum {
    FORM_PAIRS_MAX = 64,
    PAGE_DEFAULT = 20,
    PAGE_MAX = 50,
    PAGE_NUMBER_MAX = INT32_MAX,
    FILES_PAGE_MAX = 5000, /* and the default */
};

/* ---- bodies ---- */

enum body_type {
    BODY_OTHER,
    BODY_JSON,
    BODY_FORM,
    BODY_MULTIPART,
};

/* Media types have no case, and may carry parameters ("; charset=utf-8"). */
static enum body_type type_of(const char *content_type)
{
    if (content_type == NULL)
        return BODY_OTHER;
    struct slice type = text_trim(slice_of(content_type, strcspn(content_type, ";")));
    char name[80];
    snprintf(name, sizeof(name), "%.*s", (int)type.length, (const char *)type.data);
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (text_ends_with(name, "/json") || text_ends_with(name, "+json"))
        return BODY_JSON;
    if (text_starts_with(name, "multipart/"))
        return BODY_MULTIPART;
    return strcmp(name, "application/x-www-form-urlencoded") == 0 ? BODY_FORM : BODY_OTHER;
}

struct form {
    json_t *object;
    bool is_valid;
};

static void add_pair(const char *name, const char *value, void *context)
{
    struct form *form = context;
    /* jansson refuses what is not UTF-8. */
    if (json_object_set_new(form->object, name, json_string(value)) < 0)
        form->is_valid = false;
}

static int read_form(struct slice text, json_t **body, struct error *err)
{
    struct form form = {.object = json_object(), .is_valid = true};
    if (!url_each_pair(text, FORM_PAIRS_MAX, add_pair, &form) || !form.is_valid) {
        json_decref(form.object);
        return error_set(err, ERROR_INVALID, "the form is not well encoded");
    }
    *body = form.object;
    return 0;
}

static int read_json(struct slice text, json_t **body, struct error *err)
{
    scope_json json_t *value = json_read(text, err);
    if (value == NULL)
        return -1;
    /* PHP's clients send [] for "no fields". */
    if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
        return 0;
    if (!json_is_object(value))
        return error_set(err, ERROR_INVALID, "an object was expected");
    *body = scope_take(value);
    return 0;
}

int client_api_parse_body(const char *content_type, struct slice bytes, json_t **body,
                          struct error *err)
{
    *body = NULL;
    if (bytes.length == 0)
        return 0;
    /* curl -d says "form", whatever it sends. */
    bool looks_like_json = *(const char *)bytes.data == '{';
    switch (type_of(content_type)) {
    case BODY_JSON:
        return read_json(bytes, body, err);
    case BODY_FORM:
        return looks_like_json ? read_json(bytes, body, err) : read_form(bytes, body, err);
    case BODY_MULTIPART: /* upstream reads it; to pass over a "truncate" of 0 would delete files */
        return error_set(err, ERROR_INVALID, "multipart forms are not read here, JSON is");
    case BODY_OTHER:
        break;
    }
    return looks_like_json ? read_json(bytes, body, err) : 0;
}

int client_api_read_body(const struct http_request *request, json_t **body, struct error *err)
{
    return client_api_parse_body(http_header(request, "Content-Type"), request->body, body, err);
}

/* ---- fields ---- */

static void add_not_text(struct api_violations *violations, const char *field)
{
    api_violation_add(violations, field, "string", "The %s must be a string.", field);
}

/* The trimmed text of a field; false where it is absent, null, empty, or no text (a violation). */
static bool read_text(const json_t *body, const char *field, struct slice *text,
                      struct api_violations *violations)
{
    const json_t *value = json_object_get(body, field);
    if (value == NULL || json_is_null(value))
        return false;
    if (!json_is_string(value)) {
        add_not_text(violations, field);
        return false;
    }
    *text = text_trim(slice_of(json_string_value(value), json_string_length(value)));
    return text->length > 0;
}

static void read_bool(const json_t *body, const char *field, const char *shown_name, bool *value,
                      struct api_violations *violations)
{
    const json_t *given = json_object_get(body, field);
    if (given == NULL || json_is_null(given))
        return;
    if (json_is_boolean(given)) {
        *value = json_is_true(given);
        return;
    }
    if (json_is_integer(given) &&
        (json_integer_value(given) == 0 || json_integer_value(given) == 1)) {
        *value = json_integer_value(given) == 1;
        return;
    }
    if (json_is_string(given)) {
        struct slice text =
            text_trim(slice_of(json_string_value(given), json_string_length(given)));
        if (text.length == 0)
            return;
        if (slice_equal(text, slice_str("0")) || slice_equal(text, slice_str("1"))) {
            *value = *(const char *)text.data == '1';
            return;
        }
    }
    api_violation_add(violations, field, "boolean", "The %s field must be true or false.",
                      shown_name);
}

/* ---- ignored ---- */

static bool is_blank(struct slice line)
{
    return text_trim(line).length == 0;
}

/* One pattern a line; blank ones and the '\r' of another system's line ends are dropped. */
static void add_line(struct buf *patterns, struct slice line)
{
    const char *text = line.data;
    while (line.length > 0 && text[line.length - 1] == '\r')
        line.length--;
    if (is_blank(line))
        return;
    if (patterns->length > 0)
        buf_add_char(patterns, '\n');
    buf_add(patterns, line.data, line.length);
}

static void add_lines(struct buf *patterns, struct slice text)
{
    const char *at = text.data;
    const char *end = at + text.length;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        add_line(patterns, slice_of(at, (size_t)(line_end - at)));
        at = line_end + 1;
    }
}

/* "*.log, *.tmp": commas separate, "\," is a comma; any other escape is the pattern's own. */
static void add_comma_list(struct buf *patterns, struct slice text)
{
    scope_buf struct buf part = BUF_INIT;
    const char *s = text.data;
    for (size_t i = 0; i < text.length; i++) {
        bool is_escape = s[i] == '\\' && i + 1 < text.length;
        if (is_escape && s[i + 1] == ',') {
            buf_add_char(&part, s[++i]);
        } else if (is_escape) {
            buf_add(&part, s + i++, 2);
        } else if (s[i] == ',') {
            add_line(patterns, text_trim(buf_slice(&part)));
            buf_clear(&part);
        } else {
            buf_add_char(&part, s[i]);
        }
    }
    add_line(patterns, text_trim(buf_slice(&part)));
}

static void add_array(struct buf *patterns, const json_t *array, struct api_violations *violations)
{
    size_t index;
    json_t *item;
    json_array_foreach(array, index, item)
    {
        if (!json_is_string(item)) {
            char field[64];
            snprintf(field, sizeof(field), "ignored.%zu", index);
            add_not_text(violations, field);
            return;
        }
        add_lines(patterns, slice_of(json_string_value(item), json_string_length(item)));
    }
}

static void read_ignored(const json_t *body, struct buf *patterns,
                         struct api_violations *violations)
{
    const json_t *value = json_object_get(body, "ignored");
    struct slice text;
    if (json_is_array(value)) {
        add_array(patterns, value, violations);
    } else if (read_text(body, "ignored", &text, violations)) {
        if (memchr(text.data, '\n', text.length) != NULL)
            add_lines(patterns, text);
        else
            add_comma_list(patterns, text);
    }
    if (patterns->length > CLIENT_IGNORED_MAX_BYTES)
        api_violation_add(violations, "ignored", "max",
                          "The ignored may not be greater than %d characters.",
                          CLIENT_IGNORED_MAX_BYTES);
}

/* ---- files ---- */

/* An empty list is refused: whoever meant nothing must not get everything. */
static void read_files(const json_t *body, struct selection **files,
                       struct api_violations *violations)
{
    const json_t *list = json_object_get(body, "files");
    struct error reason = ERROR_INIT;
    char field[32] = "files";
    int index;
    if (list == NULL || json_is_null(list))
        return;
    *files = api_files_read(list, &index, &reason);
    if (*files == NULL) {
        if (index >= 0)
            snprintf(field, sizeof(field), "files.%d", index);
        api_violation_add(violations, field, index < 0 ? "array" : "path", "The %s %s", field,
                          reason.text);
    } else if (selection_is_everything(*files)) {
        selection_free(*files);
        *files = NULL;
    }
}

/* ---- requests ---- */

void client_api_read_create(const json_t *body, struct client_create *create,
                            struct api_violations *violations)
{
    *create = (struct client_create){.name = BUF_INIT, .ignored = BUF_INIT};
    struct slice name;
    if (read_text(body, "name", &name, violations)) {
        if (utf8_count(name) > CLIENT_NAME_MAX_CHARACTERS)
            api_violation_add(violations, "name", "max",
                              "The name may not be greater than %d characters.",
                              CLIENT_NAME_MAX_CHARACTERS);
        else if (!slice_equal(name, slice_str("0"))) /* for PHP, that is no name */
            buf_add(&create->name, name.data, name.length);
    }
    read_ignored(body, &create->ignored, violations);
    read_bool(body, "is_locked", "is locked", &create->is_locked, violations);
}

void client_create_free(struct client_create *create)
{
    buf_free(&create->name);
    buf_free(&create->ignored);
    *create = (struct client_create){.name = BUF_INIT, .ignored = BUF_INIT};
}

void client_api_read_restore(const json_t *body, struct client_restore *restore,
                             struct api_violations *violations)
{
    *restore = (struct client_restore){.truncate = true, .ignored = BUF_INIT};
    read_bool(body, "truncate", "truncate", &restore->truncate, violations);
    read_files(body, &restore->files, violations);
    read_bool(body, "leave_ignored", "leave ignored", &restore->leaves_ignored, violations);
    const json_t *ignored = json_object_get(body, "ignored");
    restore->has_ignored = ignored != NULL && !json_is_null(ignored);
    read_ignored(body, &restore->ignored, violations);
    /* Whoever gives a list wants it to protect something. */
    if (restore->has_ignored && !restore->leaves_ignored)
        api_violation_add(violations, "ignored", "prohibited_unless",
                          "The ignored field is prohibited unless leave ignored is true.");
}

void client_restore_free(struct client_restore *restore)
{
    selection_free(restore->files);
    buf_free(&restore->ignored);
    *restore = (struct client_restore){.ignored = BUF_INIT};
}

static int64_t read_positive(const char *text, int64_t fallback, int64_t max)
{
    if (text == NULL || *text == '\0' || text[strspn(text, "0123456789")] != '\0' ||
        text[strspn(text, "0")] == '\0')
        return fallback;
    uint64_t value;
    return text_to_u64(text, 1, (uint64_t)max, &value) ? (int64_t)value : max;
}

void client_api_parse_page(const char *page_text, const char *per_page_text,
                           struct client_page *page)
{
    page->page = read_positive(page_text, 1, PAGE_NUMBER_MAX);
    page->per_page = read_positive(per_page_text, PAGE_DEFAULT, PAGE_MAX);
}

void client_api_read_files_page(const struct http_request *request, struct client_page *page)
{
    page->page = read_positive(http_query(request, "page"), 1, PAGE_NUMBER_MAX);
    page->per_page = read_positive(http_query(request, "per_page"), FILES_PAGE_MAX, FILES_PAGE_MAX);
}

void client_api_read_page(const struct http_request *request, struct client_page *page)
{
    client_api_parse_page(http_query(request, "page"), http_query(request, "per_page"), page);
}
