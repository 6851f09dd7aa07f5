/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipeline of archive creation.  Three counters walk round the ring of blocks, each behind
 * the one before it, and say everything about a block's state:
 *
 *     written <= taken <= filled <= written + block_count
 *
 *     [written, taken)  compressing, or compressed and waiting for its turn (is_packed)
 *     [taken, filled)   waiting for a compressing thread
 *     filled            being filled by the caller
 *
 * The mutex guards the counters, is_packed and the ends; what is in a block belongs to the thread
 * whose turn it is.
 */
#include "archive/gzip_writer.h"

#include <assert.h>
#include <sched.h>
#include <unistd.h>

#include "archive/index_write.h"
#include "archive/member.h"
#include "archive/out_file.h"
#include "base/budget.h"
#include "base/mem.h"

enum {
    THREADS_DEFAULT_MAX = 4,
    THREADS_MAX = 8,
    BLOCKS_MAX = 8, /* of 2 MiB each */
    PAGE_BYTES = 4096,
};

struct block {
    uint8_t *tar; /* ARCHIVE_BLOCK_BYTES; NULL: not used yet */
    size_t tar_length;
    size_t page_offset;
    uint8_t *member; /* MEMBER_MAX_BYTES */
    size_t member_length;
    bool is_packed;
};

struct gzip_writer {
    pthread_mutex_t mutex;
    pthread_cond_t has_filled;
    pthread_cond_t has_packed;
    pthread_cond_t has_written;
    struct block *blocks;
    size_t block_count;
    uint64_t filled, taken, written;
    bool is_complete;         /* no block will be filled any more */
    _Atomic(bool) is_stopped; /* give up: an error, or nobody wants the archive any more */
    struct error error;       /* why, where it was an error */

    enum archive_compression compression;
    unsigned thread_count;
    pthread_t packers[THREADS_MAX];
    pthread_t file_thread;
    bool is_running;
    struct out_file *file;
    struct index_writer *index; /* NULL: none is written */

    /* The caller's own. */
    struct block *current; /* NULL: get one first */
    size_t page_offset;
    uint64_t tar_bytes;
};

static unsigned default_threads(void)
{
    cpu_set_t processors;
    CPU_ZERO(&processors);
    unsigned count = 1;
    if (sched_getaffinity(0, sizeof(processors), &processors) == 0)
        count = (unsigned)CPU_COUNT(&processors);
    return count < THREADS_DEFAULT_MAX ? count : THREADS_DEFAULT_MAX;
}

static struct block *block_at(struct gzip_writer *writer, uint64_t number)
{
    return &writer->blocks[number % writer->block_count];
}

/* With the mutex held. */
static void stop(struct gzip_writer *writer)
{
    writer->is_stopped = true;
    pthread_cond_broadcast(&writer->has_filled);
    pthread_cond_broadcast(&writer->has_packed);
    pthread_cond_broadcast(&writer->has_written);
}

static struct block *take_filled(struct gzip_writer *writer)
{
    struct block *block = NULL;
    pthread_mutex_lock(&writer->mutex);
    while (!writer->is_stopped && !writer->is_complete && writer->taken == writer->filled)
        pthread_cond_wait(&writer->has_filled, &writer->mutex);
    if (!writer->is_stopped && writer->taken < writer->filled)
        block = block_at(writer, writer->taken++);
    pthread_mutex_unlock(&writer->mutex);
    return block;
}

static void *run_packer(void *argument)
{
    struct gzip_writer *writer = argument;
    struct member_packer *packer = member_packer_create(writer->compression);
    struct block *block;
    while ((block = take_filled(writer)) != NULL) {
        block->member_length =
            member_pack(packer, block->tar, block->tar_length, block->page_offset, block->member);
        budget_pace();
        pthread_mutex_lock(&writer->mutex);
        block->is_packed = true;
        pthread_cond_signal(&writer->has_packed);
        pthread_mutex_unlock(&writer->mutex);
    }
    member_packer_free(packer);
    return NULL;
}

static struct block *next_packed(struct gzip_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    struct block *block = block_at(writer, writer->written);
    while (!writer->is_stopped && !block->is_packed &&
           !(writer->is_complete && writer->written == writer->filled))
        pthread_cond_wait(&writer->has_packed, &writer->mutex);
    if (writer->is_stopped || !block->is_packed)
        block = NULL;
    pthread_mutex_unlock(&writer->mutex);
    return block;
}

static void *run_file(void *argument)
{
    struct gzip_writer *writer = argument;
    struct error err = ERROR_INIT;
    struct block *block;
    while ((block = next_packed(writer)) != NULL) {
        int result = out_file_add(writer->file, block->member, block->member_length, &err);
        if (result == 0 && writer->index != NULL)
            result = index_writer_member(writer->index, writer->file, block->member_length, &err);
        budget_pace();
        pthread_mutex_lock(&writer->mutex);
        if (result < 0) {
            writer->error = err;
            stop(writer);
        }
        block->is_packed = false;
        writer->written++;
        pthread_cond_signal(&writer->has_written);
        pthread_mutex_unlock(&writer->mutex);
    }
    return NULL;
}

struct gzip_writer *gzip_writer_create(int fd, const struct archive_options *options)
{
    struct gzip_writer *writer = xcalloc(1, sizeof(*writer));
    pthread_mutex_init(&writer->mutex, NULL);
    thread_cond_init(&writer->has_filled);
    thread_cond_init(&writer->has_packed);
    thread_cond_init(&writer->has_written);
    writer->compression = options->compression;
    writer->thread_count = options->threads == 0 ? default_threads() : options->threads;
    if (writer->thread_count > THREADS_MAX)
        writer->thread_count = THREADS_MAX;
    writer->block_count = 2 * (size_t)writer->thread_count + 2;
    if (writer->block_count > BLOCKS_MAX)
        writer->block_count = BLOCKS_MAX;
    writer->blocks = xcalloc(writer->block_count, sizeof(*writer->blocks));
    writer->file = out_file_create(fd, options, &writer->is_stopped);
    for (unsigned i = 0; i < writer->thread_count; i++)
        writer->packers[i] = thread_start("archive-pack", run_packer, writer);
    writer->file_thread = thread_start("archive-gather", run_file, writer);
    writer->is_running = true;
    return writer;
}

static void join(struct gzip_writer *writer)
{
    if (!writer->is_running)
        return;
    for (unsigned i = 0; i < writer->thread_count; i++)
        pthread_join(writer->packers[i], NULL);
    pthread_join(writer->file_thread, NULL);
    writer->is_running = false;
}

void gzip_writer_free(struct gzip_writer *writer)
{
    if (writer == NULL)
        return;
    pthread_mutex_lock(&writer->mutex);
    stop(writer);
    pthread_mutex_unlock(&writer->mutex);
    join(writer);
    out_file_free(writer->file);
    for (size_t i = 0; i < writer->block_count; i++) {
        free(writer->blocks[i].tar);
        free(writer->blocks[i].member);
    }
    free(writer->blocks);
    pthread_cond_destroy(&writer->has_filled);
    pthread_cond_destroy(&writer->has_packed);
    pthread_cond_destroy(&writer->has_written);
    pthread_mutex_destroy(&writer->mutex);
    free(writer);
}

/* Only an error stops the threads while the caller still calls. */
static int stopped(const struct gzip_writer *writer, struct error *err)
{
    assert(error_is_set(&writer->error));
    *err = writer->error;
    return -1;
}

static int get_block(struct gzip_writer *writer, struct error *err)
{
    assert(!writer->is_complete);
    pthread_mutex_lock(&writer->mutex);
    while (!writer->is_stopped && writer->filled - writer->written == writer->block_count)
        pthread_cond_wait(&writer->has_written, &writer->mutex);
    bool is_stopped = writer->is_stopped;
    if (!is_stopped)
        writer->current = block_at(writer, writer->filled);
    pthread_mutex_unlock(&writer->mutex);
    if (is_stopped)
        return stopped(writer, err);
    struct block *block = writer->current;
    if (block->tar == NULL) {
        block->tar = xmalloc(ARCHIVE_BLOCK_BYTES);
        block->member = xmalloc(MEMBER_MAX_BYTES);
    }
    block->tar_length = 0;
    return 0;
}

static void submit_block(struct gzip_writer *writer)
{
    writer->current->page_offset = writer->page_offset;
    writer->current = NULL;
    pthread_mutex_lock(&writer->mutex);
    writer->filled++;
    pthread_cond_signal(&writer->has_filled);
    pthread_mutex_unlock(&writer->mutex);
}

/* Room in the current block, at most `length` bytes of it; NULL: an error. */
static uint8_t *room(struct gzip_writer *writer, size_t *length, struct error *err)
{
    if (writer->current != NULL && writer->current->tar_length == ARCHIVE_BLOCK_BYTES)
        submit_block(writer);
    if (writer->current == NULL && get_block(writer, err) < 0)
        return NULL;
    struct block *block = writer->current;
    uint8_t *at = block->tar + block->tar_length;
    if (*length > ARCHIVE_BLOCK_BYTES - block->tar_length)
        *length = ARCHIVE_BLOCK_BYTES - block->tar_length;
    block->tar_length += *length;
    writer->tar_bytes += *length;
    return at;
}

int gzip_writer_add(struct gzip_writer *writer, const void *bytes, size_t length, struct error *err)
{
    if (atomic_load_explicit(&writer->is_stopped, memory_order_acquire))
        return stopped(writer, err);
    const uint8_t *next = bytes;
    while (length > 0) {
        size_t part = length;
        uint8_t *at = room(writer, &part, err);
        if (at == NULL)
            return -1;
        memcpy(at, next, part);
        next += part;
        length -= part;
    }
    return 0;
}

int gzip_writer_add_zeros(struct gzip_writer *writer, size_t length, struct error *err)
{
    while (length > 0) {
        size_t part = length;
        uint8_t *at = room(writer, &part, err);
        if (at == NULL)
            return -1;
        memset(at, 0, part);
        length -= part;
    }
    return 0;
}

void gzip_writer_mark_content(struct gzip_writer *writer)
{
    writer->page_offset = writer->tar_bytes % PAGE_BYTES;
}

void gzip_writer_set_index(struct gzip_writer *writer, struct index_writer *index)
{
    writer->index = index;
}

uint64_t gzip_writer_position(const struct gzip_writer *writer)
{
    return writer->tar_bytes;
}

int gzip_writer_finish(struct gzip_writer *writer, struct archive_result *result, struct error *err)
{
    if (writer->current != NULL)
        submit_block(writer);
    pthread_mutex_lock(&writer->mutex);
    writer->is_complete = true;
    pthread_cond_broadcast(&writer->has_filled);
    pthread_cond_broadcast(&writer->has_packed);
    pthread_mutex_unlock(&writer->mutex);
    join(writer);
    if (writer->is_stopped)
        return stopped(writer, err);
    struct archive_result done = {.tar_bytes = writer->tar_bytes};
    if (writer->index != NULL &&
        index_writer_finish(writer->index, writer->file, writer->tar_bytes, err) < 0)
        return -1;
    if (out_file_finish(writer->file, &done.digest, &done.file_bytes, err) < 0)
        return -1;
    *result = done;
    return 0;
}
