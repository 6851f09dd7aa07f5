/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a backup, from the command line: names of a directory, one file to standard output or to disk. */
#include "cli/backup_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/console.h"

enum {
    STALL_TIMEOUT_MS = 60 * 1000,
};

/* All pages in one array, the caller's to json_decref(). */
static json_t *read_list(struct contact *contact, const struct files_place *place,
                         struct error *err)
{
    json_t *all = json_array();
    for (int64_t page = 1;; page++) {
        scope_json json_t *answer = client_api_files_list(contact->api, place->server,
                                                          place->backup, place->path, page, err);
        json_t *data = json_object_get(answer, "data");
        if (answer == NULL || json_array_extend(all, data) < 0 || json_array_size(data) == 0 ||
            !json_get_bool(json_object_get(answer, "meta"), "truncated", false)) {
            if (answer != NULL)
                return all;
            json_decref(all);
            return NULL;
        }
    }
}

int files_print(struct contact *contact, const struct files_place *place, bool is_json,
                struct error *err)
{
    scope_json json_t *data = read_list(contact, place, err);
    if (data == NULL)
        return -1;
    if (is_json) {
        scope_free char *text = json_dumps(data, JSON_COMPACT | JSON_PRESERVE_ORDER);
        puts(text == NULL ? "[]" : text);
        return 0;
    }
    struct table table = {.columns = 4};
    table_add(&table, (const char *[]){"MODE", "SIZE", "MODIFIED", "NAME"});
    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *file = json_object_get(json_array_get(data, i), "attributes");
        scope_buf struct buf size = BUF_INIT;
        int64_t bytes = json_get_int(file, "size", 0);
        text_add_size(&size, bytes < 0 ? 0 : (uint64_t)bytes);
        table_add(&table, (const char *[]){json_get_string(file, "mode", ""), size.data,
                                           json_get_string(file, "modified_at", ""),
                                           json_get_string(file, "name", "")});
    }
    table_print(&table);
    table_free(&table);
    return 0;
}

int files_cat(struct contact *contact, const struct files_place *place, struct error *err)
{
    scope_buf struct buf contents = BUF_INIT;
    if (client_api_file_contents(contact->api, place->server, place->backup, place->path, &contents,
                                 err) < 0)
        return -1;
    return file_write_all(STDOUT_FILENO, contents.data, contents.length, err);
}

static int on_bytes(const void *bytes, size_t length, void *context, struct error *err)
{
    return file_write_all(*(const int *)context, bytes, length, err);
}

/* Everything the node sends goes into `fd`. */
static int fetch(struct contact *contact, const struct files_place *place, int fd,
                 struct error *err)
{
    scope_buf struct buf url = BUF_INIT;
    if (client_api_file_download(contact->api, place->server, place->backup, place->path, &url,
                                 err) < 0)
        return -1;
    struct http_client_options options = {.ca_file = contact->ca_file};
    struct http_client *client = http_client_create(&options);
    struct http_call call = {.method = "GET",
                             .url = url.data,
                             .sink = on_bytes,
                             .sink_context = &fd,
                             .timeout_ms = STALL_TIMEOUT_MS};
    struct http_answer answer;
    int result = http_client_call(client, &call, &answer, err);
    if (result == 0) {
        unsigned status = answer.status;
        http_answer_free(&answer);
        if (status != 200)
            result = error_set(err, status == 404 ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE,
                               "the node answered the download with %u %s", status,
                               http_status_text(status));
    }
    http_client_free(client);
    return result;
}

int files_download(struct contact *contact, const struct files_place *place, const char *path,
                   struct error *err)
{
    if (strcmp(path, "-") == 0)
        return fetch(contact, place, STDOUT_FILENO, err);
    if (access(path, F_OK) == 0)
        return error_set(err, ERROR_CONFLICT, "'%s' exists already", path);
    scope_free char *part = xasprintf("%s.%.8s.part", path, place->backup);
    scope_fd int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_os(err, errno, "opening '%s'", part);
    if (fetch(contact, place, fd, err) < 0 || file_sync(fd, part, err) < 0) {
        unlink(part);
        return -1;
    }
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
        return error_set_os(err, errno, "naming the download '%s'", path);
    return 0;
}
