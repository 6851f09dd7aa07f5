/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: passes calls on, and lets no entry through that breaks the rules of entry.h. */
#include "snapshot/source.h"

#include <assert.h>

int source_next(struct source *source, struct entry *entry, struct error *err)
{
    entry_clear(entry);
    int more = source->ops->next(source, entry, err);
    source->left_bytes = 0;
    if (more <= 0)
        return more;
    if (entry_check(entry, err) < 0)
        return -1;
    source->left_bytes = entry->stored_bytes;
    return 1;
}

ssize_t source_read(struct source *source, void *bytes, size_t length, struct error *err)
{
    if (length > source->left_bytes)
        length = (size_t)source->left_bytes;
    if (length == 0)
        return 0;
    ssize_t got = source->ops->read(source, bytes, length, err);
    if (got < 0)
        return -1;
    if (got == 0)
        return error_set(err, ERROR_CORRUPT, "content ended %llu bytes early",
                         (unsigned long long)source->left_bytes);
    assert((size_t)got <= length);
    source->left_bytes -= (uint64_t)got;
    return got;
}

void source_skip_directory(struct source *source)
{
    if (source->ops->skip_directory != NULL)
        source->ops->skip_directory(source);
}

bool source_decline(struct source *source)
{
    if (source->ops->decline == NULL)
        return false;
    source->ops->decline(source);
    return true;
}

uint64_t source_estimate_bytes(struct source *source)
{
    return source->ops->estimate_bytes == NULL ? 0 : source->ops->estimate_bytes(source);
}

void source_free(struct source *source)
{
    if (source != NULL)
        source->ops->free(source);
}
