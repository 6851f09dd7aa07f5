/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_KEEPER_H
#define PANEL_KEEPER_H

#include <stdint.h>

/*
 * The panel's own thread, for what must not happen on a server thread or happens by itself: it
 * fails backups whose lease is dead, and writes in batches when keys were last used and from where
 * they were refused.
 */
struct panel;
struct keeper;
struct keeper *keeper_start(struct panel *panel);

/* Writes what is waiting, then ends.  NULL is fine. */
void keeper_stop(struct keeper *keeper);

/* Both never wait for the database.  What does not fit into the batch is dropped. */
void keeper_touch_key(struct keeper *keeper, int64_t key_id, int64_t at_us);

struct keeper_refusal {
    int64_t user_id;
    int64_t key_id;
    int64_t at_us;
    char identifier[17];
    char address[64];
};
void keeper_record_refusal(struct keeper *keeper, const struct keeper_refusal *refusal);

#endif
