/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a copy: bounded in items and in the length of each, exact in its counts. */
#include "snapshot/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "snapshot/entry.h"

enum {
    DETAIL_MAX_BYTES = 400
};

void report_init(struct report *report)
{
    *report = (struct report){0};
}

void report_free(struct report *report)
{
    for (size_t i = 0; i < report->item_count; i++) {
        free(report->items[i].path);
        free(report->items[i].detail);
    }
    free(report->items);
    report_init(report);
}

void report_add(struct report *report, enum report_kind kind, struct slice path, const char *format,
                ...)
{
    if (report == NULL)
        return;
    report->omissions++;
    if (report->item_count == REPORT_ITEMS_MAX)
        return;
    if ((report->item_count & (report->item_count - 1)) == 0) {
        size_t capacity = report->item_count == 0 ? 1 : report->item_count * 2;
        report->items = xreallocarray(report->items, capacity, sizeof(*report->items));
    }

    char detail[DETAIL_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    size_t length = path.length < ENTRY_PATH_MAX_BYTES ? path.length : ENTRY_PATH_MAX_BYTES;
    report->items[report->item_count++] = (struct report_item){
        .kind = kind,
        .path = xstrndup(length > 0 ? path.data : "", length),
        .detail = xstrdup(detail),
    };
}

const char *report_kind_name(enum report_kind kind)
{
    switch (kind) {
    case REPORT_CHANGED:
        return "changed";
    case REPORT_VANISHED:
        return "vanished";
    case REPORT_UNREADABLE:
        return "unreadable";
    case REPORT_SKIPPED:
        return "skipped";
    case REPORT_REFUSED:
        return "refused";
    case REPORT_ALTERED:
        return "altered";
    }
    return "unknown";
}

void report_write_json(const struct report *report, struct json_writer *w, size_t items_max)
{
    json_begin_object(w);
    json_field_uint(w, "files", report->files);
    json_field_uint(w, "directories", report->directories);
    json_field_uint(w, "symlinks", report->symlinks);
    json_field_uint(w, "hardlinks", report->hardlinks);
    json_field_uint(w, "content_bytes", report->content_bytes);
    json_field_uint(w, "ignored", report->ignored);
    json_field_uint(w, "omissions", report->omissions);
    json_key(w, "items");
    json_begin_array(w);
    for (size_t i = 0; i < report->item_count && i < items_max; i++) {
        json_begin_object(w);
        json_field_string(w, "kind", report_kind_name(report->items[i].kind));
        json_field_string(w, "path", report->items[i].path);
        json_field_string(w, "detail", report->items[i].detail);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}
