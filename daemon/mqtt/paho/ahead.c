/*
 * Reads several packets from the socket with one system call.
 *
 * mosquitto makes a TLS record of every packet. OpenSSL reads a record with two system calls (five
 * bytes that tell its length, then the rest), and Paho asks with two more whether another one is
 * there. In a catch-up with a window of 1,000 that was a quarter of the daemon's CPU.
 *
 * Here OpenSSL reads ahead what the socket has (SSL_set_read_ahead(3)), on every connection that
 * Paho reads. Bytes that were read ahead are no longer in the socket, where Paho looks for them
 * with poll(), so Paho is told of them:
 *  - After a packet Paho asks SSL_pending() whether the record has more, and then reads on without
 *    poll(). paho_ahead_pending() also says so for bytes that were read ahead, but for at most
 *    IN_A_ROW packets, whether they have a record each or one together. Then other connections are
 *    served, and gathered acknowledgements are written (mqtt/paho/cork.c).
 *  - Paho does not ask after a part of a packet or after a packet without content. Therefore
 *    paho_cork_poll() also finds connections with bytes that were read ahead.
 *
 * A connection has more when the last SSL_read() returned bytes and left some. When it returned
 * none, only a part of a record is left, and its rest will come to the socket.
 *
 * Must never happen: Paho does not ask for bytes that were read ahead. Nothing is read ahead on a
 * thread that has not waited by paho_cork_poll() yet.
 *
 * Relies on: Paho reads by SSL_read() and waits for sockets by poll() with a timeout, both on its
 * receive thread; after a packet with content it asks SSL_pending(); SSL_free() ends a connection.
 * Proved on Paho 1.3.12-1 (Debian 12) and 1.3.14-2 (Debian 13). Checked when the program is built:
 * mqtt/paho/adapt finds these calls and no other way to wait or read, and mqtt/paho/probe.c takes
 * messages through a TLS connection whose packets come in one go.
 *
 * Threads: Paho's receive thread reads and waits; another may free a connection meanwhile.
 */
#include "mqtt/paho/ahead_internal.h"

#include <stdatomic.h>
#include <stddef.h>

#include "mqtt/paho/calls_internal.h"

#define CONNECTIONS 16 /* further ones are not read ahead */
#define IN_A_ROW    32

struct ahead {
    _Atomic(const SSL *) ssl; /* NULL: free */
    atomic_int fd;
    atomic_bool more;
    int in_a_row; /* packets since the last poll() */
};

static struct ahead aheads[CONNECTIONS];

static _Thread_local bool waits; /* this thread has waited by paho_cork_poll() */

static struct ahead *find(const SSL *ssl)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        if (atomic_load_explicit(&aheads[i].ssl, memory_order_acquire) == ssl) {
            return &aheads[i];
        }
    }
    return NULL;
}

/* Turns reading ahead on for `ssl`, and enters it into `aheads`. Returns its entry; or NULL, with
 * nothing changed, when all are in use. */
static struct ahead *begin(SSL *ssl)
{
    struct ahead *ahead = find(NULL);

    if (ahead != NULL) {
        SSL_set_read_ahead(ssl, 1);
        ahead->fd = SSL_get_fd(ssl);
        ahead->more = false;
        ahead->in_a_row = 0;
        atomic_store(&ahead->ssl, ssl);
    }
    return ahead;
}

int paho_ahead_read(SSL *ssl, void *bytes, int length)
{
    struct ahead *ahead = find(ssl);
    int got;

    if (ahead == NULL && waits) {
        ahead = begin(ssl);
    }
    got = SSL_read(ssl, bytes, length);
    if (ahead != NULL) {
        ahead->more = got > 0 && SSL_has_pending(ssl);
    }
    return got;
}

int paho_ahead_pending(const SSL *ssl)
{
    struct ahead *ahead = find(ssl);

    if (ahead == NULL || !ahead->more) {
        return SSL_pending(ssl);
    }
    return ahead->in_a_row++ < IN_A_ROW ? 1 : 0;
}

void paho_ahead_allow(void)
{
    waits = true;
}

/* Returns the entry of a connection that `fd` waits to read from and that has bytes read ahead, or
 * NULL. */
static struct ahead *waits_for(const struct pollfd *fd)
{
    for (int i = 0; (fd->events & POLLIN) != 0 && i < CONNECTIONS; i++) {
        if (atomic_load(&aheads[i].ssl) != NULL && aheads[i].fd == fd->fd && aheads[i].more) {
            return &aheads[i];
        }
    }
    return NULL;
}

bool paho_ahead_has(const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        if (waits_for(&fds[i]) != NULL) {
            return true;
        }
    }
    return false;
}

int paho_ahead_add(struct pollfd *fds, nfds_t count)
{
    int added = 0;

    for (nfds_t i = 0; i < count; i++) {
        struct ahead *ahead = waits_for(&fds[i]);

        if (ahead != NULL) {
            ahead->in_a_row = 0;
            added += fds[i].revents == 0;
            fds[i].revents |= POLLIN;
        }
    }
    return added;
}

void paho_ahead_forget(const SSL *ssl)
{
    struct ahead *ahead = find(ssl);

    if (ahead != NULL) {
        atomic_store(&ahead->ssl, NULL);
    }
}
