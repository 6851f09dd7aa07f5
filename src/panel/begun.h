/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_BEGUN_H
#define PANEL_BEGUN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Servers for which this panel has ordered a restore, or an undo, a moment ago: the order may still be on its way, so a
 * node that says that it knows of none does not speak of this one.  In memory only: what an earlier life of the
 * panel ordered is on its way no more.  Thread-safe.
 */
struct begun;
struct begun *begun_create(void);
void begun_free(struct begun *begun); /* NULL is fine */

void begun_note(struct begun *begun, int64_t server_id, int64_t now_us); /* before the commit */
bool begun_is_recent(struct begun *begun, int64_t server_id, int64_t now_us);

#endif
