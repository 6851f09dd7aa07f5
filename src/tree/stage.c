/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stage's life.  Invariant: the box is ours alone (mode 0700, a new inode), so that nobody else
 * reaches the staged tree before the exchange, nor the replaced one after it; and nothing but
 * stage_exchange() touches the live directory.
 */
#include "tree/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/scope.h"
#include "tree/stage_internal.h"

int stage_open_unnamed(int parent_fd, struct error *err)
{
    int fd = openat(parent_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char suffix[17];
    random_alphanumeric(suffix, sizeof(suffix) - 1);
    scope_free char *name = xasprintf(".%s" FILE_DRAFT_SUFFIX, suffix);
    fd = openat(parent_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_os(err, errno, "making an unnamed file beside the stage");
    unlinkat(parent_fd, name, 0);
    return fd;
}

static int look_at_live(struct stage *stage, struct error *err)
{
    if (fstatat(stage->parent_fd, stage->live_name, &stage->live, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return error_set_os(err, errno, "looking at '%s'", stage->live_name);
    }
    if (!S_ISDIR(stage->live.st_mode))
        return error_set(err, ERROR_CONFLICT, "'%s' is not a directory", stage->live_name);
    stage->has_live = true;
    return 0;
}

static int open_box(struct stage *stage, struct error *err)
{
    const char *name = stage->stage_name;
    stage->box_fd = beneath_open(stage->parent_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
    if (stage->box_fd < 0)
        return -1;
    stage->root_fd = beneath_open(stage->box_fd, EXCHANGE_TREE, O_RDONLY | O_DIRECTORY, 0, err);
    if (stage->root_fd < 0)
        return -1;
    if (fstat(stage->box_fd, &stage->box) < 0 || fstat(stage->root_fd, &stage->own) < 0)
        return error_set_os(err, errno, "looking at the stage '%s'", name);
    return 0;
}

static int make_box(struct stage *stage, struct error *err)
{
    const char *name = stage->stage_name;
    if (mkdirat(stage->parent_fd, name, 0700) < 0)
        return error_set_os(err, errno, "making the stage '%s'", name);
    scope_fd int box_fd = beneath_open(stage->parent_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
    if (box_fd < 0)
        goto undo;
    if (mkdirat(box_fd, EXCHANGE_TREE, 0700) < 0)
        error_set_os(err, errno, "making the stage '%s'", name);
    else if (open_box(stage, err) == 0)
        return 0;
    unlinkat(box_fd, EXCHANGE_TREE, AT_REMOVEDIR);
undo:
    unlinkat(stage->parent_fd, name, AT_REMOVEDIR);
    return -1;
}

static struct stage *stage_new(int parent_fd, const char *live_name, const char *stage_name,
                               struct error *err)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    stage->sink.ops = &stage_sink_ops;
    stage->live_name = xstrdup(live_name);
    stage->stage_name = xstrdup(stage_name);
    stage->box_fd = stage->root_fd = stage->parent_cached_fd = stage->file.late_fd =
        stage->ledger.fd = -1;
    stage->parent_path = (struct buf)BUF_INIT;
    stage->file.path = (struct buf)BUF_INIT;
    stage->file.late_xattrs = (struct buf)BUF_INIT;
    stage->writers = writers_new();
    stage->parent_fd = beneath_open(parent_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
    if (stage->parent_fd >= 0 && look_at_live(stage, err) == 0)
        return stage;
    stage_free(stage);
    return NULL;
}

struct stage *stage_create(int parent_fd, const char *live_name, const char *stage_name,
                           const struct stage_options *options, struct error *err)
{
    struct stage *stage = stage_new(parent_fd, live_name, stage_name, err);
    if (stage == NULL)
        return NULL;
    stage->options = *options;
    int ledger_fd = stage_open_unnamed(stage->parent_fd, err);
    if (ledger_fd >= 0) {
        ledger_open(&stage->ledger, ledger_fd);
        if (make_box(stage, err) == 0) {
            stage_learn_creation(stage);
            return stage;
        }
    }
    stage_free(stage);
    return NULL;
}

struct stage *stage_reopen(int parent_fd, const char *live_name, const char *stage_name,
                           struct error *err)
{
    struct stage *stage = stage_new(parent_fd, live_name, stage_name, err);
    if (stage == NULL)
        return NULL;
    stage->sink.is_finished = true;
    int result = open_box(stage, err);
    if (result == 0 && exchange_is_torn(stage->box_fd))
        result =
            error_set(err, ERROR_CONFLICT, "'%s' holds a part of the live directory", stage_name);
    if (result == 0 && exchange_forget(stage->box_fd, err) == 0)
        return stage;
    stage_free(stage);
    return NULL;
}

struct sink *stage_sink(struct stage *stage)
{
    return &stage->sink;
}

int stage_tree_fd(const struct stage *stage)
{
    return stage->root_fd;
}

void stage_identity(const struct stage *stage, uint64_t *device, uint64_t *inode)
{
    *device = stage->own.st_dev;
    *inode = stage->own.st_ino;
}

int stage_sync(struct stage *stage, struct error *err)
{
    if (syncfs(stage->root_fd) < 0)
        return error_set_os(err, errno, "making '%s' durable", stage->stage_name);
    return 0;
}

void stage_free(struct stage *stage)
{
    if (stage == NULL)
        return;
    writers_free(stage->writers);
    if (stage->parent_cached_fd >= 0)
        close(stage->parent_cached_fd);
    if (stage->file.late_fd >= 0)
        close(stage->file.late_fd);
    if (stage->root_fd >= 0)
        close(stage->root_fd);
    if (stage->box_fd >= 0)
        close(stage->box_fd);
    if (stage->parent_fd >= 0)
        close(stage->parent_fd);
    ledger_close(&stage->ledger);
    buf_free(&stage->parent_path);
    buf_free(&stage->file.path);
    buf_free(&stage->file.late_xattrs);
    free(stage->file.extents);
    free(stage->live_name);
    free(stage->stage_name);
    free(stage);
}
