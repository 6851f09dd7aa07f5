/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All websockets of a server, on one thread with epoll; libwslay does frames.
 *
 * Who touches what: the hub's thread alone has a socket's library context and calls its ops.
 * Other threads put texts into its queue, under the hub's mutex, and wake the thread.
 */
#include "net/websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/time.h"
#include "net/websocket_internal.h"

enum {
    EVENTS_AT_ONCE = 64,
    READ_AT_ONCE_BYTES = 64 * 1024, /* of one socket, before the others have their turn */
    CLOSE_WAIT_MS = 5000,           /* for the peer to agree to a close */
    REASON_MAX_BYTES = 123
};

struct message {
    struct message *next;
    size_t length;
    char text[];
};

struct websocket {
    _Atomic(unsigned) references;
    struct websocket_hub *hub;
    const struct websocket_ops *ops;
    void *context;
    void *_Atomic data;
    char accept[32];
    _Atomic(bool) is_adopted;

    /* Guarded by the hub's mutex. */
    struct websocket *next_changed;
    bool is_changed; /* in the hub's list of sockets to look at */
    struct message *first, *last;
    size_t queued_bytes, library_bytes;
    bool is_closed, is_overflowing, wants_close;
    uint16_t close_code;
    char close_reason[REASON_MAX_BYTES + 1];

    /* The thread's own. */
    struct websocket *previous, *next;
    int fd;
    struct MHD_UpgradeResponseHandle *handle;
    wslay_event_context_ptr library;
    bool is_open;
    struct buf early; /* read before the socket was ours */
    size_t early_used, read_budget;
    uint32_t events;
    int64_t heard_at_us, pinged_at_us, close_deadline_us;
};

struct websocket_hub {
    _Atomic(unsigned) references; /* the server's, and one for each socket */
    pthread_t thread;
    int epoll_fd, wake_fd;
    int64_t ping_us;
    pthread_mutex_t late_mutex; /* ops of sockets that come after the thread has ended */
    pthread_mutex_t mutex;      /* guards what follows */
    struct websocket *changed;
    bool is_stopping;
    struct websocket *sockets; /* the thread's own */
};

/* --- what any thread may do --- */

struct websocket *websocket_ref(struct websocket *socket)
{
    atomic_fetch_add(&socket->references, 1);
    return socket;
}

void websocket_hub_free(struct websocket_hub *hub)
{
    if (atomic_fetch_sub(&hub->references, 1) != 1)
        return;
    close(hub->epoll_fd);
    close(hub->wake_fd);
    pthread_mutex_destroy(&hub->mutex);
    pthread_mutex_destroy(&hub->late_mutex);
    free(hub);
}

void websocket_unref(struct websocket *socket)
{
    if (atomic_fetch_sub(&socket->references, 1) != 1)
        return;
    websocket_hub_free(socket->hub);
    buf_free(&socket->early);
    free(socket);
}

void websocket_set_data(struct websocket *socket, void *data)
{
    atomic_store(&socket->data, data);
}

void *websocket_data(const struct websocket *socket)
{
    return atomic_load(&socket->data);
}

const char *websocket_accept_text(const struct websocket *socket)
{
    return socket->accept;
}

static void wake(const struct websocket_hub *hub)
{
    uint64_t one = 1;
    (void)!write(hub->wake_fd, &one, sizeof(one)); /* a full counter wakes as well */
}

/* With the mutex held.  True: the thread has to be woken. */
static bool mark_changed(struct websocket *socket)
{
    struct websocket_hub *hub = socket->hub;
    if (socket->is_changed || hub->is_stopping)
        return false;
    bool was_empty = hub->changed == NULL;
    socket->is_changed = true;
    socket->next_changed = hub->changed;
    hub->changed = websocket_ref(socket);
    return was_empty;
}

static void append(struct websocket *socket, struct slice text)
{
    struct message *message = xmalloc(sizeof(*message) + text.length);
    message->next = NULL;
    message->length = text.length;
    memcpy(message->text, text.data, text.length);
    if (socket->last == NULL)
        socket->first = message;
    else
        socket->last->next = message;
    socket->last = message;
    socket->queued_bytes += text.length;
}

void websocket_send(struct websocket *socket, struct slice text)
{
    struct websocket_hub *hub = socket->hub;
    bool needs_wake = false;
    pthread_mutex_lock(&hub->mutex);
    if (!socket->is_closed && !socket->wants_close && !socket->is_overflowing) {
        size_t waiting = socket->queued_bytes + socket->library_bytes;
        socket->is_overflowing = waiting > WEBSOCKET_QUEUE_MAX_BYTES ||
                                 text.length > WEBSOCKET_QUEUE_MAX_BYTES - waiting;
        if (!socket->is_overflowing)
            append(socket, text);
        needs_wake = mark_changed(socket);
    }
    pthread_mutex_unlock(&hub->mutex);
    if (needs_wake)
        wake(hub);
}

void websocket_close(struct websocket *socket, unsigned code, const char *reason)
{
    struct websocket_hub *hub = socket->hub;
    bool needs_wake = false;
    pthread_mutex_lock(&hub->mutex);
    if (!socket->is_closed && !socket->wants_close) {
        socket->wants_close = true;
        socket->close_code = (uint16_t)code;
        snprintf(socket->close_reason, sizeof(socket->close_reason), "%s", reason);
        needs_wake = mark_changed(socket);
    }
    pthread_mutex_unlock(&hub->mutex);
    if (needs_wake)
        wake(hub);
}

/* --- birth --- */

/* RFC 6455, section 4.2.2, step 5.4. */
static void compute_accept(const char *key, char accept[32])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    if (EVP_Digest(text.data, text.length, digest, &length, EVP_sha1(), NULL) != 1)
        abort();
    buf_clear(&text);
    base64_add(&text, slice_of(digest, length));
    snprintf(accept, 32, "%s", text.data);
    buf_free(&text);
}

struct websocket *websocket_create(struct websocket_hub *hub, const struct websocket_ops *ops,
                                   void *context, const char *key)
{
    struct websocket *socket = xcalloc(1, sizeof(*socket));
    atomic_store(&socket->references, 1);
    atomic_fetch_add(&hub->references, 1);
    socket->hub = hub;
    socket->ops = ops;
    socket->context = context;
    socket->fd = -1;
    socket->early = (struct buf)BUF_INIT;
    compute_accept(key, socket->accept);
    return socket;
}

/* Hands a socket, or a stillborn one, to the thread; false: there is none any more. */
static bool hand_to_thread(struct websocket *socket)
{
    pthread_mutex_lock(&socket->hub->mutex);
    bool is_taken = !socket->hub->is_stopping;
    bool needs_wake = is_taken && mark_changed(socket);
    pthread_mutex_unlock(&socket->hub->mutex);
    if (needs_wake)
        wake(socket->hub);
    return is_taken;
}

static void close_late(struct websocket *socket)
{
    pthread_mutex_lock(&socket->hub->mutex);
    socket->is_closed = true;
    pthread_mutex_unlock(&socket->hub->mutex);
    pthread_mutex_lock(&socket->hub->late_mutex);
    socket->ops->close(socket, socket->context);
    pthread_mutex_unlock(&socket->hub->late_mutex);
    if (socket->handle != NULL)
        MHD_upgrade_action(socket->handle, MHD_UPGRADE_ACTION_CLOSE);
}

void websocket_adopt(struct websocket *socket, int fd, struct MHD_UpgradeResponseHandle *handle,
                     struct slice early)
{
    atomic_store(&socket->is_adopted, true);
    socket->fd = fd;
    socket->handle = handle;
    buf_add(&socket->early, early.data, early.length);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!hand_to_thread(socket))
        close_late(socket);
}

void websocket_give_up(struct websocket *socket)
{
    if (!atomic_load(&socket->is_adopted) && !hand_to_thread(socket))
        close_late(socket);
    websocket_unref(socket);
}

/* --- the library's callbacks --- */

static ssize_t take_early(struct websocket *socket, uint8_t *bytes, size_t length)
{
    size_t left = socket->early.length - socket->early_used;
    size_t taken = left < length ? left : length;
    memcpy(bytes, socket->early.data + socket->early_used, taken);
    socket->early_used += taken;
    if (socket->early_used == socket->early.length) {
        buf_free(&socket->early);
        socket->early_used = 0;
    }
    return (ssize_t)taken;
}

static ssize_t on_receive(wslay_event_context_ptr library, uint8_t *bytes, size_t length, int flags,
                          void *context)
{
    struct websocket *socket = context;
    if (socket->early.length > 0)
        return take_early(socket, bytes, length);
    if (socket->read_budget == 0) {
        wslay_event_set_error(library, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    ssize_t got = recv(socket->fd, bytes, length, 0);
    if (got > 0) {
        socket->read_budget -=
            (size_t)got < socket->read_budget ? (size_t)got : socket->read_budget;
        socket->heard_at_us = time_monotonic_us();
        return got;
    }
    bool is_later = got < 0 && (errno == EAGAIN || errno == EINTR);
    wslay_event_set_error(library, is_later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr library, const uint8_t *bytes, size_t length,
                       int flags, void *context)
{
    const struct websocket *socket = context;
    int more = (flags & WSLAY_MSG_MORE) != 0 ? MSG_MORE : 0;
    ssize_t sent = send(socket->fd, bytes, length, MSG_NOSIGNAL | more);
    if (sent >= 0)
        return sent;
    bool is_later = errno == EAGAIN || errno == EINTR;
    wslay_event_set_error(library, is_later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_message(wslay_event_context_ptr library,
                       const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    static const char reason[] = "only text";
    struct websocket *socket = context;
    if (message->opcode == WSLAY_TEXT_FRAME)
        socket->ops->message(socket, slice_of(message->msg, message->msg_length), socket->context);
    else if (message->opcode == WSLAY_BINARY_FRAME)
        wslay_event_queue_close(library, WSLAY_CODE_UNSUPPORTED_DATA, (const uint8_t *)reason,
                                sizeof(reason) - 1);
}

/* --- the thread --- */

static void end(struct websocket *socket)
{
    struct websocket_hub *hub = socket->hub;
    epoll_ctl(hub->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        hub->sockets = socket->next;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    pthread_mutex_lock(&hub->mutex);
    socket->is_closed = true;
    while (socket->first != NULL) {
        struct message *next = socket->first->next;
        free(socket->first);
        socket->first = next;
    }
    socket->last = NULL;
    pthread_mutex_unlock(&hub->mutex);
    socket->ops->close(socket, socket->context);
    wslay_event_context_free(socket->library);
    MHD_upgrade_action(socket->handle, MHD_UPGRADE_ACTION_CLOSE);
    websocket_unref(socket);
}

/* Moves what others queued into the library; false: the peer does not keep up. */
static bool take_queue(struct websocket *socket)
{
    pthread_mutex_lock(&socket->hub->mutex);
    struct message *message = socket->first;
    socket->first = NULL;
    socket->last = NULL;
    socket->library_bytes += socket->queued_bytes;
    socket->queued_bytes = 0;
    bool wants_close = socket->wants_close && socket->close_deadline_us == 0;
    bool is_overflowing = socket->is_overflowing;
    pthread_mutex_unlock(&socket->hub->mutex);
    while (message != NULL) {
        struct wslay_event_msg frame = {.opcode = WSLAY_TEXT_FRAME,
                                        .msg = (const uint8_t *)message->text,
                                        .msg_length = message->length};
        wslay_event_queue_msg(socket->library, &frame); /* copies; after a close it refuses */
        struct message *next = message->next;
        free(message);
        message = next;
    }
    if (wants_close) {
        socket->close_deadline_us = time_monotonic_us() + CLOSE_WAIT_MS * 1000;
        wslay_event_queue_close(socket->library, socket->close_code,
                                (const uint8_t *)socket->close_reason,
                                strlen(socket->close_reason));
    }
    return !is_overflowing;
}

static void set_events(struct websocket *socket)
{
    uint32_t events = (wslay_event_want_read(socket->library) ? (uint32_t)EPOLLIN : 0) |
                      (wslay_event_want_write(socket->library) ? (uint32_t)EPOLLOUT : 0);
    if (events == socket->events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = socket};
    epoll_ctl(socket->hub->epoll_fd, socket->is_open ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket->fd,
              &event);
    socket->events = events;
}

/* Reads and writes what can be; ends the socket where it is over. */
static void serve(struct websocket *socket)
{
    socket->read_budget = READ_AT_ONCE_BYTES;
    bool is_alive = true;
    if (wslay_event_want_read(socket->library))
        is_alive = wslay_event_recv(socket->library) == 0;
    is_alive = is_alive && take_queue(socket);
    if (is_alive && wslay_event_want_write(socket->library))
        is_alive = wslay_event_send(socket->library) == 0;
    size_t left = wslay_event_get_queued_msg_length(socket->library);
    pthread_mutex_lock(&socket->hub->mutex);
    socket->library_bytes = left;
    pthread_mutex_unlock(&socket->hub->mutex);
    /* Answers to a flood of pings count as well. */
    is_alive = is_alive && left <= WEBSOCKET_QUEUE_MAX_BYTES;
    if (!is_alive ||
        (!wslay_event_want_read(socket->library) && !wslay_event_want_write(socket->library)))
        end(socket);
    else
        set_events(socket);
}

static void open_socket(struct websocket *socket)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_receive, .send_callback = on_send, .on_msg_recv_callback = on_message};
    struct websocket_hub *hub = socket->hub;
    if (wslay_event_context_server_init(&socket->library, &callbacks, socket) != 0)
        abort(); /* no memory */
    wslay_event_config_set_max_recv_msg_length(socket->library, WEBSOCKET_MESSAGE_MAX_BYTES);
    websocket_ref(socket);
    socket->next = hub->sockets;
    if (socket->next != NULL)
        socket->next->previous = socket;
    hub->sockets = socket;
    socket->heard_at_us = time_monotonic_us();
    set_events(socket);
    socket->is_open = true;
    socket->ops->open(socket, socket->context);
}

static void look_at(struct websocket *socket)
{
    pthread_mutex_lock(&socket->hub->mutex);
    bool is_closed = socket->is_closed;
    bool is_stillborn = !is_closed && !atomic_load(&socket->is_adopted);
    socket->is_closed = is_closed || is_stillborn;
    pthread_mutex_unlock(&socket->hub->mutex);
    if (is_stillborn)
        socket->ops->close(socket, socket->context);
    if (is_closed || is_stillborn)
        return;
    if (!socket->is_open)
        open_socket(socket);
    serve(socket);
}

static bool look_at_changed(struct websocket_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    struct websocket *socket = hub->changed;
    hub->changed = NULL;
    bool goes_on = !hub->is_stopping;
    while (socket != NULL) {
        /* Only now, or a socket that waits here would be linked into the other list as well. */
        struct websocket *next = socket->next_changed;
        socket->is_changed = false;
        pthread_mutex_unlock(&hub->mutex);
        look_at(socket);
        websocket_unref(socket);
        socket = next;
        pthread_mutex_lock(&hub->mutex);
    }
    pthread_mutex_unlock(&hub->mutex);
    return goes_on;
}

/* Pings who is silent; drops who stays so, or does not agree to a close. */
static void check_silence(struct websocket_hub *hub)
{
    int64_t now_us = time_monotonic_us();
    struct websocket *next;
    for (struct websocket *socket = hub->sockets; socket != NULL; socket = next) {
        next = socket->next;
        int64_t silent_us = now_us - socket->heard_at_us;
        bool is_late = socket->close_deadline_us != 0 && now_us > socket->close_deadline_us;
        if (is_late || silent_us > 2 * hub->ping_us) {
            end(socket);
        } else if (silent_us > hub->ping_us && socket->pinged_at_us < socket->heard_at_us) {
            struct wslay_event_msg ping = {.opcode = WSLAY_PING};
            socket->pinged_at_us = now_us;
            wslay_event_queue_msg(socket->library, &ping);
            serve(socket);
        }
    }
}

static void end_all(struct websocket_hub *hub)
{
    static const char reason[] = "the server is stopping";
    while (hub->sockets != NULL) {
        struct websocket *socket = hub->sockets;
        wslay_event_queue_close(socket->library, WSLAY_CODE_GOING_AWAY, (const uint8_t *)reason,
                                sizeof(reason) - 1);
        if (wslay_event_want_write(socket->library))
            wslay_event_send(socket->library);
        end(socket);
    }
}

static void *run(void *argument)
{
    struct websocket_hub *hub = argument;
    int period_ms = hub->ping_us / 4000 < 1000 ? (int)(hub->ping_us / 4000) : 1000;
    int64_t next_check_us = 0;
    bool goes_on = true;
    while (goes_on) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int count = epoll_wait(hub->epoll_fd, events, EVENTS_AT_ONCE, period_ms);
        for (int i = 0; i < count; i++) {
            uint64_t ignored;
            if (events[i].data.ptr == NULL)
                (void)!read(hub->wake_fd, &ignored, sizeof(ignored));
            else
                serve(events[i].data.ptr);
        }
        goes_on = look_at_changed(hub);
        int64_t now_us = time_monotonic_us();
        if (now_us >= next_check_us) {
            check_silence(hub);
            next_check_us = now_us + (int64_t)period_ms * 1000;
        }
    }
    end_all(hub);
    return NULL;
}

struct websocket_hub *websocket_hub_start(unsigned ping_s)
{
    struct websocket_hub *hub = xcalloc(1, sizeof(*hub));
    atomic_store(&hub->references, 1);
    hub->ping_us = (int64_t)ping_s * 1000000;
    pthread_mutex_init(&hub->mutex, NULL);
    pthread_mutex_init(&hub->late_mutex, NULL);
    hub->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    hub->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (hub->epoll_fd < 0 || hub->wake_fd < 0 ||
        epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, hub->wake_fd, &event) < 0)
        abort(); /* no descriptors on start: as when there is no memory */
    hub->thread = thread_start("websockets", run, hub);
    return hub;
}

void websocket_hub_stop(struct websocket_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    hub->is_stopping = true;
    pthread_mutex_unlock(&hub->mutex);
    wake(hub);
    pthread_join(hub->thread, NULL);
}
