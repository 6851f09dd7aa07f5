/* SPDX-License-Identifier: Apache-2.0 */
/* Printing: nothing that others wrote reaches the terminal unescaped. */
#include "cli/console.h"

#include <stdarg.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/time.h"

/* Length of the valid UTF-8 sequence at `bytes`, or 0. */
static size_t sequence_length(const unsigned char *bytes, size_t left)
{
    size_t length = bytes[0] < 0x80 ? 1 : bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    return length <= left && utf8_is_valid(slice_of(bytes, length)) ? length : 0;
}

/* C0, DEL, and C1 in UTF-8 (U+0080 to U+009F), which some terminals obey too. */
static bool is_control(const unsigned char *bytes, size_t length)
{
    return bytes[0] < 0x20 || bytes[0] == 0x7f ||
           (length == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

void shown_add(struct buf *out, struct slice text)
{
    const unsigned char *bytes = text.data;
    for (size_t i = 0; i < text.length;) {
        size_t length = sequence_length(bytes + i, text.length - i);
        if (length > 0 && !is_control(bytes + i, length)) {
            buf_add(out, bytes + i, length);
        } else {
            length = length == 0 ? 1 : length;
            for (size_t k = 0; k < length; k++)
                buf_printf(out, "\\x%02x", bytes[i + k]);
        }
        i += length;
    }
}

__attribute__((format(printf, 3, 0))) static void print_line(FILE *stream, const char *prefix,
                                                             const char *format, va_list args)
{
    scope_buf struct buf shown = BUF_INIT;
    char *line = NULL;
    int length = vasprintf(&line, format, args);
    if (length < 0)
        return;
    shown_add(&shown, slice_of(line, (size_t)length));
    free(line);
    fprintf(stream, "%s%s\n", prefix, shown.data);
}

void complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    print_line(stderr, "roost: ", format, args);
    va_end(args);
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(stdout, "", format, args);
    va_end(args);
}

void print_text(const struct buf *text)
{
    fwrite(text->data, 1, text->length, stdout);
    if (text->length == 0 || text->data[text->length - 1] != '\n')
        fputc('\n', stdout);
}

void table_add(struct table *table, const char *const *cells)
{
    size_t at = table->rows * table->columns;
    table->cells = xreallocarray(table->cells, at + table->columns, sizeof(char *));
    for (size_t i = 0; i < table->columns; i++) {
        struct buf cell = BUF_INIT;
        shown_add(&cell, slice_str(cells[i] == NULL ? "-" : cells[i]));
        table->cells[at + i] = buf_steal(&cell);
    }
    table->rows++;
}

void table_print(const struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    size_t count = table->rows * table->columns;
    for (size_t i = 0; i < count; i++) {
        size_t width = utf8_count(slice_str(table->cells[i]));
        size_t *widest = &widths[i % table->columns];
        if (width > *widest)
            *widest = width;
    }
    for (size_t i = 0; i < count; i++) {
        size_t column = i % table->columns;
        bool is_last = column + 1 == table->columns;
        size_t width = utf8_count(slice_str(table->cells[i]));
        fputs(table->cells[i], stdout);
        printf("%*s", is_last ? 0 : (int)(widths[column] - width + 2), "");
        if (is_last)
            fputc('\n', stdout);
    }
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
}

const char *shown_time(int64_t at_us, char text[40])
{
    if (at_us == 0)
        return "-";
    time_format_sql(at_us, text);
    return text;
}
