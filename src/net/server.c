/* SPDX-License-Identifier: Apache-2.0 */
/* Listens, knows all connections, and stops.  Its threads are libmicrohttpd's, with epoll. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/time.h"
#include "net/http_internal.h"
#include "net/websocket_internal.h"

enum {
    BACKLOG = 1024,
    THREADS_MAX = 4,
    THREAD_STACK_BYTES = 512 * 1024,
    /*
     * A head of HTTP_HEAD_MAX_BYTES, its index, and the answer's head.  No more than that:
     * libmicrohttpd wipes all of it after every request.
     */
    CONNECTION_MEMORY_BYTES = 24 * 1024,
    STOP_POLL_MS = 2
};
static_assert((int)CONNECTION_MEMORY_BYTES >= (int)HTTP_HEAD_MAX_BYTES + 8 * 1024,
              "a head must fit");

/* Weaker protocol versions are not spoken. */
static const char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static void on_connection(void *argument, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = argument;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct http_connection *added = xcalloc(1, sizeof(*added));
        exchange_init(&added->exchange, server, added);
        added->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        address_of_socket(
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
            added->address);
        connection_set_phase(added, CONNECTION_HEAD,
                             time_monotonic_us() + (int64_t)server->head_timeout_ms * 1000);
        *context = added;
        pthread_mutex_lock(&server->mutex);
        added->next = server->first;
        if (added->next != NULL)
            added->next->previous = added;
        server->first = added;
        pthread_mutex_unlock(&server->mutex);
        return;
    }
    struct http_connection *gone = *context;
    pthread_mutex_lock(&server->mutex);
    if (gone->previous != NULL)
        gone->previous->next = gone->next;
    else
        server->first = gone->next;
    if (gone->next != NULL)
        gone->next->previous = gone->previous;
    pthread_mutex_unlock(&server->mutex);
    exchange_free(&gone->exchange);
    free(gone);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *argument, const char *format,
                                                         va_list args)
{
    struct http_server *server = argument;
    char text[sizeof(server->log_text)];
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    if (!atomic_load(&server->is_started))
        memcpy(server->log_text, text, sizeof(text));
    log_debug("http library: %s", text);
}

/* Who comes while the server stops is hung up on. */
static enum MHD_Result accepts(void *argument, const struct sockaddr *address, socklen_t length)
{
    const struct http_server *server = argument;
    return atomic_load_explicit(&server->is_stopping, memory_order_relaxed) ? MHD_NO : MHD_YES;
}

/* Query and path are decoded by us, not by libmicrohttpd. */
static size_t keep_escapes(void *argument, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static int listen_on(const struct http_server_config *config, uint16_t *port, struct error *err)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    socklen_t length = sizeof(*v6);
    if (inet_pton(AF_INET, config->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(config->port);
        length = sizeof(*v4);
    } else if (inet_pton(AF_INET6, config->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(config->port);
    } else {
        return error_set(err, ERROR_INVALID, "'%.60s' is not an address to listen on",
                         config->address);
    }
    scope_fd int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int yes = 1;
    int no = 0;
    if (fd < 0)
        return error_set_os(err, errno, "opening a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (storage.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    if (bind(fd, (struct sockaddr *)&storage, length) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&storage, &length) < 0)
        return error_set_os(err, errno, "listening on '%s' port %u", config->address, config->port);
    *port = ntohs(storage.ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port);
    return scope_take_fd(&fd);
}

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value == 0 ? fallback : value;
}

static unsigned thread_count(const struct http_server_config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned automatic = processors < 1             ? 1
                         : processors > THREADS_MAX ? THREADS_MAX
                                                    : (unsigned)processors;
    return or_default(config->threads, automatic);
}

static struct MHD_Daemon *start_daemon(struct http_server *server,
                                       const struct http_server_config *config, int listen_fd)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
                     MHD_USE_ERROR_LOG | (server->is_tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem options[24];
    size_t n = 0;
#define ADD(option, number, address)                                                               \
    options[n++] = (struct MHD_OptionItem){option, (intptr_t)(number), address}
    ADD(MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL);
    ADD(MHD_OPTION_CONNECTION_LIMIT, or_default(config->connections_max, 1000), NULL);
    ADD(MHD_OPTION_PER_IP_CONNECTION_LIMIT, config->connections_per_address, NULL);
    ADD(MHD_OPTION_CONNECTION_TIMEOUT, or_default(config->idle_timeout_s, 60), NULL);
    ADD(MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL);
    ADD(MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK_BYTES, NULL);
    /* 1 would answer a missing Host in the library's words, and cut without any where
     * the target has a blank; the guard sees to both. */
    ADD(MHD_OPTION_STRICT_FOR_CLIENT, 0, NULL);
    ADD(MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL);
    ADD(MHD_OPTION_URI_LOG_CALLBACK, exchange_on_target, server);
    ADD(MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, server);
    ADD(MHD_OPTION_NOTIFY_CONNECTION, on_connection, server);
    unsigned threads = thread_count(config);
    if (threads > 1)
        ADD(MHD_OPTION_THREAD_POOL_SIZE, threads, NULL);
    if (server->is_tls) {
        ADD(MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)config->tls_certificate_pem);
        ADD(MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)config->tls_key_pem);
        ADD(MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)tls_priorities);
    }
    ADD(MHD_OPTION_END, 0, NULL);
#undef ADD
    /* The library's threads inherit our mask: signals belong to the main thread. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(flags, 0, accepts, server, exchange_on_access,
                                                 server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
                                                 MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static char **copy_texts(const char *const *texts)
{
    if (texts == NULL || texts[0] == NULL)
        return NULL;
    size_t count = 0;
    while (texts[count] != NULL)
        count++;
    char **copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = xstrdup(texts[i]);
    return copy;
}

static void server_free(struct http_server *server)
{
    for (char **text = server->trusted_proxies; text != NULL && *text != NULL; text++)
        free(*text);
    free(server->trusted_proxies);
    free(server->routers);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

struct http_server *http_server_start(const struct http_server_config *config,
                                      struct http_router *const *routers, size_t router_count,
                                      struct error *err)
{
    assert(router_count > 0);
    uint16_t port = 0;
    int listen_fd = listen_on(config, &port, err);
    if (listen_fd < 0)
        return NULL;
    struct http_server *server = xcalloc(1, sizeof(*server));
    server->port = port;
    server->is_tls = config->tls_certificate_pem != NULL;
    server->head_timeout_ms = or_default(config->head_timeout_s, 10) * 1000;
    server->body_timeout_ms = or_default(config->body_timeout_s, 30) * 1000;
    server->routers = xcalloc(router_count, sizeof(struct http_router *));
    memcpy(server->routers, routers, router_count * sizeof(struct http_router *));
    server->router_count = router_count;
    server->trusted_proxies = copy_texts(config->trusted_proxies);
    pthread_mutex_init(&server->mutex, NULL);
    server->watchdog = watchdog_start(server);
    server->hub = websocket_hub_start(or_default(config->websocket_ping_s, 30));
    server->daemon = start_daemon(server, config, listen_fd);
    atomic_store(&server->is_started, true);
    if (server->daemon != NULL)
        return server;
    error_set(err, server->is_tls ? ERROR_INVALID : ERROR_IO, "starting the HTTP server: %s",
              server->log_text);
    close(listen_fd);
    websocket_hub_stop(server->hub);
    websocket_hub_free(server->hub);
    watchdog_stop(server->watchdog);
    server_free(server);
    return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

static bool is_busy(struct http_server *server)
{
    bool found = false;
    pthread_mutex_lock(&server->mutex);
    for (const struct http_connection *c = server->first; c != NULL && !found; c = c->next) {
        int phase = atomic_load(&c->phase);
        found = phase == CONNECTION_BODY || phase == CONNECTION_BUSY;
    }
    pthread_mutex_unlock(&server->mutex);
    return found;
}

void http_server_stop(struct http_server *server, unsigned grace_ms)
{
    if (server == NULL)
        return;
    /* Not MHD_quiesce_daemon(): it races with the library's own threads, and ends the process. */
    atomic_store(&server->is_stopping, true);
    int64_t deadline_us = time_monotonic_us() + (int64_t)grace_ms * 1000;
    while (is_busy(server) && time_monotonic_us() < deadline_us)
        usleep(STOP_POLL_MS * 1000);
    /* A handler that runs cannot be torn from its request: those are waited for. */
    atomic_store(&server->is_ending, true);
    while (atomic_load(&server->working) > 0)
        usleep(STOP_POLL_MS * 1000);
    stream_end_all(server);
    while (atomic_load(&server->streaming) > 0)
        usleep(STOP_POLL_MS * 1000);
    websocket_hub_stop(server->hub);
    MHD_stop_daemon(server->daemon);
    watchdog_stop(server->watchdog);
    websocket_hub_free(server->hub);
    server_free(server);
}
