/*
 * Many packets with one read.
 *
 * mosquitto makes a TLS record of every packet. OpenSSL reads each with two system calls (five
 * bytes, which say how long it is, and the rest), and Paho asks with two more whether there is a
 * next one. In a catch-up with a window of 1,000 that was a quarter of the daemon's CPU.
 *
 * So OpenSSL may read ahead what is there (SSL_set_read_ahead(3)), for every connection of which
 * Paho reads. What it has so is no longer in the socket, where Paho looks for it with poll(): Paho
 * has to hear of it here.
 *  - After every packet it asks SSL_pending() whether there is more in the record, and then goes on
 *    without poll(). It is told so also for what was read ahead, but not for more than IN_A_ROW
 *    packets, whether they have a record each or one together: other connections have their turn,
 *    and what waits is written (mqtt/paho/cork.c).
 *  - It does not ask after a part of a packet, or a packet without content. So a poll() for what
 *    has been read ahead finds that it is there.
 * There is more when the last SSL_read() gave something, and left something. When it gave nothing,
 * what is left is a part of a record, and the rest will come to the socket.
 *
 * As with mqtt/paho/cork.c the linker puts these functions in front of those that Paho calls
 * (--wrap), and only where Paho is linked statically.
 *
 * Threads: Paho's receive thread reads and waits; another may free a connection meanwhile.
 */
#include "mqtt/paho/ahead_internal.h"

#include <stdatomic.h>
#include <stddef.h>

#define CONNECTIONS 16 /* for others nothing is read ahead */
#define IN_A_ROW    32

struct ahead {
    _Atomic(const SSL *) ssl; /* NULL: free */
    atomic_int fd;
    atomic_bool more;
    int in_a_row; /* packets since the last poll() */
};

static struct ahead aheads[CONNECTIONS];

int ahead_read(SSL *ssl, void *bytes, int length) __asm__("__wrap_SSL_read");
int ahead_pending(const SSL *ssl) __asm__("__wrap_SSL_pending");
int real_read(SSL *ssl, void *bytes, int length) __asm__("__real_SSL_read");
int real_pending(const SSL *ssl) __asm__("__real_SSL_pending");

static struct ahead *find(const SSL *ssl)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        if (atomic_load_explicit(&aheads[i].ssl, memory_order_acquire) == ssl) {
            return &aheads[i];
        }
    }
    return NULL;
}

/* NULL where there is no room. */
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

int ahead_read(SSL *ssl, void *bytes, int length)
{
    struct ahead *ahead = find(ssl);
    int got;

    if (ahead == NULL) {
        ahead = begin(ssl);
    }
    got = real_read(ssl, bytes, length);
    if (ahead != NULL) {
        ahead->more = got > 0 && SSL_has_pending(ssl);
    }
    return got;
}

int ahead_pending(const SSL *ssl)
{
    struct ahead *ahead = find(ssl);

    if (ahead == NULL || !ahead->more) {
        return real_pending(ssl);
    }
    return ahead->in_a_row++ < IN_A_ROW ? 1 : 0;
}

/* Whether this waits for something to read that was read ahead. */
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
