/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_PAGE_H
#define PANEL_PAGE_H

#include "base/buf.h"
#include "base/uuid.h"
#include "panel/reader.h"

/*
 * Pages of backup lists, as they were answered: clients poll them, and between two commits nothing
 * in them can change.  Permissions are no part of a page; ask for one after they were checked.
 */
enum {
    PAGE_KEPT_MAX_BYTES = 32 * 1024 /* a larger one is not kept */
};

struct page_key {
    char identifier[UUID_TEXT_BYTES]; /* as the client wrote it: the page's links repeat it */
    int64_t page, per_page;
};

struct page_slot;
void page_slot_free(struct page_slot *slot); /* NULL is fine */

/* The bytes at the reader's version, or NULL; borrowed until the thread's next call. */
const struct buf *page_find(const struct reader *reader, const struct page_key *key);
void page_keep(struct reader *reader, const struct page_key *key, struct slice bytes);

#endif
