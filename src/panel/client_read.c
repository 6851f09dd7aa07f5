/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that only look at backups: list, view, and the way to a download. */
#include <inttypes.h>
#include <stdio.h>

#include "panel/internal.h"
#include "panel/page.h"

static struct client_backup describe(const struct backup *backup)
{
    return (struct client_backup){
        .uuid = backup->uuid,
        .name = backup->name,
        .ignored_files = backup->ignored_files,
        .checksum = backup->checksum,
        .bytes = backup->bytes,
        .created_at_us = backup->created_at_us,
        .completed_at_us = backup->completed_at_us,
        .is_successful = backup->is_successful,
        .is_locked = backup->is_locked,
    };
}

void client_write_backup(struct json_writer *w, const struct backup *backup)
{
    const struct client_backup view = describe(backup);
    client_api_write_backup(w, &view);
}

struct listing {
    struct json_writer w;
    int64_t count;
};

static int list_one(const struct backup *backup, void *context, struct error *err)
{
    struct listing *listing = context;
    client_write_backup(&listing->w, backup);
    listing->count++;
    return 0;
}

static int write_list(struct client_call *call, const struct client_page *page, struct error *err)
{
    int64_t server_id = call->view->server.id;
    struct db_session *session = call->reader->session;
    struct listing listing = {.w = json_writer_to(http_reply_body(call->reply))};
    struct json_writer *w = &listing.w;
    json_begin_object(w);
    json_field_string(w, "object", "list");
    json_key(w, "data");
    json_begin_array(w);
    if (backup_each(session, server_id, page->per_page, (page->page - 1) * page->per_page, list_one,
                    &listing, err) < 0)
        return -1;
    json_end_array(w);

    struct backup_counts counts;
    if (backup_count(session, server_id, &counts, err) < 0)
        return -1;
    json_key(w, "meta");
    json_begin_object(w);
    json_field_int(w, "backup_count", counts.non_failed);
    char base_url[1024];
    snprintf(base_url, sizeof(base_url), "%s/api/client/servers/%s/backups",
             call->panel->config.url, http_param(call->request, "server"));
    struct client_pagination pagination = {counts.total, listing.count, *page, base_url};
    client_api_write_pagination(w, &pagination);
    json_end_object(w);
    json_end_object(w);
    return 0;
}

void client_backup_list(struct client_call *call)
{
    struct client_page page;
    client_api_read_page(call->request, &page);
    struct page_key key = {.page = page.page, .per_page = page.per_page};
    snprintf(key.identifier, sizeof(key.identifier), "%s", http_param(call->request, "server"));
    struct buf *body = http_reply_body(call->reply);
    const struct buf *kept = page_find(call->reader, &key);
    if (kept != NULL) {
        buf_add(body, kept->data, kept->length);
        return;
    }
    struct error err = ERROR_INIT;
    if (write_list(call, &page, &err) < 0)
        client_fail(call, &err);
    else
        page_keep(call->reader, &key, buf_slice(body));
}

void client_backup_view(struct client_call *call)
{
    struct json_writer w = json_writer_to(http_reply_body(call->reply));
    struct backup_progress progress;
    struct client_backup view = describe(&call->backup);
    if (call->backup.completed_at_us == 0 &&
        progress_find(call->panel->progress, call->backup.id, &progress)) {
        view.has_progress = true;
        view.progress = (struct client_progress){
            .is_waiting = progress.is_waiting,
            .entries = progress.entries,
            .content_bytes = progress.content_bytes,
            .expected_bytes = progress.expected_bytes,
            .bytes_per_second = progress.bytes_per_second,
            .has_eta = progress.has_eta,
            .eta_seconds = progress.eta_seconds,
        };
    }
    client_api_write_backup(&w, &view);
}

enum api_error client_download_error(const struct backup *backup)
{
    if (backup->completed_at_us == 0)
        return API_ERROR_DOWNLOAD_NOT_COMPLETED;
    if (!backup->is_successful)
        return API_ERROR_DOWNLOAD_FAILED;
    /* Object storage is not there yet; its rows may come from another panel's database. */
    return strcmp(backup->disk, "wings") == 0 ? API_ERROR_COUNT : API_ERROR_UNKNOWN_DISK;
}

static void add_download_url(struct client_call *call, const struct node_link *link,
                             const char *file, struct buf *url)
{
    struct node_token_grant grant = {
        .issuer = call->panel->config.url,
        .audience = link->base_url.data,
        .token = link->token.data,
        .server_uuid = call->view->server.uuid,
        .backup_uuid = call->backup.uuid,
        .file = file,
        .user_uuid = call->auth->user_uuid,
        .user_id = call->auth->user_id,
        .now_s = call->now_us / 1000000,
        .lifetime_s = call->panel->config.download_url_life_s,
    };
    buf_printf(url, "%s/download/backup?token=", link->base_url.data);
    node_api_sign_download(url, &grant);
}

static int record_download(struct client_call *call, struct error *err)
{
    struct db_session *session = db_begin(call->panel->db, err);
    if (session == NULL)
        return -1;
    struct client_event event = {.name = "server:backup.download", .backup = &call->backup};
    if (client_record(call, session, &event, err) < 0) {
        db_rollback(session);
        return -1;
    }
    return db_commit(session, err);
}

void client_answer_download(struct client_call *call, const char *file, size_t url_max_bytes)
{
    struct error err = ERROR_INIT;
    struct node_link link = NODE_LINK_INIT;
    scope_buf struct buf url = BUF_INIT;
    if (node_link_open(call->panel, call->reader->session, call->view->server.node_id, &link,
                       &err) < 0) {
        client_fail(call, &err);
        node_link_close(&link);
        return;
    }
    add_download_url(call, &link, file, &url);
    if (url.length > url_max_bytes) {
        api_error_reply(call->reply, call->dialect, API_ERROR_BAD_REQUEST,
                        "The path is too long for a download of its own.");
    } else if (record_download(call, &err) < 0) {
        client_fail(call, &err);
    } else {
        struct json_writer w = json_writer_to(http_reply_body(call->reply));
        client_api_write_signed_url(&w, url.data);
    }
    node_link_close(&link);
}

void client_backup_download(struct client_call *call)
{
    enum api_error error = client_download_error(&call->backup);
    if (error != API_ERROR_COUNT)
        client_refuse(call, error);
    else
        client_answer_download(call, NULL, SIZE_MAX);
}
