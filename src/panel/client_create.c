/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating a backup.  The rules are looked at and the row is made in one transaction under the
 * writer's lock, so that no two requests get the same last slot; the row is committed before the
 * node hears of it, so that the node may report at once.  Afterwards one of four things happened:
 *
 *   the node took it          the row lives by its lease
 *   the node refused          the row is erased: nobody has it
 *   the node was not reached  likewise
 *   the answer was lost       the row stays, creating: the node's report completes it, or its lease
 *                             ends and fails it.  Erasing it would orphan an archive.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "db/activity.h"
#include "panel/internal.h"

/* What the transaction found. */
struct admission {
    enum api_error refusal; /* API_ERROR_COUNT: none */
    int64_t limit;
    int64_t retry_after_s; /* of the throttle */
};

static int check_throttle(struct client_call *call, struct db_session *session,
                          struct admission *admission, struct error *err)
{
    const struct panel_config *config = &call->panel->config;
    if (config->throttle_limit == 0 || config->throttle_period_s == 0)
        return 0;
    int64_t period_us = (int64_t)config->throttle_period_s * 1000000;
    int64_t count, frees_from_us;
    /* Columns hold whole seconds: rounded up, so that a row ages when Retry-After says. */
    int64_t since_us = call->now_us - period_us + 999999;
    if (backup_count_since(session, call->view->server.id, since_us, config->throttle_limit, &count,
                           &frees_from_us, err) < 0)
        return -1;
    if (count < config->throttle_limit)
        return 0;
    admission->refusal = API_ERROR_BACKUP_THROTTLE;
    int64_t wait_us = frees_from_us + period_us - call->now_us;
    admission->retry_after_s = wait_us > 0 ? wait_us / 1000000 + 1 : 1;
    return 0;
}

static int check_limits(struct client_call *call, struct db_session *session,
                        struct admission *admission, struct error *err)
{
    struct backup_counts counts;
    if (panel_fail_dead(call->panel, session, call->now_us, err) < 0 ||
        backup_count(session, call->view->server.id, &counts, err) < 0)
        return -1;
    if (counts.non_failed >= admission->limit)
        admission->refusal = API_ERROR_TOO_MANY_BACKUPS;
    else if (counts.creating > 0)
        admission->refusal = API_ERROR_BACKUP_RUNNING;
    return 0;
}

/* The state was looked at before the lock was ours. */
static int check_state_again(struct client_call *call, struct db_session *session,
                             struct admission *admission, struct error *err)
{
    struct server server = {0};
    int found = server_find_by_id(session, call->view->server.id, &server, err);
    if (found == 0)
        admission->refusal = API_ERROR_NOT_FOUND;
    if (found > 0) {
        admission->limit = server.backup_limit;
        admission->refusal = client_state_error(&server, call->view->is_node_in_maintenance,
                                                call->operation, call->auth->is_root_admin);
    }
    server_free(&server);
    return found < 0 ? -1 : 0;
}

static int admit(struct client_call *call, struct db_session *session, struct admission *admission,
                 struct error *err)
{
    if (check_state_again(call, session, admission, err) < 0)
        return -1;
    if (admission->refusal == API_ERROR_COUNT && check_throttle(call, session, admission, err) < 0)
        return -1;
    if (admission->refusal == API_ERROR_COUNT && check_limits(call, session, admission, err) < 0)
        return -1;
    return 0;
}

static void refuse_admission(struct client_call *call, const struct admission *admission)
{
    char seconds[24];
    const struct panel_config *config = &call->panel->config;
    if (admission->refusal == API_ERROR_BACKUP_THROTTLE) {
        api_error_reply(call->reply, call->dialect, API_ERROR_BACKUP_THROTTLE,
                        (int)config->throttle_limit, (int)config->throttle_period_s);
        snprintf(seconds, sizeof(seconds), "%" PRId64, admission->retry_after_s);
        http_reply_header(call->reply, "Retry-After", seconds);
    } else if (admission->refusal == API_ERROR_TOO_MANY_BACKUPS) {
        api_error_reply(call->reply, call->dialect, API_ERROR_TOO_MANY_BACKUPS,
                        (int)admission->limit);
    } else {
        client_refuse(call, admission->refusal);
    }
}

static char *lines_to_json(const struct buf *lines)
{
    struct buf json = BUF_INIT;
    struct json_writer w = json_writer_to(&json);
    json_begin_array(&w);
    const char *at = lines->data;
    while (*at != '\0') {
        size_t length = strcspn(at, "\n");
        json_put_string_slice(&w, slice_of(at, length));
        at += at[length] == '\n' ? length + 1 : length;
    }
    json_end_array(&w);
    return buf_steal(&json);
}

static char *make_name(const struct client_create *create, int64_t now_us)
{
    if (create->name.length > 0)
        return xstrdup(create->name.data);
    char at[TIME_TEXT_BYTES];
    time_format_sql(now_us, at);
    return xasprintf("Backup at %s", at);
}

static void prepare_row(struct client_call *call, const struct client_create *create,
                        struct backup *row)
{
    bool may_lock = (call->view->permissions & PERMISSION_BACKUP_DELETE) != 0;
    *row = (struct backup){
        .server_id = call->view->server.id,
        .is_locked = create->is_locked && may_lock,
        .name = make_name(create, call->now_us),
        .ignored_files = lines_to_json(&create->ignored),
        .disk = "wings",
        .created_at_us = call->now_us,
        .lease_until_us = call->now_us + (int64_t)call->panel->config.lease_s * 1000000,
    };
}

/* 0: look at the admission; where it has no refusal, the row is durable. */
static int insert(struct client_call *call, const struct client_create *create,
                  struct admission *admission, struct backup *row, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    struct client_event event = {"server:backup.start", row, "locked", create->is_locked};
    if (admit(call, session, admission, err) < 0)
        goto undo;
    if (admission->refusal != API_ERROR_COUNT) {
        db_rollback(session);
        return 0;
    }
    if (backup_insert(session, row, err) < 0 || client_record(call, session, &event, err) < 0)
        goto undo;
    return db_commit(session, err);
undo:
    db_rollback(session);
    return -1;
}

static int erase_in(struct client_call *call, struct db_session *session, const struct backup *row,
                    struct error *err)
{
    struct backup now = {0};
    int found = backup_find_by_id(session, row->id, &now, err);
    bool is_untouched = found > 0 && now.completed_at_us == 0;
    backup_free(&now);
    if (found < 0)
        return -1;
    if (!is_untouched)
        return 0;
    struct backup gone = *row;
    gone.id = 0; /* the entry is about the server only */
    struct client_event event = {.name = "server:backup.fail", .backup = &gone};
    if (client_record(call, session, &event, err) < 0)
        return -1;
    return backup_erase(session, row->id, err);
}

/* The node does not have it: as if it had never been asked for, but for the activity log. */
static void erase(struct client_call *call, const struct backup *row)
{
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(call->panel->db, &err);
    if (session != NULL)
        (void)client_finish(session, erase_in(call, session, row, &err), API_ERROR_COUNT, &err);
    if (error_is_set(&err))
        log_error("a backup that its node refused was not erased; its lease will fail it "
                  "backup=%s reason='%s'",
                  row->uuid, err.text);
}

static bool dispatch(struct client_call *call, const struct node_link *link,
                     const struct client_create *create, const struct backup *row)
{
    struct node_backup_order order = {.adapter = NODE_ADAPTER_WINGS, .ignore = create->ignored};
    memcpy(order.backup, row->uuid, sizeof(order.backup));
    struct node_address address = node_link_address(link);
    struct node_outcome outcome;
    if (node_api_backup(call->panel->nodes, &address, call->view->server.uuid, &order, &outcome))
        return true;
    if (outcome.status == 0 && outcome.may_have_arrived)
        log_warning("a backup may or may not have been started; its lease will tell backup=%s",
                    row->uuid);
    else
        erase(call, row);
    client_refuse_outcome(call, &outcome);
    return false;
}

static void create_with(struct client_call *call, const struct client_create *create,
                        const struct node_link *link)
{
    struct error err = ERROR_INIT;
    struct backup row;
    prepare_row(call, create, &row);
    struct admission admission = {.refusal = API_ERROR_COUNT};
    if (insert(call, create, &admission, &row, &err) < 0) {
        client_fail(call, &err);
    } else if (admission.refusal != API_ERROR_COUNT) {
        refuse_admission(call, &admission);
    } else if (dispatch(call, link, create, &row)) {
        log_info("backup started server=%s backup=%s", call->view->server.uuid, row.uuid);
        struct json_writer w = json_writer_to(http_reply_body(call->reply));
        client_write_backup(&w, &row);
    }
    backup_free(&row);
}

void client_backup_create(struct client_call *call)
{
    struct error err = ERROR_INIT;
    struct client_create create;
    struct api_violations violations = {0};
    struct node_link link = NODE_LINK_INIT;
    client_api_read_create(call->body, &create, &violations);
    if (violations.count > 0)
        api_violations_reply(call->reply, &violations);
    else if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                            &err) < 0)
        client_fail(call, &err);
    else
        create_with(call, &create, &link);
    node_link_close(&link);
    client_create_free(&create);
}
