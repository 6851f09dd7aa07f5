/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Downloading an archive.  A backup never changes, so a part that lies there from an earlier run is its
 * beginning; should that be wrong for any reason, the digest at the end tells, and the download begins anew, once.
 */
#include "cli/download.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/console.h"
#include "cli/meter.h"
#include "crypt/digest.h"

enum {
    ATTEMPTS_MAX = 8, /* in a row, none of which brought a byte */
    STALL_TIMEOUT_MS = 30 * 1000,
    PAUSE_MS = 500,
    CHUNK_BYTES = 128 * 1024,
};

struct download {
    struct contact *contact;
    const char *server;
    const struct client_backup_view *backup;
    const struct cancel *cancel;
    struct http_client *http;
    int fd;
    struct digester *digester;
    enum digest_type digest_type;
    _Atomic(uint64_t) done_bytes;
};

static void look(void *context, uint64_t *done_bytes, uint64_t *total_bytes)
{
    const struct download *download = context;
    *done_bytes = atomic_load(&download->done_bytes);
    *total_bytes = download->backup->bytes;
}

static int on_bytes(const void *bytes, size_t length, void *context, struct error *err)
{
    struct download *download = context;
    if (download->done_bytes + length > download->backup->bytes)
        return error_set(err, ERROR_CORRUPT,
                         "the node sends more than the archive's %" PRIu64 " bytes",
                         download->backup->bytes);
    if (file_write_all(download->fd, bytes, length, err) < 0)
        return -1;
    if (download->digester != NULL)
        digester_add(download->digester, bytes, length);
    atomic_fetch_add(&download->done_bytes, length);
    return 0;
}

/* "sha256:…" names the digest; an unknown type, or none, cannot be verified. */
static bool read_checksum(const char *checksum, enum digest_type *type, const char **hex)
{
    const char *colon = checksum == NULL ? NULL : strchr(checksum, ':');
    if (colon == NULL)
        return false;
    scope_free char *name = xstrndup(checksum, (size_t)(colon - checksum));
    *hex = colon + 1;
    return digest_type_parse(name, type);
}

static void begin_digest(struct download *download)
{
    const char *hex;
    digester_free(download->digester);
    download->digester = NULL;
    if (read_checksum(download->backup->checksum, &download->digest_type, &hex))
        download->digester = digester_create(download->digest_type);
}

static int start_over(struct download *download, struct error *err)
{
    if (ftruncate(download->fd, 0) < 0 || lseek(download->fd, 0, SEEK_SET) < 0)
        return error_set_os(err, errno, "beginning the download anew");
    atomic_store(&download->done_bytes, 0);
    begin_digest(download);
    return 0;
}

/* What an earlier run left: digested, and gone on from. */
static int take_up(struct download *download, struct error *err)
{
    scope_free char *chunk = xmalloc(CHUNK_BYTES);
    uint64_t length = 0;
    ssize_t got;
    begin_digest(download);
    while ((got = file_read_full(download->fd, chunk, CHUNK_BYTES, err)) > 0) {
        length += (uint64_t)got;
        if (length > download->backup->bytes)
            return start_over(download, err);
        if (download->digester != NULL)
            digester_add(download->digester, chunk, (size_t)got);
        atomic_store(&download->done_bytes, length);
    }
    return got < 0 ? -1 : 0;
}

/* One call.  0 also where it was cut but brought something: the caller looks at done_bytes. */
static int fetch_once(struct download *download, struct error *err)
{
    scope_buf struct buf url = BUF_INIT;
    char range[64];
    const char *headers[] = {NULL, NULL};
    uint64_t from = download->done_bytes;
    if (client_api_backup_download(download->contact->api, download->server, download->backup->uuid,
                                   &url, err) < 0)
        return -1;
    snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-", from);
    if (from > 0)
        headers[0] = range;
    struct http_call call = {
        .method = "GET",
        .url = url.data,
        .headers = headers,
        .sink = on_bytes,
        .sink_context = download,
        .timeout_ms = STALL_TIMEOUT_MS,
        .cancel = download->cancel,
    };
    struct http_answer answer;
    if (http_client_call(download->http, &call, &answer, err) < 0)
        return -1;
    unsigned status = answer.status;
    http_answer_free(&answer);
    if (status == 200 && from > 0)
        return error_set(err, ERROR_CORRUPT, "the node cannot resume a download");
    if (status != 200 && status != 206)
        return error_set(err, status == 404 ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE,
                         "the node answered the download with %u %s", status,
                         http_status_text(status));
    return 0;
}

/* Calls again, with a fresh address, as long as something comes. */
static int fetch(struct download *download, struct error *err)
{
    unsigned failures = 0;
    while (download->done_bytes < download->backup->bytes) {
        uint64_t before = download->done_bytes;
        int result = fetch_once(download, err);
        if (result < 0 && err->code != ERROR_UNAVAILABLE)
            return -1;
        failures = download->done_bytes > before ? 0 : failures + 1;
        if (result < 0 && failures >= ATTEMPTS_MAX)
            return -1;
        if (result == 0 && failures > 0)
            return error_set(err, ERROR_CORRUPT, "the node sends nothing more of the archive");
        if (result < 0) {
            error_clear(err);
            usleep(PAUSE_MS * 1000);
        }
    }
    return 0;
}

static int verify(struct download *download, struct error *err)
{
    struct digest wanted, found;
    const char *hex = "";
    enum digest_type type;
    if (download->digester == NULL) {
        complain("the panel names no digest of this backup: it was not verified");
        return 0;
    }
    read_checksum(download->backup->checksum, &type, &hex);
    digester_finish(download->digester, &found);
    if (!digest_parse(type, hex, &wanted))
        return error_set(err, ERROR_INVALID, "the panel's checksum is malformed");
    if (!digest_equal(&wanted, &found))
        return error_set(err, ERROR_CORRUPT, "the archive's digest is not %s",
                         download->backup->checksum);
    return 0;
}

static int fetch_whole(struct download *download, struct error *err)
{
    bool was_resumed = download->done_bytes > 0;
    int result = fetch(download, err);
    if (result == 0)
        result = verify(download, err);
    if (result == 0 || err->code != ERROR_CORRUPT || !was_resumed)
        return result;
    error_clear(err);
    if (start_over(download, err) < 0 || fetch(download, err) < 0)
        return -1;
    return verify(download, err);
}

/* Opens PATH.part; only one process may write it. */
static int open_part(const char *part, struct error *err)
{
    scope_fd int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_os(err, errno, "opening '%s'", part);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, ERROR_CONFLICT, "'%s' is being downloaded by another process", part);
    return scope_take_fd(&fd);
}

static int give_name(int fd, const char *part, const char *path, struct error *err)
{
    scope_free char *directory = xstrdup(path);
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        slash[slash == directory ? 1 : 0] = '\0';
    scope_fd int directory_fd = directory_open(slash == NULL ? "." : directory, err);
    if (directory_fd < 0 || file_sync(fd, part, err) < 0)
        return -1;
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
        return error_set_os(err, errno, "naming the download '%s'", path);
    return file_sync(directory_fd, "the download's directory", err);
}

static int run(struct download *download, struct error *err)
{
    struct http_client_options options = {.ca_file = download->contact->ca_file};
    download->http = http_client_create(&options);
    struct meter *meter = meter_start("downloading", look, download);
    int result = fetch_whole(download, err);
    meter_stop(meter);
    http_client_free(download->http);
    digester_free(download->digester);
    return result;
}

static int download_to_file(struct download *download, const char *path, struct error *err)
{
    if (access(path, F_OK) == 0)
        return error_set(err, ERROR_CONFLICT, "'%s' exists already", path);
    scope_free char *part = xasprintf("%s.%.8s.part", path, download->backup->uuid);
    scope_fd int fd = open_part(part, err);
    if (fd < 0)
        return -1;
    download->fd = fd;
    if (take_up(download, err) < 0) {
        digester_free(download->digester);
        return -1;
    }
    if (run(download, err) < 0) {
        if (err->code == ERROR_CORRUPT)
            unlink(part);
        return -1;
    }
    return give_name(fd, part, path, err);
}

int download_backup(struct contact *contact, const char *server,
                    const struct client_backup_view *backup, const char *path,
                    const struct cancel *cancel, struct error *err)
{
    struct download download = {.contact = contact,
                                .server = server,
                                .backup = backup,
                                .cancel = cancel,
                                .fd = STDOUT_FILENO};
    if (strcmp(path, "-") != 0)
        return download_to_file(&download, path, err);
    begin_digest(&download);
    return run(&download, err);
}
