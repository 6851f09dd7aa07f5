/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of an exchange by entries.  It is read by the machine that wrote it, so its integers are the
 * machine's:
 *
 *     "roost plan 1\n" and NULs (16) | roots (2 times: inode, mode, owner, mtime)
 *     | entries: inodes of the new and of the old one, length of the name, which tree (24), the name
 *     | an entry without a name, whose first number is how many there were
 *
 * Written in one go from two listings, whatever their length: nothing is kept in memory.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/exchange_internal.h"
#include "tree/own_names.h"

enum {
    FLUSH_BYTES = 64 * 1024,
    MAGIC_BYTES = 16,
};
static const char magic[MAGIC_BYTES] = "roost plan 1\n";

struct root_record {
    uint64_t inode;
    uint32_t mode, uid, gid, unused;
    int64_t mtime_s, mtime_ns;
};
struct entry_record {
    uint64_t new_inode, old_inode;
    uint32_t name_length, is_new;
};
static_assert(sizeof(struct root_record) == 40, "no padding");
static_assert(sizeof(struct entry_record) == 24, "no padding");

struct writer {
    int tree_fd, live_fd, out_fd;
    uint64_t mount_id; /* of the live root; 0: the kernel does not say */
    uint64_t count;
    struct buf out;
};

static struct root_record record_of(const struct stat *status)
{
    return (struct root_record){
        .inode = status->st_ino,
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .mtime_s = status->st_mtim.tv_sec,
        .mtime_ns = status->st_mtim.tv_nsec,
    };
}

static void stat_of(const struct root_record *record, struct stat *status)
{
    *status = (struct stat){
        .st_ino = record->inode,
        .st_mode = record->mode,
        .st_uid = record->uid,
        .st_gid = record->gid,
        .st_mtim = {.tv_sec = record->mtime_s, .tv_nsec = record->mtime_ns},
    };
}

static int flush(struct writer *writer, size_t from_bytes, struct error *err)
{
    if (writer->out.length < from_bytes)
        return 0;
    int result = file_write_all(writer->out_fd, writer->out.data, writer->out.length, err);
    buf_clear(&writer->out);
    return result;
}

static int put(struct writer *writer, const struct plan_entry *entry, struct error *err)
{
    struct entry_record record = {
        .new_inode = entry->new_inode,
        .old_inode = entry->old_inode,
        .name_length = (uint32_t)strlen(entry->name),
        .is_new = entry->is_new,
    };
    buf_add(&writer->out, &record, sizeof(record));
    buf_add(&writer->out, entry->name, record.name_length);
    writer->count++;
    return flush(writer, FLUSH_BYTES, err);
}

/* 1: `name` is there; 0: it is not.  What is mounted there cannot be renamed. */
static int find(int dir_fd, uint64_t mount_id, const char *name, uint64_t *inode, struct error *err)
{
    struct statx status;
    *inode = 0;
    if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO | STATX_MNT_ID,
              &status) < 0)
        return errno == ENOENT ? 0 : error_set_os(err, errno, "looking at '%.200s'", name);
    if (mount_id != 0 && (status.stx_mask & STATX_MNT_ID) != 0 && status.stx_mnt_id != mount_id)
        return error_set(err, ERROR_CONFLICT, "something is mounted on '%.200s'", name);
    *inode = status.stx_ino;
    return 1;
}

/* A name of the staged tree. */
static int plan_new(struct writer *writer, const char *name, struct error *err)
{
    struct plan_entry entry = {.is_new = true};
    snprintf(entry.name, sizeof(entry.name), "%s", name);
    int found = find(writer->tree_fd, 0, name, &entry.new_inode, err);
    if (found <= 0)
        return found;
    if (find(writer->live_fd, writer->mount_id, name, &entry.old_inode, err) < 0)
        return -1;
    return put(writer, &entry, err);
}

/* A name of the live root: planned already where the staged tree, which nobody changes, has it. */
static int plan_old(struct writer *writer, const char *name, struct error *err)
{
    struct plan_entry entry = {.is_new = false};
    snprintf(entry.name, sizeof(entry.name), "%s", name);
    int staged = find(writer->tree_fd, 0, name, &entry.new_inode, err);
    if (staged != 0)
        return staged < 0 ? -1 : 0;
    int live = find(writer->live_fd, writer->mount_id, name, &entry.old_inode, err);
    return live <= 0 ? live : put(writer, &entry, err);
}

static int each_name(int dir_fd, struct writer *writer,
                     int (*visit)(struct writer *writer, const char *name, struct error *err),
                     struct error *err)
{
    int own_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (dir == NULL)
        return error_set_os(err, errno, "listing what is to be exchanged");
    int result = 0;
    while (result == 0) {
        errno = 0;
        const struct dirent *item = readdir(dir);
        if (item == NULL) {
            if (errno != 0)
                result = error_set_os(err, errno, "listing what is to be exchanged");
            break;
        }
        const char *name = item->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !tree_is_own_name(name))
            result = visit(writer, name, err);
    }
    closedir(dir);
    return result;
}

static int write_head(struct writer *writer, struct error *err)
{
    struct stat old, new;
    struct statx live;
    if (fstat(writer->live_fd, &old) < 0 || fstat(writer->tree_fd, &new) < 0 ||
        statx(writer->live_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &live) < 0)
        return error_set_os(err, errno, "looking at what is to be exchanged");
    if ((live.stx_mask & STATX_MNT_ID) != 0)
        writer->mount_id = live.stx_mnt_id;
    struct root_record roots[] = {record_of(&old), record_of(&new)};
    buf_add(&writer->out, magic, sizeof(magic));
    buf_add(&writer->out, roots, sizeof(roots));
    return 0;
}

static int write_all(struct writer *writer, struct error *err)
{
    if (write_head(writer, err) < 0 || each_name(writer->tree_fd, writer, plan_new, err) < 0 ||
        each_name(writer->live_fd, writer, plan_old, err) < 0)
        return -1;
    struct entry_record end = {.new_inode = writer->count};
    buf_add(&writer->out, &end, sizeof(end));
    return flush(writer, 1, err);
}

int plan_write(int box_fd, int tree_fd, int live_fd, struct error *err)
{
    struct file_draft *draft = file_draft_create(box_fd, EXCHANGE_PLAN, 0600, err);
    if (draft == NULL)
        return -1;
    struct writer writer = {
        .tree_fd = tree_fd, .live_fd = live_fd, .out_fd = file_draft_fd(draft), .out = BUF_INIT};
    int result = write_all(&writer, err);
    buf_free(&writer.out);
    if (result < 0)
        file_draft_discard(draft);
    else
        result = file_draft_commit_new(draft, err);
    return result < 0 ? error_wrap(err, "planning the exchange") : 0;
}

static bool get(struct plan *plan, void *out, size_t length)
{
    return fread(out, 1, length, plan->file) == length;
}

static int refuse(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the plan of the exchange cannot be read");
}

int plan_open(struct plan *plan, int box_fd, const char *name, struct error *err)
{
    *plan = (struct plan){.file = NULL};
    scope_fd int fd = beneath_open(box_fd, name, O_RDONLY | O_NONBLOCK, 0, err);
    if (fd < 0)
        return -1;
    plan->file = fdopen(fd, "r");
    if (plan->file == NULL)
        return error_set_os(err, errno, "reading the plan of the exchange");
    fd = -1; /* the FILE's now */
    char start[MAGIC_BYTES];
    struct root_record roots[2];
    if (!get(plan, start, sizeof(start)) || memcmp(start, magic, sizeof(magic)) != 0 ||
        !get(plan, roots, sizeof(roots))) {
        plan_close(plan);
        return refuse(err);
    }
    stat_of(&roots[0], &plan->roots.old);
    stat_of(&roots[1], &plan->roots.new);
    return 0;
}

int plan_next(struct plan *plan, struct plan_entry *entry, struct error *err)
{
    struct entry_record record;
    if (!get(plan, &record, sizeof(record)))
        return refuse(err);
    if (record.name_length == 0)
        return record.new_inode == plan->count ? 0 : refuse(err);
    if (record.name_length >= sizeof(entry->name) || !get(plan, entry->name, record.name_length))
        return refuse(err);
    entry->name[record.name_length] = '\0';
    if (strlen(entry->name) != record.name_length || strchr(entry->name, '/') != NULL)
        return refuse(err);
    entry->is_new = record.is_new != 0;
    entry->new_inode = record.new_inode;
    entry->old_inode = record.old_inode;
    plan->count++;
    return 1;
}

void plan_close(struct plan *plan)
{
    if (plan->file != NULL)
        fclose(plan->file);
    plan->file = NULL;
}
