/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite's result codes mean to a caller. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "db/db_internal.h"

static enum error_code code_of(int result, int os_errno)
{
    switch (result & 0xff) {
    case SQLITE_FULL:
        return ERROR_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERROR_UNAVAILABLE;
    case SQLITE_CONSTRAINT:
        return ERROR_CONFLICT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERROR_CORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERROR_DENIED;
    case SQLITE_TOOBIG:
        return ERROR_LIMIT;
    case SQLITE_IOERR:
        /* SQLite knows ENOSPC as FULL, but neither the quota nor the limit of a file's size. */
        return os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG ? ERROR_NO_SPACE
                                                                             : ERROR_IO;
    default:
        return ERROR_IO;
    }
}

/* SQLite forgets the reason of a COMMIT that fails; errno still has it. */
static int os_errno_of(sqlite3 *connection, int result)
{
    int kind = result & 0xff;
    int before = errno;
    if (connection == NULL || (kind != SQLITE_IOERR && kind != SQLITE_CANTOPEN))
        return 0;
    int known = sqlite3_system_errno(connection);
    return known != 0 ? known : before;
}

int sqlite_error(struct error *err, sqlite3 *connection, int result, const char *format, ...)
{
    int os_errno = os_errno_of(connection, result);
    char what[sizeof(err->text) / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);

    if ((result & 0xff) == SQLITE_CANTOPEN && os_errno != 0)
        return error_set_os(err, os_errno, "%s", what);
    char reason[128] = "";
    if (os_errno != 0)
        snprintf(reason, sizeof(reason), " (errno %d)", os_errno);
    error_set(err, code_of(result, os_errno), "%s: %s%s", what,
              connection != NULL ? sqlite3_errmsg(connection) : sqlite3_errstr(result), reason);
    err->os_errno = os_errno;
    return -1;
}
