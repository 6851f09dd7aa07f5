/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of running backups: a small board that is searched from end to end. */
#include "panel/progress.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct note {
    int64_t backup_id; /* 0: free */
    uint64_t noted_at; /* a count, not a time */
    struct backup_progress progress;
};

struct progress_board {
    pthread_mutex_t mutex;
    uint64_t count;
    struct note notes[PROGRESS_MAX];
};

struct progress_board *progress_board_create(void)
{
    struct progress_board *board = xcalloc(1, sizeof(*board));
    pthread_mutex_init(&board->mutex, NULL);
    return board;
}

void progress_board_free(struct progress_board *board)
{
    if (board == NULL)
        return;
    pthread_mutex_destroy(&board->mutex);
    free(board);
}

static struct note *find(struct progress_board *board, int64_t backup_id)
{
    for (size_t i = 0; i < PROGRESS_MAX; i++)
        if (board->notes[i].backup_id == backup_id)
            return &board->notes[i];
    return NULL;
}

static struct note *oldest(struct progress_board *board)
{
    struct note *found = &board->notes[0];
    for (size_t i = 1; i < PROGRESS_MAX; i++)
        if (board->notes[i].noted_at < found->noted_at)
            found = &board->notes[i];
    return found;
}

void progress_note(struct progress_board *board, int64_t backup_id,
                   const struct backup_progress *progress)
{
    pthread_mutex_lock(&board->mutex);
    struct note *note = find(board, backup_id);
    if (note == NULL)
        note = oldest(board);
    *note = (struct note){backup_id, ++board->count, *progress};
    pthread_mutex_unlock(&board->mutex);
}

bool progress_find(struct progress_board *board, int64_t backup_id,
                   struct backup_progress *progress)
{
    pthread_mutex_lock(&board->mutex);
    const struct note *note = find(board, backup_id);
    if (note != NULL)
        *progress = note->progress;
    pthread_mutex_unlock(&board->mutex);
    return note != NULL;
}
