/* SPDX-License-Identifier: Apache-2.0 */
/* Readers: one a thread, found through a thread-specific key, owned by the set. */
#include "panel/reader.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "panel/auth.h"
#include "panel/page.h"
#include "panel/view.h"

struct reader_set {
    struct db *db;
    pthread_key_t key;
    pthread_mutex_t mutex;
    struct reader *first;
};

struct reader_set *reader_set_create(struct db *db)
{
    struct reader_set *set = xcalloc(1, sizeof(*set));
    set->db = db;
    pthread_mutex_init(&set->mutex, NULL);
    if (pthread_key_create(&set->key, NULL) != 0)
        abort();
    return set;
}

void reader_set_free(struct reader_set *set)
{
    if (set == NULL)
        return;
    while (set->first != NULL) {
        struct reader *reader = set->first;
        set->first = reader->next;
        for (size_t i = 0; i < READER_SLOTS; i++) {
            auth_slot_free(reader->auths[i]);
            view_slot_free(reader->views[i]);
        }
        for (size_t i = 0; i < READER_PAGES; i++)
            page_slot_free(reader->pages[i]);
        free(reader);
    }
    pthread_key_delete(set->key);
    pthread_mutex_destroy(&set->mutex);
    free(set);
}

static struct reader *own_reader(struct reader_set *set)
{
    struct reader *reader = pthread_getspecific(set->key);
    if (reader != NULL)
        return reader;
    reader = xcalloc(1, sizeof(*reader));
    pthread_setspecific(set->key, reader);
    pthread_mutex_lock(&set->mutex);
    reader->next = set->first;
    set->first = reader;
    pthread_mutex_unlock(&set->mutex);
    return reader;
}

struct reader *reader_get(struct reader_set *set, struct error *err)
{
    struct reader *reader = own_reader(set);
    reader->session = db_reader(set->db, err);
    if (reader->session == NULL || db_version(reader->session, &reader->version, err) < 0)
        return NULL;
    return reader;
}
