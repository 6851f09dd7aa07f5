/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange by entries: the plan is carried out, forwards or back, as often as need be.  Each step
 * looks first whether it was taken, at inodes that the plan names: forwards at what is in the box, which the
 * tenant cannot reach.
 *
 * Invariant: `plan` becomes `back` before the first step back, and one of the two is there until both
 * roots are whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/exchange_internal.h"

enum {
    TRIES_MAX = 64, /* against a tenant that makes and removes a name between two calls */
    OWNER_BITS = 0700,
};

struct roots {
    int box_fd, tree_fd, live_fd;
};

/* `*inode` 0: there is no such name.  Where one cannot look, one does not know which step was taken. */
static int find_inode(int dir_fd, const char *name, uint64_t *inode, struct error *err)
{
    struct stat status;
    *inode = 0;
    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        *inode = status.st_ino;
    else if (errno != ENOENT)
        return error_set_os(err, errno, "looking at '%.200s' in an exchange", name);
    return 0;
}

/*
 * One rename, flags as renameat2's; -1 with errno.  A directory that moves must be writable to us, as its
 * ".." changes: to root each one is, others open theirs for the moment.
 */
static int move(int from_fd, int to_fd, const char *name, unsigned flags)
{
    if (renameat2(from_fd, name, to_fd, name, flags) == 0)
        return 0;
    if (errno != EACCES)
        return -1;
    struct stat from, to;
    bool has_from = fstatat(from_fd, name, &from, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISDIR(from.st_mode) &&
                    beneath_chmod(from_fd, name, (from.st_mode & 07777) | OWNER_BITS) == 0;
    bool has_to = fstatat(to_fd, name, &to, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(to.st_mode) &&
                  beneath_chmod(to_fd, name, (to.st_mode & 07777) | OWNER_BITS) == 0;
    int result = renameat2(from_fd, name, to_fd, name, flags);
    int reason = errno;
    if (has_from)
        beneath_chmod(result == 0 ? to_fd : from_fd, name, from.st_mode & 07777);
    if (has_to)
        beneath_chmod(result == 0 ? from_fd : to_fd, name, to.st_mode & 07777);
    errno = reason;
    return result;
}

static int fails(const char *name, struct error *err)
{
    if (errno == EBUSY || errno == EXDEV || errno == EINVAL)
        return error_set(err, ERROR_CONFLICT, "'%.200s' cannot be exchanged: %s", name,
                         errno == EBUSY    ? "something is mounted on it"
                         : errno == EINVAL ? "the file system does not know how"
                                           : "it is on another file system, or in another project");
    return error_set_os(err, errno, "exchanging '%.200s'", name);
}

/*
 * What `from_fd` has under the name goes to `to_fd`, and what is there comes back, where there is
 * something.  0 too where it vanished from `from_fd`.
 */
static int trade(int from_fd, int to_fd, const char *name, struct error *err)
{
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        if (move(from_fd, to_fd, name, RENAME_EXCHANGE) == 0)
            return 0;
        if (errno != ENOENT)
            return fails(name, err);
        if (move(from_fd, to_fd, name, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno == ENOENT)
            return 0;
        if (errno != EEXIST)
            return fails(name, err);
    }
    return error_set(err, ERROR_CONFLICT, "'%.200s' appears and vanishes without end", name);
}

static int step_forward(const struct roots *roots, const struct plan_entry *entry,
                        struct error *err)
{
    uint64_t staged;
    if (find_inode(roots->tree_fd, entry->name, &staged, err) < 0)
        return -1;
    if (entry->is_new)
        return staged == entry->new_inode ? trade(roots->tree_fd, roots->live_fd, entry->name, err)
                                          : 0;
    if (staged != 0 || move(roots->live_fd, roots->tree_fd, entry->name, RENAME_NOREPLACE) == 0 ||
        errno == ENOENT)
        return 0;
    return fails(entry->name, err);
}

static int step_back(const struct roots *roots, const struct plan_entry *entry, struct error *err)
{
    const char *name = entry->name;
    uint64_t staged, live;
    if (find_inode(roots->tree_fd, name, &staged, err) < 0 ||
        find_inode(roots->live_fd, name, &live, err) < 0)
        return -1;
    if (entry->old_inode != 0 && live == entry->old_inode)
        return 0;
    if (entry->old_inode != 0 && staged == entry->old_inode)
        return trade(roots->tree_fd, roots->live_fd, name, err);
    if (entry->new_inode != 0 && live == entry->new_inode)
        return trade(roots->live_fd, roots->tree_fd, name, err);
    return 0;
}

static int open_root(int fd, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_os(err, errno, "looking at what is exchanged");
    if ((status.st_mode & OWNER_BITS) != OWNER_BITS &&
        fchmod(fd, (status.st_mode & 07777) | OWNER_BITS) < 0)
        return error_set_os(err, errno, "opening what is exchanged");
    return 0;
}

/* EPERM: a root that is not ours, which only whoever is not root can meet, keeps what it has. */
static int set_root(int fd, const struct stat *wanted, struct error *err)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, wanted->st_mtim};
    struct stat now;
    if (fstat(fd, &now) < 0)
        return error_set_os(err, errno, "looking at what was exchanged");
    bool has_owner = now.st_uid == wanted->st_uid && now.st_gid == wanted->st_gid;
    if ((has_owner || fchown(fd, wanted->st_uid, wanted->st_gid) == 0 || errno == EPERM) &&
        (fchmod(fd, wanted->st_mode & 07777) == 0 || errno == EPERM) &&
        (futimens(fd, times) == 0 || errno == EPERM))
        return 0;
    return error_set_os(err, errno, "setting owner, mode and times of what was exchanged");
}

typedef int step(const struct roots *roots, const struct plan_entry *entry, struct error *err);

static int carry_out(const struct roots *roots, const char *name, step *take, struct error *err)
{
    struct plan plan;
    struct plan_entry entry;
    struct stat live, tree;
    if (fstat(roots->live_fd, &live) < 0 || fstat(roots->tree_fd, &tree) < 0)
        return error_set_os(err, errno, "looking at what is to be exchanged");
    if (plan_open(&plan, roots->box_fd, name, err) < 0)
        return -1;
    int more = plan.roots.old.st_ino == live.st_ino && plan.roots.new.st_ino == tree.st_ino
                   ? 1
                   : error_set(err, ERROR_CONFLICT, "the plan is of other directories");
    if (more > 0 && (open_root(roots->live_fd, err) < 0 || open_root(roots->tree_fd, err) < 0))
        more = -1;
    while (more > 0 && (more = plan_next(&plan, &entry, err)) > 0)
        if (take(roots, &entry, err) < 0)
            more = -1;
    bool is_forward = take == step_forward;
    const struct plan_roots *were = &plan.roots;
    if (more == 0 && (set_root(roots->live_fd, is_forward ? &were->new : &were->old, err) < 0 ||
                      set_root(roots->tree_fd, is_forward ? &were->old : &were->new, err) < 0))
        more = -1;
    plan_close(&plan);
    return more;
}

static int sync_roots(const struct roots *roots, struct error *err)
{
    if (file_sync(roots->live_fd, "the live directory", err) < 0)
        return -1;
    return file_sync(roots->tree_fd, "the replaced directory", err);
}

/* The state's name in the box changes, durably. */
static int become(const struct roots *roots, const char *from, const char *to, struct error *err)
{
    if (renameat(roots->box_fd, from, roots->box_fd, to) < 0)
        return error_set_os(err, errno, "noting how far the exchange is");
    return file_sync(roots->box_fd, "how far the exchange is", err);
}

/* From `back` to nothing. */
static int take_back(const struct roots *roots, struct error *err)
{
    if (carry_out(roots, EXCHANGE_BACK, step_back, err) < 0 || sync_roots(roots, err) < 0)
        return -1;
    if (unlinkat(roots->box_fd, EXCHANGE_BACK, 0) < 0 && errno != ENOENT)
        return error_set_os(err, errno, "ending the exchange");
    return file_sync(roots->box_fd, "the end of the exchange", err);
}

/* From `plan` to `done`, or back to nothing: then -1, with the reason. */
static int go_forward(const struct roots *roots, struct error *doubt, struct error *err)
{
    struct error second = ERROR_INIT;
    if (carry_out(roots, EXCHANGE_PLAN, step_forward, err) == 0) {
        /* From here the new tree is live, whatever the disk says of it. */
        if (sync_roots(roots, doubt) == 0)
            (void)become(roots, EXCHANGE_PLAN, EXCHANGE_DONE_MARK, doubt);
        else
            (void)become(roots, EXCHANGE_PLAN, EXCHANGE_DONE_MARK, &second);
        return 0;
    }
    if (become(roots, EXCHANGE_PLAN, EXCHANGE_BACK, &second) < 0 || take_back(roots, &second) < 0)
        return error_wrap(err, "the exchange can neither go on nor back (%.200s)", second.text);
    return -1;
}

static int open_tree(int box_fd, struct error *err)
{
    return beneath_open(box_fd, EXCHANGE_TREE, O_RDONLY | O_DIRECTORY, 0, err);
}

int exchange_entries(int box_fd, int live_fd, struct error *doubt, struct error *err)
{
    if (exchange_is_torn(box_fd))
        return error_set(err, ERROR_CONFLICT, "an exchange is under way already");
    scope_fd int tree_fd = open_tree(box_fd, err);
    if (tree_fd < 0)
        return -1;
    if (plan_write(box_fd, tree_fd, live_fd, err) < 0) {
        unlinkat(box_fd, EXCHANGE_PLAN, 0); /* it may have its name already; nothing was moved */
        return -1;
    }
    struct roots roots = {.box_fd = box_fd, .tree_fd = tree_fd, .live_fd = live_fd};
    return go_forward(&roots, doubt, err);
}

/* What cannot be looked for is there: a mix is not to be taken for a whole. */
static bool has(int box_fd, const char *name)
{
    return faccessat(box_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

bool exchange_is_torn(int box_fd)
{
    return has(box_fd, EXCHANGE_PLAN) || has(box_fd, EXCHANGE_BACK);
}

bool exchange_shares_files(int box_fd)
{
    return has(box_fd, EXCHANGE_SHARED);
}

int exchange_mark_shared(int box_fd, struct error *err)
{
    scope_fd int fd = beneath_open(box_fd, EXCHANGE_SHARED, O_WRONLY | O_CREAT, 0600, err);
    return fd < 0 ? -1 : 0;
}

int exchange_settle(int box_fd, int live_fd, enum exchange_state *state, struct error *err)
{
    *state = EXCHANGE_NONE;
    if (!exchange_is_torn(box_fd)) {
        if (faccessat(box_fd, EXCHANGE_DONE_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            *state = EXCHANGE_DONE;
        else if (errno != ENOENT)
            return error_set_os(err, errno, "looking at how far an exchange is");
        return 0;
    }
    scope_fd int tree_fd = open_tree(box_fd, err);
    if (tree_fd < 0)
        return -1;
    struct roots roots = {.box_fd = box_fd, .tree_fd = tree_fd, .live_fd = live_fd};
    if (has(box_fd, EXCHANGE_BACK))
        return take_back(&roots, err);
    struct error doubt = ERROR_INIT, reason = ERROR_INIT;
    if (go_forward(&roots, &doubt, &reason) == 0) {
        *state = EXCHANGE_DONE;
    } else if (exchange_is_torn(box_fd)) {
        *err = reason;
        return -1;
    }
    return 0;
}

int exchange_confirm(int box_fd, struct error *err)
{
    if (renameat(box_fd, EXCHANGE_PLAN, box_fd, EXCHANGE_DONE_MARK) < 0)
        return errno == ENOENT ? 0 : error_set_os(err, errno, "noting that an exchange is over");
    return file_sync(box_fd, "what is kept", err);
}

int exchange_forget(int box_fd, struct error *err)
{
    if (unlinkat(box_fd, EXCHANGE_DONE_MARK, 0) < 0)
        return errno == ENOENT ? 0
                               : error_set_os(err, errno, "forgetting an exchange that is over");
    return file_sync(box_fd, "what is kept", err);
}
