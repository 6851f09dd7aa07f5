/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_SUBUSER_H
#define DB_SUBUSER_H

#include "base/buf.h"
#include "db/db.h"

/* Who else may act on a server.  `permissions` is a JSON array of texts such as "backup.read". */

/* Appends the array's text: 1; 0: not a subuser; -1. */
int subuser_find(struct db_session *session, int64_t user_id, int64_t server_id,
                 struct buf *permissions, struct error *err);
int subuser_set(struct db_session *session, int64_t user_id, int64_t server_id,
                const char *permissions, struct error *err);

/* NOT_FOUND */
int subuser_delete(struct db_session *session, int64_t user_id, int64_t server_id,
                   struct error *err);

#endif
