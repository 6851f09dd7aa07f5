/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `roost init`: everything that `roost serve` needs, made once.  Every step looks first whether its result is there,
 * so that an interrupted or repeated init goes on; nothing that exists is replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/console.h"
#include "cli/office.h"
#include "db/schema.h"

#define LOCAL_NODE "local"

enum {
    PRIVATE_DIRECTORY = 0700,
    PRIVATE_FILE = 0600,
};

/* Makes `name` in `directory` with mode 0600 unless something of that name exists. */
static int make_file(const char *path, const struct buf *text, struct error *err)
{
    const char *slash = strrchr(path, '/');
    scope_free char *directory = xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
    scope_fd int fd = directory_open_or_make(directory, PRIVATE_DIRECTORY, err);
    struct file_draft *draft = fd < 0 ? NULL : file_draft_create(fd, slash + 1, PRIVATE_FILE, err);
    if (draft == NULL)
        return error_wrap(err, "making '%s'", path);
    if (file_write_all(file_draft_fd(draft), text->data, text->length, err) < 0) {
        file_draft_discard(draft);
        return error_wrap(err, "making '%s'", path);
    }
    if (file_draft_commit_new(draft, err) < 0)
        return error_wrap(err, "making '%s'", path);
    say("made %s", path);
    return 0;
}

static int absolute(const char *path, struct buf *out, struct error *err)
{
    char here[PATH_MAX];
    scope_free char *real = realpath(path, NULL);
    if (real != NULL) {
        buf_add_str(out, real);
    } else if (*path == '/') {
        buf_add_str(out, path);
    } else {
        if (getcwd(here, sizeof(here)) == NULL)
            return error_set_os(err, errno, "finding the current directory");
        buf_printf(out, "%s/%s", here, text_starts_with(path, "./") ? path + 2 : path);
    }
    return 0;
}

/* `data` as the file at `config_path` should call it: relative where it lies beside or below. */
static void add_data_name(const char *config_path, const char *data, struct buf *out)
{
    size_t length = (size_t)(strrchr(config_path, '/') - config_path);
    if (strlen(data) == length && strncmp(data, config_path, length) == 0)
        buf_add_char(out, '.');
    else if (strncmp(data, config_path, length) == 0 && data[length] == '/')
        buf_add_str(out, data + length + 1);
    else
        buf_add_str(out, data);
}

/* A YAML text in single quotes. */
static void add_quoted(struct buf *out, const char *text)
{
    buf_add_char(out, '\'');
    for (; *text != '\0'; text++) {
        buf_add_char(out, *text);
        if (*text == '\'')
            buf_add_char(out, '\'');
    }
    buf_add_char(out, '\'');
}

static void write_config(const struct invocation *invocation, const char *config_path,
                         const char *data, struct buf *out)
{
    scope_buf struct buf name = BUF_INIT;
    const char *port = option_text(invocation, "port");
    const char *address = option_text(invocation, "address");
    const char *url = option_text(invocation, "url");
    add_data_name(config_path, data, &name);
    buf_add_str(out, "# Configuration of Roost.  Every key: roost.yml(5), or 'roost config keys'.\n"
                     "# After a change: 'roost config check', then start the program again.\n\n"
                     "# Where everything rests that is not placed elsewhere.\n"
                     "data: ");
    add_quoted(out, name.data);
    buf_add_str(
        out,
        "\n\nlisten:\n"
        "  # 127.0.0.1: this machine only.  Before you open it to others ('0.0.0.0'), give it\n"
        "  # tls_certificate_file and tls_key_file, or put it behind a proxy that has them.\n"
        "  address: ");
    add_quoted(out, address == NULL ? "127.0.0.1" : address);
    buf_printf(out, "\n  port: %s\n\npanel:\n", port == NULL ? "8080" : port);
    buf_add_str(
        out, "  # How others reach the panel; the listener's own address where it is not set.\n");
    buf_add_str(out, url == NULL ? "  #url: 'https://panel.example.com'" : "  url: ");
    if (url != NULL)
        add_quoted(out, url);
    buf_add_str(out, "\n\n"
                     "  # Pterodactyl lets a server start 2 backups in 10 minutes.  0: as many as "
                     "its limit allows.\n"
                     "  throttle:\n"
                     "    limit: 0\n\n"
                     "node:\n"
                     "  # fast, balanced, best or store.\n"
                     "  compression: fast\n"
                     "  # For the neighbours' sake: '50 MiB' a second.  0: as fast as it goes.\n"
                     "  write_limit: 0\n");
}

/* The file's path, absolute: --config, beside the data where that is named, $ROOST_CONFIG, or here. */
static int choose_config(const struct invocation *invocation, const char *data, struct buf *path,
                         struct error *err)
{
    const char *given = option_text(invocation, "config");
    const char *environment = getenv("ROOST_CONFIG");
    if (given == NULL && option_is_given(invocation, "data")) {
        buf_printf(path, "%s/roost.yml", data);
        return 0;
    }
    if (given == NULL && environment != NULL && *environment != '\0')
        given = environment;
    if (given != NULL)
        return absolute(given, path, err);
    return absolute("roost.yml", path, err);
}

static int check_options(const struct invocation *invocation, struct error *err)
{
    const char *port = option_text(invocation, "port");
    const char *url = option_text(invocation, "url");
    uint64_t number;
    struct url_parts parts;
    if (port != NULL && !text_to_u64(port, 1, 65535, &number))
        return error_set(err, ERROR_INVALID, "'--port' is a number from 1 to 65535, not '%.40s'",
                         port);
    if (url != NULL && url_split(url, &parts, err) < 0)
        return error_wrap(err, "'--url'");
    return 0;
}

/* A configuration that exists says where its data is; an option that says otherwise is a mistake. */
static int check_same_data(const struct invocation *invocation, const struct config *config,
                           const char *data, struct error *err)
{
    scope_free char *real = realpath(config->data, NULL);
    const char *current = real == NULL ? config->data : real;
    if (!option_is_given(invocation, "data") || strcmp(current, data) == 0)
        return 0;
    return error_set(
        err, ERROR_INVALID,
        "'%s' exists and has its data in '%s', not in '%s': name another with '--config'",
        config->file, current, data);
}

static int make_config(const struct invocation *invocation, struct config *config,
                       struct error *err)
{
    const char *data = option_text(invocation, "data");
    scope_buf struct buf data_path = BUF_INIT;
    scope_buf struct buf path = BUF_INIT;
    if (check_options(invocation, err) < 0)
        return -1;
    if (data == NULL)
        data = "roost-data";
    if (absolute(data, &data_path, err) < 0 ||
        choose_config(invocation, data_path.data, &path, err) < 0)
        return -1;
    if (access(path.data, F_OK) < 0) {
        scope_buf struct buf text = BUF_INIT;
        write_config(invocation, path.data, data_path.data, &text);
        if (make_file(path.data, &text, err) < 0)
            return -1;
        return config_read_file(path.data, config, err);
    }
    say("going on with %s", path.data);
    if (config_read_file(path.data, config, err) < 0)
        return -1;
    return check_same_data(invocation, config, data_path.data, err);
}

static int make_data(const struct config *config, struct error *err)
{
    scope_fd int fd = directory_open_or_make(config->data, PRIVATE_DIRECTORY, err);
    if (fd < 0)
        return error_wrap(err, "making the data directory");
    return 0;
}

static int make_app_key(struct config *config, struct error *err)
{
    if (*config->panel.app_key != '\0' || access(config->panel.app_key_file, F_OK) == 0)
        return config_read_app_key(config, err);
    scope_buf struct buf key = BUF_INIT;
    seal_key_make(&key);
    buf_add_char(&key, '\n');
    int result = make_file(config->panel.app_key_file, &key, err);
    explicit_bzero(key.data, key.length);
    return result < 0 ? -1 : config_read_app_key(config, err);
}

static int create_local_node(struct db_session *session, const struct config *config,
                             const struct seal_keys *keys, struct node *node, struct buf *token,
                             struct error *err)
{
    scope_buf struct buf url = BUF_INIT;
    struct url_parts parts;
    config_add_panel_url(config, &url);
    if (url_split(url.data, &parts, err) < 0)
        return -1;
    node->name = xstrdup(LOCAL_NODE);
    node->fqdn = xstrdup(parts.host);
    node->daemon_port = parts.port;
    snprintf(node->scheme, sizeof(node->scheme), "%s", parts.scheme);
    return node_create(session, keys, node, token, err);
}

/* Finds the local node or makes it; its token, sealed in the database, goes into the file where that is missing. */
static int make_local_node(struct office *office, struct error *err)
{
    struct node node = {.id = 0};
    scope_buf struct buf token = BUF_INIT;
    struct db_session *session = db_begin(office->db, err);
    if (session == NULL)
        return -1;
    int result = node_find_by_name(session, LOCAL_NODE, &node, err);
    if (result == 1)
        result = seal_open(&office->keys, node.sealed_token, &token, err);
    else if (result == 0)
        result = create_local_node(session, &office->config, &office->keys, &node, &token, err);
    result = office_end(session, result, err);
    if (result == 0 && *office->config.node.token == '\0' &&
        access(office->config.node.token_file, F_OK) < 0) {
        scope_buf struct buf text = BUF_INIT;
        buf_printf(&text, "%s.%s\n", node.token_id, token.data);
        result = make_file(office->config.node.token_file, &text, err);
        explicit_bzero(text.data, text.length);
    }
    explicit_bzero(token.data, token.length);
    node_free(&node);
    return result;
}

static int make_admin(struct office *office, const char *name, struct error *err)
{
    struct user user = {.id = 0};
    struct db_session *session = db_begin(office->db, err);
    if (session == NULL)
        return -1;
    int found = user_find_by_name(session, name, &user, err);
    int result = found < 0 ? -1 : 0;
    if (found == 0) {
        user = (struct user){.username = xstrdup(name),
                             .email = xasprintf("%s@localhost", name),
                             .language = "en",
                             .is_root_admin = true};
        result = user_insert(session, &user, err);
    }
    result = office_end(session, result, err);
    if (result == 0 && found == 0)
        say("added user '%s', an admin", name);
    user_free(&user);
    return result;
}

static int make_database(const struct invocation *invocation, struct office *office,
                         struct error *err)
{
    const char *path = office->config.panel.database + strlen("sqlite:");
    const char *admin = option_text(invocation, "admin");
    struct panel_config panel;
    if (config_for_panel(&office->config, "", &panel, err) < 0)
        return -1;
    office->keys = panel.app_keys;
    explicit_bzero(&panel, sizeof(panel));
    bool is_new = access(path, F_OK) < 0;
    office->db = db_open(office->config.panel.database, err);
    if (office->db == NULL || schema_prepare(office->db, err) < 0)
        return -1;
    if (is_new)
        say("made %s", path);
    if (make_local_node(office, err) < 0)
        return error_wrap(err, "making the local node");
    return admin == NULL ? 0 : make_admin(office, admin, err);
}

static int make_node_directories(const struct config *config, struct error *err)
{
    const char *const paths[] = {config->node.state_directory, config->node.backup_directory,
                                 config->node.server_directory};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        scope_fd int fd = directory_open_or_make(paths[i], PRIVATE_DIRECTORY, err);
        if (fd < 0)
            return error_wrap(err, "making '%s'", paths[i]);
    }
    return 0;
}

static void print_next_steps(const struct invocation *invocation, const struct config *config)
{
    bool is_here = !option_is_given(invocation, "data") && !option_is_given(invocation, "config");
    scope_free char *option = is_here ? xstrdup("") : xasprintf(" --config %s", config->file);
    putchar('\n');
    say("next:");
    say("  roost user add NAME --admin%s", option);
    say("  roost key create%s", option);
    say("  roost server add NAME --directory DIR%s", option);
    say("  roost serve%s", option);
}

static int run_init(const struct invocation *invocation, struct error *err)
{
    scope_office struct office office = {.db = NULL};
    if (make_config(invocation, &office.config, err) < 0 || make_data(&office.config, err) < 0 ||
        make_app_key(&office.config, err) < 0 || make_database(invocation, &office, err) < 0 ||
        make_node_directories(&office.config, err) < 0)
        return -1;
    print_next_steps(invocation, &office.config);
    return EXIT_DONE;
}

const struct command init_command = {
    .name = "init",
    .summary = "make a data directory, keys, a database and roost.yml",
    .details = "Run again, it goes on with what is there and replaces nothing.\n"
               "roost.yml goes where --config says, beside the data where --data is given, where\n"
               "$ROOST_CONFIG says, and into the current directory otherwise.",
    .options =
        (const struct option[]){
            {"data", 'd', "DIR", "where everything rests; default: ./roost-data"},
            {"address", 0, "ADDRESS", "to listen on; default: 127.0.0.1"},
            {"port", 'p', "N", "to listen on; default: 8080"},
            {"url", 0, "URL", "how others reach the panel, where that differs"},
            {"admin", 0, "NAME", "add this user, who may do everything"},
            {"config", 'c', "FILE", "the configuration to make"},
            OPTION_END},
    .run = run_init,
};
