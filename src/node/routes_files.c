/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a backup, over the node API: names of a directory, and the content of a small file.  An archive
 * without an index has to be read for it: that ends with its time or its client, and only a few do it at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/node_api.h"
#include "archive/archive.h"
#include "archive/index.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "net/url.h"
#include "node/node_internal.h"

enum {
    PATIENCE_MS = 45 * 1000,
    PAGE_NUMBER_MAX = INT32_MAX,
};

struct item {
    char *name;
    size_t name_length;
    enum entry_type type;
    unsigned mode;
    uint64_t size_bytes;
    int64_t mtime_s;
    size_t order;
};

/* A page of the names, in the archive's order; so memory does not grow with the directory. */
struct listing {
    struct item *items;
    size_t count;
    uint64_t skip, take; /* names before the page, and in it */
    uint64_t total;      /* names so far */
};

bool route_files_begin(struct node *node, const struct http_request *request,
                       struct http_reply *reply)
{
    unsigned max = node->config.workers > 3 ? node->config.workers / 2 : 1;
    if (atomic_fetch_add(&node->looking, 1) < max)
        return true;
    atomic_fetch_sub(&node->looking, 1);
    http_reply_header(reply, "Retry-After", "5");
    node_api_error(request, reply, 503,
                   "Too many backups are being looked into. Please try again.");
    return false;
}

void route_files_end(struct node *node)
{
    atomic_fetch_sub(&node->looking, 1);
}

void route_files_fail(const struct http_request *request, struct http_reply *reply,
                      const struct error *err)
{
    if (err->code == ERROR_NOT_FOUND) {
        node_api_error(request, reply, 404, NODE_ERROR_NO_FILE);
    } else if (err->code == ERROR_CANCELLED) {
        http_reply_header(reply, "Retry-After", "60");
        node_api_error(request, reply, 503, "The backup could not be read in time.");
    } else {
        route_fails(request, reply, err);
    }
}

static int read_path(const char *text, struct entry *entry, struct error *err)
{
    while (text != NULL && *text == '/')
        text++;
    return entry_set_path(entry, slice_str(text == NULL ? "" : text), err);
}

static int add_item(const struct entry *entry, void *context, struct error *err)
{
    struct listing *listing = context;
    const char *slash = strrchr(entry->path.data, '/');
    const char *name = slash == NULL ? entry->path.data : slash + 1;
    size_t length = strlen(name);
    if (listing->total++ < listing->skip || listing->count == listing->take)
        return 0;
    if (listing->items == NULL)
        listing->items = xcalloc(listing->take, sizeof(*listing->items));
    listing->items[listing->count] = (struct item){
        .name = xstrndup(name, length),
        .name_length = length,
        .type = entry->type,
        .mode = entry->mode & 0777,
        .size_bytes = entry->size_bytes,
        .mtime_s = entry->mtime_s,
        .order = listing->count,
    };
    listing->count++;
    return 0;
}

/* Directories first, then by name; of what an archive has twice, the last comes first. */
static int compare_items(const void *left, const void *right)
{
    const struct item *a = left, *b = right;
    bool is_directory = a->type == ENTRY_DIRECTORY;
    if (is_directory != (b->type == ENTRY_DIRECTORY))
        return is_directory ? -1 : 1;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : a->order > b->order ? -1 : 1;
}

static void put_item(struct json_writer *w, const struct item *item, struct slice directory)
{
    char time[TIME_TEXT_BYTES], mode[11], bits[8];
    scope_buf struct buf path = BUF_INIT;
    scope_buf struct buf encoded = BUF_INIT;
    bool is_directory = item->type == ENTRY_DIRECTORY, is_link = item->type == ENTRY_SYMLINK;
    time_format_atom(item->mtime_s * 1000000, time);
    snprintf(mode, sizeof(mode), "-rwxrwxrwx");
    mode[0] = is_directory ? 'd' : is_link ? 'l' : '-';
    for (unsigned i = 0; i < 9; i++)
        if ((item->mode & (0400U >> i)) == 0)
            mode[i + 1] = '-';
    snprintf(bits, sizeof(bits), "%o", item->mode);
    buf_add(&path, directory.data, directory.length);
    if (directory.length > 0)
        buf_add_char(&path, '/');
    buf_add(&path, item->name, item->name_length);
    url_encode(&encoded, buf_slice(&path));
    json_begin_object(w);
    json_key(w, "name");
    json_put_string_slice(w, slice_of(item->name, item->name_length));
    json_field_string(w, "path", encoded.data);
    json_field_string(w, "created", time);
    json_field_string(w, "modified", time);
    json_field_string(w, "mode", mode);
    json_field_string(w, "mode_bits", bits);
    json_field_uint(w, "size", item->size_bytes);
    json_field_bool(w, "file", !is_directory);
    json_field_bool(w, "symlink", is_link);
    json_end_object(w);
}

static void put_listing(struct json_writer *w, struct listing *listing, struct slice directory)
{
    if (listing->count > 0)
        qsort(listing->items, listing->count, sizeof(*listing->items), compare_items);
    json_begin_object(w);
    json_key(w, "entries");
    json_begin_array(w);
    for (size_t i = 0; i < listing->count; i++)
        if (i == 0 || strcmp(listing->items[i].name, listing->items[i - 1].name) != 0)
            put_item(w, &listing->items[i], directory);
    json_end_array(w);
    json_field_uint(w, "total", listing->total);
    json_field_bool(w, "truncated", listing->total > listing->skip + listing->count);
    json_end_object(w);
}

static uint64_t read_number(const struct http_request *request, const char *name, uint64_t fallback,
                            uint64_t max)
{
    const char *text = http_query(request, name);
    uint64_t value;
    return text != NULL && text_to_u64(text, 1, max, &value) ? value : fallback;
}

static void list(struct node *node, const struct http_request *request, struct http_reply *reply,
                 const struct entry *directory)
{
    struct error err = ERROR_INIT;
    struct listing listing = {.take =
                                  read_number(request, "per_page", NODE_FILES_MAX, NODE_FILES_MAX)};
    listing.skip = (read_number(request, "page", 1, PAGE_NUMBER_MAX) - 1) * listing.take;
    struct archive_list_options options = {
        .directory = buf_slice(&directory->path),
        .cancel = http_patience(request, PATIENCE_MS),
    };
    scope_fd int fd = place_open_archive(&node->places, http_param(request, "server"),
                                         http_param(request, "backup"), &err);
    if (fd < 0 || archive_list(fd, &options, add_item, &listing, &err) < 0) {
        route_files_fail(request, reply, &err);
    } else {
        struct json_writer w = json_writer_to(http_reply_body(reply));
        put_listing(&w, &listing, buf_slice(&directory->path));
    }
    for (size_t i = 0; i < listing.count; i++)
        free(listing.items[i].name);
    free(listing.items);
}

int route_files_find(int fd, const struct entry *wanted, const struct cancel *cancel,
                     struct entry *found, struct error *err)
{
    scope_selection struct selection *selection = selection_new();
    struct archive_read_options options = {.selection = selection, .cancel = cancel};
    if (selection_add(selection, buf_slice(&wanted->path), err) < 0)
        return -1;
    struct source *source = archive_reader_open(fd, &options, err);
    if (source == NULL)
        return -1;
    int more;
    while ((more = source_next(source, found, err)) > 0)
        if (selection_look(selection, buf_slice(&found->path)) == SELECTION_WANTED)
            break;
    if (more > 0 && found->path.length > wanted->path.length)
        found->type = ENTRY_DIRECTORY; /* it only shows in what is below it */
    source_free(source);
    if (more == 0)
        return error_set(err, ERROR_NOT_FOUND, "no such path in the backup");
    return more < 0 ? -1 : 0;
}

int route_files_copy(int fd, const struct entry *wanted, const struct cancel *cancel,
                     int (*write)(const void *bytes, size_t length, void *context,
                                  struct error *err),
                     void *context, struct error *err)
{
    static const char zeros[64 * 1024];
    scope_selection struct selection *selection = selection_new();
    scope_free char *bytes = xmalloc(sizeof(zeros));
    struct archive_read_options options = {.selection = selection, .cancel = cancel};
    struct entry entry;
    if (selection_add(selection, buf_slice(&wanted->path), err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_set(err, ERROR_IO, "the archive cannot be read again");
    struct source *source = archive_reader_open(fd, &options, err);
    if (source == NULL)
        return -1;
    entry_init(&entry);
    int result;
    while ((result = source_next(source, &entry, err)) > 0)
        if (entry.type == ENTRY_FILE &&
            slice_equal(buf_slice(&entry.path), buf_slice(&wanted->path)))
            break;
    if (result == 0)
        result = error_set(err, ERROR_NOT_FOUND, "no such path in the backup");
    uint64_t at = 0;
    size_t extent_count = entry.extents == NULL ? 1 : entry.extent_count;
    for (size_t i = 0; result > 0 && i <= extent_count; i++) {
        bool is_end = i == extent_count;
        uint64_t start = is_end                  ? entry.size_bytes
                         : entry.extents == NULL ? 0
                                                 : entry.extents[i].offset;
        uint64_t left = is_end                  ? 0
                        : entry.extents == NULL ? entry.size_bytes
                                                : entry.extents[i].length;
        while (result > 0 && at < start) {
            size_t length = start - at < sizeof(zeros) ? (size_t)(start - at) : sizeof(zeros);
            if (write(zeros, length, context, err) < 0)
                result = -1;
            at += length;
        }
        while (result > 0 && left > 0) {
            size_t room = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
            ssize_t got = source_read(source, bytes, room, err);
            if (got <= 0 || write(bytes, (size_t)got, context, err) < 0)
                result = -1;
            else
                left -= (uint64_t)got, at += (uint64_t)got;
        }
    }
    if (result < 0 && !error_is_set(err))
        error_set(err, ERROR_CORRUPT, "the content ends early");
    entry_free(&entry);
    source_free(source);
    return result < 0 ? -1 : 0;
}

static int add_bytes(const void *bytes, size_t length, void *context, struct error *err)
{
    buf_add(context, bytes, length);
    return 0;
}

static void contents(struct node *node, const struct http_request *request,
                     struct http_reply *reply, const struct entry *wanted)
{
    struct error err = ERROR_INIT;
    struct entry found;
    const struct cancel *cancel = http_patience(request, PATIENCE_MS);
    scope_fd int fd = place_open_archive(&node->places, http_param(request, "server"),
                                         http_param(request, "backup"), &err);
    entry_init(&found);
    if (fd < 0 || route_files_find(fd, wanted, cancel, &found, &err) < 0)
        route_files_fail(request, reply, &err);
    else if (found.type != ENTRY_FILE)
        node_api_error(request, reply, 400, NODE_ERROR_NOT_A_FILE);
    else if (found.size_bytes > NODE_CONTENTS_MAX_BYTES)
        node_api_error(request, reply, 400, NODE_ERROR_FILE_TOO_LARGE);
    else if (route_files_copy(fd, wanted, cancel, add_bytes, http_reply_body(reply), &err) < 0)
        route_files_fail(request, reply, &err);
    else
        http_reply_header(reply, "Content-Type", "application/octet-stream");
    entry_free(&found);
}

static void look(const struct http_request *request, struct http_reply *reply, void *app,
                 const char *parameter)
{
    struct node *node = app;
    struct error err = ERROR_INIT;
    struct entry wanted;
    bool is_list = strcmp(parameter, "directory") == 0;
    if (!route_is_allowed(node, request, reply) || !route_finds_server(node, request, reply))
        return;
    if (!uuid_is_canonical(http_param(request, "backup"))) {
        node_api_error(request, reply, 404, NODE_ERROR_NO_BACKUP);
        return;
    }
    entry_init(&wanted);
    if (read_path(http_query(request, parameter), &wanted, &err) < 0 ||
        (!is_list && wanted.path.length == 0)) {
        node_api_error(request, reply, 404, NODE_ERROR_NO_FILE);
    } else if (route_files_begin(node, request, reply)) {
        (is_list ? list : contents)(node, request, reply, &wanted);
        route_files_end(node);
    }
    entry_free(&wanted);
}

void route_files(const struct http_request *request, struct http_reply *reply, void *app)
{
    look(request, reply, app, "directory");
}

void route_file_contents(const struct http_request *request, struct http_reply *reply, void *app)
{
    look(request, reply, app, "file");
}
