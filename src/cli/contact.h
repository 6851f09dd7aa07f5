/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CONTACT_H
#define CLI_CONTACT_H

#include "api/client_api.h"
#include "cli/command.h"

/*
 * A panel as its clients see it: where it is, and with which key.  In this order:
 *
 *   address   --url, $ROOST_URL, `url` in ~/.config/roost/client.yml, the panel's address in roost.yml
 *   key       --key-file, $ROOST_API_KEY, `key` or `key_file` in client.yml
 *   ca_file   --ca-file, `ca_file` in client.yml, `ca_file` in roost.yml
 */
struct contact {
    struct client_api *api;
    char *url;
    char *ca_file; /* NULL: the system's authorities */
};

#define OPTIONS_CONTACT                                                                            \
    {"url", 0, "URL", "the panel; default: $ROOST_URL, client.yml, roost.yml"},                    \
        {"key-file", 0, "FILE", "holds the API key; default: $ROOST_API_KEY, client.yml"},         \
        {"ca-file", 0, "FILE", "authorities to trust besides the system's"}, OPTION_CONFIG

int contact_open(const struct invocation *invocation, struct contact *contact, struct error *err);
void contact_close(struct contact *contact);
#define scope_contact __attribute__((cleanup(contact_close)))

/* A server by what people call it: a uuid, a short id, or a name that one server has. */
int contact_find_server(struct contact *contact, const char *name, char uuid[UUID_TEXT_BYTES],
                        struct error *err);

/* A backup: its uuid, the beginning of one (at least 4 characters), or "latest", the newest good one. */
int contact_find_backup(struct contact *contact, const char *server, const char *name,
                        char uuid[UUID_TEXT_BYTES], struct error *err);

/* Calls `visit` for the attributes of every backup, oldest first, page by page. */
int contact_each_backup(struct contact *contact, const char *server,
                        int (*visit)(json_t *attributes, void *context, struct error *err),
                        void *context, struct error *err);

#endif
