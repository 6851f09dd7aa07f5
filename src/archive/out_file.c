/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive's file: chunks in a ring, the digest of every byte in the order of the file.
 *
 *     written <= filled <= written + CHUNKS
 *
 * A chunk is written while it is digested: neither changes it, and it is only filled again by the
 * thread that digests.  The mutex guards the counters and the ends.
 */
#include "archive/out_file.h"

#include <stdlib.h>

#include "archive/out_disk.h"
#include "base/budget.h"
#include "base/mem.h"

enum {
    CHUNKS = 8,
    CHUNK_BYTES = 1 << 20,
};

struct chunk {
    uint8_t *bytes; /* CHUNK_BYTES; NULL: not used yet */
    size_t length;
};

struct out_file {
    pthread_mutex_t mutex;
    pthread_cond_t has_filled;
    pthread_cond_t has_written;
    struct chunk chunks[CHUNKS];
    uint64_t filled, written;
    bool is_complete;   /* no chunk will be filled any more */
    struct error error; /* why nothing is written any more */
    const _Atomic(bool) *is_stopped;
    struct out_disk *disk;
    pthread_t thread;
    bool is_running;

    /* The caller's own. */
    struct digester *digester;
    uint64_t limit_bytes;
    uint64_t size_bytes; /* all that was added */
    struct chunk *chunk; /* NULL: get one first */
    size_t chunk_room;
};

/* The next chunk to write; NULL: there will be none. */
static const struct chunk *wait_for_chunk(struct out_file *file)
{
    pthread_mutex_lock(&file->mutex);
    while (file->written == file->filled && !file->is_complete)
        pthread_cond_wait(&file->has_filled, &file->mutex);
    const struct chunk *chunk =
        file->written == file->filled ? NULL : &file->chunks[file->written % CHUNKS];
    pthread_mutex_unlock(&file->mutex);
    return chunk;
}

static void *run_writer(void *argument)
{
    struct out_file *file = argument;
    struct error err = ERROR_INIT;
    const struct chunk *chunk;
    while (!error_is_set(&err) && (chunk = wait_for_chunk(file)) != NULL) {
        int result = atomic_load_explicit(file->is_stopped, memory_order_relaxed)
                         ? error_set(&err, ERROR_CANCELLED, "writing was stopped")
                         : out_disk_write(file->disk, chunk->bytes, chunk->length, &err);
        budget_pace();
        pthread_mutex_lock(&file->mutex);
        if (result < 0)
            file->error = err;
        else
            file->written++;
        pthread_cond_signal(&file->has_written);
        pthread_mutex_unlock(&file->mutex);
    }
    return NULL;
}

struct out_file *out_file_create(int fd, const struct archive_options *options,
                                 const _Atomic(bool) *is_stopped)
{
    struct out_file *file = xcalloc(1, sizeof(*file));
    pthread_mutex_init(&file->mutex, NULL);
    thread_cond_init(&file->has_filled);
    thread_cond_init(&file->has_written);
    file->is_stopped = is_stopped;
    file->digester = digester_create(options->digest);
    file->limit_bytes = options->limit_file_bytes;
    file->disk = out_disk_create(fd, options, is_stopped);
    file->thread = thread_start("archive-write", run_writer, file);
    file->is_running = true;
    return file;
}

static void join(struct out_file *file)
{
    if (!file->is_running)
        return;
    pthread_mutex_lock(&file->mutex);
    file->is_complete = true;
    pthread_cond_signal(&file->has_filled);
    pthread_mutex_unlock(&file->mutex);
    pthread_join(file->thread, NULL);
    file->is_running = false;
}

void out_file_free(struct out_file *file)
{
    if (file == NULL)
        return;
    join(file);
    out_disk_free(file->disk);
    digester_free(file->digester);
    for (size_t i = 0; i < CHUNKS; i++)
        free(file->chunks[i].bytes);
    pthread_cond_destroy(&file->has_filled);
    pthread_cond_destroy(&file->has_written);
    pthread_mutex_destroy(&file->mutex);
    free(file);
}

static int get_chunk(struct out_file *file, struct error *err)
{
    pthread_mutex_lock(&file->mutex);
    while (file->filled - file->written == CHUNKS && !error_is_set(&file->error))
        pthread_cond_wait(&file->has_written, &file->mutex);
    *err = file->error;
    pthread_mutex_unlock(&file->mutex);
    if (error_is_set(err))
        return -1;
    file->chunk = &file->chunks[file->filled % CHUNKS];
    if (file->chunk->bytes == NULL)
        file->chunk->bytes = aligned_alloc(OUT_DISK_ALIGNMENT, CHUNK_BYTES);
    if (file->chunk->bytes == NULL)
        abort();
    file->chunk->length = 0;
    /* A first chunk that is shorter aligns all that follow. */
    size_t shorter = file->filled == 0 ? out_disk_misalignment(file->disk) : 0;
    file->chunk_room = shorter > 0 ? shorter : CHUNK_BYTES;
    return 0;
}

static void submit_chunk(struct out_file *file)
{
    const struct chunk *chunk = file->chunk;
    pthread_mutex_lock(&file->mutex);
    file->filled++;
    pthread_cond_signal(&file->has_filled);
    pthread_mutex_unlock(&file->mutex);
    digester_add(file->digester, chunk->bytes, chunk->length);
    file->chunk = NULL;
}

int out_file_add(struct out_file *file, const void *bytes, size_t length, struct error *err)
{
    const uint8_t *next = bytes;
    file->size_bytes += length;
    if (file->limit_bytes != 0 && file->size_bytes > file->limit_bytes)
        return error_set(err, ERROR_LIMIT, "the archive is larger than its limit of %llu bytes",
                         (unsigned long long)file->limit_bytes);
    while (length > 0) {
        if (file->chunk == NULL && get_chunk(file, err) < 0)
            return -1;
        struct chunk *chunk = file->chunk;
        size_t room = file->chunk_room - chunk->length;
        size_t part = length < room ? length : room;
        memcpy(chunk->bytes + chunk->length, next, part);
        chunk->length += part;
        next += part;
        length -= part;
        if (part == room)
            submit_chunk(file);
    }
    return 0;
}

int out_file_finish(struct out_file *file, struct digest *digest, uint64_t *file_bytes,
                    struct error *err)
{
    if (file->chunk != NULL)
        submit_chunk(file);
    join(file);
    if (error_is_set(&file->error)) {
        *err = file->error;
        return -1;
    }
    if (out_disk_finish(file->disk, err) < 0)
        return -1;
    digester_finish(file->digester, digest);
    *file_bytes = out_disk_written(file->disk);
    return 0;
}
