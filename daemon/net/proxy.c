/*
 * Asks a proxy for a connection to the broker, on a socket that is connected to the proxy. See
 * net/proxy_internal.h for the parts.
 *
 * Must never happen: a byte of the broker's is read here (the gate would miss it), the password
 * gets into a problem, or a proxy that does not answer holds a stop up.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/escape.h"
#include "net/proxy_internal.h"

#define FIRST_SIZE 48 /* bytes of a strange answer that are quoted */

enum moved { MOVED, MOVED_LATE, MOVED_STOPPED, MOVED_CLOSED, MOVED_ERRNO };

struct mover {
    int fd;
    int stop_fd;
    int64_t deadline_ms;
    int error; /* of MOVED_ERRNO */
};

/* --- moving bytes --------------------------------------------------------------------------- */

static enum moved wait_for(struct mover *mover, short events)
{
    struct pollfd fds[2] = {{.fd = mover->fd, .events = events},
                            {.fd = mover->stop_fd, .events = POLLIN}};
    int ready;

    do {
        int64_t left_ms = mover->deadline_ms - clock_monotonic_ms();

        ready = poll(fds, 2, left_ms > 0 ? (int)left_ms : 0);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) {
        mover->error = errno;
        return MOVED_ERRNO;
    }
    if (fds[1].revents != 0) {
        return MOVED_STOPPED;
    }
    return ready == 0 ? MOVED_LATE : MOVED;
}

/* A failed send() or recv(): waits where that helps. */
static enum moved after_failure(struct mover *mover, short events)
{
    switch (errno) {
    case EINTR:
        return MOVED;
    case EAGAIN:
        return wait_for(mover, events);
    case ECONNRESET:
    case EPIPE:
        return MOVED_CLOSED;
    default:
        mover->error = errno;
        return MOVED_ERRNO;
    }
}

static enum moved send_all(struct mover *mover, const unsigned char *bytes, size_t length)
{
    enum moved moved = MOVED;

    while (length > 0 && moved == MOVED) {
        ssize_t sent = send(mover->fd, bytes, length, MSG_NOSIGNAL);

        if (sent >= 0) {
            bytes += sent;
            length -= (size_t)sent;
        } else {
            moved = after_failure(mover, POLLOUT);
        }
    }
    return moved;
}

/* Reads the bytes that the talk's step wants, and no more. */
static enum moved read_wanted(struct mover *mover, struct proxy_talk *talk)
{
    enum moved moved = MOVED;

    while (talk->wanted > 0 && moved == MOVED) {
        ssize_t got = recv(mover->fd, talk->in + talk->in_length, talk->wanted, 0);

        if (got > 0) {
            talk->in_length += (size_t)got;
            talk->wanted -= (size_t)got;
        } else {
            moved = got == 0 ? MOVED_CLOSED : after_failure(mover, POLLIN);
        }
    }
    return moved;
}

/* --- problems ------------------------------------------------------------------------------- */

/* Sets the problem of a proxy that has closed the connection. `answered`: the proxy has sent a byte
 * or more since the connection was made. */
static void say_closed(const struct proxy_talk *talk, bool answered)
{
    const char *sentence = "the proxy closed the connection in the middle of its answer";

    if (talk->stage == PROXY_STAGE_CONNECT && !answered) {
        sentence = "the proxy closed the connection without an answer to CONNECT: it refuses this "
                   "machine, or is a SOCKS proxy (socks5:// in broker.proxy), or none";
    } else if (talk->stage == PROXY_STAGE_METHOD && !answered) {
        sentence = "the proxy closed the connection without an answer: it refuses this machine, or "
                   "is an HTTP proxy (http:// in broker.proxy), or none";
    } else if (talk->stage == PROXY_STAGE_VERDICT && talk->in_length == 0) {
        sentence = "the proxy closed the connection when it got user name and password: check "
                   "broker.proxy and broker.proxy_password_file";
    } else if (talk->stage == PROXY_STAGE_REPLY && talk->in_length == 0) {
        sentence = "the proxy closed the connection instead of connecting to the broker: its log "
                   "tells why";
    }
    snprintf(talk->problem, PROXY_PROBLEM_SIZE, "%s", sentence);
}

/* Sets the problem of a proxy that has not done its part within timeout_ms. While the proxy itself
 * has to answer, the proxy is at fault; while it connects to the broker, the broker may be. */
static void say_late(const struct proxy_talk *talk, bool answered, int timeout_ms)
{
    const char *protocol =
        talk->proxy->kind == PROXY_HTTP ? "no HTTP proxy (http://)" : "no SOCKS proxy (socks5://)";

    if (talk->stage == PROXY_STAGE_METHOD || talk->stage == PROXY_STAGE_VERDICT ||
        (talk->stage == PROXY_STAGE_CONNECT && answered)) {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the proxy did not %s within %d s: it is overloaded, or %s",
                 answered ? "end its answer" : "answer", timeout_ms / 1000, protocol);
    } else {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the proxy did not connect to the broker at %.120s within %d s: the broker does "
                 "not answer the proxy%s%s",
                 talk->target, timeout_ms / 1000, answered ? "" : ", or this is ",
                 answered ? "" : protocol);
    }
}

/* Quotes the first bytes of an answer that is not of the expected protocol. */
static void say_strange(const struct proxy_talk *talk, int fd)
{
    const char *protocol = talk->proxy->kind == PROXY_HTTP ? "HTTP" : "SOCKS 5";
    char first[FIRST_SIZE + 1];
    char escaped[4 * FIRST_SIZE];
    size_t length = talk->in_length < FIRST_SIZE ? talk->in_length : FIRST_SIZE;
    ssize_t more;

    memcpy(first, talk->in, length);
    more = recv(fd, first + length, FIRST_SIZE - length, MSG_DONTWAIT);
    length += more > 0 ? (size_t)more : 0;
    first[length] = '\0';
    if (strncmp(first, "HTTP/", 5) == 0 && talk->proxy->kind != PROXY_HTTP) {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "an HTTP proxy or a web server answers at broker.proxy: write http:// there if it "
                 "is a proxy");
    } else if (first[0] == 5 && talk->proxy->kind == PROXY_HTTP) {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "a SOCKS proxy answers at broker.proxy: write socks5:// there");
    } else if (length >= 2 && (first[0] == 0x15 || first[0] == 0x16) && first[1] == 3) {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the server at broker.proxy expects TLS, which foxtrackrd does not speak to a "
                 "proxy: use a port of the proxy without it");
    } else {
        escape_line(escaped, sizeof(escaped), first);
        snprintf(
            talk->problem, PROXY_PROBLEM_SIZE,
            "the server at broker.proxy is no %s proxy (it sent \"%s\"): check the scheme, the "
            "host and the port",
            protocol, escaped);
    }
}

/* --- the conversation ----------------------------------------------------------------------- */

static void begin(struct proxy_talk *talk, const char *host)
{
    struct host_identity identity;

    host_identity(host, &identity);
    talk->is_address = identity.is_address;
    /* A name keeps the dot at its end: it says that the proxy adds no domain. */
    snprintf(talk->host, sizeof(talk->host), "%s", identity.is_address ? identity.name : host);
    snprintf(talk->target, sizeof(talk->target),
             strchr(talk->host, ':') != NULL ? "[%s]:%d" : "%s:%d", talk->host, talk->port);
    if (talk->proxy->kind == PROXY_HTTP) {
        proxy_http_begin(talk);
    } else {
        proxy_socks_begin(talk);
    }
}

/* Sends what the talk has to say, reads what it wants, and takes that. Returns MOVED and the next
 * step, or why there is none. */
static enum moved exchange(struct mover *mover, struct proxy_talk *talk, enum proxy_step *step)
{
    enum moved moved = MOVED;

    if (*step == PROXY_STEP_SEND) {
        moved = send_all(mover, talk->out, talk->out_length);
        explicit_bzero(talk->out, sizeof(talk->out));
        talk->out_length = 0;
    }
    if (moved == MOVED) {
        moved = read_wanted(mover, talk);
    }
    if (moved == MOVED) {
        *step = talk->proxy->kind == PROXY_HTTP ? proxy_http_step(talk) : proxy_socks_step(talk);
    }
    return moved;
}

/* Sets the problem of a conversation that could not go on. */
static enum proxy_result give_up(const struct proxy_talk *talk, const struct mover *mover,
                                 enum moved moved, bool answered, int timeout_ms)
{
    switch (moved) {
    case MOVED_STOPPED:
        talk->problem[0] = '\0';
        return PROXY_STOPPED;
    case MOVED_LATE:
        say_late(talk, answered, timeout_ms);
        break;
    case MOVED_CLOSED:
        say_closed(talk, answered);
        break;
    default:
        snprintf(talk->problem, PROXY_PROBLEM_SIZE, "the connection to the proxy failed: %s",
                 error_text(mover->error));
        break;
    }
    return PROXY_E_REFUSED;
}

static enum proxy_result converse(struct proxy_talk *talk, struct mover *mover, int timeout_ms)
{
    enum proxy_step step = PROXY_STEP_SEND;
    size_t total = 0;

    while (step == PROXY_STEP_SEND || step == PROXY_STEP_READ) {
        size_t wanted = talk->wanted;
        enum moved moved = exchange(mover, talk, &step);

        if (moved != MOVED) {
            return give_up(talk, mover, moved, total + talk->in_length > 0, timeout_ms);
        }
        total += wanted;
        if (total >= PROXY_ANSWER_MAX) {
            snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                     "the answer of the proxy is longer than %d KiB: it is no proxy, or adds too "
                     "much to its header",
                     PROXY_ANSWER_MAX / 1024);
            return PROXY_E_REFUSED;
        }
    }
    if (step == PROXY_STEP_STRANGE) {
        say_strange(talk, mover->fd);
    }
    return step == PROXY_STEP_OPEN ? PROXY_OK : PROXY_E_REFUSED;
}

enum proxy_result proxy_open(int fd, const struct proxy *proxy, const char *host, int port,
                             int timeout_ms, int stop_fd, char problem[PROXY_PROBLEM_SIZE])
{
    struct mover mover = {
        .fd = fd, .stop_fd = stop_fd, .deadline_ms = clock_monotonic_ms() + timeout_ms};
    struct proxy_talk talk = {.proxy = proxy, .port = port, .problem = problem};
    enum proxy_result result;

    if (proxy->kind == PROXY_NONE) {
        return PROXY_OK;
    }
    begin(&talk, host);
    result = converse(&talk, &mover, timeout_ms);
    explicit_bzero(talk.out, sizeof(talk.out));
    return result;
}
