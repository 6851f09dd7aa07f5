/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over all backups: for those who watch, not for requests of clients. */
#include "db/backup.h"

#define COUNT_WHERE(condition) " SUM(CASE WHEN " condition " THEN 1 ELSE 0 END)"

int backup_each_totals(struct db_session *session,
                       int (*visit)(const struct backup_totals *totals, void *context,
                                    struct error *err),
                       void *context, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(
            session,
            "SELECT s.uuid," COUNT_WHERE("b.id IS NOT NULL AND b.completed_at IS NULL") "," COUNT_WHERE(
                "b.completed_at IS NOT NULL AND b.is_successful = 1") "," COUNT_WHERE("b.completed_"
                                                                                      "at IS NOT "
                                                                                      "NULL AND "
                                                                                      "b.is_"
                                                                                      "successful "
                                                                                      "= 0") ","
                                                                                             " SUM("
                                                                                             "CASE "
                                                                                             "WHEN "
                                                                                             "b.is_"
                                                                                             "succe"
                                                                                             "ssful"
                                                                                             " = 1 "
                                                                                             "THEN "
                                                                                             "b."
                                                                                             "bytes"
                                                                                             " ELSE"
                                                                                             " 0 "
                                                                                             "END),"
                                                                                             " MAX("
                                                                                             "CASE "
                                                                                             "WHEN "
                                                                                             "b.is_"
                                                                                             "succe"
                                                                                             "ssful"
                                                                                             " = 1 "
                                                                                             "THEN "
                                                                                             "b."
                                                                                             "compl"
                                                                                             "eted_"
                                                                                             "at "
                                                                                             "END)"
                                                                                             " FROM"
                                                                                             " serv"
                                                                                             "ers s"
                                                                                             " LEFT"
                                                                                             " JOIN"
                                                                                             " back"
                                                                                             "ups "
                                                                                             "b ON "
                                                                                             "b."
                                                                                             "serve"
                                                                                             "r_id "
                                                                                             "= "
                                                                                             "s.id "
                                                                                             "AND "
                                                                                             "b."
                                                                                             "delet"
                                                                                             "ed_"
                                                                                             "at "
                                                                                             "IS "
                                                                                             "NULL"
                                                                                             " GROU"
                                                                                             "P BY "
                                                                                             "s.id,"
                                                                                             " s."
                                                                                             "uuid "
                                                                                             "ORDER"
                                                                                             " BY "
                                                                                             "s.id",
            DB_NO_PARAMS, &rows, err) < 0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0) {
        struct backup_totals totals = {
            .server = db_get_text(&rows, 0),
            .creating = db_get_int(&rows, 1),
            .completed = db_get_int(&rows, 2),
            .failed = db_get_int(&rows, 3),
            .bytes = db_get_int(&rows, 4),
            .newest_us = db_get_time_us(&rows, 5),
        };
        if (visit(&totals, context, err) < 0)
            return -1;
    }
    return more;
}

int backup_next_lease(struct db_session *session, int64_t *until_us, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    *until_us = 0;
    if (db_query(session,
                 "SELECT MIN(r.lease_until) FROM roost_backups r"
                 " JOIN backups b ON b.id = r.backup_id"
                 " WHERE b.completed_at IS NULL AND b.deleted_at IS NULL",
                 DB_NO_PARAMS, &rows, err) < 0)
        return -1;
    int found = db_next(&rows, err);
    if (found > 0)
        *until_us = db_get_time_us(&rows, 0);
    return found < 0 ? -1 : 0;
}
