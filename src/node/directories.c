/* SPDX-License-Identifier: Apache-2.0 */
/* Reading where directories were attached, beside a node that may be running. */
#include <fcntl.h>

#include "base/mem.h"
#include "base/scope.h"
#include "node/journal_internal.h"
#include "node/node.h"

int node_each_directory(const char *state_directory,
                        int (*visit)(const char *server_uuid, const char *path, void *context,
                                     struct error *err),
                        void *context, struct error *err)
{
    scope_free char *file = xasprintf("%s/node.db", state_directory);
    if (access(file, F_OK) < 0)
        return 0; /* no node was ever started here, nothing attached */
    struct db *db = journal_open_database(state_directory, err);
    if (db == NULL)
        return -1;
    struct db_rows rows = {0};
    struct db_session *session = db_reader(db, err);
    int more = -1;
    if (session != NULL && db_query(session, "SELECT server, path FROM directories ORDER BY server",
                                    DB_NO_PARAMS, &rows, err) == 0) {
        while ((more = db_next(&rows, err)) > 0) {
            if (visit(db_get_text(&rows, 0), db_get_text(&rows, 1), context, err) < 0) {
                more = -1;
                break;
            }
        }
        db_rows_end(&rows);
    }
    db_close(db);
    return more;
}
