/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The panel's end of the remote API: what nodes report, and how servers are described to them.
 * A report's rules are upstream's; what is stored of it is bounded here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/remote_api.h"
#include "base/text.h"
#include "base/time.h"

enum {
    ETAG_MAX_BYTES = 256
};

/* As upstream: an empty text is an absent one. */
static const json_t *find_field(const json_t *body, const char *field)
{
    const json_t *value = json_object_get(body, field);
    if (json_is_null(value))
        return NULL;
    if (json_is_string(value) &&
        text_trim(slice_of(json_string_value(value), json_string_length(value))).length == 0)
        return NULL;
    return value;
}

static bool to_bool(const json_t *value, bool *out)
{
    const char *text = json_string_value(value);
    if (json_is_boolean(value))
        *out = json_is_true(value);
    else if (json_is_integer(value) &&
             (json_integer_value(value) == 0 || json_integer_value(value) == 1))
        *out = json_integer_value(value) == 1;
    else if (text != NULL && (strcmp(text, "0") == 0 || strcmp(text, "1") == 0))
        *out = *text == '1';
    else
        return false;
    return true;
}

static bool to_number(const json_t *value, uint64_t *out)
{
    if (json_is_string(value))
        return text_to_u64(json_string_value(value), 0, INT64_MAX, out);
    if (json_is_real(value)) {
        double number = json_real_value(value);
        if (!(number >= 0 && number < 9007199254740992.0)) /* 2^53: beyond, doubles skip integers */
            return false;
        *out = (uint64_t)number;
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static void add_required_if(struct api_violations *violations, const char *field,
                            const char *shown_name)
{
    api_violation_add(violations, field, "required_if",
                      "The %s field is required when successful is true.", shown_name);
}

/* Checksums become part of a column that is split at ':' again. */
static bool is_plain_token(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("-_+/=", *c) == NULL)
            return false;
    return true;
}

static void read_token(const json_t *body, const char *field, const char *shown_name,
                       struct slice out, struct api_violations *violations)
{
    const json_t *value = find_field(body, field);
    if (value == NULL)
        return;
    if (!json_is_string(value))
        api_violation_add(violations, field, "string", "The %s must be a string.", shown_name);
    else if (json_string_length(value) >= out.length)
        api_violation_add(violations, field, "max",
                          "The %s may not be greater than %zu characters.", shown_name,
                          out.length - 1);
    else if (!is_plain_token(json_string_value(value)))
        api_violation_add(violations, field, "regex", "The %s format is invalid.", shown_name);
    else
        snprintf((char *)out.data, out.length, "%s", json_string_value(value));
}

static void read_part(const json_t *part, size_t index, struct api_violations *violations)
{
    char field[64];
    const json_t *etag = find_field(part, "etag");
    snprintf(field, sizeof(field), "parts.%zu.etag", index);
    if (etag == NULL)
        api_violation_add(violations, field, "required", "The %s field is required.", field);
    else if (!json_is_string(etag))
        api_violation_add(violations, field, "string", "The %s must be a string.", field);
    else if (json_string_length(etag) > ETAG_MAX_BYTES)
        api_violation_add(violations, field, "max", "The %s may not be greater than %d characters.",
                          field, ETAG_MAX_BYTES);

    uint64_t ignored;
    const json_t *number = find_field(part, "part_number");
    snprintf(field, sizeof(field), "parts.%zu.part_number", index);
    if (number == NULL)
        api_violation_add(violations, field, "required", "The %s field is required.", field);
    else if (!to_number(number, &ignored))
        api_violation_add(violations, field, "numeric", "The %s must be a number.", field);
}

static void read_parts(const json_t *body, struct remote_report *report,
                       struct api_violations *violations)
{
    const json_t *parts = find_field(body, "parts");
    if (parts == NULL)
        return;
    if (!json_is_array(parts)) {
        api_violation_add(violations, "parts", "array", "The parts must be an array.");
        return;
    }
    report->part_count = json_array_size(parts);
    if (report->part_count > REMOTE_PARTS_MAX) {
        api_violation_add(violations, "parts", "max", "The parts may not have more than %d items.",
                          REMOTE_PARTS_MAX);
        return;
    }
    for (size_t i = 0; i < report->part_count && violations->count < API_VIOLATIONS_MAX; i++)
        read_part(json_array_get(parts, i), i, violations);
}

static void read_successful(const json_t *body, struct remote_report *report,
                            struct api_violations *violations)
{
    const json_t *successful = find_field(body, "successful");
    if (successful == NULL)
        api_violation_add(violations, "successful", "required",
                          "The successful field is required.");
    else if (!to_bool(successful, &report->is_successful))
        api_violation_add(violations, "successful", "boolean",
                          "The successful field must be true or false.");
}

static void read_size(const json_t *body, struct remote_report *report,
                      struct api_violations *violations)
{
    const json_t *size = find_field(body, "size");
    if (size == NULL && report->is_successful)
        add_required_if(violations, "size", "size");
    else if (size != NULL && !to_number(size, &report->size_bytes))
        api_violation_add(violations, "size", "numeric", "The size must be a number.");
}

void remote_api_read_report(const json_t *body, struct remote_report *report,
                            struct api_violations *violations)
{
    *report = (struct remote_report){0};
    read_successful(body, report, violations);
    read_token(body, "checksum", "checksum", slice_of(report->checksum, sizeof(report->checksum)),
               violations);
    read_token(body, "checksum_type", "checksum type",
               slice_of(report->checksum_type, sizeof(report->checksum_type)), violations);
    if (report->is_successful && find_field(body, "checksum") == NULL)
        add_required_if(violations, "checksum", "checksum");
    if (report->is_successful && find_field(body, "checksum_type") == NULL)
        add_required_if(violations, "checksum_type", "checksum type");
    read_size(body, report, violations);
    read_parts(body, report, violations);
}

static uint64_t read_count(const json_t *body, const char *key)
{
    int64_t count = json_get_int(body, key, 0);
    return count > 0 ? (uint64_t)count : 0;
}

void remote_api_read_progress(const json_t *body, struct remote_progress *progress)
{
    progress->is_waiting = json_is_true(json_object_get(body, "waiting"));
    progress->entries = read_count(body, "entries");
    progress->content_bytes = read_count(body, "content_bytes");
    progress->expected_bytes = read_count(body, "expected_bytes");
}

void remote_api_read_restore_report(const json_t *body, struct remote_restore_report *report)
{
    struct error ignored = ERROR_INIT;
    bool is_successful = false;
    *report = (struct remote_restore_report){.kept_until_us = 0};
    report->is_successful =
        to_bool(json_object_get(body, "successful"), &is_successful) && is_successful;
    const char *until = json_get_string(body, "kept_until", NULL);
    if (until != NULL && time_parse(until, &report->kept_until_us, &ignored) < 0)
        report->kept_until_us = 0;
    if (!uuid_canonicalize(json_get_string(body, "backup", ""), report->backup))
        report->backup[0] = '\0';
    if (report->is_successful)
        return;
    /* Cut in the middle of a character it would be no UTF-8 any more. */
    const char *text = json_get_string(body, "error", "");
    size_t length = strnlen(text, sizeof(report->error) - 1);
    while (length > 0 && !utf8_is_valid(slice_of(text, length)))
        length--;
    snprintf(report->error, sizeof(report->error), "%.*s", (int)length, text);
}

static void put_empty_object(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_begin_object(w);
    json_end_object(w);
}

static void put_empty_array(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_begin_array(w);
    json_end_array(w);
}

static void put_build(struct json_writer *w, const struct remote_server *server)
{
    json_key(w, "build");
    json_begin_object(w);
    json_field_int(w, "memory_limit", 0);
    json_field_int(w, "swap", 0);
    json_field_int(w, "io_weight", 500);
    json_field_int(w, "cpu_limit", 0);
    json_field_string(w, "threads", NULL);
    json_field_int(w, "disk_space", server->disk_mib);
    json_field_bool(w, "oom_disabled", false);
    json_end_object(w);
}

static void put_settings(struct json_writer *w, const struct remote_server *server)
{
    json_key(w, "settings");
    json_begin_object(w);
    json_field_string(w, "uuid", server->uuid);
    json_key(w, "meta");
    json_begin_object(w);
    json_field_string(w, "name", server->name);
    json_field_string(w, "description", "");
    json_end_object(w);
    json_field_bool(w, "suspended", server->is_suspended);
    put_empty_object(w, "environment");
    json_field_string(w, "invocation", "");
    json_field_bool(w, "skip_egg_scripts", true);
    put_build(w, server);
    json_key(w, "container");
    json_begin_object(w);
    json_field_string(w, "image", "");
    json_field_bool(w, "requires_rebuild", false);
    json_end_object(w);
    json_key(w, "allocations");
    json_begin_object(w);
    json_field_bool(w, "force_outgoing_ip", false);
    json_key(w, "default");
    json_begin_object(w);
    json_field_string(w, "ip", "127.0.0.1");
    json_field_int(w, "port", 0);
    json_end_object(w);
    put_empty_object(w, "mappings");
    json_end_object(w);
    put_empty_array(w, "mounts");
    json_key(w, "egg");
    json_begin_object(w);
    json_field_string(w, "id", "");
    put_empty_array(w, "file_denylist");
    json_end_object(w);
    json_end_object(w);
}

void remote_api_write_server(struct json_writer *w, const struct remote_server *server,
                             bool wants_uuid_outside)
{
    json_begin_object(w);
    if (wants_uuid_outside)
        json_field_string(w, "uuid", server->uuid);
    put_settings(w, server);
    json_key(w, "process_configuration");
    json_begin_object(w);
    json_key(w, "startup");
    json_begin_object(w);
    put_empty_array(w, "done");
    put_empty_array(w, "user_interaction");
    json_field_bool(w, "strip_ansi", false);
    json_end_object(w);
    json_key(w, "stop");
    json_begin_object(w);
    json_field_string(w, "type", "stop");
    json_field_string(w, "value", NULL);
    json_end_object(w);
    put_empty_array(w, "configs");
    json_end_object(w);
    json_end_object(w);
}
