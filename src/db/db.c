/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for every database: single values, times as text, migrations. */
#include "db/db.h"

#include "db/db_internal.h"

int db_query_int(struct db_session *session, const char *sql, const struct db_value *params,
                 size_t count, int64_t fallback, int64_t *value, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, sql, params, count, &rows, err) < 0)
        return -1;
    int more = db_next(&rows, err);
    if (more < 0)
        return -1;
    *value = more > 0 ? db_get_int(&rows, 0) : fallback;
    return 0;
}

static bool two_digits(const char *text, int64_t *value)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    *value = (text[0] - '0') * 10 + (text[1] - '0');
    return true;
}

/*
 * "YYYY-MM-DD HH:MM:SS" and nothing else, in a tenth of the time that time_parse() takes: lists
 * read two of them a row.  Days by H. Hinnant's "days_from_civil" (chrono-Compatible Low-Level Date
 * Algorithms): years begin in March, so that the leap day is the last.
 */
static bool read_time(const char *text, int64_t *at_us)
{
    int64_t century, year, month, day, hour, minute, second;
    if (strlen(text) != 19 || !two_digits(text, &century) || !two_digits(text + 2, &year) ||
        !two_digits(text + 5, &month) || !two_digits(text + 8, &day) ||
        !two_digits(text + 11, &hour) || !two_digits(text + 14, &minute) ||
        !two_digits(text + 17, &second))
        return false;
    if (century == 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    year += 100 * century - (month <= 2 ? 1 : 0);
    int64_t era = year / 400;
    int64_t year_of_era = year % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
                   day_of_year - 719468;
    *at_us = (((days * 24 + hour) * 60 + minute) * 60 + second) * INT64_C(1000000);
    return true;
}

int64_t db_get_time_us(const struct db_rows *rows, int column)
{
    const char *text = db_get_text(rows, column);
    if (text == NULL)
        return 0;
    int64_t at_us = 0;
    if (read_time(text, &at_us))
        return at_us;
    struct error ignored = ERROR_INIT;
    return time_parse(text, &at_us, &ignored) < 0 ? 0 : at_us;
}

const char *db_time_text(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    if (at_us == 0)
        return NULL;
    time_format_sql(at_us, text);
    return text;
}

static const char create_journal[] = "CREATE TABLE IF NOT EXISTS roost_migrations ("
                                     " component VARCHAR(64) NOT NULL,"
                                     " name VARCHAR(128) NOT NULL,"
                                     " applied_at VARCHAR(32) NOT NULL,"
                                     " PRIMARY KEY (component, name))";

static bool is_known(const char *name, const struct db_migration *migrations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(migrations[i].name, name) == 0)
            return true;
    }
    return false;
}

/* A step that this program does not know was made by a newer one, whose tables it would misread. */
static int refuse_newer(struct db_session *session, const char *component,
                        const struct db_migration *migrations, size_t count, struct error *err)
{
    scope_rows struct db_rows rows = {0};
    if (db_query(session, "SELECT name FROM roost_migrations WHERE component = ? ORDER BY name",
                 DB_PARAMS(db_text(component)), &rows, err) < 0)
        return -1;
    int more;
    while ((more = db_next(&rows, err)) > 0) {
        if (!is_known(db_get_text(&rows, 0), migrations, count))
            return error_set(err, ERROR_CONFLICT,
                             "the database was made by a newer program: '%s' has the step '%s'",
                             component, db_get_text(&rows, 0));
    }
    return more;
}

static int apply_in_transaction(struct db_session *session, const char *component,
                                const struct db_migration *migration, struct error *err)
{
    /* Asked inside the transaction: another process may be migrating, too. */
    int64_t applied;
    if (db_query_int(session,
                     "SELECT COUNT(*) FROM roost_migrations WHERE component = ? AND name = ?",
                     DB_PARAMS(db_text(component), db_text(migration->name)), 0, &applied, err) < 0)
        return -1;
    if (applied > 0)
        return 0;
    for (size_t i = 0; migration->statements[i] != NULL; i++) {
        if (session_run_once(session, migration->statements[i], err) < 0)
            return -1;
    }
    char now[TIME_TEXT_BYTES];
    return db_run(session,
                  "INSERT INTO roost_migrations (component, name, applied_at) VALUES (?, ?, ?)",
                  DB_PARAMS(db_text(component), db_text(migration->name),
                            db_text(db_time_text(time_now_us(), now))),
                  NULL, err);
}

static int apply(struct db *db, const char *component, const struct db_migration *migration,
                 struct error *err)
{
    struct db_session *session = db_begin(db, err);
    if (session == NULL)
        return -1;
    if (apply_in_transaction(session, component, migration, err) < 0) {
        db_rollback(session);
        return error_wrap(err, "migrating '%s' with '%s'", component, migration->name);
    }
    return db_commit(session, err);
}

static int prepare_journal(struct db *db, const char *component,
                           const struct db_migration *migrations, size_t count, struct error *err)
{
    struct db_session *session = db_begin(db, err);
    if (session == NULL)
        return -1;
    if (session_run_once(session, create_journal, err) < 0 ||
        refuse_newer(session, component, migrations, count, err) < 0) {
        db_rollback(session);
        return -1;
    }
    return db_commit(session, err);
}

int db_migrate(struct db *db, const char *component, const struct db_migration *migrations,
               size_t count, struct error *err)
{
    if (prepare_journal(db, component, migrations, count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (apply(db, component, &migrations[i], err) < 0)
            return -1;
    }
    return 0;
}
