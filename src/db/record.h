/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_RECORD_H
#define DB_RECORD_H

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "db/db.h"

/* What the records share: copying a row's columns, naming what is missing. */

/* As much of `text` as fits; NULL is "". */
static inline void record_copy(char *out, size_t size, const char *text)
{
    size_t length = text == NULL ? 0 : strnlen(text, size - 1);
    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}
#define record_copy_to(array, text) record_copy((array), sizeof(array), (text))

/* A row's text as a record lends it to a visitor; NULL stays NULL. */
static inline char *record_borrow(const struct db_rows *rows, int column)
{
    return (char *)db_get_text(rows, column);
}

/* Makes a borrowed text the record's own. */
static inline void record_own(char **text)
{
    if (*text != NULL)
        *text = xstrdup(*text);
}

/* NOT_FOUND where a statement touched no row. */
static inline int record_must_exist(int64_t changed, const char *what, int64_t id,
                                    struct error *err)
{
    if (changed > 0)
        return 0;
    return error_set(err, ERROR_NOT_FOUND, "there is no %s %" PRId64, what, id);
}

#endif
