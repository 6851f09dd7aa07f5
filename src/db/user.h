/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_USER_H
#define DB_USER_H

#include "base/uuid.h"
#include "db/db.h"

/* Users.  Finders give 1 (found), 0 (not there) or -1.  All of db/'s records: free what was found. */
struct user {
    int64_t id;
    char uuid[UUID_TEXT_BYTES];
    char *username;
    char *email;
    char language[8];
    bool is_root_admin;
    bool has_totp;
};

void user_free(struct user *user); /* the fields, not the struct; zeroes it */

/* CONFLICT: the name or the address is taken.  `uuid` "" makes one.  Sets id and uuid. */
int user_insert(struct db_session *session, struct user *user, struct error *err);
int user_find(struct db_session *session, int64_t id, struct user *user, struct error *err);
int user_find_by_name(struct db_session *session, const char *name_or_email, struct user *user,
                      struct error *err);
int user_each(struct db_session *session,
              int (*visit)(const struct user *user, void *context, struct error *err),
              void *context, struct error *err);
int user_delete(struct db_session *session, int64_t id, struct error *err);

#endif
