/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links out of a selection, in a balanced tree: names are a tenant's, who must not choose how long a look-up takes. */
#include "archive/links_out.h"

#include <search.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    NODE_BYTES = 200, /* what one takes besides its names, and more */
};

/* Both are NUL-terminated, and paths have none inside. */
static int compare(const void *a, const void *b)
{
    const struct link_out *left = a;
    const struct link_out *right = b;
    return strcmp(left->target.data, right->target.data);
}

static void free_link(void *node)
{
    struct link_out *link = node;
    buf_free(&link->target);
    buf_free(&link->names);
    free(link);
}

void links_out_free(struct links_out *links)
{
    tdestroy(links->tree, free_link);
    *links = (struct links_out){.tree = NULL};
}

struct link_out *links_out_find(const struct links_out *links, struct slice target)
{
    struct link_out key = {.target = BUF_INIT};
    buf_add(&key.target, target.data, target.length);
    void *const *found = tfind(&key, &links->tree, compare);
    buf_free(&key.target);
    return found == NULL ? NULL : *found;
}

struct link_out *links_out_add(struct links_out *links, struct slice target, struct slice name)
{
    size_t size = NODE_BYTES + target.length + name.length;
    if (size > LINKS_OUT_MAX_BYTES - links->size_bytes)
        return NULL;
    links->size_bytes += size;
    struct link_out *link = links_out_find(links, target);
    if (link == NULL) {
        link = xcalloc(1, sizeof(*link));
        link->target = (struct buf)BUF_INIT;
        link->names = (struct buf)BUF_INIT;
        buf_add(&link->target, target.data, target.length);
        if (tsearch(link, &links->tree, compare) == NULL)
            abort();
        links->count++;
    }
    buf_add(&link->names, name.data, name.length);
    buf_add_char(&link->names, '\0');
    return link;
}

struct each {
    void (*visit)(const struct link_out *link, void *context);
    void *context;
};

static void visit_node(const void *node, VISIT order, void *context)
{
    const struct each *each = context;
    if (order == postorder || order == leaf)
        each->visit(*(const struct link_out *const *)node, each->context);
}

void links_out_each(const struct links_out *links,
                    void (*visit)(const struct link_out *link, void *context), void *context)
{
    struct each each = {visit, context};
    twalk_r(links->tree, visit_node, &each);
}
