/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts off who is too slow.  libmicrohttpd's own time-out starts again with every
 * byte, so that a client which drips holds its connection for ever; here a head
 * and a body have deadlines as a whole.  When the next head of a kept
 * connection begins, nobody tells us: the kernel's count of received bytes does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "net/http_internal.h"

enum {
    PERIOD_MAX_MS = 250,
    LINGERING_MAX = 64, /* beyond, the oldest is closed */
    LINGER_MS = 2000,
    LINGER_SHUTDOWN_MS = 100
};

struct lingering {
    int fd;
    int64_t since_us;
};

struct watchdog {
    struct http_server *server;
    pthread_t thread;
    int wake_fd;
    int period_ms;
    _Atomic(bool) is_stopping;
    pthread_mutex_t mutex; /* guards what follows */
    struct lingering lingering[LINGERING_MAX];
    size_t lingering_count;
};

static uint64_t received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return 0;
    return info.tcpi_bytes_received;
}

/* Whether a kept connection began a head too long ago. */
static bool is_idle_too_long(const struct http_server *server, struct http_connection *connection,
                             int64_t now_us)
{
    uint64_t generation = atomic_load_explicit(&connection->generation, memory_order_relaxed);
    if (connection->idle_generation != generation) {
        connection->idle_generation = generation;
        connection->idle_received_bytes = received_bytes(connection->fd);
        connection->idle_deadline_us = 0;
        return false;
    }
    if (connection->idle_deadline_us == 0) {
        if (received_bytes(connection->fd) != connection->idle_received_bytes)
            connection->idle_deadline_us = now_us + (int64_t)server->head_timeout_ms * 1000;
        return false;
    }
    return now_us > connection->idle_deadline_us;
}

static bool is_too_slow(const struct http_server *server, struct http_connection *connection,
                        int64_t now_us)
{
    switch ((enum connection_phase)atomic_load_explicit(&connection->phase, memory_order_acquire)) {
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
        break;
    case CONNECTION_IDLE:
        return is_idle_too_long(server, connection, now_us);
    case CONNECTION_BUSY:
    case CONNECTION_UPGRADED:
        return false;
    }
    int64_t deadline_us = atomic_load_explicit(&connection->deadline_us, memory_order_relaxed);
    return deadline_us != 0 && now_us > deadline_us;
}

static void check_connections(struct http_server *server)
{
    int64_t now_us = time_monotonic_us();
    pthread_mutex_lock(&server->mutex);
    for (struct http_connection *c = server->first; c != NULL; c = c->next) {
        if (is_too_slow(server, c, now_us))
            shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the end and closes */
        stream_look(c, now_us);
    }
    pthread_mutex_unlock(&server->mutex);
}

/* Reads away what has come; false: there will be no more. */
static bool drain(const struct lingering *lingering, int64_t now_us)
{
    char bytes[16 * 1024];
    for (int i = 0; i < 16; i++) {
        ssize_t got = recv(lingering->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (got < 0)
            break;
    }
    int64_t age_ms = (now_us - lingering->since_us) / 1000;
    if (age_ms > LINGER_SHUTDOWN_MS)
        shutdown(lingering->fd, SHUT_WR); /* over TLS libmicrohttpd leaves this to others */
    return age_ms < LINGER_MS;
}

static void drain_all(struct watchdog *watchdog, bool is_last)
{
    int64_t now_us = time_monotonic_us();
    pthread_mutex_lock(&watchdog->mutex);
    size_t kept = 0;
    for (size_t i = 0; i < watchdog->lingering_count; i++) {
        if (!is_last && drain(&watchdog->lingering[i], now_us))
            watchdog->lingering[kept++] = watchdog->lingering[i];
        else
            close(watchdog->lingering[i].fd);
    }
    watchdog->lingering_count = kept;
    pthread_mutex_unlock(&watchdog->mutex);
}

static size_t list_descriptors(struct watchdog *watchdog, struct pollfd *polled)
{
    size_t count = 0;
    polled[count++] = (struct pollfd){.fd = watchdog->wake_fd, .events = POLLIN};
    pthread_mutex_lock(&watchdog->mutex);
    for (size_t i = 0; i < watchdog->lingering_count; i++)
        polled[count++] = (struct pollfd){.fd = watchdog->lingering[i].fd, .events = POLLIN};
    pthread_mutex_unlock(&watchdog->mutex);
    return count;
}

static void *watch(void *argument)
{
    struct watchdog *watchdog = argument;
    int64_t next_us = 0;
    while (!atomic_load(&watchdog->is_stopping)) {
        struct pollfd polled[LINGERING_MAX + 1];
        size_t count = list_descriptors(watchdog, polled);
        poll(polled, count, watchdog->period_ms);
        if (polled[0].revents != 0) {
            uint64_t ignored;
            (void)!read(watchdog->wake_fd, &ignored, sizeof(ignored));
        }
        drain_all(watchdog, false);
        if (time_monotonic_us() < next_us)
            continue; /* woken by those who linger */
        check_connections(watchdog->server);
        next_us = time_monotonic_us() + watchdog->period_ms * 1000 / 2;
    }
    return NULL;
}

static void wake(const struct watchdog *watchdog)
{
    uint64_t one = 1;
    (void)!write(watchdog->wake_fd, &one, sizeof(one)); /* a full counter wakes as well */
}

void watchdog_linger(struct watchdog *watchdog, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return; /* the client may miss the answer, no more */
    pthread_mutex_lock(&watchdog->mutex);
    if (watchdog->lingering_count == LINGERING_MAX) {
        close(watchdog->lingering[0].fd);
        watchdog->lingering[0] = watchdog->lingering[--watchdog->lingering_count];
    }
    watchdog->lingering[watchdog->lingering_count++] =
        (struct lingering){.fd = copy, .since_us = time_monotonic_us()};
    pthread_mutex_unlock(&watchdog->mutex);
    wake(watchdog);
}

struct watchdog *watchdog_start(struct http_server *server)
{
    struct watchdog *watchdog = xcalloc(1, sizeof(*watchdog));
    watchdog->server = server;
    unsigned shortest_ms = server->head_timeout_ms < server->body_timeout_ms
                               ? server->head_timeout_ms
                               : server->body_timeout_ms;
    watchdog->period_ms = shortest_ms / 4 < PERIOD_MAX_MS ? (int)shortest_ms / 4 : PERIOD_MAX_MS;
    watchdog->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watchdog->wake_fd < 0)
        abort(); /* no descriptors on start: as when there is no memory */
    pthread_mutex_init(&watchdog->mutex, NULL);
    watchdog->thread = thread_start("http-watchdog", watch, watchdog);
    return watchdog;
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    atomic_store(&watchdog->is_stopping, true);
    wake(watchdog);
    pthread_join(watchdog->thread, NULL);
    drain_all(watchdog, true);
    close(watchdog->wake_fd);
    pthread_mutex_destroy(&watchdog->mutex);
    free(watchdog);
}
