/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_ACTIVITY_H
#define DB_ACTIVITY_H

#include "db/db.h"

/* The record of who did what: activity_logs and activity_log_subjects, in Pterodactyl's event names. */
struct activity {
    const char *event;      /* "server:backup.start" */
    const char *ip;         /* NULL: none; stored as 127.0.0.1, for the column may not be NULL */
    int64_t actor_user_id;  /* 0: the system */
    int64_t api_key_id;     /* 0: none */
    const char *properties; /* a JSON object; NULL: {} */
    int64_t server_id;      /* subjects; 0: none */
    int64_t backup_id;
    int64_t at_us; /* 0: now */
};
int activity_insert(struct db_session *session, const struct activity *activity, struct error *err);

#endif
