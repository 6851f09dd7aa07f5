/* SPDX-License-Identifier: Apache-2.0 */
/* How kept trees go before their time: room is needed, or their server is gone. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/node_internal.h"

/* Servers whose kept trees are to go. */
struct chosen {
    char (*servers)[UUID_TEXT_BYTES];
    size_t count;
    dev_t device;     /* those on this one */
    size_t count_max; /* so many of them */
    struct node *node;
    bool is_over;
};

static void choose(struct chosen *chosen, const char *server)
{
    chosen->servers = xreallocarray(chosen->servers, chosen->count + 1, sizeof(*chosen->servers));
    snprintf(chosen->servers[chosen->count++], UUID_TEXT_BYTES, "%s", server);
}

static unsigned drop_chosen(struct node *node, struct chosen *chosen, struct error *err)
{
    unsigned dropped = 0;
    for (size_t i = 0; i < chosen->count; i++)
        if (!error_is_set(err) && journal_drop_kept(node->journal, chosen->servers[i], err) == 0) {
            log_warning("a kept tree goes before its time server=%s", chosen->servers[i]);
            dropped++;
        }
    free(chosen->servers);
    return dropped;
}

static int choose_on_device(const struct journal_kept *kept, void *context, struct error *err)
{
    struct chosen *chosen = context;
    struct stat status;
    if (chosen->count < chosen->count_max && stat(kept->parent, &status) == 0 &&
        status.st_dev == chosen->device)
        choose(chosen, kept->server);
    return 0;
}

unsigned kept_drop_for_room(struct node *node, const char *server, int parent_fd,
                            unsigned others_max, struct error *err)
{
    struct chosen chosen = {.count_max = others_max};
    struct stat status;
    if (journal_kept_until(node->journal, server) != 0)
        choose(&chosen, server);
    else if (others_max > 0 && fstat(parent_fd, &status) == 0) {
        chosen.device = status.st_dev;
        (void)journal_each_kept(node->journal, choose_on_device, &chosen, err);
    }
    return drop_chosen(node, &chosen, err);
}

/* The list lacks it, and asked for by itself the panel does not know it either. */
static int choose_orphan(const struct journal_kept *kept, void *context, struct error *err)
{
    struct chosen *chosen = context;
    struct error reason = ERROR_INIT;
    if (servers_find(chosen->node->servers, kept->server, NULL, &reason) == 0)
        choose(chosen, kept->server);
    return 0;
}

void kept_drop_orphans(struct node *node)
{
    struct chosen chosen = {.node = node};
    struct error err = ERROR_INIT;
    (void)journal_each_kept(node->journal, choose_orphan, &chosen, &err);
    unsigned dropped = drop_chosen(node, &chosen, &err);
    if (error_is_set(&err))
        log_error("journal fails reason=%s", err.text);
    if (dropped > 0) {
        log_info("kept trees of servers that are gone are removed count=%u", dropped);
        sweeper_wake(node);
    }
}
