/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_PROGRESS_H
#define PANEL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How far backups are that are being created, as their nodes said last.  Kept in memory only: it is worth nothing
 * after a restart.  At most PROGRESS_MAX backups; a new one takes the place of the one not heard of for longest.
 * Thread-safe.
 */
enum {
    PROGRESS_MAX = 256
};

struct backup_progress {
    bool is_waiting; /* for its turn on the node */
    uint64_t entries;
    uint64_t content_bytes;
    uint64_t expected_bytes; /* 0: not known */
    uint64_t
        bytes_per_second; /* of content, over the last half a minute or so; 0: not known (yet) */
    uint64_t eta_seconds; /* where it is known and bytes are expected */
    bool has_eta;
};

struct progress_board;
struct progress_board *progress_board_create(void);
void progress_board_free(struct progress_board *board); /* NULL is fine */

/* What the node said at `now_us` (monotonic); the rate and what follows from it are found out here. */
void progress_note(struct progress_board *board, int64_t backup_id,
                   const struct backup_progress *progress, int64_t now_us);
bool progress_find(struct progress_board *board, int64_t backup_id,
                   struct backup_progress *progress);

#endif
