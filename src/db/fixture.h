/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_FIXTURE_H
#define DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "db/node.h"
#include "db/schema.h"
#include "db/server.h"
#include "db/user.h"

/* For db/'s own tests: a database in a directory of its own, and somebody in it. */

struct fixture {
    char directory[32];
    char url[64];
    struct db *db;
};

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

/* The call fails with this code; `err` is fresh again. */
#define assert_fails(call, expected)                                                               \
    do {                                                                                           \
        assert_int_equal((call), -1);                                                              \
        if (err.code != (expected))                                                                \
            fail_msg("%s: %s, not %s", #call, err.text, error_code_name(expected));                \
        error_clear(&err);                                                                         \
    } while (0)

static inline int fixture_make_directory(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/roost-db-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->url, sizeof(fixture->url), "sqlite:%s/db", fixture->directory);
    *state = fixture;
    return 0;
}

static inline int fixture_open(void **state)
{
    fixture_make_directory(state);
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    fixture->db = db_open(fixture->url, &err);
    if (fixture->db == NULL)
        fail_msg("%s", err.text);
    assert_ok(schema_prepare(fixture->db, &err));
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *fixture = *state;
    struct error err = ERROR_INIT;
    db_close(fixture->db);
    assert_ok(beneath_remove_tree(AT_FDCWD, fixture->directory, &err));
    free(fixture);
    return 0;
}

static inline struct db_session *fixture_begin(struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    struct db_session *session = db_begin(fixture->db, &err);
    if (session == NULL)
        fail_msg("%s", err.text);
    return session;
}

static inline struct db_session *fixture_reader(struct fixture *fixture)
{
    struct error err = ERROR_INIT;
    struct db_session *session = db_reader(fixture->db, &err);
    if (session == NULL)
        fail_msg("%s", err.text);
    return session;
}

static inline struct seal_keys fixture_keys(void)
{
    struct seal_keys keys = {0};
    struct error err = ERROR_INIT;
    assert_ok(seal_keys_add(&keys, "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", &err));
    return keys;
}

static inline int64_t fixture_add_user(struct db_session *session, char *name)
{
    struct error err = ERROR_INIT;
    char *email = xasprintf("%s@example.org", name);
    struct user user = {.username = name, .email = email};
    assert_ok(user_insert(session, &user, &err));
    free(email);
    return user.id;
}

static inline int64_t fixture_add_node(struct db_session *session, char *name)
{
    struct error err = ERROR_INIT;
    struct seal_keys keys = fixture_keys();
    scope_buf struct buf token = BUF_INIT;
    struct node node = {.name = name, .fqdn = name, .scheme = "http", .daemon_port = 8080};
    assert_ok(node_create(session, &keys, &node, &token, &err));
    return node.id;
}

static inline int64_t fixture_add_server(struct db_session *session, int64_t node_id,
                                         int64_t owner_id)
{
    struct error err = ERROR_INIT;
    struct server server = {
        .node_id = node_id, .owner_id = owner_id, .name = "Survival", .backup_limit = 3};
    assert_ok(server_insert(session, &server, &err));
    return server.id;
}

#endif
