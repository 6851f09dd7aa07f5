/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_USER_H
#define DB_USER_H

#include "base/uuid.h"
#include "db/db.h"

/*
 * Users.  What holds for all of db/'s records:
 *
 * Finders give 1 (found), 0 (not there) or -1; free what was found.  A visitor of x_each() is lent
 * the record: its texts belong to the row and end with the call.  It may read through the same
 * session, but not the same list; a visitor that returns -1 (with `err` set) ends the walk with -1.
 * x_insert() and x_create() borrow the texts that they are given and set the ids that they make.
 * Times have whole seconds, for the columns do.
 */
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

/* CONFLICT: the name or the address is taken (case does not count).  `uuid` "" makes one.  Sets id and uuid. */
int user_insert(struct db_session *session, struct user *user, struct error *err);
int user_find(struct db_session *session, int64_t id, struct user *user, struct error *err);

/* A name comes before an equal address. */
int user_find_by_name(struct db_session *session, const char *name_or_email, struct user *user,
                      struct error *err);
int user_each(struct db_session *session,
              int (*visit)(const struct user *user, void *context, struct error *err),
              void *context, struct error *err);

/* With the user's keys and subusers.  NOT_FOUND; CONFLICT: owns servers. */
int user_delete(struct db_session *session, int64_t id, struct error *err);

#endif
