/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ignore rules a job goes by.  A backup: those of its order, and where it has none, those of the directory's
 * .pteroignore.  A restore that leaves alone what they ignore: those of the order, which are the backup's; and where it
 * has none, those of the .pteroignore that the backup has, by which it was made, and of the live one, each by itself:
 * so nothing goes because one of them was lost or changed meanwhile.
 */
#include "base/log.h"
#include "node/node_internal.h"
#include "snapshot/entry.h"
#include "snapshot/ignore.h"
#include "tree/ignore_file.h"

/* A list that breaks the rules of lists has no effect, as none has. */
static bool has_no_effect(const struct error *reason)
{
    return reason->code == ERROR_NOT_FOUND || reason->code == ERROR_INVALID ||
           reason->code == ERROR_LIMIT || reason->code == ERROR_DENIED;
}

/* What there is in `text`, or nothing where reading it ended with `reason`. */
static struct ignore *rules_in(struct node *node, const char *server, struct slice text,
                               struct error *reason)
{
    struct error unused = ERROR_INIT;
    enum ignore_mode mode = node->config.ignore_mode;
    struct ignore *rules = error_is_set(reason) ? NULL : ignore_parse(text, mode, reason);
    if (rules != NULL)
        return rules;
    if (reason->code != ERROR_NOT_FOUND)
        log_warning(".pteroignore has no effect server=%s reason=%s", server, reason->text);
    return ignore_parse(slice_str(""), mode, &unused);
}

struct ignore *rules_of_directory(struct node *node, const char *server, int root_fd)
{
    scope_buf struct buf text = BUF_INIT;
    struct error reason = ERROR_INIT;
    (void)ignore_file_read(root_fd, &text, &reason);
    return rules_in(node, server, buf_slice(&text), &reason);
}

/* For a restore, where what cannot be read could protect something: then nothing is restored. */
static int read_rules(struct node *node, const char *server, int root_fd, struct ignore **rules_out,
                      struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    struct error reason = ERROR_INIT;
    if (ignore_file_read(root_fd, &text, &reason) < 0 && !has_no_effect(&reason)) {
        *err = reason;
        return error_wrap(err, "reading which files to leave alone");
    }
    *rules_out = rules_in(node, server, buf_slice(&text), &reason);
    return 0;
}

/* The live directory may not be there: then it has none. */
static int find_live(struct node *node, const char *server, struct ignore **rules_out,
                     struct error *err)
{
    struct error reason = ERROR_INIT;
    scope_fd int live_fd = place_open_server(&node->places, server, &reason);
    if (live_fd >= 0)
        return read_rules(node, server, live_fd, rules_out, err);
    if (reason.code == ERROR_NOT_FOUND)
        return 0;
    *err = reason;
    return -1;
}

static int add_text(const void *bytes, size_t length, void *context, struct error *err)
{
    struct buf *text = context;
    if (text->length + length > IGNORE_TEXT_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "'%s' is larger than %d bytes", IGNORE_FILE_NAME,
                         IGNORE_TEXT_MAX_BYTES);
    buf_add(text, bytes, length);
    return 0;
}

/* Where only some files are staged, the archive's own list may not be among them. */
static int find_archived(struct node *node, const struct job *job, int archive_fd,
                         struct ignore **rules_out, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    struct error reason = ERROR_INIT;
    struct entry wanted;
    entry_init(&wanted);
    buf_add_str(&wanted.path, IGNORE_FILE_NAME);
    int result = route_files_copy(archive_fd, &wanted, &job->cancel, add_text, &text, &reason);
    entry_free(&wanted);
    if (result < 0 && !has_no_effect(&reason)) {
        *err = reason;
        return error_wrap(err, "reading which files to leave alone");
    }
    *rules_out = rules_in(node, job->record.server, buf_slice(&text), &reason);
    return 0;
}

int rules_of_restore(struct node *node, const struct job *job, const struct stage *stage,
                     int archive_fd, struct ignore *rules_out[MERGE_LEAVE_MAX], struct error *err)
{
    const char *server = job->record.server;
    if (job->ignore[0] != '\0') {
        rules_out[0] = ignore_parse(slice_str(job->ignore), node->config.ignore_mode, err);
        return rules_out[0] == NULL ? -1 : 0;
    }
    if (find_live(node, server, &rules_out[1], err) < 0)
        return -1;
    return job->files != NULL ? find_archived(node, job, archive_fd, &rules_out[0], err)
                              : read_rules(node, server, stage_tree_fd(stage), &rules_out[0], err);
}
