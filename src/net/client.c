/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP client: a pool of libcurl's easy handles, each with its own connections.
 * A call takes one for itself, so that calls never wait for each other.
 */
#include "net/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/time.h"

enum {
    IDLE_HANDLES_MAX = 16,
    DEFAULT_CONNECT_TIMEOUT_MS = 5000,
    DEFAULT_TIMEOUT_MS = 15000,
    DEFAULT_ANSWER_MAX_BYTES = 1 << 20
};

struct http_client {
    struct http_client_options options; /* with defaults filled in; texts are ours */
    char *user_agent, *ca_file;
    char *no_proxy;
    pthread_mutex_t mutex; /* guards what follows */
    CURL *idle[IDLE_HANDLES_MAX];
    size_t idle_count;
};

/* One call on its way. */
struct flight {
    CURL *curl;
    const struct http_client *client;
    const struct http_call *call;
    struct http_answer *answer;
    struct curl_slist *headers;
    struct error *err;
    bool goes_to_sink;
    bool is_too_large;
    bool is_stalled;
    unsigned stall_ms;   /* 0: stalls do not count */
    curl_off_t moved;    /* bytes, both ways */
    int64_t moved_at_us; /* when that last grew */
    bool is_answered;    /* the answer's own head is through, not just a 100 */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_library(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

struct http_client *http_client_create(const struct http_client_options *options)
{
    pthread_once(&once, init_library);
    struct http_client *client = xcalloc(1, sizeof(*client));
    struct http_client_options *o = &client->options;
    *o = *options;
    if (o->connect_timeout_ms == 0)
        o->connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
    if (o->timeout_ms == 0)
        o->timeout_ms = DEFAULT_TIMEOUT_MS;
    if (o->answer_max_bytes == 0)
        o->answer_max_bytes = DEFAULT_ANSWER_MAX_BYTES;
    client->user_agent =
        xstrdup(options->user_agent == NULL ? "Roost/" ROOST_VERSION : options->user_agent);
    client->ca_file = options->ca_file == NULL ? NULL : xstrdup(options->ca_file);
    /* A proxy of the environment is for the world outside, never for ourselves. */
    const char *others = getenv("no_proxy");
    client->no_proxy = xasprintf("localhost,127.0.0.1,::1%s%s", others == NULL ? "" : ",",
                                 others == NULL ? "" : others);
    pthread_mutex_init(&client->mutex, NULL);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    for (size_t i = 0; i < client->idle_count; i++)
        curl_easy_cleanup(client->idle[i]);
    pthread_mutex_destroy(&client->mutex);
    free(client->user_agent);
    free(client->ca_file);
    free(client->no_proxy);
    free(client);
}

static CURL *take_handle(struct http_client *client)
{
    CURL *curl = NULL;
    pthread_mutex_lock(&client->mutex);
    if (client->idle_count > 0)
        curl = client->idle[--client->idle_count];
    pthread_mutex_unlock(&client->mutex);
    if (curl == NULL)
        curl = curl_easy_init();
    if (curl == NULL)
        abort(); /* no memory */
    return curl;
}

static void give_handle_back(struct http_client *client, CURL *curl)
{
    curl_easy_reset(curl); /* keeps connections */
    pthread_mutex_lock(&client->mutex);
    bool is_kept = client->idle_count < IDLE_HANDLES_MAX;
    if (is_kept)
        client->idle[client->idle_count++] = curl;
    pthread_mutex_unlock(&client->mutex);
    if (!is_kept)
        curl_easy_cleanup(curl);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct flight *flight = context;
    size_t length = size * count;
    if (!flight->is_answered) {
        long status = 0;
        curl_easy_getinfo(flight->curl, CURLINFO_RESPONSE_CODE, &status);
        flight->goes_to_sink = flight->call->sink != NULL && status >= 200 && status < 300;
        flight->is_answered = true;
    }
    if (flight->goes_to_sink)
        return flight->call->sink(bytes, length, flight->call->sink_context, flight->err) < 0
                   ? CURL_WRITEFUNC_ERROR
                   : length;
    if (length > flight->client->options.answer_max_bytes - flight->answer->body.length) {
        flight->is_too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buf_add(&flight->answer->body, bytes, length);
    return length;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct flight *flight = context;
    int64_t now_us = time_monotonic_us();
    if (down + up != flight->moved || flight->moved_at_us == 0) {
        flight->moved = down + up;
        flight->moved_at_us = now_us;
    }
    flight->is_stalled =
        flight->stall_ms != 0 && now_us - flight->moved_at_us > (int64_t)flight->stall_ms * 1000;
    return flight->is_stalled || cancel_is_set(flight->call->cancel);
}

static bool has_control_bytes(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static void add_header(struct flight *flight, const char *line)
{
    struct curl_slist *longer = curl_slist_append(flight->headers, line);
    if (longer == NULL)
        abort(); /* no memory */
    flight->headers = longer;
}

static int add_headers(struct flight *flight, struct error *err)
{
    bool has_type = false;
    for (const char *const *line = flight->call->headers; line != NULL && *line != NULL; line++) {
        if (has_control_bytes(*line))
            return error_set(err, ERROR_INVALID, "a request header has control bytes");
        has_type = has_type || strncasecmp(*line, "content-type:", 13) == 0;
        add_header(flight, *line);
    }
    if (!has_type)
        add_header(flight, "Content-Type:"); /* not libcurl's own idea */
    add_header(flight, "Expect:");           /* no waiting for a 100 */
    curl_easy_setopt(flight->curl, CURLOPT_HTTPHEADER, flight->headers);
    return 0;
}

static void set_method(CURL *curl, const struct http_call *call)
{
    bool sends_body = call->body.length > 0 || strcmp(call->method, "POST") == 0 ||
                      strcmp(call->method, "PUT") == 0 || strcmp(call->method, "PATCH") == 0;
    if (sends_body) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.length == 0 ? "" : call->body.data);
    } else if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
        return;
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

/* libcurl's own measure of a stall is an average that forgives long pauses. */
static void set_timeouts(struct flight *flight)
{
    const struct http_client_options *options = &flight->client->options;
    unsigned own_ms = flight->call->timeout_ms;
    unsigned timeout_ms = own_ms == 0 ? options->timeout_ms : own_ms;
    curl_easy_setopt(flight->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    if (flight->call->sink == NULL)
        curl_easy_setopt(flight->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    else
        flight->stall_ms = timeout_ms;
}

static void set_options(struct flight *flight)
{
    CURL *curl = flight->curl;
    const struct http_client *client = flight->client;
    curl_easy_setopt(curl, CURLOPT_URL, flight->call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, client->user_agent);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, client->no_proxy);
    /* The system's authorities stay trusted through libcurl's directory of them. */
    if (client->ca_file != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, "/etc/ssl/certs");
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, flight);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, flight);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    set_method(curl, flight->call);
    set_timeouts(flight);
}

static void copy_header(CURL *curl, const char *name, char *out, size_t size)
{
    struct curl_header *header;
    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
        strlen(header->value) < size)
        memcpy(out, header->value, strlen(header->value) + 1);
}

static void read_head(struct flight *flight)
{
    struct http_answer *answer = flight->answer;
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(flight->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(flight->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    answer->status = (unsigned)status;
    answer->content_length = (int64_t)length;
    copy_header(flight->curl, "Content-Type", answer->content_type, sizeof(answer->content_type));
    copy_header(flight->curl, "X-Request-Id", answer->request_id, sizeof(answer->request_id));
    copy_header(flight->curl, "ETag", answer->etag, sizeof(answer->etag));
    copy_header(flight->curl, "Date", answer->date, sizeof(answer->date));
    char retry_after[16] = "";
    uint64_t seconds = 0;
    copy_header(flight->curl, "Retry-After", retry_after, sizeof(retry_after));
    if (text_to_u64(retry_after, 0, 24 * 3600 * 365, &seconds))
        answer->retry_after_s = (unsigned)seconds;
}

/* libcurl notes when it was about to send; a call that never got there says zero. */
static bool was_about_to_send(CURL *curl)
{
    curl_off_t pretransfer_us = 0;
    curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &pretransfer_us);
    return pretransfer_us > 0;
}

static int report(const struct flight *flight, CURLcode code, const char *details)
{
    struct error *err = flight->err;
    const char *text = details[0] != '\0' ? details : curl_easy_strerror(code);
    if (error_is_set(err)) /* by the sink */
        return -1;
    if (flight->is_too_large)
        return error_set(err, ERROR_LIMIT, "the answer is over %zu bytes",
                         flight->client->options.answer_max_bytes);
    if (flight->is_stalled)
        return error_set(err, ERROR_UNAVAILABLE, "nothing came for %u ms", flight->stall_ms);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return error_set(err, ERROR_CANCELLED, "the call was cancelled");
    bool is_address = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    if (is_address && !was_about_to_send(flight->curl)) /* else: the answer was no HTTP */
        return error_set(err, ERROR_INVALID, "the address is no HTTP address: %s", text);
    return error_set(err, ERROR_UNAVAILABLE, "%s", text);
}

int http_client_call(struct http_client *client, const struct http_call *call,
                     struct http_answer *answer, struct error *err)
{
    *answer = (struct http_answer){.body = BUF_INIT, .content_length = -1};
    struct flight flight = {.client = client, .call = call, .answer = answer, .err = err};
    char details[CURL_ERROR_SIZE] = "";
    flight.curl = take_handle(client);
    set_options(&flight);
    curl_easy_setopt(flight.curl, CURLOPT_ERRORBUFFER, details);
    int result = add_headers(&flight, err);
    if (call->was_sent != NULL)
        *call->was_sent = false;
    if (result == 0) {
        CURLcode code = curl_easy_perform(flight.curl);
        if (call->was_sent != NULL)
            *call->was_sent = was_about_to_send(flight.curl);
        if (code == CURLE_OK)
            read_head(&flight);
        else
            result = report(&flight, code, details);
    }
    give_handle_back(client, flight.curl);
    curl_slist_free_all(flight.headers);
    if (result < 0)
        http_answer_free(answer);
    return result;
}

void http_answer_free(struct http_answer *answer)
{
    buf_free(&answer->body);
}
