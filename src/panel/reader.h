/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_READER_H
#define PANEL_READER_H

#include "db/db.h"

/*
 * One thread's way into the database, with what it has read before: keys, servers, pages.  What is
 * cached is good while the database's version is the one that it was read under, so every commit,
 * also another process's, invalidates it.
 */
enum {
    READER_SLOTS =
        256, /* of keys and of servers; a slot holds one entry, newer ones replace older */
    READER_PAGES = 32
};

struct auth_slot;
struct view_slot;
struct page_slot;

struct reader {
    struct db_session *session;
    uint64_t version;
    struct auth_slot *auths[READER_SLOTS];
    struct view_slot *views[READER_SLOTS];
    struct page_slot *pages[READER_PAGES];
    struct reader *next;
};

struct reader_set; /* every thread's reader; thread-safe */
struct reader_set *reader_set_create(struct db *db);
/* After the threads that used it have ended, or will not come again. */
void reader_set_free(struct reader_set *set);

/* The calling thread's own, at the database's present version.  NULL on error. */
struct reader *reader_get(struct reader_set *set, struct error *err);

#endif
