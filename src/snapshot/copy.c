/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copier.  One chunk of memory, one entry; whatever a rule leaves out is
 * counted or named, never just dropped.
 */
#include "snapshot/copy.h"

#include <stdlib.h>

#include "base/budget.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/throttle.h"

enum {
    CHUNK_BYTES = 256 * 1024,
    SHOWN_BYTES = 200,
};

struct copier {
    struct source *source;
    struct sink *sink;
    const struct copy_options *options;
    struct report *report;
    struct throttle throttle;
    char *chunk;
    uint64_t entries;
};

static int cancelled(const struct copier *copier, struct error *err)
{
    if (!cancel_is_set(copier->options->cancel))
        return 0;
    return error_set(err, ERROR_CANCELLED, "cancelled");
}

/* Whether nobody selected the entry.  Tells the source what that means for later entries. */
static bool is_not_selected(struct copier *copier, const struct entry *entry)
{
    struct selection *selection = copier->options->selection;
    struct slice path = buf_slice(&entry->path);
    enum selection_verdict verdict =
        selection == NULL ? SELECTION_WANTED : selection_look(selection, path);
    if (verdict == SELECTION_WANTED && selection != NULL)
        selection_meet(selection, path);
    if (verdict == SELECTION_WANTED ||
        (verdict == SELECTION_PARENT && entry->type == ENTRY_DIRECTORY))
        return false;
    if (entry->type == ENTRY_DIRECTORY)
        source_skip_directory(copier->source);
    else if (entry->type == ENTRY_FILE)
        source_decline(copier->source);
    return true;
}

/* Whether rules leave the entry out.  Tells the source what that means for later entries. */
static bool is_ignored(struct copier *copier, const struct entry *entry)
{
    const struct ignore *ignore = copier->options->ignore;
    struct slice path = buf_slice(&entry->path);
    if (ignore == NULL || ignore_is_empty(ignore) || path.length == 0)
        return false;
    bool is_directory = entry->type == ENTRY_DIRECTORY;
    bool is_match = ignore_matches(ignore, path, is_directory);
    if (is_directory) {
        if (!ignore_prunes(ignore, path))
            return false;
        source_skip_directory(copier->source);
        copier->report->ignored++;
        return is_match;
    }
    if (is_match) {
        copier->report->ignored++;
        if (entry->type == ENTRY_FILE)
            source_decline(copier->source);
    }
    return is_match;
}

/*
 * A link to a file that rules left out, from a source that cannot give the
 * content once more.  (Where it can, no link names such a file.)
 */
static bool is_orphan(struct copier *copier, const struct entry *entry)
{
    const struct ignore *ignore = copier->options->ignore;
    if (entry->type != ENTRY_HARDLINK || ignore == NULL ||
        !ignore_matches(ignore, buf_slice(&entry->link), false))
        return false;
    report_add(copier->report, REPORT_REFUSED, buf_slice(&entry->path),
               "a hard link to '%.*s', which the ignore rules leave out", SHOWN_BYTES,
               entry->link.data);
    return true;
}

static int check_limits(struct copier *copier, const struct entry *entry, struct error *err)
{
    const struct copy_options *options = copier->options;
    copier->entries++;
    if (options->limit_entries > 0 && copier->entries > options->limit_entries)
        return error_set(err, ERROR_LIMIT, "more than %llu entries",
                         (unsigned long long)options->limit_entries);
    if (options->limit_content_bytes == 0)
        return 0;
    uint64_t done = copier->report->content_bytes;
    if (done > options->limit_content_bytes ||
        entry->stored_bytes > options->limit_content_bytes - done)
        return error_set(err, ERROR_LIMIT, "more than %llu bytes of content",
                         (unsigned long long)options->limit_content_bytes);
    return 0;
}

static void count(struct copier *copier, const struct entry *entry)
{
    struct report *report = copier->report;
    switch (entry->type) {
    case ENTRY_FILE:
        report->files++;
        break;
    case ENTRY_DIRECTORY:
        report->directories++;
        break;
    case ENTRY_SYMLINK:
        report->symlinks++;
        break;
    case ENTRY_HARDLINK:
        report->hardlinks++;
        break;
    }
    if (copier->options->progress != NULL)
        atomic_fetch_add_explicit(&copier->options->progress->entries, 1, memory_order_relaxed);
}

static int copy_content(struct copier *copier, struct error *err)
{
    size_t chunk_bytes = throttle_chunk(&copier->throttle, CHUNK_BYTES);
    ssize_t got;
    for (;;) {
        size_t room_bytes = 0;
        char *room = sink_room(copier->sink, &room_bytes);
        if (room == NULL || room_bytes > chunk_bytes)
            room_bytes = chunk_bytes;
        if (room == NULL)
            room = copier->chunk;
        got = source_read(copier->source, room, room_bytes, err);
        if (got <= 0)
            break;
        if (sink_write(copier->sink, room, (size_t)got, err) < 0)
            return -1;
        copier->report->content_bytes += (uint64_t)got;
        if (copier->options->progress != NULL)
            atomic_fetch_add_explicit(&copier->options->progress->content_bytes, (uint64_t)got,
                                      memory_order_relaxed);
        budget_pace();
        throttle_pass(&copier->throttle, (uint64_t)got, copier->options->cancel);
        if (cancelled(copier, err) < 0)
            return -1;
    }
    return got < 0 ? -1 : 0;
}

/*
 * The same of a selection.  It was asked for by name, so leaving it out would be no answer.
 */
static int check_target(struct copier *copier, const struct entry *entry, struct error *err)
{
    const struct selection *selection = copier->options->selection;
    if (entry->type != ENTRY_HARDLINK || selection == NULL ||
        selection_look(selection, buf_slice(&entry->link)) == SELECTION_WANTED)
        return 0;
    return error_set(err, ERROR_INVALID, "'%.*s' is a second name of '%.*s', which is not selected",
                     SHOWN_BYTES, entry->path.data, SHOWN_BYTES, entry->link.data);
}

static int copy_one(struct copier *copier, const struct entry *entry, struct error *err)
{
    if (is_not_selected(copier, entry) || is_ignored(copier, entry))
        return 0;
    if (check_target(copier, entry, err) < 0)
        return -1;
    if (is_orphan(copier, entry))
        return 0;
    if (check_limits(copier, entry, err) < 0)
        return -1;
    if (sink_entry(copier->sink, entry, err) < 0 || copy_content(copier, err) < 0)
        return error_wrap(err, "copying '%.*s'", SHOWN_BYTES, entry->path.data);
    count(copier, entry);
    return 0;
}

static int copy_all(struct copier *copier, struct error *err)
{
    struct entry entry;
    int more;
    entry_init(&entry);
    do {
        budget_pace();
        more = cancelled(copier, err);
        if (more == 0)
            more = source_next(copier->source, &entry, err);
        if (more > 0 && copy_one(copier, &entry, err) < 0)
            more = -1;
    } while (more > 0);
    entry_free(&entry);
    const struct selection *selection = copier->options->selection;
    if (more < 0 || (selection != NULL && selection_check_met(selection, err) < 0))
        return -1;
    return sink_finish(copier->sink, err);
}

int copy_entries(struct source *source, struct sink *sink, const struct copy_options *options,
                 struct report *report, struct error *err)
{
    struct report unread;
    struct report *before[] = {source->report, sink->report};
    scope_free char *chunk = xmalloc(CHUNK_BYTES);
    struct copier copier = {
        .source = source,
        .sink = sink,
        .options = options,
        .report = report != NULL ? report : &unread,
        .chunk = chunk,
    };

    report_init(&unread);
    throttle_init(&copier.throttle, options->rate_bytes_per_s);
    source->report = copier.report;
    sink->report = copier.report;
    if (options->progress != NULL)
        atomic_store(&options->progress->expected_bytes, source_estimate_bytes(source));
    int result = copy_all(&copier, err);
    source->report = before[0];
    sink->report = before[1];
    report_free(&unread);
    return result;
}
