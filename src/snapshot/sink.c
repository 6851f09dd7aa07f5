/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks: passes calls on, and holds callers to the protocol.  A new format can rely on it. */
#include "snapshot/sink.h"

#include <assert.h>

int sink_entry(struct sink *sink, const struct entry *entry, struct error *err)
{
    assert(sink->owed_bytes == 0 && !sink->is_finished);
    if (entry_check(entry, err) < 0)
        return -1;
    if (sink->ops->entry(sink, entry, err) < 0)
        return -1;
    sink->owed_bytes = entry->stored_bytes;
    return 0;
}

int sink_write(struct sink *sink, const void *bytes, size_t length, struct error *err)
{
    assert(length <= sink->owed_bytes && !sink->is_finished);
    if (length == 0)
        return 0;
    if (sink->ops->write(sink, bytes, length, err) < 0)
        return -1;
    sink->owed_bytes -= length;
    return 0;
}

void *sink_room(struct sink *sink, size_t *length)
{
    assert(!sink->is_finished);
    if (sink->owed_bytes == 0 || sink->ops->room == NULL)
        return NULL;
    return sink->ops->room(sink, length);
}

int sink_finish(struct sink *sink, struct error *err)
{
    assert(sink->owed_bytes == 0 && !sink->is_finished);
    if (sink->ops->finish(sink, err) < 0)
        return -1;
    sink->is_finished = true;
    return 0;
}

void sink_free(struct sink *sink)
{
    if (sink != NULL)
        sink->ops->free(sink);
}
