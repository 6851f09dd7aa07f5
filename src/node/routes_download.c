/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed downloads.  A token is good for one download: HEAD is free, and so is a range that goes on somewhere
 * inside the file, from wherever the client is now.  Whoever starts from the beginning is noted by
 * address; a few may, so that a prefetcher or a scanner does not spoil the link, and a link that was
 * passed round ends.
 */
#include <inttypes.h>
#include <stdio.h>

#include "api/node_api.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "node/node_internal.h"
#include "node/token.h"

enum {
    STARTERS_MAX = 5
};

/*
 * Whether the request goes on inside the file: exactly "bytes=N-" or "bytes=N-M" with 0 < N <= M, of the file
 * that the client knows.  Whatever else might make the server send everything counts as a start.
 */
static bool is_continuation(const struct http_request *request, const char *etag)
{
    const char *range = http_header(request, "Range");
    const char *condition = http_header(request, "If-Range");
    if (range == NULL || !text_starts_with(range, "bytes=") ||
        (condition != NULL && strcmp(condition, etag) != 0))
        return false;
    char text[64];
    snprintf(text, sizeof(text), "%s", range + strlen("bytes="));
    char *dash = strchr(text, '-');
    if (dash == NULL)
        return false;
    *dash = '\0';
    const char *end = dash + 1;
    uint64_t first, last;
    return text_to_u64(text, 1, INT64_MAX, &first) &&
           (*end == '\0' || text_to_u64(end, first, INT64_MAX, &last));
}

/* False where the reply is written: the token is of no use (any more). */
static bool is_good(struct node *node, const struct http_request *request, struct http_reply *reply,
                    struct token *token)
{
    const char *text = http_query(request, "token");
    struct error err = ERROR_INIT;
    if (token_read_download(node->journal, node->config.token, slice_str(text == NULL ? "" : text),
                            time_now_us() / 1000000, token, &err) < 0) {
        if (err.code == ERROR_DENIED)
            node_api_error(request, reply, 403, NODE_ERROR_DOWNLOAD_TOKEN);
        else
            route_fails(request, reply, &err);
        return false;
    }
    int found = servers_find(node->servers, token->server, NULL, &err);
    if (found < 0)
        route_fails(request, reply, &err);
    else if (found == 0)
        node_api_error(request, reply, 404, NODE_ERROR_NO_DOWNLOAD);
    return found > 0;
}

static bool may_start(struct node *node, const struct http_request *request,
                      struct http_reply *reply, const struct token *token, const char *etag)
{
    if (request->method == HTTP_HEAD || (!token->has_file && is_continuation(request, etag)))
        return true;
    struct error err = ERROR_INIT;
    bool is_allowed;
    struct token_use use = {.unique_id = token->unique_id,
                            .address = request->remote_address,
                            .until_s = token->expires_at_s,
                            .users_max = STARTERS_MAX};
    if (journal_use_token(node->journal, &use, &is_allowed, &err) < 0) {
        route_fails(request, reply, &err);
        return false;
    }
    if (!is_allowed) {
        node_api_error(request, reply, 404, NODE_ERROR_NO_DOWNLOAD);
        return false;
    }
    log_info("download begins server=%s backup=%s address=%s", token->server, token->backup,
             request->remote_address);
    return true;
}

/* The checksum where it is known; else what identifies these bytes well enough. */
static int make_etag(struct node *node, const char *backup, const struct stat *info, char *etag,
                     size_t room, struct error *err)
{
    struct journal_archive archive;
    int found = journal_find_archive(node->journal, backup, &archive, err);
    if (found < 0)
        return -1;
    if (found > 0 && archive.size_bytes == (uint64_t)info->st_size)
        snprintf(etag, room, "\"%s:%s\"", archive.checksum_type, archive.checksum);
    else
        snprintf(etag, room, "\"%" PRIx64 "-%" PRIx64 ".%lx\"", (uint64_t)info->st_size,
                 (uint64_t)info->st_mtim.tv_sec, (unsigned long)info->st_mtim.tv_nsec);
    return 0;
}

void route_download(const struct http_request *request, struct http_reply *reply, void *app)
{
    struct node *node = app;
    struct token token;
    if (!is_good(node, request, reply, &token))
        return;
    struct error err = ERROR_INIT;
    scope_fd int fd = place_open_archive(&node->places, token.server, token.backup, &err);
    if (fd < 0 && err.code == ERROR_NOT_FOUND) {
        node_api_error(request, reply, 404, NODE_ERROR_NO_BACKUP);
        return;
    }
    struct stat info;
    char etag[192];
    if (fd < 0 || fstat(fd, &info) < 0 ||
        make_etag(node, token.backup, &info, etag, sizeof(etag), &err) < 0) {
        route_fails(request, reply, &err);
        return;
    }
    if (!may_start(node, request, reply, &token, etag))
        return;
    if (token.has_file) {
        file_download(node, request, reply, fd, slice_str(token.file));
        return;
    }
    char disposition[128];
    snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s.tar.gz\"", token.backup);
    http_reply_header(reply, "Content-Type", "application/octet-stream");
    http_reply_header(reply, "Content-Disposition", disposition);
    http_reply_header(reply, "Cache-Control", "private, no-transform");
    http_reply_file(reply, request, scope_take_fd(&fd), (uint64_t)info.st_size,
                    (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000, etag);
}
