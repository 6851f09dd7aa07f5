/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `roost serve`, `roost panel` and `roost node run`: the same parts, together or apart, from start to a
 * graceful end.  Parts are started in an order in which each finds what it calls, and stopped in the reverse.
 */
#include "cli/serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "cli/console.h"
#include "cli/keepalive.h"
#include "cli/notify.h"
#include "cli/office.h"
#include "cli/operation.h"
#include "db/schema.h"

enum parts {
    PART_PANEL = 1 << 0,
    PART_NODE = 1 << 1,
};

struct house {
    struct office office;
    struct buf panel_url; /* how clients and nodes reach the panel */
    struct buf certificate, key;
    struct panel *panel;
    struct node *node;
    struct operation operation;
    struct http_router *operation_router;
    struct http_server *http;
};

/*
 * Blocked here, before any thread is started, so that every thread inherits it and one wait gets them.
 */
static void block_signals(sigset_t *stops)
{
    sigemptyset(stops);
    sigaddset(stops, SIGINT);
    sigaddset(stops, SIGTERM);
    sigaddset(stops, SIGHUP);
    pthread_sigmask(SIG_BLOCK, stops, NULL);
}

/* After the first, a second one ends the program at once. */
static void wait_for_stop(const sigset_t *stops)
{
    int number;
    do {
        number = sigwaitinfo(stops, NULL);
    } while (number < 0 && errno == EINTR);
    pthread_sigmask(SIG_UNBLOCK, stops, NULL);
    log_info("stopping signal=%d", number);
    notify_manager("STOPPING=1");
}

/* The local node is where this process listens: where that changed, the panel's row follows. */
static int settle_local_node(struct house *house, struct error *err)
{
    struct url_parts parts;
    struct node node;
    if (url_split(house->panel_url.data, &parts, err) < 0)
        return -1;
    struct db_session *session = db_begin(house->office.db, err);
    if (session == NULL)
        return -1;
    int found = node_find_by_token_id(session, house->office.config.node.token_id, &node, err);
    int result = found < 0 ? -1 : 0;
    if (found == 0) {
        result =
            error_set(err, ERROR_INVALID,
                      "the panel's database knows no node with the token in '%s': 'roost init' "
                      "mends it where that file is missing",
                      house->office.config.node.token_file);
    } else if (found == 1) {
        bool is_settled = strcmp(node.scheme, parts.scheme) == 0 &&
                          strcmp(node.fqdn, parts.host) == 0 && node.daemon_port == parts.port;
        if (!is_settled)
            result = node_set_address(session, node.id, parts.scheme, parts.host, parts.port, err);
        node_free(&node);
    }
    return office_end(session, result, err);
}

static int start_panel(const struct invocation *invocation, struct house *house, unsigned parts,
                       struct error *err)
{
    struct panel_config panel;
    if (config_for_panel(&house->office.config, house->panel_url.data, &panel, err) < 0)
        return -1;
    if ((parts & PART_NODE) && settle_local_node(house, err) < 0)
        return -1;
    house->panel = panel_start(house->office.db, &panel, err);
    explicit_bzero(&panel, sizeof(panel));
    return house->panel == NULL ? -1 : 0;
}

static int start_node(struct house *house, unsigned parts, struct error *err)
{
    const struct config *config = &house->office.config;
    struct node_config node;
    const char *panel_url = house->panel_url.data;
    if (*config->node.panel_url != '\0' && !(parts & PART_PANEL))
        panel_url = config->node.panel_url;
    config_for_node(config, panel_url, &node);
    house->node = node_start(&node, err);
    return house->node == NULL ? -1 : 0;
}

static int start_listener(struct house *house, struct error *err)
{
    const struct config *config = &house->office.config;
    struct http_server_config http;
    struct http_router *routers[PANEL_ROUTERS + 2];
    size_t count = 0;
    if (config_for_listener(config, &http, &house->certificate, &house->key, err) < 0)
        return -1;
    if (house->panel != NULL) {
        panel_routers(house->panel, routers);
        count = PANEL_ROUTERS;
    }
    if (house->node != NULL)
        routers[count++] = node_router(house->node);
    house->operation = (struct operation){
        .panel = house->panel,
        .node = house->node,
        .allowed = (const char *const *)config->listen.metrics_from,
    };
    house->operation_router = operation_router(&house->operation);
    routers[count++] = house->operation_router;
    house->http = http_server_start(&http, routers, count, err);
    if (house->http != NULL)
        return 0;
    if (err->os_errno != EADDRINUSE)
        return -1;
    error_clear(err);
    return error_set(err, ERROR_CONFLICT,
                     "port %u of %s is taken by another program: stop that, or choose another port "
                     "with 'listen.port' in '%s'",
                     http.port, http.address, config->file);
}

static void stop_house(struct house *house)
{
    if (house->http != NULL)
        http_server_stop(house->http, (unsigned)house->office.config.listen.shutdown_grace_ms);
    http_router_free(house->operation_router);
    if (house->node != NULL)
        node_stop(house->node);
    if (house->panel != NULL)
        panel_stop(house->panel);
    if (house->office.db != NULL)
        db_close(house->office.db);
    house->office.db = NULL;
    office_close(&house->office);
    buf_free(&house->panel_url);
    buf_free(&house->certificate);
    explicit_bzero(house->key.data, house->key.length);
    buf_free(&house->key);
}

static int open_house(const struct invocation *invocation, struct house *house, unsigned parts,
                      struct error *err)
{
    struct config *config = &house->office.config;
    if (parts & PART_PANEL) {
        if (office_open(invocation, OFFICE_KEYS, &house->office, err) < 0)
            return -1;
    } else if (config_load(option_text(invocation, "config"), config, err) < 0) {
        return -1;
    }
    log_set_level((enum log_level)config->log.level);
    config_add_panel_url(config, &house->panel_url);
    if ((parts & PART_NODE) && config_read_token(config, err) < 0)
        return -1;
    if (parts == PART_NODE && *config->node.panel_url == '\0' && *config->panel.url == '\0')
        return error_set(err, ERROR_INVALID,
                         "%s: 'node.panel_url' is not set: which panel is the "
                         "node to report to?",
                         config->file);
    return 0;
}

static int start_house(const struct invocation *invocation, struct house *house, unsigned parts,
                       struct error *err)
{
    if (open_house(invocation, house, parts, err) < 0)
        return -1;
    if ((parts & PART_PANEL) && start_panel(invocation, house, parts, err) < 0)
        return error_wrap(err, "starting the panel");
    if ((parts & PART_NODE) && start_node(house, parts, err) < 0)
        return error_wrap(err, "starting the node");
    if (start_listener(house, err) < 0)
        return error_wrap(err, "starting to listen");
    if (house->node != NULL)
        node_connect(house->node);
    return 0;
}

static int serve(const struct invocation *invocation, unsigned parts, struct error *err)
{
    struct house house = {.panel_url = BUF_INIT, .certificate = BUF_INIT, .key = BUF_INIT};
    sigset_t stops;
    block_signals(&stops);
    int result = start_house(invocation, &house, parts, err);
    if (result == 0) {
        const struct config *config = &house.office.config;
        bool is_tls = *config->listen.tls_certificate_file != '\0';
        bool is_ipv6 = strchr(config->listen.address, ':') != NULL;
        say("%s: listening on %s://%s%s%s:%u", invocation->path, is_tls ? "https" : "http",
            is_ipv6 ? "[" : "", config->listen.address, is_ipv6 ? "]" : "",
            http_server_port(house.http));
        fflush(stdout);
        notify_manager("READY=1");
        struct keepalive *keepalive = keepalive_start(&house.operation);
        wait_for_stop(&stops);
        keepalive_stop(keepalive);
    }
    stop_house(&house);
    return result;
}

static int serve_both(const struct invocation *invocation, struct error *err)
{
    return serve(invocation, PART_PANEL | PART_NODE, err);
}

static int serve_panel(const struct invocation *invocation, struct error *err)
{
    return serve(invocation, PART_PANEL, err);
}

int serve_node(const struct invocation *invocation, struct error *err)
{
    return serve(invocation, PART_NODE, err);
}

const struct command serve_command = {
    .name = "serve",
    .summary = "run panel and node in one process",
    .details = "Runs until SIGINT or SIGTERM; a second one ends it at once.",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = serve_both,
};

const struct command panel_command = {
    .name = "panel",
    .summary = "run the panel alone; its nodes run elsewhere",
    .details = "Runs until SIGINT or SIGTERM; a second one ends it at once.",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_END},
    .run = serve_panel,
};
