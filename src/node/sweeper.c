/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweeper: a thread that removes the trees that restores have left behind, in its own time, so
 * that neither a report nor a start waits for a million files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "node/node_internal.h"

enum {
    LOOK_MS = 60 * 1000,
    RETRY_MIN_MS = 1000, /* and twice as long with each failure, up to LOOK_MS */
};

enum sweep_step {
    SWEEP_ON,
    SWEEP_END,  /* nothing is left over, or told to stop */
    SWEEP_FAIL, /* something could not be removed */
};

/* Child after child, so that a stop need not wait for the whole tree.  1: all gone; 0: told to stop. */
static int remove_children(struct node *node, int tree_fd, struct error *err)
{
    int own_fd = openat(tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (directory == NULL)
        return error_set_os(err, errno, "reading the tree");
    int result = 1;
    const struct dirent *entry;
    while (result > 0 && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (cancel_is_set(&node->cancel))
            result = 0;
        else if (beneath_remove_tree(tree_fd, entry->d_name, err) < 0)
            result = -1;
    }
    closedir(directory);
    return result;
}

static int remove_tree(struct node *node, const char *parent, const char *name, struct error *err)
{
    scope_fd int parent_fd = directory_open_real(parent, err);
    if (parent_fd < 0)
        return -1;
    struct error reason = ERROR_INIT;
    scope_fd int tree_fd =
        beneath_open(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, &reason);
    if (tree_fd < 0 && reason.code != ERROR_NOT_FOUND && reason.os_errno != ENOTDIR &&
        reason.os_errno != ELOOP) {
        *err = reason;
        return -1;
    }
    if (tree_fd >= 0) {
        if (exchange_is_torn(tree_fd))
            return error_set(err, ERROR_CONFLICT, "it holds a part of a live directory");
        int result = remove_children(node, tree_fd, err);
        if (result <= 0)
            return result;
    }
    return beneath_remove_tree(parent_fd, name, err) < 0 ? -1 : 1;
}

/* `failed`: the name of the first that failed, so that one that comes round again ends it. */
static enum sweep_step remove_leftover(struct node *node, struct buf *failed)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf parent = BUF_INIT;
    scope_buf struct buf name = BUF_INIT;
    if (cancel_is_set(&node->cancel) ||
        journal_next_leftover(node->journal, &parent, &name, &err) <= 0)
        return error_is_set(&err) ? SWEEP_FAIL : SWEEP_END;
    if (failed->length > 0 && strcmp(failed->data, name.data) == 0)
        return SWEEP_FAIL;
    int result = remove_tree(node, parent.data, name.data, &err);
    if (result == 0)
        return SWEEP_END;
    if (result < 0) {
        log_error("cannot remove '%s/%s' reason=%s", parent.data, name.data, err.text);
        bool is_gone = err.code == ERROR_NOT_FOUND;
        error_clear(&err);
        /* Behind all others, and tried again in a while. */
        if (!is_gone) {
            if (failed->length == 0)
                buf_add(failed, name.data, name.length);
            return journal_add_leftover(node->journal, parent.data, name.data, &err) == 0
                       ? SWEEP_ON
                       : SWEEP_FAIL;
        }
    }
    return journal_remove_leftover(node->journal, parent.data, name.data, &err) == 0 ? SWEEP_ON
                                                                                     : SWEEP_FAIL;
}

bool sweep(struct node *node)
{
    enum sweep_step step = SWEEP_ON;
    scope_buf struct buf failed = BUF_INIT;
    pthread_mutex_lock(&node->sweeping);
    while (step == SWEEP_ON)
        step = remove_leftover(node, &failed);
    pthread_mutex_unlock(&node->sweeping);
    return step == SWEEP_END && failed.length == 0;
}

/* What was kept long enough is left over.  How long until the next look. */
static int64_t expire(struct node *node)
{
    struct error err = ERROR_INIT;
    int64_t now_us = time_now_us(), next_at_us = 0;
    if (journal_expire_kept(node->journal, now_us, &next_at_us, &err) < 0)
        log_error("journal fails reason=%s", err.text);
    int64_t wait_ms = next_at_us == 0 ? LOOK_MS : (next_at_us - now_us) / 1000 + 1;
    return wait_ms < LOOK_MS ? wait_ms : LOOK_MS; /* the wall clock may jump, others may detach */
}

void *sweeper_run(void *argument)
{
    struct node *node = argument;
    int64_t retry_ms = RETRY_MIN_MS;
    pthread_mutex_lock(&node->mutex);
    while (!node->is_stopping) {
        node->has_leftovers = false;
        pthread_mutex_unlock(&node->mutex);
        int64_t wait_ms = expire(node);
        if (sweep(node)) {
            retry_ms = RETRY_MIN_MS;
        } else {
            wait_ms = retry_ms < wait_ms ? retry_ms : wait_ms;
            retry_ms = retry_ms < LOOK_MS / 2 ? retry_ms * 2 : LOOK_MS;
        }
        pthread_mutex_lock(&node->mutex);
        if (!node->is_stopping && !node->has_leftovers)
            thread_wait(&node->has_changed, &node->mutex, wait_ms);
    }
    pthread_mutex_unlock(&node->mutex);
    return NULL;
}

void sweeper_wake(struct node *node)
{
    pthread_mutex_lock(&node->mutex);
    node->has_leftovers = true;
    pthread_cond_broadcast(&node->has_changed);
    pthread_mutex_unlock(&node->mutex);
}
