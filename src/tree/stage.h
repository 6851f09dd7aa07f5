/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_STAGE_H
#define TREE_STAGE_H

#include "base/thread.h"
#include "snapshot/ignore.h"
#include "snapshot/selection.h"
#include "snapshot/sink.h"
#include "tree/exchange.h"

/*
 * A directory as a sink, in two steps: entries are staged in a new directory
 * beside the live one, on the same file system; when all of it is there and
 * durable, the two are exchanged (exchange.h).  Until then the live directory is untouched, whatever
 * happens; afterwards it is complete.
 *
 *     stage = stage_create(…)
 *     copy_entries(source, stage_sink(stage), …)     // ends with everything on disk
 *     stage_merge_live(stage, …)                     // where something live shall stay
 *     stage_exchange(stage, way, err)                // the instant
 *     stage_discard(stage)                           // removes whichever tree is the loser
 *
 * What is staged: no set-id bits unless wanted (named in the report); nothing through a link, ever: a
 * hostile archive that makes `a -> /etc` and then `a/passwd` ends in DENIED.  Hard links only to
 * files that this stream made; one that names anything else is refused and named in the report.  A
 * path that comes twice is what came last; only a directory is not replaced by a hard link.
 * Modes and times of directories are set last.  Owners are set where we may (root); else named
 * once in the report, and set-id bits go.  A directory that has no entry is made 0755 with the live
 * root's owner; a root that has no entry is as the live root, or 0755.
 *
 * One thread uses a stage at a time.  Memory is bounded; what is known of directories lies in an unnamed
 * file beside the stage.
 */
enum stage_flags {
    STAGE_KEEP_SET_ID = 1 << 0,
    STAGE_XATTRS =
        1 << 2, /* extended attributes and ACLs; privileged ones only with STAGE_KEEP_SET_ID */
    STAGE_OWNER_OF_ROOT = 1 << 1, /* every entry gets the live root's owner, not the archive's */
};

struct stage_options {
    unsigned flags;
    uint64_t
        limit_bytes; /* LIMIT when the staged content (apparent size, holes not counted) passes it; 0: none */
    uint64_t limit_objects; /* LIMIT when there are more files, links and directories; 0: none */
    uint64_t
        reserve_bytes; /* NO_SPACE when the file system has less left, whoever fills it; 0: to the last byte */
};

struct stage;

/*
 * `parent_fd` is the directory that holds the live directory `live_name` (which may not exist yet).
 * The stage is `stage_name` beside it, made new: CONFLICT where it exists.  A live directory that is a mount
 * point has its stage in it: `parent_fd` is the live directory itself then, `live_name` ".", and
 * `stage_name` one of own_names.h.
 */
struct stage *stage_create(int parent_fd, const char *live_name, const char *stage_name,
                           const struct stage_options *options, struct error *err);

/*
 * A stage that was exchanged and not discarded, to be exchanged again: what was replaced comes back.
 * Only stage_identity, stage_exchange, stage_discard and what tells of them may follow.
 * NOT_FOUND.  CONFLICT: it holds a part of the live directory (exchange_settle).
 */
struct stage *stage_reopen(int parent_fd, const char *live_name, const char *stage_name,
                           struct error *err);

/*
 * The sink; it belongs to the stage, and sink_free() does nothing to it.  Its finish makes
 * everything staged durable (syncfs).
 * DENIED: an entry below a link.  INVALID: an entry below a file.  LIMIT, NO_SPACE.
 */
struct sink *stage_sink(struct stage *stage);

/* The staged directory, borrowed: to be read once the sink is finished. */
int stage_tree_fd(const struct stage *stage);

/* What is copied at most, where it cannot be cloned, only so that the replaced tree can be kept. */
#define MERGE_COPIES_MAX_BYTES (UINT64_C(4) << 30)

/* Lists of ignore rules, each judged by itself. */
#define MERGE_LEAVE_MAX 2

/* What of the live directory stays. */
struct merge_options {
    const struct selection *staged; /* what the stage was filled with; NULL: everything */
    const struct selection
        *except; /* what it wants stays only where it is staged; NULL: all stays */
    const struct ignore *leave[MERGE_LEAVE_MAX]; /* what one of them ignores is left alone */
    bool removes_rest;                           /* nothing stays but what `leave` says */
    const struct cancel *cancel;                 /* NULL: cannot be cancelled */
    bool wants_copies;         /* of files that stay, for a replaced tree that is kept */
    uint64_t rate_bytes_per_s; /* of copies; 0: no limit */
};

/*
 * Add to the stage what the live directory has and the stage does not, so that
 * the exchange replaces and adds but removes nothing, save what `except` says.  Files are hard-linked
 * (so limit_bytes does not count them), where that fails copied.  A file that is linked is in both trees, and
 * what is written to it is, too; with `wants_copies` they are cloned or copied as long as there is room
 * (exchange_shares_files).  Where both have a path of different
 * types, the stage wins.  Directories on the way to what is `staged` keep the live mode, owner and time.
 * What stays keeps its extended attributes and ACLs, whatever STAGE_XATTRS says: those of a directory that both
 * have lie under the stage's.  What cannot be read or set is named in the sink's report.
 *
 * What rules of `leave` ignore, a directory with all below it where a backup would leave it out so, is
 * afterwards as it is live, whatever the stage had there: what is not live goes from the stage.
 * Parents that the stage lacks are made as they are live.
 *
 * After sink_finish(); durable again when this returns 0.  Nobody should write to the live
 * directory meanwhile: what is made there behind our back is not in the stage.
 * DENIED: a live directory that we may not read.  INVALID: on the way to what is staged, there is
 * something live that is no directory, and would be lost; or both ends need one path: what is left alone lies
 * in something that is staged as a file, or the other way round.  CANCELLED.
 */
int stage_merge_live(struct stage *stage, const struct merge_options *options, struct error *err);

/*
 * The staged directory's device and inode: the live name's, once it was exchanged as a directory.  Of an
 * exchange by entries exchange_settle() tells.
 */
void stage_identity(const struct stage *stage, uint64_t *device, uint64_t *inode);

/*
 * Exchange the staged and the live directory; where nothing is live yet, the staged one gets its name.
 * 0: the new tree is live; whether that may not survive a power cut, stage_doubt() says.
 * CONFLICT: something is mounted below the live directory, or on it where entries were not an answer; it is
 * not a directory; or the file system cannot exchange.  Nothing has changed then, nor with any other
 * error, unless stage_is_torn().
 */
int stage_exchange(struct stage *stage, enum exchange_way way, struct error *err);
const struct error *stage_doubt(const struct stage *stage); /* NULL: none */

/* The live directory is a mix, which exchange_settle() must end before anybody uses it. */
bool stage_is_torn(const struct stage *stage);

/*
 * Remove the loser: the stage where it was not exchanged, the replaced tree where it was.
 * CONFLICT: another directory has taken its name, or it is torn; nothing is removed.
 */
int stage_discard(struct stage *stage, struct error *err);

/* Descriptors and memory only; leaves the directories as they are.  NULL is fine. */
void stage_free(struct stage *stage);

#endif
