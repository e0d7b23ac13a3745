/*
 * A broker for benchmarks: it streams generated messages to durable sessions and counts
 * acknowledgements. It stores nothing and spends a constant time on each message, so that what is
 * measured is the client. One thread, epoll; `ceiling` shows how fast it can be.
 *
 * usage: broker [--tls CERT KEY] --count N [--devices 1000] [--qos 2] [--window 20]
 *               [--delay-ms 0] [--sessions 1] [--mark 0] [--hold] [--own-window]
 *               --port-file FILE
 *
 * The broker speaks MQTT 3.1.1 and 5, as CONNECT asks. In MQTT 5 Receive Maximum takes the place of
 * --window, as in mosquitto, whatever --window is.
 *
 * The messages are dealt out evenly to the sessions, in order. A session's stream begins with its
 * first SUBSCRIBE; with --hold with SIGUSR1, after "ready" on standard error has told that all have
 * subscribed. When every message is acknowledged, one line of JSON; SIGTERM ends it.
 *
 * --delay-ms stands for a network's round trip: what arrives is acted upon that much later, so a
 * QoS 2 message occupies the window for two of them. TCP itself is not delayed, but a client that
 * leaves Nagle's algorithm on pays for it as on a real network: its second small write waits for
 * the ACK of the first, which comes with the delayed answer, or from the kernel after 40 ms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "options.h"

#define CONNECTIONS (2 * OPTIONS_SESSIONS_MAX) /* the old one may still be there */
#define REST_NS     20000
#define WEEK_MS     INT64_C(604800000)

struct server {
    struct broker broker;
    int epoll_fd;
    int listen_fd;
    int signal_fd;
    struct connection *connections;
    bool said_ready;
    bool reported;
};

static int write_port(const char *path, int port)
{
    char temporary[4096];
    FILE *file;

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    file = fopen(temporary, "w");
    if (file == NULL || fprintf(file, "%d\n", port) < 0 || fclose(file) != 0 ||
        rename(temporary, path) != 0) {
        fprintf(stderr, "broker: cannot write %s: %s\n", path, strerror(errno));
        return -1;
    }
    return 0;
}

static int watch(const struct server *server, int operation, int fd, uint32_t events,
                 uint32_t index)
{
    struct epoll_event event = {.events = events, .data.u32 = index};

    return epoll_ctl(server->epoll_fd, operation, fd, &event);
}

#define INDEX_LISTEN CONNECTIONS
#define INDEX_SIGNAL (CONNECTIONS + 1)

static int set_up(struct server *server)
{
    struct broker *broker = &server->broker;
    const struct broker_options *options = &broker->options;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct timespec now;
    sigset_t signals;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    server->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(server->listen_fd, (struct sockaddr *)&address, length) != 0 ||
        listen(server->listen_fd, CONNECTIONS) != 0 ||
        getsockname(server->listen_fd, (struct sockaddr *)&address, &length) != 0 ||
        watch(server, EPOLL_CTL_ADD, server->listen_fd, EPOLLIN, INDEX_LISTEN) != 0 ||
        watch(server, EPOLL_CTL_ADD, server->signal_fd, EPOLLIN, INDEX_SIGNAL) != 0) {
        perror("broker: cannot listen");
        return -1;
    }
    if (options->certificate != NULL) {
        broker->tls = wire_context(options->certificate, options->key);
        if (broker->tls == NULL) {
            return -1;
        }
    }
    clock_gettime(CLOCK_REALTIME, &now);
    broker->plan = (struct message_plan){.devices = options->devices,
                                         .start_ms = now.tv_sec * INT64_C(1000) - WEEK_MS};
    broker->plan.step_ms = WEEK_MS / (int64_t)(options->count / options->devices + 1);
    if (broker->plan.step_ms < 1) {
        broker->plan.step_ms = 1;
    }
    broker->sessions = calloc(options->sessions, sizeof(*broker->sessions));
    server->connections = calloc(CONNECTIONS, sizeof(*server->connections));
    if (broker->sessions == NULL || server->connections == NULL) {
        fputs("broker: out of memory\n", stderr);
        return -1;
    }
    for (unsigned i = 0; i < options->sessions; i++) {
        session_init(&broker->sessions[i], &broker->plan, options->count * i / options->sessions,
                     options->count * (i + 1) / options->sessions);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        server->connections[i].wire.fd = -1;
    }
    broker->window = options->window;
    broker->streaming = !options->hold;
    return write_port(options->port_file, ntohs(address.sin_port));
}

static void accept_one(struct server *server)
{
    const int on = 1;
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct connection *connection = &server->connections[i];

        if (connection->wire.fd < 0) {
            if (connection_open(connection, &server->broker, fd)) {
                watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, i);
            }
            return;
        }
    }
    close(fd);
}

static void serve(struct server *server, uint32_t index)
{
    struct connection *connection = &server->connections[index];
    bool wants_write = false;

    if (connection->wire.fd >= 0 && connection_serve(connection, &wants_write) &&
        wants_write != connection->watching_write) {
        connection->watching_write = wants_write;
        watch(server, EPOLL_CTL_MOD, connection->wire.fd,
              EPOLLIN | (wants_write ? (uint32_t)EPOLLOUT : 0), index);
    }
}

/* SIGUSR1 lets the stream begin; false: SIGTERM. */
static bool take_signal(struct server *server)
{
    struct signalfd_siginfo info;

    if (read(server->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM) {
            return false;
        }
        server->broker.streaming = true;
        for (uint32_t i = 0; i < CONNECTIONS; i++) {
            serve(server, i);
        }
    }
    return true;
}

/* Until when to wait for events; NULL: for ever. */
static const struct timespec *pause_for(const struct server *server, struct timespec *out)
{
    int64_t due_ns = 0;
    int64_t left_ns;

    if (server->broker.options.delay_ms <= 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        int64_t each_ns =
            server->connections[i].wire.fd >= 0 ? connection_due_ns(&server->connections[i]) : 0;

        if (each_ns != 0 && (due_ns == 0 || each_ns < due_ns)) {
            due_ns = each_ns;
        }
    }
    if (due_ns == 0) {
        return NULL;
    }
    left_ns = due_ns - broker_now_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    out->tv_sec = left_ns / 1000000000;
    out->tv_nsec = left_ns % 1000000000;
    return out;
}

static void serve_due(struct server *server)
{
    if (server->broker.options.delay_ms <= 0) {
        return;
    }
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct connection *connection = &server->connections[i];

        if (connection->wire.fd >= 0 && connection_due_ns(connection) != 0 &&
            connection_due_ns(connection) <= broker_now_ns()) {
            serve(server, i);
        }
    }
}

static void note_milestones(struct server *server)
{
    struct broker *broker = &server->broker;

    if (!server->said_ready && broker_all_subscribed(broker)) {
        server->said_ready = true;
        fputs("ready\n", stderr);
    }
    if (!server->reported && broker->acknowledged == broker->options.count) {
        server->reported = true;
        broker_report(broker);
    }
}

/*
 * A broker that answered every acknowledgement by itself would spend its time on system calls, and
 * make the client do so too: it would be the bottleneck. So it rests for a moment after a round
 * that brought answers for less than an eighth of the window, as a network between the two would
 * make it.
 */
static void rest(const struct server *server, uint64_t answers)
{
    const struct timespec pause = {0, REST_NS};

    if (server->broker.streaming && answers < server->broker.window / 8) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

/* Until SIGTERM; -1: cannot go on. */
static int run(struct server *server)
{
    struct epoll_event events[16];

    for (;;) {
        uint64_t before = server->broker.answers;
        struct timespec pause;
        int count = epoll_pwait2(server->epoll_fd, events, 16, pause_for(server, &pause), NULL);

        if (count < 0 && errno != EINTR) {
            perror("broker: epoll_pwait2"); /* Linux before 5.11 has none */
            return -1;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == INDEX_LISTEN) {
                accept_one(server);
            } else if (events[i].data.u32 == INDEX_SIGNAL) {
                if (!take_signal(server)) {
                    return 0;
                }
            } else {
                serve(server, events[i].data.u32);
            }
        }
        serve_due(server);
        note_milestones(server);
        rest(server, server->broker.answers - before);
    }
}

int main(int argc, char **argv)
{
    static struct server server;
    int status = options_parse(argc, argv, &server.broker.options);

    if (status != 0) {
        return status;
    }
    if (set_up(&server) != 0 || run(&server) != 0) {
        return EX_OSERR;
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        connection_close(&server.connections[i]);
    }
    SSL_CTX_free(server.broker.tls);
    free(server.connections);
    free(server.broker.sessions);
    return EX_OK;
}
