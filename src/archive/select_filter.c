/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is selected, out of an archive without an index: all of it is read, and the rest passed over.  Where a selected name turns out to be a
 * hard link to a file that was passed over, the archive is read once more for those files, up to the last of them.
 */
#include <stdlib.h>
#include <unistd.h>

#include "archive/links_out.h"
#include "archive/tar_read.h"
#include "base/mem.h"

struct filter_reader {
    struct archive_source base;
    int fd;
    struct archive_read_options options;
    off_t start; /* -1: it cannot be read twice */
    struct source *tar;
    _Atomic(uint64_t) position;
    struct digest digest;
    bool has_digest;

    struct links_out links;
    bool is_second; /* the archive is being read once more */
    bool is_ended;
    struct link_out *link; /* a file that was just given, */
    size_t next_name;      /* and where its other names begin */
    struct entry given;    /* its attributes */
};

static struct filter_reader *reader_of(struct source *source)
{
    return (struct filter_reader *)source;
}

static void note_position(struct filter_reader *reader)
{
    if (!reader->is_second)
        atomic_store_explicit(&reader->position, archive_reader_position(reader->tar),
                              memory_order_relaxed);
}

static void refuse(struct filter_reader *reader, struct slice name, const char *why)
{
    report_add(reader->base.source.report, REPORT_REFUSED, name,
               "a hard link to a file that is not selected%s", why);
}

/* Whether the entry is one to give. */
static bool is_wanted(struct filter_reader *reader, const struct entry *entry)
{
    const struct selection *selection = reader->options.selection;
    struct slice path = buf_slice(&entry->path);
    struct slice link = buf_slice(&entry->link);
    enum selection_verdict verdict = selection_look(selection, path);
    if (verdict != SELECTION_WANTED)
        return verdict == SELECTION_PARENT && entry->type == ENTRY_DIRECTORY;
    if (entry->type != ENTRY_HARDLINK || selection_look(selection, link) == SELECTION_WANTED)
        return true;
    if (reader->start < 0)
        refuse(reader, path, ", in an archive that can be read only once");
    else if (links_out_add(&reader->links, link, path) == NULL)
        refuse(reader, path, ", and there are too many of them");
    return false;
}

static int start_again(struct filter_reader *reader, struct error *err)
{
    struct archive_read_options options = reader->options;
    options.flags &= ~(unsigned)ARCHIVE_WITH_DIGEST;
    const struct digest *digest = archive_reader_digest(reader->tar);
    if (digest != NULL) {
        reader->digest = *digest;
        reader->has_digest = true;
    }
    if (reader->links.count == 0) {
        reader->is_ended = true;
        return 0;
    }
    source_free(reader->tar);
    lseek(reader->fd, reader->start, SEEK_SET);
    reader->tar = tar_reader_open(reader->fd, &options, err);
    reader->is_second = true;
    return reader->tar == NULL ? -1 : 0;
}

static int next_first(struct filter_reader *reader, struct entry *entry, struct error *err)
{
    int more;
    reader->tar->report = reader->base.source.report;
    while ((more = source_next(reader->tar, entry, err)) > 0 && !is_wanted(reader, entry))
        ;
    note_position(reader);
    return more != 0 ? more : start_again(reader, err);
}

/* The file itself, under the first of its names. */
static void give_file(struct filter_reader *reader, struct link_out *link, struct entry *entry)
{
    struct entry *given = &reader->given;
    buf_clear(&entry->path);
    buf_add_str(&entry->path, link->names.data);
    entry_clear(given);
    buf_add(&given->link, entry->path.data, entry->path.length);
    given->mode = entry->mode;
    given->uid = entry->uid;
    given->gid = entry->gid;
    given->mtime_s = entry->mtime_s;
    given->mtime_ns = entry->mtime_ns;
    reader->link = link;
    reader->next_name = entry->path.length + 1;
    link->is_given = true;
    reader->links.count--;
}

/* 1: `entry` is the next name of the file that was given. */
static int give_name(struct filter_reader *reader, struct entry *entry)
{
    const struct entry *given = &reader->given;
    if (reader->link == NULL || reader->next_name == reader->link->names.length) {
        reader->link = NULL;
        return 0;
    }
    buf_add_str(&entry->path, reader->link->names.data + reader->next_name);
    reader->next_name += entry->path.length + 1;
    buf_add(&entry->link, given->link.data, given->link.length);
    entry->type = ENTRY_HARDLINK;
    entry->mode = given->mode;
    entry->uid = given->uid;
    entry->gid = given->gid;
    entry->mtime_s = given->mtime_s;
    entry->mtime_ns = given->mtime_ns;
    return 1;
}

static void name_missing(const struct link_out *link, void *context)
{
    if (link->is_given)
        return;
    const char *end = link->names.data + link->names.length;
    for (const char *name = link->names.data; name < end; name += strlen(name) + 1)
        refuse(context, slice_str(name), ", and not in the archive");
}

static int next_second(struct filter_reader *reader, struct entry *entry, struct error *err)
{
    if (give_name(reader, entry) > 0)
        return 1;
    int more = 0;
    while (reader->links.count > 0 && (more = source_next(reader->tar, entry, err)) > 0) {
        struct link_out *link = entry->type != ENTRY_FILE
                                    ? NULL
                                    : links_out_find(&reader->links, buf_slice(&entry->path));
        if (link == NULL || link->is_given)
            continue;
        give_file(reader, link, entry);
        return 1;
    }
    if (more < 0)
        return -1;
    links_out_each(&reader->links, name_missing, reader);
    reader->is_ended = true;
    return 0;
}

static int next_entry(struct source *source, struct entry *entry, struct error *err)
{
    struct filter_reader *reader = reader_of(source);
    int more = 0;
    if (!reader->is_second && !reader->is_ended)
        more = next_first(reader, entry, err);
    if (more == 0 && !reader->is_ended) {
        entry_clear(entry);
        more = next_second(reader, entry, err);
    }
    return more;
}

static ssize_t read_content(struct source *source, void *bytes, size_t length, struct error *err)
{
    struct filter_reader *reader = reader_of(source);
    ssize_t got = source_read(reader->tar, bytes, length, err);
    note_position(reader);
    return got;
}

static void free_reader(struct source *source)
{
    struct filter_reader *reader = reader_of(source);
    source_free(reader->tar);
    links_out_free(&reader->links);
    entry_free(&reader->given);
    free(reader);
}

static const struct source_ops FILTER_OPS = {
    .next = next_entry,
    .read = read_content,
    .free = free_reader,
};

static const struct digest *digest_of_file(const struct archive_source *source)
{
    const struct filter_reader *reader = (const struct filter_reader *)source;
    return reader->has_digest ? &reader->digest : NULL;
}

static uint64_t position_in_file(const struct archive_source *source)
{
    const struct filter_reader *reader = (const struct filter_reader *)source;
    return atomic_load_explicit(&reader->position, memory_order_relaxed);
}

struct source *filter_reader_open(int fd, const struct archive_read_options *options,
                                  struct error *err)
{
    struct filter_reader *reader = xcalloc(1, sizeof(*reader));
    reader->base.source.ops = &FILTER_OPS;
    reader->base.digest = digest_of_file;
    reader->base.position = position_in_file;
    reader->fd = fd;
    reader->options = *options;
    reader->start = lseek(fd, 0, SEEK_CUR);
    entry_init(&reader->given);
    reader->tar = tar_reader_open(fd, options, err);
    if (reader->tar != NULL)
        return &reader->base.source;
    free_reader(&reader->base.source);
    return NULL;
}
