/*
 * The answers of `report --serve`, by libmicrohttpd; the only file that includes it.
 *
 * One thread of libmicrohttpd's serves all clients and never blocks. It has one page, made by
 * main's thread, and answers with it while it is fresh. When it is not, the connection is
 * suspended, main's thread is woken, and serve_http_publish() resumes everybody who waits: however
 * many ask, one page is made. A page that is sent has a count of its clients in libmicrohttpd, and
 * is freed with the last one, so replacing it does not disturb a client in the middle of it.
 *
 * Each connection gets one answer. It must have sent its request within client_idle_ms, and is
 * closed after client_total_ms, whatever main's thread does: a thread of ours, the sweeper, shuts
 * down the connections that exceed a limit. So the old pages that slow clients still read have
 * OLD_PAGES bytes at most, because a large page is fresh for long enough. When the last free entry
 * of the table is taken, the oldest connection that has not sent the token is shut down: a client
 * that does not know the token keeps nobody waiting.
 *
 * The descriptor is not closed, and not used again, while it is shut down: `on_connection` takes a
 * connection out of the table, under the mutex, before libmicrohttpd closes its descriptor.
 *
 * Order of locks: ours, then libmicrohttpd's. It calls us without holding any of its own.
 */
#include "ctl/serve_internal.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define CONNECTION_MEMORY (16 * 1024) /* of the request's headers and what is sent at once */
#define TEXT_TYPE         "text/plain; charset=utf-8"
#define PAGE_TYPE         "text/html; charset=utf-8"
#define TEXT_POLICY       "default-src 'none'; frame-ancestors 'none'"
#define POLICY_SIZE       1024
#define OLD_PAGES         (INT64_C(64) * 1024 * 1024)

struct client {
    int fd; /* -1: the entry is free */
    int64_t begun_ms;
    bool asked; /* for the page, with its token */
    bool ended; /* was shut down; libmicrohttpd has not closed it yet */
};

struct serve_http {
    struct serve_http_options options;
    struct MHD_Daemon *daemon;
    struct MHD_Response *refused; /* of a wrong Host or Origin */
    struct MHD_Response *unknown; /* of a wrong path, or token */
    struct MHD_Response *method;
    int wanted_fd;
    int64_t begun_ms; /* when main's thread took up the wish for a page */
    pthread_t sweeper;
    bool has_sweeper;
    pthread_cond_t stopped; /* wakes the sweeper */

    pthread_mutex_t mutex;        /* for everything below */
    struct MHD_Response *current; /* a page, or why there is none; NULL: not yet */
    unsigned code;                /* its status */
    int64_t made_ms;
    int64_t fresh_ms; /* how long it is an answer */
    bool stopping;
    unsigned waiting_count;
    struct MHD_Connection **waiting; /* suspended; room for options.clients */
    struct client *clients;          /* options.clients entries */
};

/* --- responses -------------------------------------------------------------------------------- */

/* Adds the headers of every answer. Returns the response, or NULL after destroying it. */
static struct MHD_Response *finish(struct MHD_Response *response, const char *type,
                                   const char *policy)
{
    const char *const headers[][2] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, type},
        {MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY, policy},
        {MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff"},
        {MHD_HTTP_HEADER_X_FRAME_OPTIONS, "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
        {MHD_HTTP_HEADER_CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"},
        {MHD_HTTP_HEADER_CROSS_ORIGIN_OPENER_POLICY, "same-origin"},
        {MHD_HTTP_HEADER_CONNECTION, "close"},
    };

    for (size_t i = 0; response != NULL && i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (MHD_add_response_header(response, headers[i][0], headers[i][1]) != MHD_YES) {
            MHD_destroy_response(response);
            response = NULL;
        }
    }
    return response;
}

/* Creates a response with `type` as Content-Type, `policy` as Content-Security-Policy and the
 * common headers; does not send it. Always takes ownership of `bytes` (from malloc(); NULL: memory
 * was out). Returns NULL when memory is out. */
static struct MHD_Response *make_response(char *bytes, size_t length, const char *type,
                                          const char *policy)
{
    struct MHD_Response *response =
        bytes != NULL ? MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE)
                      : NULL;

    if (response == NULL) {
        free(bytes);
    }
    return finish(response, type, policy);
}

static struct MHD_Response *text(const char *sentence)
{
    return make_response(strdup(sentence), strlen(sentence), TEXT_TYPE, TEXT_POLICY);
}

static void destroy(struct MHD_Response *response)
{
    if (response != NULL) {
        MHD_destroy_response(response);
    }
}

/* --- requests, on libmicrohttpd's thread ------------------------------------------------------ */

/* A header that may occur once: its value, or NULL. */
struct header {
    const char *name;
    const char *value;
    int count;
};

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    struct header *header = context;

    (void)kind;
    if (strcasecmp(key, header->name) == 0) {
        header->value = value != NULL ? value : "";
        header->count++;
    }
    return MHD_YES;
}

/* Returns true when the Host and the Origin are ours. */
static bool is_from_us(const struct serve_http *http, struct MHD_Connection *connection)
{
    struct header host = {.name = MHD_HTTP_HEADER_HOST};
    struct header origin = {.name = MHD_HTTP_HEADER_ORIGIN};

    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &host);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &origin);
    return host.count == 1 && origin.count <= 1 &&
           serve_check_host(host.value, http->options.any_address) &&
           serve_check_origin(origin.value, host.value);
}

/* Answers with the page, or lets the connection wait for one. Under the mutex. */
static enum MHD_Result answer_page(struct serve_http *http, struct MHD_Connection *connection,
                                   bool has_waited)
{
    int64_t age_ms = clock_monotonic_ms() - http->made_ms;
    uint64_t one = 1;

    if (http->stopping) {
        return MHD_NO;
    }
    if (http->current != NULL && (has_waited || age_ms < http->fresh_ms)) {
        return MHD_queue_response(connection, http->code, http->current);
    }
    http->waiting[http->waiting_count++] = connection; /* each of options.clients waits once */
    MHD_suspend_connection(connection);
    return write(http->wanted_fd, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN
               ? MHD_YES
               : MHD_NO;
}

/* Called when a request's headers are there, and again when its connection was resumed: then
 * *request is not NULL. MHD_NO closes the connection. */
static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    struct serve_http *http = context;
    const union MHD_ConnectionInfo *info;
    bool has_waited = *request != NULL;
    enum MHD_Result result;

    (void)version;
    (void)upload;
    (void)upload_size; /* a body is not read: the answer comes before it and ends the connection */
    if (!is_from_us(http, connection)) {
        return MHD_queue_response(connection, MHD_HTTP_FORBIDDEN, http->refused);
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, http->method);
    }
    if (!serve_check_path(url, http->options.token)) {
        return MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, http->unknown);
    }
    *request = http;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    pthread_mutex_lock(&http->mutex);
    if (info != NULL && info->socket_context != NULL) {
        ((struct client *)info->socket_context)->asked = true;
    }
    result = answer_page(http, connection, has_waited);
    pthread_mutex_unlock(&http->mutex);
    return result;
}

/* Under the mutex. */
static void end(struct client *client)
{
    shutdown(client->fd, SHUT_RDWR);
    client->ended = true;
}

/* Ends the oldest connection that has not asked for the page, if no place is left for the next one.
 * `newest` was the last one that came. Under the mutex. */
static void make_room(struct serve_http *http, const struct client *newest)
{
    struct client *oldest = NULL;

    for (unsigned i = 0; i < http->options.clients; i++) {
        struct client *client = &http->clients[i];

        if (client->fd < 0 || client->ended) {
            return;
        }
        if (client != newest && !client->asked &&
            (oldest == NULL || client->begun_ms < oldest->begun_ms)) {
            oldest = client;
        }
    }
    if (oldest != NULL) {
        end(oldest);
    }
}

/* Called by libmicrohttpd, in its thread, when a connection begins and before its descriptor is
 * closed: enters it into the table of clients (*entry), or frees its entry. If the last free entry
 * was taken, shuts down the oldest client that has not sent the token. */
static void on_connection(void *context, struct MHD_Connection *connection, void **entry,
                          enum MHD_ConnectionNotificationCode code)
{
    struct serve_http *http = context;
    const union MHD_ConnectionInfo *info;

    pthread_mutex_lock(&http->mutex);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*entry != NULL) {
            ((struct client *)*entry)->fd = -1;
        }
        pthread_mutex_unlock(&http->mutex);
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (unsigned i = 0; info != NULL && i < http->options.clients; i++) {
        if (http->clients[i].fd < 0) {
            http->clients[i] =
                (struct client){.fd = info->connect_fd, .begun_ms = clock_monotonic_ms()};
            *entry = &http->clients[i];
            make_room(http, &http->clients[i]);
            break;
        }
    }
    pthread_mutex_unlock(&http->mutex);
}

/* --- the sweeper ------------------------------------------------------------------------------ */

/* Ends the connections that have taken too long. Returns when to look again. Under the mutex. */
static int64_t sweep(struct serve_http *http)
{
    const struct serve_http_options *options = &http->options;
    int64_t asking_ms = options->client_idle_ms < options->client_total_ms
                            ? options->client_idle_ms
                            : options->client_total_ms;
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = now_ms + asking_ms; /* of one that comes now */

    for (unsigned i = 0; i < options->clients; i++) {
        struct client *client = &http->clients[i];
        int64_t end_ms = client->begun_ms + (client->asked ? options->client_total_ms : asking_ms);

        if (client->fd < 0 || client->ended) {
            continue;
        }
        if (end_ms <= now_ms) {
            end(client);
        } else if (end_ms < next_ms) {
            next_ms = end_ms;
        }
    }
    return next_ms;
}

static void *run_sweeper(void *context)
{
    struct serve_http *http = context;

    pthread_mutex_lock(&http->mutex);
    while (!http->stopping) {
        const struct timespec until = clock_deadline(sweep(http));

        pthread_cond_timedwait(&http->stopped, &http->mutex, &until);
    }
    pthread_mutex_unlock(&http->mutex);
    return NULL;
}

/* --- main's thread ---------------------------------------------------------------------------- */

int serve_http_fd(const struct serve_http *http)
{
    return http->wanted_fd;
}

bool serve_http_is_wanted(struct serve_http *http)
{
    uint64_t count;

    http->begun_ms = clock_monotonic_ms();
    return read(http->wanted_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

/* Makes this response of `length` bytes the answer, and resumes those who wait for it. */
static void set_current(struct serve_http *http, unsigned code, struct MHD_Response *response,
                        size_t length)
{
    int64_t now_ms = clock_monotonic_ms();
    /* At most half of one processor makes pages, however large the database is. */
    int64_t fresh_ms = now_ms - http->begun_ms;
    int64_t kept_ms = (int64_t)length * http->options.client_total_ms / OLD_PAGES;

    fresh_ms = fresh_ms > kept_ms ? fresh_ms : kept_ms;
    fresh_ms = fresh_ms > http->options.fresh_ms ? fresh_ms : http->options.fresh_ms;
    pthread_mutex_lock(&http->mutex);
    destroy(http->current);
    http->current = response;
    http->code = code;
    http->made_ms = now_ms;
    http->fresh_ms = fresh_ms;
    for (unsigned i = 0; i < http->waiting_count; i++) {
        MHD_resume_connection(http->waiting[i]);
    }
    http->waiting_count = 0;
    pthread_mutex_unlock(&http->mutex);
}

void serve_http_refuse(struct serve_http *http, const char *sentence)
{
    set_current(http, MHD_HTTP_SERVICE_UNAVAILABLE, text(sentence), strlen(sentence));
}

void serve_http_publish(struct serve_http *http, char *html, size_t length, const char *policy)
{
    struct MHD_Response *response;
    char whole[POLICY_SIZE];

    /* A page cannot say this of itself in its <meta> element. */
    snprintf(whole, sizeof(whole), "%s; frame-ancestors 'none'", policy);
    response = make_response(html, length, PAGE_TYPE, whole);
    if (response != NULL) {
        set_current(http, MHD_HTTP_OK, response, length);
    } else {
        serve_http_refuse(http, "out of memory\n");
    }
}

/* --- start and stop --------------------------------------------------------------------------- */

static bool prepare(struct serve_http *http)
{
    unsigned clients = http->options.clients;

    http->refused = text("This Host or Origin is not that of the report.\n");
    http->unknown = text("There is nothing here. The address of the report, as foxtrackrctl has "
                         "printed it, has a token in it.\n");
    http->method = text("The report can only be read.\n");
    http->waiting = calloc(clients, sizeof(struct MHD_Connection *));
    http->clients = calloc(clients, sizeof(http->clients[0]));
    http->wanted_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->refused == NULL || http->unknown == NULL || http->method == NULL ||
        http->waiting == NULL || http->clients == NULL || http->wanted_fd < 0 ||
        MHD_add_response_header(http->method, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") != MHD_YES) {
        return false;
    }
    for (unsigned i = 0; i < clients; i++) {
        http->clients[i].fd = -1;
    }
    return true;
}

int serve_http_start(const struct serve_http_options *options, struct serve_http **out)
{
    struct serve_http *http = calloc(1, sizeof(*http));

    if (http == NULL) {
        close(options->listen_fd);
        return -1;
    }
    http->options = *options;
    http->wanted_fd = -1;
    http->begun_ms = clock_monotonic_ms();
    pthread_mutex_init(&http->mutex, NULL);
    clock_cond_init(&http->stopped);
    if (!prepare(http)) {
        close(options->listen_fd);
        serve_http_stop(http);
        return -1;
    }
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer, http,
        MHD_OPTION_LISTEN_SOCKET, options->listen_fd, MHD_OPTION_CONNECTION_LIMIT, options->clients,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)options->client_idle_ms / 1000,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
    http->has_sweeper =
        http->daemon != NULL && pthread_create(&http->sweeper, NULL, run_sweeper, http) == 0;
    if (!http->has_sweeper) {
        serve_http_stop(http);
        return -1;
    }
    *out = http;
    return 0;
}

void serve_http_stop(struct serve_http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->daemon != NULL) {
        pthread_mutex_lock(&http->mutex);
        http->stopping = true;
        pthread_cond_signal(&http->stopped);
        for (unsigned i = 0; i < http->waiting_count; i++) {
            MHD_resume_connection(http->waiting[i]);
        }
        http->waiting_count = 0;
        pthread_mutex_unlock(&http->mutex);
        if (http->has_sweeper) {
            pthread_join(http->sweeper, NULL);
        }
        MHD_stop_daemon(http->daemon); /* waits for its thread, and closes the listening socket */
    }
    destroy(http->current);
    destroy(http->refused);
    destroy(http->unknown);
    destroy(http->method);
    if (http->wanted_fd >= 0) {
        close(http->wanted_fd);
    }
    pthread_cond_destroy(&http->stopped);
    pthread_mutex_destroy(&http->mutex);
    free(http->waiting);
    free(http->clients);
    free(http);
}
