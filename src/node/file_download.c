/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Downloads of a file, or of a directory as an archive of its own, out of a backup.  What is sent is made while it
 * is sent; it ends with the client.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/node_api.h"
#include "archive/archive.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/url.h"
#include "node/node_internal.h"
#include "snapshot/copy.h"

enum {
    PATIENCE_MS = 45 * 1000,
    STREAMS_MAX = 8,
    PIPE_BYTES = 64 * 1024,
};

struct download {
    struct node *node;
    int fd;
    struct entry wanted; /* what was found of it: its type and size */
};

static void download_free(void *context)
{
    struct download *download = context;
    atomic_fetch_sub(&download->node->sending, 1);
    close(download->fd);
    entry_free(&download->wanted);
    free(download);
}

static int send_bytes(const void *bytes, size_t length, void *context, struct error *err)
{
    return http_stream_write(context, bytes, length, err);
}

static int send_file(struct http_stream *stream, void *context, struct error *err)
{
    struct download *download = context;
    int result = route_files_copy(download->fd, &download->wanted, http_stream_gone(stream),
                                  send_bytes, stream, err);
    if (result < 0 && err->code != ERROR_CANCELLED)
        log_error("download of a file was cut reason=%s", err->text);
    return result;
}

/* The thread that packs: what it writes into the pipe, the stream sends. */
struct packing {
    struct download *download;
    const struct cancel *cancel;
    int pipe_fd;
    int result;
    struct error err;
};

static void *pack(void *argument)
{
    struct packing *packing = argument;
    struct error *err = &packing->err;
    scope_selection struct selection *selection = selection_new();
    struct archive_options options = {.compression = ARCHIVE_FAST, .threads = 1};
    struct archive_read_options read_options = {.selection = selection, .cancel = packing->cancel};
    struct copy_options copy_options = {.selection = selection, .cancel = packing->cancel};
    struct source *source = NULL;
    struct sink *sink = NULL;
    if (selection_add(selection, buf_slice(&packing->download->wanted.path), err) == 0 &&
        lseek(packing->download->fd, 0, SEEK_SET) == 0)
        source = archive_reader_open(packing->download->fd, &read_options, err);
    if (source != NULL)
        sink = archive_writer_open(packing->pipe_fd, &options, err);
    packing->result = sink == NULL ? -1 : copy_entries(source, sink, &copy_options, NULL, err);
    sink_free(sink);
    source_free(source);
    close(packing->pipe_fd);
    return NULL;
}

static int send_directory(struct http_stream *stream, void *context, struct error *err)
{
    scope_free char *bytes = xmalloc(PIPE_BYTES);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_os(err, errno, "making a pipe");
    struct packing packing = {.download = context,
                              .cancel = http_stream_gone(stream),
                              .pipe_fd = ends[1],
                              .err = ERROR_INIT};
    pthread_t thread = thread_start("pack", pack, &packing);
    ssize_t got;
    int result = 0;
    while (result == 0 &&
           ((got = read(ends[0], bytes, PIPE_BYTES)) > 0 || (got < 0 && errno == EINTR)))
        if (got > 0)
            result = http_stream_write(stream, bytes, (size_t)got, err);
    close(ends[0]);
    pthread_join(thread, NULL);
    if (result == 0 && packing.result < 0) {
        *err = packing.err;
        result = -1;
        if (err->code != ERROR_CANCELLED)
            log_error("download of a directory was cut reason=%s", err->text);
    }
    return result;
}

static const struct http_stream_ops file_ops = {.run = send_file, .free = download_free};
static const struct http_stream_ops directory_ops = {.run = send_directory, .free = download_free};

/* Any bytes as a name: what old clients understand, and the real one (RFC 6266, RFC 8187). */
static void put_name(struct http_reply *reply, const struct entry *wanted)
{
    scope_buf struct buf name = BUF_INIT;
    scope_buf struct buf lossy = BUF_INIT;
    scope_buf struct buf value = BUF_INIT;
    const char *slash = strrchr(wanted->path.data, '/');
    buf_add_str(&name, slash == NULL ? wanted->path.data : slash + 1);
    if (name.length == 0)
        buf_add_str(&name, "backup");
    if (wanted->type == ENTRY_DIRECTORY)
        buf_add_str(&name, ".tar.gz");
    utf8_add_lossy(&lossy, buf_slice(&name));
    buf_add_str(&value, "attachment; filename=\"");
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        buf_add_char(&value, c < 0x20 || c > 0x7e || strchr("\"\\%/;", c) != NULL ? '_' : c);
    }
    buf_add_str(&value, "\"; filename*=UTF-8''");
    url_encode(&value, buf_slice(&lossy));
    http_reply_header(reply, "Content-Disposition", value.data);
}

static void begin(struct node *node, const struct http_request *request, struct http_reply *reply,
                  int fd, struct entry *found)
{
    if (atomic_fetch_add(&node->sending, 1) >= STREAMS_MAX) {
        atomic_fetch_sub(&node->sending, 1);
        http_reply_header(reply, "Retry-After", "10");
        node_api_error(request, reply, 503, "Too many downloads are under way. Please try again.");
        return;
    }
    struct download *download = xcalloc(1, sizeof(*download));
    download->node = node;
    download->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    download->wanted = *found;
    entry_init(found);
    bool is_file = download->wanted.type == ENTRY_FILE;
    put_name(reply, &download->wanted);
    http_reply_header(reply, "Content-Type",
                      is_file ? "application/octet-stream" : "application/gzip");
    http_reply_header(reply, "Cache-Control", "private, no-transform");
    http_reply_stream(reply, request, is_file ? &file_ops : &directory_ops, download,
                      is_file ? (int64_t)download->wanted.size_bytes : -1);
}

void file_download(struct node *node, const struct http_request *request, struct http_reply *reply,
                   int fd, struct slice path)
{
    struct error err = ERROR_INIT;
    struct entry wanted, found;
    entry_init(&wanted);
    entry_init(&found);
    if (entry_set_path(&wanted, path, &err) < 0) {
        node_api_error(request, reply, 404, NODE_ERROR_NO_FILE);
    } else if (route_files_begin(node, request, reply)) {
        int result =
            route_files_find(fd, &wanted, http_patience(request, PATIENCE_MS), &found, &err);
        route_files_end(node);
        if (result < 0) {
            route_files_fail(request, reply, &err);
        } else if (found.type != ENTRY_FILE && found.type != ENTRY_DIRECTORY) {
            node_api_error(request, reply, 400, NODE_ERROR_NOT_A_FILE);
        } else {
            buf_clear(&found.path);
            buf_add(&found.path, wanted.path.data, wanted.path.length);
            begin(node, request, reply, fd, &found);
        }
    }
    entry_free(&wanted);
    entry_free(&found);
}
