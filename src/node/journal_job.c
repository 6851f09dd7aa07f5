/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs in the journal: accepted in one step, ended in one step. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/time.h"
#include "node/journal_internal.h"

static const char *const kind_names[] = {
    [JOB_BACKUP] = "backup", [JOB_RESTORE] = "restore", [JOB_UNDO] = "undo"};
static const char *const phase_names[] = {[JOB_QUEUED] = "queued",
                                          [JOB_STAGING] = "staging",
                                          [JOB_EXCHANGING] = "exchanging",
                                          [JOB_EXCHANGED] = "exchanged"};

const char *job_kind_name(enum job_kind kind)
{
    return kind_names[kind];
}

enum job_kind job_kind_parse(const char *name)
{
    for (int kind = JOB_RESTORE; kind <= JOB_UNDO; kind++)
        if (strcmp(name, kind_names[kind]) == 0)
            return (enum job_kind)kind;
    return JOB_BACKUP;
}

void journal_job_clear(struct journal_job *job)
{
    free(job->order);
    free(job->stage_parent);
    free(job->live_name);
    free(job->stage_name);
    *job = (struct journal_job){.id = 0};
}

int journal_add_job(struct journal *journal, struct journal_job *job, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    job->created_at_us = time_now_us();
    int result =
        db_run(session, "DELETE FROM outbox WHERE kind = ? AND backup = ?",
               DB_PARAMS(db_text(job_kind_name(job->kind)), db_text(job->backup)), NULL, err);
    if (result == 0)
        result =
            db_run(session,
                   "INSERT INTO jobs (kind, phase, server, backup, created_at_us, request)"
                   " VALUES (?, ?, ?, ?, ?, ?)",
                   DB_PARAMS(db_text(job_kind_name(job->kind)), db_text(phase_names[job->phase]),
                             db_text(job->server), db_text(job->backup), db_int(job->created_at_us),
                             db_text(job->order)),
                   NULL, err);
    int64_t id = result == 0 ? db_last_id(session) : 0;
    if (result == 0 && job->order_id[0] != '\0')
        result = journal_void_in(session, job->order_id, err);
    if (journal_finish(session, result, err) < 0)
        return error_wrap(err, "recording the order for backup %s", job->backup);
    job->id = id;
    return 0;
}

int journal_set_phase(struct journal *journal, const struct journal_job *job, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int64_t changed = 0;
    int result =
        db_run(session,
               "UPDATE jobs SET phase = ?, stage_parent = ?, live_name = ?, stage_name = ?,"
               " stage_device = ?, stage_inode = ? WHERE id = ? AND is_cancelled = 0",
               DB_PARAMS(db_text(phase_names[job->phase]), db_text(job->stage_parent),
                         db_text(job->live_name), db_text(job->stage_name),
                         db_int(job->stage_device), db_int(job->stage_inode), db_int(job->id)),
               &changed, err);
    if (result == 0 && changed == 0)
        result = error_set(err, ERROR_CANCELLED, "the restore was cancelled");
    if (journal_finish(session, result, err) < 0)
        return error_wrap(err, "recording how far the restore of backup %s is", job->backup);
    return 0;
}

static char *copy_text(const struct db_rows *rows, int column)
{
    const char *text = db_get_text(rows, column);
    return text == NULL ? NULL : xstrdup(text);
}

static void copy_uuid(char out[UUID_TEXT_BYTES], const char *text)
{
    if (text == NULL || !uuid_canonicalize(text, out))
        out[0] = '\0';
}

static enum job_phase parse_phase(const char *name)
{
    for (int phase = JOB_QUEUED; phase <= JOB_EXCHANGED; phase++)
        if (strcmp(name, phase_names[phase]) == 0)
            return (enum job_phase)phase;
    return JOB_QUEUED;
}

static void read_job(const struct db_rows *rows, struct journal_job *job)
{
    *job = (struct journal_job){
        .id = db_get_int(rows, 0),
        .kind = job_kind_parse(db_get_text(rows, 1)),
        .phase = parse_phase(db_get_text(rows, 2)),
        .created_at_us = db_get_int(rows, 5),
        .order = copy_text(rows, 6),
        .stage_parent = copy_text(rows, 7),
        .live_name = copy_text(rows, 8),
        .stage_name = copy_text(rows, 9),
        .stage_device = (uint64_t)db_get_int(rows, 10),
        .stage_inode = (uint64_t)db_get_int(rows, 11),
        .is_cancelled = db_get_int(rows, 12) != 0,
    };
    copy_uuid(job->server, db_get_text(rows, 3));
    copy_uuid(job->backup, db_get_text(rows, 4));
}

bool journal_is_restoring(struct journal *journal, const char *server)
{
    struct error ignored = ERROR_INIT;
    struct db_session *session = db_reader(journal->db, &ignored);
    int64_t count = 0;
    return session == NULL ||
           db_query_int(session,
                        "SELECT (SELECT COUNT(*) FROM jobs WHERE server = ? AND kind <> 'backup') +"
                        " (SELECT COUNT(*) FROM outbox WHERE server = ? AND kind <> 'backup')",
                        DB_PARAMS(db_text(server), db_text(server)), 0, &count, &ignored) < 0 ||
           count > 0;
}

int journal_each_job(struct journal *journal,
                     int (*visit)(const struct journal_job *job, void *context, struct error *err),
                     void *context, struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL ||
        db_query(session,
                 "SELECT id, kind, phase, server, backup, created_at_us, request, stage_parent,"
                 " live_name, stage_name, stage_device, stage_inode, is_cancelled FROM jobs"
                 " ORDER BY id",
                 DB_NO_PARAMS, &rows, err) < 0)
        return -1;
    int result;
    while ((result = db_next(&rows, err)) > 0) {
        struct journal_job job;
        read_job(&rows, &job);
        result = visit(&job, context, err);
        journal_job_clear(&job);
        if (result < 0)
            break;
    }
    db_rows_end(&rows);
    return result;
}

int journal_pending_backups(struct journal *journal, char (*backups)[UUID_TEXT_BYTES], size_t max,
                            struct error *err)
{
    struct db_session *session = db_reader(journal->db, err);
    struct db_rows rows;
    if (session == NULL || db_query(session,
                                    "SELECT backup FROM jobs WHERE kind = 'backup'"
                                    " UNION SELECT backup FROM outbox WHERE kind = 'backup'",
                                    DB_NO_PARAMS, &rows, err) < 0)
        return -1;
    size_t count = 0;
    int result = 0;
    while (count < max && (result = db_next(&rows, err)) > 0)
        copy_uuid(backups[count++], db_get_text(&rows, 0));
    db_rows_end(&rows);
    return result < 0 ? -1 : (int)count;
}

static int put_archive(struct db_session *session, const struct journal_archive *archive,
                       const char *capture, struct error *err)
{
    if (db_run(session, "DELETE FROM archives WHERE backup = ?",
               DB_PARAMS(db_text(archive->backup)), NULL, err) < 0)
        return -1;
    return db_run(session,
                  "INSERT INTO archives (backup, server, checksum_type, checksum, size_bytes,"
                  " created_at_us, capture) VALUES (?, ?, ?, ?, ?, ?, ?)",
                  DB_PARAMS(db_text(archive->backup), db_text(archive->server),
                            db_text(archive->checksum_type), db_text(archive->checksum),
                            db_int(archive->size_bytes), db_int(archive->created_at_us),
                            db_text(capture)),
                  NULL, err);
}

int journal_end_job(struct journal *journal, int64_t job_id, const struct journal_report *report,
                    const struct journal_archive *archive, const char *capture, struct error *err)
{
    struct db_session *session = db_begin(journal->db, err);
    if (session == NULL)
        return -1;
    int64_t is_cancelled = 0;
    int result = archive == NULL
                     ? 0
                     : db_query_int(session, "SELECT is_cancelled FROM jobs WHERE id = ?",
                                    DB_PARAMS(db_int(job_id)), 0, &is_cancelled, err);
    if (result >= 0 && is_cancelled != 0)
        result = error_set(err, ERROR_CANCELLED, "it was cancelled");
    int64_t was_there = 0;
    if (result >= 0)
        result = db_run(session, "DELETE FROM jobs WHERE id = ?", DB_PARAMS(db_int(job_id)),
                        &was_there, err);
    /* A backup that was forgotten meanwhile is nobody's any more. */
    bool is_wanted = result == 0 && was_there > 0;
    if (is_wanted && archive != NULL)
        result = put_archive(session, archive, capture, err);
    if (is_wanted && result == 0)
        result = journal_put_report(session, report, err);
    if (journal_finish(session, result, err) < 0)
        return error_wrap(err, "recording the end of the %s of backup %s",
                          job_kind_name(report->kind), report->backup);
    return 0;
}
