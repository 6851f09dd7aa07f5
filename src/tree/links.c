/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table with chains, keyed by device and inode. */
#include "tree/links.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    BUCKETS_MIN = 256,
};

struct link {
    struct link *next;
    uint64_t device, inode, more_names;
    size_t length;
    char path[];
};

struct links {
    struct link **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    size_t bytes, limit_bytes;
};

struct links *links_new(size_t limit_bytes)
{
    struct links *links = xcalloc(1, sizeof(*links));
    links->bucket_count = BUCKETS_MIN;
    links->buckets = xcalloc(BUCKETS_MIN, sizeof(struct link *));
    links->limit_bytes = limit_bytes;
    return links;
}

void links_free(struct links *links)
{
    if (links == NULL)
        return;
    for (size_t i = 0; i < links->bucket_count; i++) {
        for (struct link *link = links->buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            free(link);
        }
    }
    free(links->buckets);
    free(links);
}

static size_t bucket_of(size_t bucket_count, uint64_t device, uint64_t inode)
{
    uint64_t hash = (inode ^ device << 32) * 0x9E3779B97F4A7C15u;
    return (size_t)(hash >> 32) & (bucket_count - 1);
}

static struct link **find(const struct links *links, uint64_t device, uint64_t inode)
{
    struct link **at = &links->buckets[bucket_of(links->bucket_count, device, inode)];
    while (*at != NULL && ((*at)->inode != inode || (*at)->device != device))
        at = &(*at)->next;
    return at;
}

static void grow(struct links *links)
{
    size_t wider = links->bucket_count * 2;
    struct link **buckets = xcalloc(wider, sizeof(*buckets));
    for (size_t i = 0; i < links->bucket_count; i++) {
        for (struct link *link = links->buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            struct link **head = &buckets[bucket_of(wider, link->device, link->inode)];
            link->next = *head;
            *head = link;
        }
    }
    free(links->buckets);
    links->buckets = buckets;
    links->bucket_count = wider;
}

static void drop(struct links *links, struct link **at)
{
    struct link *link = *at;
    *at = link->next;
    links->count--;
    links->bytes -= sizeof(*link) + link->length;
    free(link);
}

void links_add(struct links *links, uint64_t device, uint64_t inode, struct slice path,
               uint64_t more_names)
{
    size_t size = sizeof(struct link) + path.length;
    if (size > links->limit_bytes - links->bytes || more_names == 0)
        return;
    links_forget(links, device, inode);
    if (links->count >= links->bucket_count)
        grow(links);
    struct link *link = xmalloc(size);
    *link = (struct link){
        .device = device, .inode = inode, .more_names = more_names, .length = path.length};
    memcpy(link->path, path.data, path.length);
    *find(links, device, inode) = link;
    links->count++;
    links->bytes += size;
}

bool links_use(struct links *links, uint64_t device, uint64_t inode, struct buf *path_out)
{
    struct link **at = find(links, device, inode);
    if (*at == NULL)
        return false;
    buf_add(path_out, (*at)->path, (*at)->length);
    if (--(*at)->more_names == 0)
        drop(links, at);
    return true;
}

void links_forget(struct links *links, uint64_t device, uint64_t inode)
{
    struct link **at = find(links, device, inode);
    if (*at != NULL)
        drop(links, at);
}
