/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/json.h"

/* What commands print.  Texts of others (names, paths, a panel's words) may hold control bytes: they never reach a terminal. */

/* `text` for people: control bytes and what is not UTF-8 as \xNN. */
void shown_add(struct buf *out, struct slice text);

/* A line to standard error: "roost: …". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line to standard output, control bytes escaped. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text and a line end to standard output, as it is: JSON, YAML, scripts. */
void print_text(const struct buf *text);

/*
 * Columns.  The first row is the heading; every row has as many cells.  Cells are copied.
 *
 *     scope_table struct table table = {.columns = 2};
 *     table_add(&table, (const char *[]){"NAME", "ID"});
 */
enum {
    TABLE_COLUMNS_MAX = 10
};
struct table {
    size_t columns;
    size_t rows;
    char **cells;
};
void table_add(struct table *table, const char *const *cells);
void table_print(const struct table *table);
void table_free(struct table *table);
#define scope_table __attribute__((cleanup(table_free)))

/* A time for people, "2026-01-31 17:05:09" in UTC; "-" for 0. */
const char *shown_time(int64_t at_us, char text[40]);

#endif
