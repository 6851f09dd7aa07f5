/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ignore rules a job goes by.  A backup: those of its order, and where it has none, those of the directory's
 * .pteroignore.  A restore that leaves alone what they ignore: those of the order, which are the backup's; and where it
 * has none, those of the .pteroignore that the backup has, by which it was made, and of the live one, each by itself:
 * so nothing goes because one of them was lost or changed meanwhile.
 */
#include "base/log.h"
#include "node/node_internal.h"
#include "tree/ignore_file.h"

struct ignore *rules_of_directory(struct node *node, const char *server, int root_fd)
{
    scope_buf struct buf text = BUF_INIT;
    struct error reason = ERROR_INIT;
    struct ignore *rules = NULL;
    enum ignore_mode mode = node->config.ignore_mode;
    if (ignore_file_read(root_fd, &text, &reason) == 0)
        rules = ignore_parse(buf_slice(&text), mode, &reason);
    if (rules != NULL)
        return rules;
    if (reason.code != ERROR_NOT_FOUND)
        log_warning(".pteroignore has no effect server=%s reason=%s", server, reason.text);
    return ignore_parse(slice_str(""), mode, &reason);
}

/* The live directory may not be there: then it has none. */
static int find_live(struct node *node, const char *server, struct ignore **rules_out,
                     struct error *err)
{
    struct error reason = ERROR_INIT;
    scope_fd int live_fd = place_open_server(&node->places, server, &reason);
    if (live_fd >= 0) {
        *rules_out = rules_of_directory(node, server, live_fd);
    } else if (reason.code != ERROR_NOT_FOUND) {
        *err = reason;
        return -1;
    }
    return 0;
}

int rules_of_restore(struct node *node, const struct job *job, const struct stage *stage,
                     struct ignore *rules_out[MERGE_LEAVE_MAX], struct error *err)
{
    const char *server = job->record.server;
    struct ignore *live = NULL;
    if (job->ignore[0] != '\0') {
        rules_out[0] = ignore_parse(slice_str(job->ignore), node->config.ignore_mode, err);
        return rules_out[0] == NULL ? -1 : 0;
    }
    if (find_live(node, server, &live, err) < 0)
        return -1;
    rules_out[0] = rules_of_directory(node, server, stage_tree_fd(stage));
    rules_out[1] = live;
    return 0;
}
