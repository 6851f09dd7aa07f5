/* SPDX-License-Identifier: Apache-2.0 */
/* A few rendered pages per reader, found by their key, good for one version of the database. */
#include "panel/page.h"

#include <stdlib.h>

#include "base/mem.h"

struct page_slot {
    struct page_key key;
    uint64_t version;
    struct buf bytes;
};

void page_slot_free(struct page_slot *slot)
{
    if (slot == NULL)
        return;
    buf_free(&slot->bytes);
    free(slot);
}

/* FNV-1a; collisions only cost a read. */
static size_t slot_of(const struct page_key *key)
{
    uint32_t hash = 2166136261U ^ (uint32_t)(key->page * 64 + key->per_page);
    for (const char *c = key->identifier; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    return (hash ^ hash >> 16) % READER_PAGES;
}

static bool is_equal(const struct page_key *a, const struct page_key *b)
{
    return a->page == b->page && a->per_page == b->per_page &&
           strcmp(a->identifier, b->identifier) == 0;
}

const struct buf *page_find(const struct reader *reader, const struct page_key *key)
{
    const struct page_slot *slot = reader->pages[slot_of(key)];
    bool is_current = slot != NULL && slot->version == reader->version && is_equal(&slot->key, key);
    return is_current ? &slot->bytes : NULL;
}

void page_keep(struct reader *reader, const struct page_key *key, struct slice bytes)
{
    if (bytes.length > PAGE_KEPT_MAX_BYTES)
        return;
    struct page_slot **place = &reader->pages[slot_of(key)];
    if (*place == NULL) {
        *place = xcalloc(1, sizeof(**place));
        (*place)->bytes = (struct buf)BUF_INIT;
    }
    (*place)->key = *key;
    (*place)->version = reader->version;
    buf_clear(&(*place)->bytes);
    buf_add(&(*place)->bytes, bytes.data, bytes.length);
}
