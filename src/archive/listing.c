/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: entries in, visits out; and the one function that lists whatever archive there is. */
#include "archive/listing.h"

#include <stdlib.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/index_internal.h"
#include "base/mem.h"

enum {
    IMPLICIT_MODE = 0755,
    SEEN_FIRST = 64,
    SEEN_MAX = 65536,
    SHOWN_BYTES = 200,
};

int listing_init(struct listing *listing, const struct archive_list_options *options,
                 archive_visit *visit, void *context, struct error *err)
{
    struct slice directory = options->directory.data == NULL ? slice_str("") : options->directory;
    *listing = (struct listing){.flags = options->flags, .visit = visit, .context = context};
    entry_init(&listing->directory);
    entry_init(&listing->child);
    if (entry_set_path(&listing->directory, directory, err) == 0)
        return 0;
    listing_clear(listing);
    return -1;
}

void listing_clear(struct listing *listing)
{
    entry_free(&listing->directory);
    entry_free(&listing->child);
    free(listing->seen);
    listing->seen = NULL;
}

static int not_found(const struct listing *listing, struct error *err)
{
    struct slice path = buf_slice(&listing->directory.path);
    int shown = (int)(path.length < SHOWN_BYTES ? path.length : SHOWN_BYTES);
    return error_set(err, ERROR_NOT_FOUND, "there is no directory '%.*s' in the archive", shown,
                     (const char *)path.data);
}

static int visit(struct listing *listing, const struct entry *entry, struct error *err)
{
    if (listing->visits++ < listing->skip_visits)
        return 0;
    int result = listing->visit(entry, listing->context, err);
    listing->visit_failed = result < 0;
    return result;
}

/* ---- children that were seen ---- */

/* A digest, as names are a tenant's and could be made to collide. */
static uint64_t mark_of(struct slice path)
{
    struct digest digest;
    uint64_t mark;
    digest_of(DIGEST_SHA256, path, &digest);
    memcpy(&mark, digest.bytes, sizeof(mark));
    return mark == 0 ? 1 : mark;
}

static uint64_t *slot_of(struct listing *listing, uint64_t mark)
{
    size_t i = (size_t)mark & (listing->seen_capacity - 1);
    while (listing->seen[i] != 0 && listing->seen[i] != mark)
        i = (i + 1) & (listing->seen_capacity - 1);
    return &listing->seen[i];
}

static void grow(struct listing *listing)
{
    uint64_t *old = listing->seen;
    size_t old_capacity = listing->seen_capacity;
    listing->seen_capacity = old_capacity == 0 ? SEEN_FIRST : 2 * old_capacity;
    listing->seen = xcalloc(listing->seen_capacity, sizeof(*listing->seen));
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i] != 0)
            *slot_of(listing, old[i]) = old[i];
    free(old);
}

/* Whether the child, a directory, comes for the first time. */
static bool is_new(struct listing *listing, struct slice path)
{
    if (slice_equal(path, buf_slice(&listing->child.path)))
        return false;
    entry_clear(&listing->child);
    buf_add(&listing->child.path, path.data, path.length);
    uint64_t mark = mark_of(path);
    if (2 * listing->seen_count >= listing->seen_capacity && listing->seen_count < SEEN_MAX)
        grow(listing);
    uint64_t *slot = slot_of(listing, mark);
    if (*slot == mark)
        return false;
    if (listing->seen_count < SEEN_MAX) {
        *slot = mark;
        listing->seen_count++;
    }
    return true;
}

/* ---- entries ---- */

static int take_child(struct listing *listing, const struct entry *entry, struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    size_t start = listing->directory.path.length;
    start += start > 0;
    const char *name = (const char *)path.data + start;
    const char *slash = memchr(name, '/', path.length - start);
    if (slash == NULL && entry->type == ENTRY_DIRECTORY)
        return is_new(listing, path) ? visit(listing, entry, err) : 0;
    if (slash == NULL)
        return visit(listing, entry, err);
    if (!is_new(listing, slice_of(path.data, (size_t)(slash - (const char *)path.data))))
        return 0;
    listing->child.type = ENTRY_DIRECTORY;
    listing->child.mode = IMPLICIT_MODE;
    return visit(listing, &listing->child, err);
}

int listing_take(struct listing *listing, const struct entry *entry, struct error *err)
{
    struct slice path = buf_slice(&entry->path);
    struct slice directory = buf_slice(&listing->directory.path);
    bool is_recursive = (listing->flags & ARCHIVE_LIST_RECURSIVE) != 0;
    if (slice_equal(path, directory)) {
        if (entry->type != ENTRY_DIRECTORY)
            return not_found(listing, err);
        listing->exists = true;
        return is_recursive && path.length == 0 ? visit(listing, entry, err) : 0;
    }
    if (!index_path_is_below(path, directory))
        return 0;
    listing->exists = true;
    return is_recursive ? visit(listing, entry, err) : take_child(listing, entry, err);
}

int listing_finish(const struct listing *listing, struct error *err)
{
    if (listing->exists || listing->directory.path.length == 0)
        return 0;
    return not_found(listing, err);
}

/* ---- whole archives ---- */

static int list_slowly(int fd, const struct archive_list_options *options, struct listing *listing,
                       struct error *err)
{
    struct archive_read_options reading = {.limit_tar_bytes = options->limit_tar_bytes,
                                           .cancel = options->cancel};
    lseek(fd, 0, SEEK_SET); /* a pipe is where it is */
    struct source *source = archive_reader_open(fd, &reading, err);
    if (source == NULL)
        return -1;
    struct entry entry;
    entry_init(&entry);
    source->report = options->report;
    int taken = 0;
    int more;
    while ((more = source_next(source, &entry, err)) > 0 && taken == 0)
        taken = listing_take(listing, &entry, err);
    entry_free(&entry);
    source_free(source);
    if (more < 0 || taken < 0)
        return -1;
    return taken > 0 ? 0 : listing_finish(listing, err);
}

int archive_list_slowly(int fd, const struct archive_list_options *options, archive_visit *visitor,
                        void *context, struct error *err)
{
    struct listing listing;
    if (listing_init(&listing, options, visitor, context, err) < 0)
        return -1;
    int result = list_slowly(fd, options, &listing, err);
    listing_clear(&listing);
    return result;
}

/* Only what is wrong with the index itself sends us the slow way. */
static bool is_damage(const struct error *err, const struct listing *listing)
{
    return err->code == ERROR_CORRUPT && !listing->visit_failed;
}

static int list(int fd, const struct archive_list_options *options, struct listing *listing,
                struct error *err)
{
    struct archive_index *index = archive_index_open(fd, err);
    if (index != NULL) {
        int result = index_list(index, listing, err);
        archive_index_free(index);
        if (result == 0 || !is_damage(err, listing))
            return result;
    } else if (err->code != ERROR_NOT_FOUND && err->code != ERROR_CORRUPT) {
        return -1;
    }
    int was_damaged = err->code == ERROR_CORRUPT;
    error_clear(err);
    listing->skip_visits = listing->visits;
    listing->visits = 0;
    return list_slowly(fd, options, listing, err) < 0 ? -1 : was_damaged;
}

int archive_list(int fd, const struct archive_list_options *options, archive_visit *visitor,
                 void *context, struct error *err)
{
    struct listing listing;
    if (listing_init(&listing, options, visitor, context, err) < 0)
        return -1;
    int result = list(fd, options, &listing, err);
    listing_clear(&listing);
    return result;
}
