/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owner, mode and times of what is staged.  Most files need none of the calls: they
 * are made with the mode that they shall have, by the user that they shall belong to.  What this process
 * may rely on is found out once, with a file that has no name.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/scope.h"
#include "tree/stage_internal.h"

enum {
    SET_ID_BITS = 06000,
    PERMISSION_BITS = 0777,
};

void stage_learn_creation(struct stage *stage)
{
    struct stat status;
    stage->created = (struct creation){.sets_every_owner = true};
    scope_fd int fd =
        openat(stage->root_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, PERMISSION_BITS);
    if (fd < 0 || fstat(fd, &status) < 0)
        return;
    stage->created = (struct creation){
        .mode_bits = status.st_mode & PERMISSION_BITS,
        .uid = status.st_uid,
        .gid = status.st_gid,
    };
}

bool stage_sets_owner(const struct stage *stage, const struct attributes *attributes)
{
    const struct creation *created = &stage->created;
    return created->sets_every_owner || attributes->uid != created->uid ||
           attributes->gid != created->gid;
}

bool stage_sets_mode(const struct stage *stage, mode_t mode)
{
    return (mode & ~stage->created.mode_bits) != 0;
}

struct attributes attributes_of_stat(const struct stat *status)
{
    return (struct attributes){
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .mtime = status->st_mtim,
    };
}

static void refuse_owners(struct stage *stage, struct slice path,
                          const struct attributes *attributes, int reason)
{
    report_add(stage->sink.report, REPORT_ALTERED, path,
               "owner %u:%u cannot be set here (%s); further ones are not tried",
               (unsigned)attributes->uid, (unsigned)attributes->gid, strerrordesc_np(reason));
    stage->owners_refused = true;
}

/* false: the owner could not be set, which is named once. */
static bool set_owner(struct stage *stage, int fd, const char *name, struct slice path,
                      const struct attributes *attributes)
{
    if (!stage_sets_owner(stage, attributes))
        return true;
    if (stage->owners_refused)
        return false;
    if (fchownat(fd, name, attributes->uid, attributes->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ==
        0)
        return true;
    refuse_owners(stage, path, attributes, errno);
    return false;
}

void stage_take_refusal(struct stage *stage)
{
    struct attributes attributes;
    scope_buf struct buf path = BUF_INIT;
    int reason;
    if (!stage->owners_refused &&
        writers_owner_refused(stage->writers, &reason, &attributes, &path))
        refuse_owners(stage, buf_slice(&path), &attributes, reason);
}

mode_t stage_allowed_mode(struct stage *stage, struct slice path, mode_t mode, bool has_owner)
{
    if ((mode & SET_ID_BITS) == 0)
        return mode;
    if ((stage->options.flags & STAGE_KEEP_SET_ID) != 0 && has_owner)
        return mode;
    report_add(stage->sink.report, REPORT_ALTERED, path, "without its set-id bits");
    return mode & ~(mode_t)SET_ID_BITS;
}

int stage_apply(struct stage *stage, int fd, struct slice path, struct attributes attributes,
                struct error *err)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, attributes.mtime};
    bool has_owner = set_owner(stage, fd, "", path, &attributes);
    if (fchmod(fd, stage_allowed_mode(stage, path, attributes.mode, has_owner)) < 0 ||
        futimens(fd, times) < 0)
        return error_set_os(err, errno, "setting mode and times of '%.*s'", (int)path.length,
                            (const char *)path.data);
    return 0;
}

int stage_apply_link(struct stage *stage, int dir_fd, const char *name, struct slice path,
                     struct attributes attributes, struct error *err)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, attributes.mtime};
    set_owner(stage, dir_fd, name, path, &attributes);
    if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set_os(err, errno, "setting the times of '%.*s'", (int)path.length,
                            (const char *)path.data);
    return 0;
}
