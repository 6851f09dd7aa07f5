/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's questions to others: does the panel answer, does the database open, do the nodes answer. */
#include <string.h>
#include <time.h>

#include "api/node_api.h"
#include "base/mem.h"
#include "base/time.h"
#include "cli/doctor.h"
#include "crypt/mac.h"
#include "db/node.h"
#include "db/schema.h"
#include "net/client.h"

enum {
    SKEW_WRONG_S = 60, /* tokens are refused beyond */
    SKEW_WARNING_S = 10,
};

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static void check_skew(struct doctor *doctor, const char *date)
{
    struct tm parts = {.tm_mday = 0};
    const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == NULL || *end != '\0')
        return;
    long long skew_s = (long long)timegm(&parts) - (long long)(time_now_us() / 1000000);
    long long distance_s = skew_s < 0 ? -skew_s : skew_s;
    enum finding finding = distance_s > SKEW_WRONG_S     ? FINDING_WRONG
                           : distance_s > SKEW_WARNING_S ? FINDING_WARNING
                                                         : FINDING_OK;
    doctor_note(doctor, finding, "panel's clock",
                finding == FINDING_OK ? NULL : "set both clocks, best with an NTP service",
                "%lld s from this machine's", distance_s);
}

void doctor_check_panel(struct doctor *doctor, const struct config *config)
{
    scope_buf struct buf base = BUF_INIT;
    struct error err = ERROR_INIT;
    if (*config->node.panel_url != '\0')
        buf_add_str(&base, config->node.panel_url);
    else
        config_add_panel_url(config, &base);
    struct url_parts parts;
    if (url_split(base.data, &parts, &err) < 0) {
        doctor_note(doctor, FINDING_WRONG, "panel", "correct 'panel.url'", "%s", err.text);
        return;
    }
    struct http_client_options options = {.ca_file =
                                              *config->ca_file == '\0' ? NULL : config->ca_file};
    struct http_client *http = http_client_create(&options);
    scope_free char *url = xasprintf("%s/api/client", base.data);
    struct http_call call = {.method = "GET", .url = url};
    struct http_answer answer;
    if (http_client_call(http, &call, &answer, &err) < 0) {
        doctor_note(doctor, FINDING_WRONG, "panel",
                    "start it ('roost serve'), or correct 'panel.url' or 'ca_file'", "%s: %s",
                    base.data, err.text);
    } else {
        /* Without a key: 401 is how a panel answers. */
        bool is_panel = answer.status == 401;
        doctor_note(doctor, is_panel ? FINDING_OK : FINDING_WRONG, "panel",
                    is_panel ? NULL : "correct 'panel.url': something else answers there",
                    "%s answers%s", base.data, is_panel ? "" : ", but not as a panel");
        if (is_panel)
            check_skew(doctor, answer.date);
        http_answer_free(&answer);
    }
    http_client_free(http);
}

struct visit {
    struct doctor *doctor;
    const struct seal_keys *keys;
    struct node_api *api;
    unsigned count;
};

static int check_node(const struct node *node, void *context, struct error *err)
{
    struct visit *visit = context;
    struct error seal_error = ERROR_INIT;
    scope_buf struct buf token = BUF_INIT;
    scope_free char *subject = xasprintf("node '%s'", node->name);
    scope_free char *url = xasprintf("%s://%s:%u", node->scheme, node->fqdn, node->daemon_port);
    visit->count++;
    if (seal_open(visit->keys, node->sealed_token, &token, &seal_error) < 0) {
        doctor_note(visit->doctor, FINDING_WRONG, subject,
                    "bring back the app key that the database was made with",
                    "its token cannot be opened: %s", seal_error.text);
        return 0;
    }
    struct node_address address = {.base_url = url, .token = token.data};
    struct node_outcome outcome = {.status = 0};
    if (node_api_system(visit->api, &address, NULL, &outcome))
        doctor_note(visit->doctor, FINDING_OK, subject, NULL, "%s answers", url);
    else if (outcome.status == 401 || outcome.status == 403)
        doctor_note(visit->doctor, FINDING_WRONG, subject,
                    "give the node its own token: 'roost node show-config --token-file FILE'",
                    "%s does not take the panel's token", url);
    else
        doctor_note(visit->doctor, FINDING_WRONG, subject,
                    "start the node, or see whether its address and a firewall are right",
                    "%s does not answer: %s", url, outcome.error);
    explicit_bzero(token.data, token.length);
    return 0;
}

static void check_nodes(struct doctor *doctor, struct db *db, const struct config *config)
{
    struct error err = ERROR_INIT;
    struct panel_config panel;
    if (config_for_panel(config, "", &panel, &err) < 0) {
        doctor_note(doctor, FINDING_WRONG, "app key", "put the right key into panel.app_key_file",
                    "%s", err.text);
        return;
    }
    struct visit visit = {.doctor = doctor, .keys = &panel.app_keys};
    struct db_session *session = db_reader(db, &err);
    visit.api = node_api_create(*config->ca_file == '\0' ? NULL : config->ca_file);
    if (session == NULL || node_each(session, check_node, &visit, &err) < 0)
        doctor_note(doctor, FINDING_WRONG, "nodes", "see the message", "%s", err.text);
    else if (visit.count == 0)
        doctor_note(doctor, FINDING_WARNING, "nodes", "'roost node add'", "there is none");
    node_api_free(visit.api);
    explicit_bzero(&panel, sizeof(panel));
}

/* Where panel and node share a machine, the token in the node's file is that of a node of the panel's. */
static void check_token(struct doctor *doctor, struct db *db, struct config *config)
{
    struct error err = ERROR_INIT;
    struct node node;
    struct panel_config panel;
    scope_buf struct buf token = BUF_INIT;
    static const char remedy[] = "remove the file, and 'roost init' writes it again";
    if (access(config->node.token_file, F_OK) < 0 && *config->node.token == '\0')
        return; /* noted already */
    if (config_read_token(config, &err) < 0) {
        doctor_note(doctor, FINDING_WRONG, "node.token", remedy, "%s", err.text);
        return;
    }
    struct db_session *session = db_reader(db, &err);
    int found =
        session == NULL ? -1 : node_find_by_token_id(session, config->node.token_id, &node, &err);
    if (found <= 0) {
        doctor_note(doctor, FINDING_WRONG, "node.token", remedy, "%s",
                    found < 0 ? err.text : "the panel knows no node with the token's id");
        return;
    }
    if (config_for_panel(config, "", &panel, &err) == 0 &&
        seal_open(&panel.app_keys, node.sealed_token, &token, &err) == 0 &&
        !secret_equal(buf_slice(&token), slice_str(config->node.token)))
        doctor_note(doctor, FINDING_WRONG, "node.token", remedy,
                    "it is not the token that the panel has for node '%s'", node.name);
    explicit_bzero(token.data, token.length);
    explicit_bzero(&panel, sizeof(panel));
    node_free(&node);
}

void doctor_check_database(struct doctor *doctor, struct config *config)
{
    struct error err = ERROR_INIT;
    const char *path = config->panel.database + strlen("sqlite:");
    if (access(path, F_OK) < 0) {
        if (*config->node.panel_url == '\0')
            doctor_note(doctor, FINDING_WRONG, "database", "'roost init' makes it",
                        "there is no '%s'", path);
        return; /* a node alone has none */
    }
    struct db *db = db_open(config->panel.database, &err);
    if (db == NULL || schema_prepare(db, &err) < 0) {
        doctor_note(doctor, FINDING_WRONG, "database", "see the message", "%s", err.text);
        if (db != NULL)
            db_close(db);
        return;
    }
    doctor_note(doctor, FINDING_OK, "database", NULL, "%s", config->panel.database);
    if (config_read_app_key(config, &err) == 0) {
        check_nodes(doctor, db, config);
        check_token(doctor, db, config);
    }
    db_close(db);
}
