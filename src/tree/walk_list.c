/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a directory, in sorted runs.  All directories on the way down share one
 * arena for names and one list of items, used as a stack: no allocation for a name.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "tree/walk_internal.h"

enum {
    LIST_BYTES = 64 * 1024,
    SHORT_LIST_BYTES = 4 * 1024, /* once the arena is full: a level must not cost more */
};

struct kernel_entry { /* struct linux_dirent64, getdents64(2) */
    uint64_t inode;
    int64_t position;
    uint16_t size;
    uint8_t type;
    char name[];
};

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static uint64_t prefix_of(const char *name, size_t length)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < 8; i++)
        prefix = prefix << 8 | (i < length ? (unsigned char)name[i] : 0);
    return prefix;
}

static int compare(const void *a, const void *b, void *names)
{
    const struct item *left = a, *right = b;
    if (left->prefix != right->prefix)
        return left->prefix < right->prefix ? -1 : 1;
    return strcmp((const char *)names + left->offset, (const char *)names + right->offset);
}

static void add(struct walk *walk, const struct kernel_entry *from)
{
    size_t length = strlen(from->name);
    if (walk->item_count == walk->item_capacity) {
        walk->item_capacity = walk->item_capacity == 0 ? 1024 : walk->item_capacity * 2;
        walk->items = xreallocarray(walk->items, walk->item_capacity, sizeof(*walk->items));
    }
    walk->items[walk->item_count++] = (struct item){
        .prefix = prefix_of(from->name, length),
        .offset = (uint32_t)walk->names.length,
        .length = (uint16_t)length,
        .type = from->type,
    };
    buf_add(&walk->names, from->name, length + 1);
}

static bool is_full(const struct walk *walk)
{
    return walk->names.length + walk->item_count * sizeof(struct item) >= WALK_NAMES_MAX_BYTES;
}

/* Names from where the directory's descriptor is, behind the items, until the end or the arena's.  -1: errno. */
static int read_names(struct walk *walk, struct frame *frame)
{
    if (walk->list == NULL)
        walk->list = xmalloc(LIST_BYTES);
    /* At least one piece, so that a full arena slows us down, but does not stop us. */
    size_t piece_bytes = is_full(walk) ? SHORT_LIST_BYTES : LIST_BYTES;
    do {
        long got = syscall(SYS_getdents64, frame->fd, walk->list, piece_bytes);
        if (got < 0)
            return -1;
        frame->has_more = got > 0;
        for (long at = 0; at < got;) {
            const struct kernel_entry *entry = (const void *)(walk->list + at);
            at += entry->size;
            frame->position = entry->position;
            if (!is_dots(entry->name))
                add(walk, entry);
        }
    } while (frame->has_more && !is_full(walk));
    return 0;
}

static void sort(struct walk *walk, size_t from, size_t to)
{
    if (to > from)
        qsort_r(walk->items + from, to - from, sizeof(*walk->items), compare, walk->names.data);
}

int walk_list(struct walk *walk, struct frame *frame)
{
    buf_truncate(&walk->names, frame->names_start);
    walk->item_count = frame->items_start;
    frame->next = frame->items_start;
    frame->is_whole = frame->position == 0;
    if (read_names(walk, frame) < 0)
        return -1;
    frame->is_whole = frame->is_whole && !frame->has_more;
    sort(walk, frame->items_start, walk->item_count);
    return 0;
}

bool walk_list_added(struct walk *walk, struct frame *frame)
{
    size_t start = frame->items_start, end = walk->item_count;
    size_t names_end = walk->names.length, kept = end;
    sort(walk, start, end);
    bool is_read = lseek(frame->fd, 0, SEEK_SET) == 0 && read_names(walk, frame) == 0;
    if (!is_read || frame->has_more) {
        frame->has_more = false;
        walk->item_count = end;
        buf_truncate(&walk->names, names_end);
        return false;
    }
    sort(walk, end, walk->item_count);
    for (size_t i = end, known = start; i < walk->item_count; i++) {
        int order = -1;
        while (known < end &&
               (order = compare(&walk->items[known], &walk->items[i], walk->names.data)) < 0)
            known++;
        if (known == end || order != 0)
            walk->items[kept++] = walk->items[i];
    }
    walk->item_count = kept;
    frame->next = end;
    return true;
}
