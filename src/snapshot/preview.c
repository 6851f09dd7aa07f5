/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copier's decisions without the copy.  Where the copier would skip a directory, all below it is counted
 * for the one item that it becomes; the stream holds it together.
 */
#include "snapshot/preview.h"

#include "base/time.h"

struct looker {
    struct source *source;
    const struct ignore *ignore;
    const struct preview_options *options;
    struct preview *preview;
    struct buf pruned; /* the directory that is being counted; "": none */
    struct preview_item item;
    uint64_t entries;
};

static void count(struct preview_count *count, const struct entry *entry)
{
    switch (entry->type) {
    case ENTRY_FILE:
        count->files++;
        count->bytes += entry->size_bytes;
        break;
    case ENTRY_DIRECTORY:
        count->directories++;
        break;
    case ENTRY_SYMLINK:
    case ENTRY_HARDLINK:
        count->links++;
        break;
    }
}

static bool lies_below(const struct buf *directory, const struct entry *entry)
{
    return directory->length > 0 && entry->path.length > directory->length &&
           entry->path.data[directory->length] == '/' &&
           memcmp(entry->path.data, directory->data, directory->length) == 0;
}

static void end_directory(struct looker *looker)
{
    if (looker->pruned.length == 0)
        return;
    looker->item.path = buf_slice(&looker->pruned);
    looker->options->visit(&looker->item, looker->options->context);
    buf_clear(&looker->pruned);
}

/* So that the next name of the file, should it be kept, comes with the file's size. */
static void leave_out(struct looker *looker, const struct entry *entry)
{
    count(&looker->preview->left_out, entry);
    if (entry->type == ENTRY_FILE)
        source_decline(looker->source);
}

static const struct ignore_rule *use_rule(struct looker *looker, size_t rule)
{
    if (rule == IGNORE_NO_RULE)
        return NULL;
    looker->preview->has_effect[rule] = true;
    return ignore_rule(looker->ignore, rule);
}

static void look_at_directory(struct looker *looker, const struct entry *entry)
{
    struct slice path = buf_slice(&entry->path);
    const struct ignore_rule *own = use_rule(looker, ignore_find(looker->ignore, path, true));
    const struct ignore_rule *rule = use_rule(looker, ignore_find_pruning(looker->ignore, path));
    bool is_kept = rule == NULL || own == NULL || own->is_negative;
    count(is_kept ? &looker->preview->kept : &looker->preview->left_out, entry);
    if (rule == NULL)
        return;
    buf_add(&looker->pruned, path.data, path.length);
    looker->item =
        (struct preview_item){.type = ENTRY_DIRECTORY, .keeps_directory = is_kept, .rule = rule};
}

static void look_at(struct looker *looker, const struct entry *entry)
{
    struct slice path = buf_slice(&entry->path);
    if (lies_below(&looker->pruned, entry)) {
        leave_out(looker, entry);
        looker->item.objects++;
        looker->item.bytes += entry->type == ENTRY_FILE ? entry->size_bytes : 0;
        return;
    }
    end_directory(looker);
    if (path.length == 0) {
        count(&looker->preview->kept, entry);
        return;
    }
    if (entry->type == ENTRY_DIRECTORY) {
        look_at_directory(looker, entry);
        return;
    }
    const struct ignore_rule *rule = use_rule(looker, ignore_find(looker->ignore, path, false));
    if (rule == NULL || rule->is_negative) {
        count(&looker->preview->kept, entry);
        return;
    }
    leave_out(looker, entry);
    struct preview_item item = {.path = path, .type = entry->type, .rule = rule};
    item.bytes = entry->type == ENTRY_FILE ? entry->size_bytes : 0;
    looker->options->visit(&item, looker->options->context);
}

static bool is_at_limit(const struct looker *looker)
{
    const struct preview_options *options = looker->options;
    return (options->limit_entries > 0 && looker->entries >= options->limit_entries) ||
           (options->deadline_us > 0 && time_monotonic_us() >= options->deadline_us);
}

static int look_at_all(struct looker *looker, struct error *err)
{
    struct entry entry;
    int more = 1;
    entry_init(&entry);
    while (more > 0) {
        if (cancel_is_set(looker->options->cancel))
            more = error_set(err, ERROR_CANCELLED, "cancelled");
        else
            more = source_next(looker->source, &entry, err);
        if (more > 0 && is_at_limit(looker)) {
            looker->preview->is_cut = true;
            break;
        }
        if (more > 0)
            look_at(looker, &entry);
        looker->entries++;
    }
    entry_free(&entry);
    if (more >= 0)
        end_directory(looker);
    return more < 0 ? -1 : 0;
}

int preview_run(struct source *source, const struct ignore *ignore,
                const struct preview_options *options, struct preview *preview, struct error *err)
{
    struct looker looker = {
        .source = source,
        .ignore = ignore,
        .options = options,
        .preview = preview,
        .pruned = BUF_INIT,
    };
    *preview = (struct preview){.is_cut = false};
    int result = look_at_all(&looker, err);
    buf_free(&looker.pruned);
    return result;
}
