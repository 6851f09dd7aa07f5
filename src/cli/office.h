/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_OFFICE_H
#define CLI_OFFICE_H

#include "cli/command.h"
#include "cli/config.h"
#include "db/db.h"
#include "db/node.h"
#include "db/server.h"
#include "db/user.h"

/*
 * Where operators' commands do their work: the configuration and the panel's database, opened directly,
 * whether or not a panel is running on it.
 */
struct office {
    struct config config;
    struct db *db;
    struct seal_keys keys;
};

enum office_needs {
    OFFICE_DATABASE = 0,
    OFFICE_KEYS = 1 << 0, /* the app key too */
};

/* Reads the invocation's --config.  NOT_FOUND: there is no database yet (roost init makes it). */
int office_open(const struct invocation *invocation, unsigned needs, struct office *office,
                struct error *err);
void office_close(struct office *office);
#define scope_office __attribute__((cleanup(office_close)))

/*
 * Finders for what people type; NOT_FOUND says what to look at.  `name` NULL: the only one there is
 * (INVALID where there are several).  The found record is the caller's to free.
 */
int office_find_user(struct office *office, const char *name, struct user *user, struct error *err);
int office_find_node(struct office *office, const char *name, struct node *node, struct error *err);

/* By uuid, short id, or a name that only one server has. */
int office_find_server(struct office *office, const char *name, struct server *server,
                       struct error *err);

/* Ends a transaction: commits where `result` is 0, else rolls back.  Returns what came of it. */
int office_end(struct db_session *session, int result, struct error *err);

#endif
