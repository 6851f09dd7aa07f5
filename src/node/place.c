/* SPDX-License-Identifier: Apache-2.0 */
/* Server directories and archives on disk.  Every name below a root is a canonical UUID or one of ours. */
#include "node/place.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "tree/exchange.h"

int places_open(struct places *places, struct journal *journal, const char *backup_directory,
                const char *server_directory, struct error *err)
{
    *places = (struct places){.journal = journal, .backups_fd = -1, .servers_fd = -1};
    places->backups_fd = directory_open_or_make(backup_directory, 0700, err);
    if (places->backups_fd >= 0)
        places->servers_fd = directory_open_or_make(server_directory, 0755, err);
    if (places->servers_fd < 0)
        return -1;
    places->servers_path = realpath(server_directory, NULL);
    if (places->servers_path == NULL)
        return error_set_os(err, errno, "finding directory '%s'", server_directory);
    return 0;
}

void places_close(struct places *places)
{
    if (places->backups_fd >= 0)
        close(places->backups_fd);
    if (places->servers_fd >= 0)
        close(places->servers_fd);
    free(places->servers_path);
    *places = (struct places){.backups_fd = -1, .servers_fd = -1};
}

int place_open_server(const struct places *places, const char *server, struct error *err)
{
    assert(uuid_is_canonical(server));
    scope_buf struct buf path = BUF_INIT;
    int attached = journal_find_directory(places->journal, server, &path, err);
    if (attached < 0)
        return -1;
    int fd = attached > 0 ? directory_open_real(path.data, err)
                          : beneath_open(places->servers_fd, server,
                                         O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, err);
    return fd < 0 ? error_wrap(err, "opening the directory of server %s", server) : fd;
}

int place_find_server(const struct places *places, const char *server, struct buf *parent,
                      struct buf *name, struct error *err)
{
    assert(uuid_is_canonical(server));
    scope_buf struct buf path = BUF_INIT;
    int attached = journal_find_directory(places->journal, server, &path, err);
    if (attached < 0)
        return -1;
    if (attached == 0) {
        buf_add_str(parent, places->servers_path);
        buf_add_str(name, server);
        return 0;
    }
    /* node_attach_directory stored a real path that is not "/". */
    const char *slash = strrchr(path.data, '/');
    buf_add(parent, path.data, slash == path.data ? 1 : (size_t)(slash - path.data));
    buf_add_str(name, slash + 1);
    return 0;
}

int place_find_stage(const struct places *places, const char *server, struct buf *parent,
                     struct buf *name, struct error *err)
{
    if (place_find_server(places, server, parent, name, err) < 0)
        return -1;
    scope_fd int parent_fd = directory_open_real(parent->data, err);
    if (parent_fd < 0)
        return -1;
    if (!exchange_is_mount_point(parent_fd, name->data))
        return 0;
    if (parent->length > 1)
        buf_add_char(parent, '/');
    buf_add(parent, name->data, name->length);
    buf_clear(name);
    buf_add_char(name, '.');
    return 0;
}

void place_archive_name(const char *backup, char name[PLACE_ARCHIVE_NAME_BYTES])
{
    assert(uuid_is_canonical(backup));
    snprintf(name, PLACE_ARCHIVE_NAME_BYTES, "%s.tar.gz", backup);
}

/* The path of an archive below the backup directory: in our layout, or flat. */
enum layout {
    LAYOUT_OWN,
    LAYOUT_FLAT,
    LAYOUT_COUNT,
};
static void archive_path(enum layout layout, const char *server, const char *backup,
                         char path[2 * PLACE_ARCHIVE_NAME_BYTES])
{
    char name[PLACE_ARCHIVE_NAME_BYTES];
    place_archive_name(backup, name);
    snprintf(path, 2 * PLACE_ARCHIVE_NAME_BYTES, "%s%s%s", layout == LAYOUT_OWN ? server : "",
             layout == LAYOUT_OWN ? "/" : "", name);
}

static int open_in_layout(const struct places *places, const char *path, struct error *err)
{
    scope_fd int fd =
        beneath_open(places->backups_fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, err);
    struct stat info;
    if (fd < 0)
        return -1;
    if (fstat(fd, &info) < 0)
        return error_set_os(err, errno, "looking at archive '%s'", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERROR_NOT_FOUND, "'%s' is not a file", path);
    return scope_take_fd(&fd);
}

/* Which layout holds the archive; LAYOUT_COUNT: none.  A flat file whose server is known belongs to that one only. */
static int find_archive(const struct places *places, const char *server, const char *backup,
                        enum layout *layout, struct error *err)
{
    assert(uuid_is_canonical(server));
    struct journal_archive known;
    int is_known = journal_find_archive(places->journal, backup, &known, err);
    if (is_known < 0)
        return -1;
    bool is_others = is_known > 0 && strcmp(known.server, server) != 0;
    for (*layout = LAYOUT_OWN; *layout < LAYOUT_COUNT && !is_others; (*layout)++) {
        char path[2 * PLACE_ARCHIVE_NAME_BYTES];
        archive_path(*layout, server, backup, path);
        struct error reason = ERROR_INIT;
        int fd = open_in_layout(places, path, &reason);
        if (fd >= 0)
            return fd;
        if (reason.code != ERROR_NOT_FOUND) {
            *err = reason;
            return -1;
        }
    }
    return error_set(err, ERROR_NOT_FOUND, "server %s has no archive %s", server, backup);
}

int place_open_archive(const struct places *places, const char *server, const char *backup,
                       struct error *err)
{
    enum layout layout;
    return find_archive(places, server, backup, &layout, err);
}

int place_open_archives(const struct places *places, const char *server, struct error *err)
{
    assert(uuid_is_canonical(server));
    if (mkdirat(places->backups_fd, server, 0700) == 0) {
        if (file_sync(places->backups_fd, server, err) < 0)
            return -1;
    } else if (errno != EEXIST) {
        return error_set_os(err, errno, "making the archive directory of server %s", server);
    }
    return beneath_open(places->backups_fd, server, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, err);
}

int place_remove_archive(const struct places *places, const char *server, const char *backup,
                         struct error *err)
{
    enum layout layout;
    scope_fd int fd = find_archive(places, server, backup, &layout, err);
    if (fd < 0)
        return -1;
    scope_fd int directory_fd =
        beneath_open(places->backups_fd, layout == LAYOUT_OWN ? server : ".",
                     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, err);
    if (directory_fd < 0)
        return -1;
    char name[PLACE_ARCHIVE_NAME_BYTES];
    place_archive_name(backup, name);
    if (unlinkat(directory_fd, name, 0) < 0 && errno != ENOENT)
        return error_set_os(err, errno, "removing archive %s", backup);
    return file_sync(directory_fd, name, err);
}

int place_discard_archive(const struct places *places, const char *server, const char *backup,
                          struct error *err)
{
    struct error reason = ERROR_INIT;
    scope_fd int directory_fd =
        beneath_open(places->backups_fd, server, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, &reason);
    if (directory_fd < 0) {
        if (reason.code != ERROR_NOT_FOUND)
            *err = reason;
        return reason.code == ERROR_NOT_FOUND ? 0 : -1;
    }
    char name[PLACE_ARCHIVE_NAME_BYTES];
    place_archive_name(backup, name);
    if (unlinkat(directory_fd, name, 0) < 0)
        return errno == ENOENT ? 0 : error_set_os(err, errno, "removing archive %s", backup);
    return file_sync(directory_fd, name, err);
}

int place_remove_archives(const struct places *places, const char *server, struct error *err)
{
    assert(uuid_is_canonical(server));
    struct stat info;
    if (fstatat(places->backups_fd, server, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISDIR(info.st_mode))
        return error_set(err, ERROR_CONFLICT, "the archives of server %s are no directory", server);
    if (beneath_remove_tree(places->backups_fd, server, err) < 0)
        return -1;
    return file_sync(places->backups_fd, server, err);
}

int place_sweep_archives(const struct places *places, struct error *err)
{
    if (file_draft_sweep(places->backups_fd, err) < 0)
        return -1;
    int own_fd = openat(places->backups_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (directory == NULL)
        return error_set_os(err, errno, "reading the backup directory");
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(directory)) != NULL) {
        if (!uuid_is_canonical(entry->d_name))
            continue;
        struct error reason = ERROR_INIT;
        scope_fd int fd = beneath_open(places->backups_fd, entry->d_name,
                                       O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, &reason);
        if (fd >= 0)
            result = file_draft_sweep(fd, err);
    }
    closedir(directory);
    return result;
}

int place_trash(const struct places *places, const char *parent, const char *name,
                struct error *err)
{
    scope_fd int parent_fd = directory_open_real(parent, err);
    if (parent_fd < 0)
        return -1;
    scope_fd int box_fd = beneath_open_raw(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (box_fd == -ENOENT)
        return 0;
    if (box_fd < 0 && box_fd != -ENOTDIR && box_fd != -ELOOP)
        return error_set_os(err, -box_fd, "opening '%s/%s'", parent, name);
    if (box_fd >= 0 && exchange_is_torn(box_fd))
        return error_set(err, ERROR_CONFLICT, "'%s/%s' holds a part of a live directory", parent,
                         name);
    char uuid[UUID_TEXT_BYTES];
    uuid_make(uuid);
    scope_free char *trash = xasprintf(TREE_TRASH_PREFIX "%s", uuid);
    /* Journalled first: a leftover that is not there is no harm. */
    if (journal_add_leftover(places->journal, parent, trash, err) < 0)
        return -1;
    if (renameat(parent_fd, name, parent_fd, trash) < 0 && errno != ENOENT)
        return error_set_os(err, errno, "moving '%s/%s' out of the way", parent, name);
    return file_sync(parent_fd, parent, err);
}
