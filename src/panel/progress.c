/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of running backups: a small board that is searched from end to end. */
#include "panel/progress.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    RATE_WINDOW_US = 10 * 1000 * 1000, /* what is older counts for less */
};

struct note {
    int64_t backup_id; /* 0: free */
    uint64_t noted_at; /* a count, not a time */
    int64_t said_at_us;
    double rate; /* bytes per second; 0: not known */
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

/* The rate since the last word, and before that the older the less. */
static double new_rate(const struct note *last, const struct backup_progress *progress,
                       int64_t now_us)
{
    int64_t passed_us = now_us - last->said_at_us;
    if (last->progress.is_waiting || progress->content_bytes < last->progress.content_bytes)
        return 0; /* it begins, perhaps once more */
    if (passed_us <= 0)
        return last->rate;
    double since =
        (double)(progress->content_bytes - last->progress.content_bytes) * 1e6 / (double)passed_us;
    if (last->rate <= 0)
        return since;
    double weight = (double)passed_us / (double)(passed_us + RATE_WINDOW_US);
    return weight * since + (1 - weight) * last->rate;
}

static void foretell(struct backup_progress *progress, double rate)
{
    progress->bytes_per_second = (uint64_t)rate;
    progress->has_eta = rate >= 1 && progress->expected_bytes > 0;
    if (progress->has_eta && progress->expected_bytes > progress->content_bytes)
        progress->eta_seconds =
            (uint64_t)((double)(progress->expected_bytes - progress->content_bytes) / rate + 0.5);
}

void progress_note(struct progress_board *board, int64_t backup_id,
                   const struct backup_progress *progress, int64_t now_us)
{
    pthread_mutex_lock(&board->mutex);
    struct note *note = find(board, backup_id);
    double rate = note == NULL ? 0 : new_rate(note, progress, now_us);
    if (note == NULL)
        note = oldest(board);
    *note = (struct note){.backup_id = backup_id,
                          .noted_at = ++board->count,
                          .said_at_us = now_us,
                          .rate = rate,
                          .progress = *progress};
    foretell(&note->progress, rate);
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
