/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks go round: free, filled by the stage's thread, queued, written, free.  Invariant: the
 * mutex guards the two lists and what came of the work; a block, its pieces and the files that
 * they belong to are in one thread's hands at a time, but for the counts of uses.
 */
#include "tree/writers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"
#include "tree/writers_internal.h"

enum {
    THREADS_MIN = 2,
    THREADS_MAX = 4,
};

struct piece {
    struct writers_file *file;
    size_t at; /* in the block, aligned */
    size_t length;
    uint64_t offset; /* in the file */
};

struct block {
    uint8_t *bytes; /* NULL: not used yet */
    size_t used;
    struct piece pieces[WRITERS_PIECES];
    size_t count;
    struct block *next;
};

struct refusal {
    int os_errno; /* 0: none, or told already */
    struct attributes attributes;
    struct buf path;
};

struct writers {
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    pthread_cond_t has_room;
    struct block blocks[WRITERS_BLOCKS];
    struct block *unused;
    struct block *first, *last; /* queued */
    unsigned busy;              /* blocks that are queued or being written */
    bool is_stopped;
    struct error error;
    struct refusal refusal;
    _Atomic(uint64_t) pending_bytes;
    _Atomic(bool) has_failed;
    _Atomic(bool) is_refused; /* owners */

    /* The stage's thread. */
    struct writers_file *file;
    struct block *block; /* the one that is filled; NULL: none */
    pthread_t threads[THREADS_MAX];
    unsigned thread_count; /* 0: nothing was queued yet */
};

/* ---- the writers' side ---- */

static void note_refusal(struct writers *writers, int os_errno, const struct writers_file *file)
{
    pthread_mutex_lock(&writers->mutex);
    if (!writers->is_refused) {
        writers->refusal.os_errno = os_errno;
        writers->refusal.attributes = file->task.attributes;
        buf_add(&writers->refusal.path, file->task.path.data, file->task.path.length);
        writers->is_refused = true;
    }
    pthread_mutex_unlock(&writers->mutex);
}

static void note_error(struct writers *writers, const struct error *err)
{
    pthread_mutex_lock(&writers->mutex);
    if (!writers->has_failed)
        writers->error = *err;
    writers->has_failed = true;
    pthread_mutex_unlock(&writers->mutex);
}

/* One use less; the last one completes the file. */
static void release(struct writers *writers, struct writers_file *file)
{
    struct error err = ERROR_INIT;
    int refused = 0;
    if (atomic_fetch_sub(&file->uses, 1) != 1)
        return;
    bool sets_owner = file->task.sets_owner && !writers->is_refused;
    if (!writers->has_failed && writers_file_complete(file, sets_owner, &refused, &err) < 0)
        note_error(writers, &err);
    if (refused != 0)
        note_refusal(writers, refused, file);
    writers_file_free(file);
}

static void write_block(struct writers *writers, struct block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        struct piece *piece = &block->pieces[i];
        struct error err = ERROR_INIT;
        if (!writers->has_failed && writers_file_put(piece->file, block->bytes + piece->at,
                                                     piece->length, piece->offset, &err) < 0)
            note_error(writers, &err);
        atomic_fetch_sub(&writers->pending_bytes, piece->length);
        release(writers, piece->file);
    }
    block->count = 0;
    block->used = 0;
}

static void *run(void *argument)
{
    struct writers *writers = argument;
    pthread_mutex_lock(&writers->mutex);
    for (;;) {
        while (writers->first == NULL && !writers->is_stopped)
            pthread_cond_wait(&writers->has_work, &writers->mutex);
        struct block *block = writers->first;
        if (block == NULL)
            break;
        writers->first = block->next;
        if (writers->first == NULL)
            writers->last = NULL;
        pthread_mutex_unlock(&writers->mutex);
        write_block(writers, block);
        budget_pace();
        pthread_mutex_lock(&writers->mutex);
        block->next = writers->unused;
        writers->unused = block;
        writers->busy--;
        pthread_cond_signal(&writers->has_room);
    }
    pthread_mutex_unlock(&writers->mutex);
    return NULL;
}

/* ---- the stage's side ---- */

static void start_threads(struct writers *writers)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = processors < THREADS_MIN   ? THREADS_MIN
                     : processors > THREADS_MAX ? THREADS_MAX
                                                : (unsigned)processors;
    while (writers->thread_count < count)
        writers->threads[writers->thread_count++] = thread_start("stage-write", run, writers);
}

struct writers *writers_new(void)
{
    struct writers *writers = xcalloc(1, sizeof(*writers));
    pthread_mutex_init(&writers->mutex, NULL);
    thread_cond_init(&writers->has_work);
    thread_cond_init(&writers->has_room);
    writers->refusal.path = (struct buf)BUF_INIT;
    for (size_t i = WRITERS_BLOCKS; i-- > 0;) {
        writers->blocks[i].next = writers->unused;
        writers->unused = &writers->blocks[i];
    }
    return writers;
}

static int check(struct writers *writers, struct error *err)
{
    if (!writers->has_failed)
        return 0;
    pthread_mutex_lock(&writers->mutex);
    *err = writers->error;
    pthread_mutex_unlock(&writers->mutex);
    return -1;
}

static void submit(struct writers *writers)
{
    struct block *block = writers->block;
    if (block == NULL)
        return;
    if (writers->thread_count == 0)
        start_threads(writers);
    writers->block = NULL;
    block->next = NULL;
    pthread_mutex_lock(&writers->mutex);
    if (writers->last == NULL)
        writers->first = block;
    else
        writers->last->next = block;
    writers->last = block;
    writers->busy++;
    pthread_cond_signal(&writers->has_work);
    pthread_mutex_unlock(&writers->mutex);
}

/* A block with room for one more piece. */
static struct block *need_block(struct writers *writers)
{
    struct block *block = writers->block;
    if (block != NULL && (block->used == WRITERS_BLOCK_BYTES || block->count == WRITERS_PIECES)) {
        submit(writers);
        block = NULL;
    }
    if (block != NULL)
        return block;
    pthread_mutex_lock(&writers->mutex);
    while (writers->unused == NULL)
        pthread_cond_wait(&writers->has_room, &writers->mutex);
    block = writers->unused;
    writers->unused = block->next;
    pthread_mutex_unlock(&writers->mutex);
    if (block->bytes == NULL)
        block->bytes = xaligned_alloc(WRITERS_ALIGN_BYTES, WRITERS_BLOCK_BYTES);
    writers->block = block;
    return block;
}

static struct piece *add_piece(struct writers *writers, uint64_t offset)
{
    struct block *block = need_block(writers);
    struct piece *piece = &block->pieces[block->count++];
    *piece = (struct piece){.file = writers->file, .at = block->used, .offset = offset};
    atomic_fetch_add(&writers->file->uses, 1);
    return piece;
}

/* The last piece of the current block, where it is of the current file. */
static struct piece *current_piece(const struct writers *writers)
{
    struct block *block = writers->block;
    if (block == NULL || block->count == 0)
        return NULL;
    struct piece *piece = &block->pieces[block->count - 1];
    return piece->file == writers->file ? piece : NULL;
}

/* Pieces begin aligned. */
static void align(struct block *block)
{
    size_t over = block->used % WRITERS_ALIGN_BYTES;
    if (over > 0)
        block->used += WRITERS_ALIGN_BYTES - over;
}

/* The piece that `offset` goes to, with room for a byte at least. */
static struct piece *need_piece(struct writers *writers, uint64_t offset)
{
    struct piece *piece = current_piece(writers);
    if (piece != NULL && piece->offset + piece->length == offset &&
        writers->block->used < WRITERS_BLOCK_BYTES)
        return piece;
    if (writers->block != NULL)
        align(writers->block);
    return add_piece(writers, offset);
}

void writers_begin(struct writers *writers, const struct writers_task *task)
{
    struct block *block = writers->block;
    writers->file = writers_file_new(task);
    /* A file that fits a block lies in one; a larger one begins with a block. */
    if (block != NULL)
        align(block);
    if (block != NULL && task->size_bytes > WRITERS_BLOCK_BYTES - block->used)
        submit(writers);
}

/* What the end of a file past the last whole page is. */
static void keep_tail(struct writers_file *file, const void *bytes, size_t length)
{
    memcpy(file->tail + file->tail_length, bytes, length);
    file->tail_length += length;
}

/* How much of what comes at `offset` the current block takes. */
static size_t room_at(const struct writers *writers, uint64_t offset)
{
    const struct writers_file *file = writers->file;
    size_t room = WRITERS_BLOCK_BYTES - writers->block->used;
    if (file->tail != NULL && room > file->tail_offset - offset)
        room = (size_t)(file->tail_offset - offset);
    return room;
}

void *writers_room(struct writers *writers, uint64_t offset, size_t *length)
{
    const struct writers_file *file = writers->file;
    if (file->tail != NULL && offset >= file->tail_offset)
        return NULL;
    need_piece(writers, offset);
    *length = room_at(writers, offset);
    return writers->block->bytes + writers->block->used;
}

int writers_write(struct writers *writers, uint64_t offset, const void *bytes, size_t length,
                  struct error *err)
{
    struct writers_file *file = writers->file;
    const char *next = bytes;
    while (length > 0) {
        if (check(writers, err) < 0)
            return -1;
        if (file->tail != NULL && offset >= file->tail_offset) {
            keep_tail(file, next, length);
            return 0;
        }
        struct piece *piece = need_piece(writers, offset);
        struct block *block = writers->block;
        size_t room = room_at(writers, offset);
        size_t part = length < room ? length : room;
        uint8_t *place = block->bytes + block->used;
        if ((const char *)place != next) /* else it is there already: writers_room() */
            memcpy(place, next, part);
        atomic_fetch_add(&writers->pending_bytes, part);
        block->used += part;
        piece->length += part;
        next += part;
        offset += part;
        length -= part;
    }
    return 0;
}

int writers_end(struct writers *writers, struct error *err)
{
    struct writers_file *file = writers->file;
    if (file == NULL)
        return check(writers, err);
    if (current_piece(writers) == NULL)
        add_piece(writers, 0); /* an empty one, to carry the end */
    writers->file = NULL;
    atomic_fetch_sub(&file->uses, 1);
    return check(writers, err);
}

int writers_drain(struct writers *writers, struct error *err)
{
    submit(writers);
    pthread_mutex_lock(&writers->mutex);
    while (writers->busy > 0)
        pthread_cond_wait(&writers->has_room, &writers->mutex);
    pthread_mutex_unlock(&writers->mutex);
    return check(writers, err);
}

void writers_free(struct writers *writers)
{
    if (writers == NULL)
        return;
    struct error unread = ERROR_INIT;
    writers->has_failed = true; /* whatever is queued is only released */
    if (writers->file != NULL)
        writers_end(writers, &unread);
    error_clear(&unread);
    writers_drain(writers, &unread);
    pthread_mutex_lock(&writers->mutex);
    writers->is_stopped = true;
    pthread_cond_broadcast(&writers->has_work);
    pthread_mutex_unlock(&writers->mutex);
    for (unsigned i = 0; i < writers->thread_count; i++)
        pthread_join(writers->threads[i], NULL);
    for (size_t i = 0; i < WRITERS_BLOCKS; i++)
        free(writers->blocks[i].bytes);
    pthread_cond_destroy(&writers->has_work);
    pthread_cond_destroy(&writers->has_room);
    pthread_mutex_destroy(&writers->mutex);
    buf_free(&writers->refusal.path);
    free(writers);
}

uint64_t writers_pending_bytes(const struct writers *writers)
{
    return writers->pending_bytes;
}

bool writers_owner_refused(struct writers *writers, int *os_errno, struct attributes *attributes,
                           struct buf *path_out)
{
    if (!writers->is_refused)
        return false;
    pthread_mutex_lock(&writers->mutex);
    *os_errno = writers->refusal.os_errno;
    *attributes = writers->refusal.attributes;
    buf_add(path_out, writers->refusal.path.data, writers->refusal.path.length);
    writers->refusal.os_errno = 0;
    pthread_mutex_unlock(&writers->mutex);
    return *os_errno != 0;
}
