/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_BACKUP_INTERNAL_H
#define DB_BACKUP_INTERNAL_H

#include "db/backup.h"

/* The lease of a backup, rounded up to a second; 0: none.  Any state. */
int backup_lease_set(struct db_session *session, int64_t id, int64_t until_us, struct error *err);

#endif
