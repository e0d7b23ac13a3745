/*
 * Writes several acknowledgements together.
 *
 * Paho answers every packet as soon as it has read it: with PUBREC and PUBCOMP for a message, four
 * bytes each. Each costs an encryption, a system call, a segment that wakes the gate, and work for
 * the gate and the broker. In a catch-up that is more than half of the work of Paho's receive
 * thread, and it gains nothing: the gate holds the acknowledgements until the same commit, whether
 * they came one by one or together.
 *
 * Paho has no switch for it. Here an acknowledgement that Paho gives to SSL_write() is kept, and is
 * written together with others
 *  - when Paho is about to wait for more to read, which is when it calls poll();
 *  - when PAHO_CORK_ACKS of them are kept: while a catch-up keeps Paho busy they must not miss the
 *    commit that they wait for;
 *  - before any other packet, so that Paho's order stays;
 *  - in paho_cork_flush(). So a single message is acknowledged as soon as without this file. A
 *    thread that has not waited by poll() yet writes at once.
 *
 * The relay (paho_cork_set_relay()) is told when something was written, and waits in place of
 * poll().
 *
 * Must never happen: an acknowledgement leaves early. It can only be written later than by Paho
 * alone, and hold_until_durable() judges it when the gate reads it. When a connection ends, its
 * kept acknowledgements are dropped: the broker never got them. When they cannot be written on a
 * live connection, the connection is closed, and the broker sends its messages again.
 *
 * Relies on: Paho writes packets by SSL_write(), ends a connection by SSL_shutdown() and
 * SSL_free(), and holds a lock of its own meanwhile; it waits by poll() with a timeout on the one
 * thread that acknowledges, without that lock, and by usleep() while it has no sockets; it gives an
 * acknowledgement to one SSL_write(), alone. Proved on Paho 1.3.12-1 (Debian 12) and 1.3.14-2
 * (Debian 13). Checked when the program is built: mqtt/paho/adapt finds these calls and no other
 * way to wait or write, and mqtt/paho/probe.c sees that PUBREC and PUBCOMP are kept here and reach
 * the broker.
 *
 * Threads. Only Paho's receive thread acknowledges, so only on that thread poll() does more than
 * wait. Writing, shutting down, freeing and flushing exclude each other here by a mutex.
 *
 * When the socket is full the thread waits, as it does for a full intake: at the other end is the
 * gate, which takes what it has room for and closes the connection when a commit fails. It does not
 * wait for a broker that does not read: the gate stops reading from such a broker long before
 * (gate/link.c).
 */
#include "mqtt/paho/cork_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mqtt/paho/ahead_internal.h"
#include "mqtt/paho/calls_internal.h"

#define ACK_SIZE 4
#define CORKS    16 /* connections with kept acknowledgements at once; with more, all are written */
/* Upper bound on polls that find something to read while acknowledgements are kept. */
#define POLLS_MAX 64

/* The acknowledgements of one connection that are kept to be written together. */
struct cork {
    SSL *ssl; /* NULL: free */
    int length;
    unsigned char bytes[PAHO_CORK_ACKS * ACK_SIZE];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct cork corks[CORKS];
static const struct paho_relay *relay;  /* NULL: no relay */
static unsigned writes;                 /* so far; under the mutex */
static atomic_uint waiting;             /* acknowledgements in all corks; written under the mutex */
static unsigned polls;                  /* since the first of them; Paho's receive thread's */
static atomic_bool unsettled;           /* see paho_cork_settled() */
static _Thread_local bool waits;        /* this thread has called poll() to wait, */
static _Thread_local bool acknowledges; /* and its acknowledgements were kept */

/* PUBACK, PUBREC or PUBCOMP (MQTT 3.1.1 §3.4, §3.5, §3.7): two bytes of header, a packet id. */
static bool is_acknowledgement(const unsigned char *bytes, int length)
{
    return length == ACK_SIZE && bytes[1] == 2 &&
           (bytes[0] == 0x40 || bytes[0] == 0x50 || bytes[0] == 0x70);
}

/*
 * Turns Nagle's algorithm (RFC 896) off: it would delay a write until the other kernel has
 * acknowledged the last one, for up to 40 ms. On failure writes are only slower.
 */
static void send_at_once(const SSL *ssl)
{
    const int on = 1;

    setsockopt(SSL_get_fd(ssl), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Like SSL_write(), but blocks until everything is written. */
static int write_whole(SSL *ssl, const void *bytes, int length)
{
    struct pollfd fd = {.fd = SSL_get_fd(ssl), .events = POLLOUT};
    int written = SSL_write(ssl, bytes, length);

    writes++;
    while (written <= 0 && SSL_get_error(ssl, written) == SSL_ERROR_WANT_WRITE) {
        poll(&fd, 1, -1);
        ERR_clear_error();
        written = SSL_write(ssl, bytes, length);
    }
    return written;
}

/*
 * Writes the kept acknowledgements, which Paho considers written. If that fails, the connection
 * must end: a broker without an acknowledgement keeps its window full of messages that it does not
 * send again. Closing the socket makes Paho see the end of the connection at its next read.
 */
static void write_cork(struct cork *cork)
{
    ERR_clear_error();
    if (write_whole(cork->ssl, cork->bytes, cork->length) != cork->length) {
        shutdown(SSL_get_fd(cork->ssl), SHUT_RDWR);
    }
    ERR_clear_error();
}

static void empty(struct cork *cork)
{
    atomic_fetch_sub(&waiting, (unsigned)cork->length / ACK_SIZE);
    cork->ssl = NULL;
    cork->length = 0;
}

static void flush(void)
{
    for (int i = 0; i < CORKS && atomic_load(&waiting) > 0; i++) {
        if (corks[i].ssl != NULL) {
            write_cork(&corks[i]);
            empty(&corks[i]);
        }
    }
    polls = 0;
}

/* Returns the entry with the kept acknowledgements of `ssl`; NULL: none are kept. Under the mutex.
 */
static struct cork *cork_of(const SSL *ssl)
{
    for (int i = 0; i < CORKS && atomic_load(&waiting) > 0; i++) {
        if (corks[i].ssl == ssl) {
            return &corks[i];
        }
    }
    return NULL;
}

static struct cork *free_cork(void)
{
    for (int i = 0; i < CORKS; i++) {
        if (corks[i].ssl == NULL) {
            return &corks[i];
        }
    }
    flush();
    return &corks[0];
}

static void keep(SSL *ssl, const void *acknowledgement)
{
    struct cork *cork = cork_of(ssl);

    if (cork == NULL) {
        cork = free_cork();
        cork->ssl = ssl;
    }
    memcpy(cork->bytes + cork->length, acknowledgement, ACK_SIZE);
    cork->length += ACK_SIZE;
    if (atomic_fetch_add(&waiting, 1) + 1 >= PAHO_CORK_ACKS) {
        flush();
    }
}

/* Drops the kept acknowledgements of a connection that ends. */
static void forget(const SSL *ssl)
{
    struct cork *cork = cork_of(ssl);

    if (cork != NULL) {
        empty(cork);
    }
}

void paho_cork_set_relay(const struct paho_relay *new_relay)
{
    relay = new_relay;
}

static void tell_written(void)
{
    if (relay != NULL) {
        relay->written(relay->context);
    }
}

void paho_cork_flush(void)
{
    if (acknowledges && atomic_load(&waiting) > 0) {
        pthread_mutex_lock(&mutex);
        flush();
        pthread_mutex_unlock(&mutex);
        tell_written();
    }
}

int paho_cork_write(SSL *ssl, const void *bytes, int length)
{
    struct cork *cork;
    int result = length;
    unsigned before;
    bool wrote;

    pthread_mutex_lock(&mutex);
    before = writes;
    if (waits && is_acknowledgement(bytes, length)) {
        acknowledges = true;
        keep(ssl, bytes);
    } else {
        cork = cork_of(ssl);
        if (cork != NULL) {
            write_cork(cork);
            empty(cork);
        }
        send_at_once(ssl); /* CONNECT comes here first, and others are few */
        result = write_whole(ssl, bytes, length);
    }
    wrote = writes != before;
    pthread_mutex_unlock(&mutex);
    if (wrote) {
        tell_written();
    }
    return result;
}

int paho_cork_shutdown(SSL *ssl)
{
    int result;

    pthread_mutex_lock(&mutex);
    result = SSL_shutdown(ssl);
    pthread_mutex_unlock(&mutex);
    return result;
}

void paho_cork_free(SSL *ssl)
{
    pthread_mutex_lock(&mutex);
    forget(ssl);
    pthread_mutex_unlock(&mutex);
    paho_ahead_forget(ssl);
    SSL_free(ssl);
}

/* Waits on Paho's receive thread. */
static int wait_for_more(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    bool ahead = paho_ahead_has(fds, count);
    int ready;

    timeout_ms = ahead ? 0 : timeout_ms;
    ready = relay != NULL && acknowledges ? relay->poll(relay->context, fds, count, timeout_ms)
                                          : poll(fds, count, timeout_ms);
    return ahead && ready >= 0 ? ready + paho_ahead_add(fds, count) : ready;
}

void paho_cork_note_close(void)
{
    if (waits) {
        atomic_store(&unsettled, true);
    }
}

bool paho_cork_settled(void)
{
    return !atomic_load(&unsettled);
}

/* Paho's receive thread sleeps so while it has no sockets to wait for. */
int paho_cork_usleep(useconds_t time_us)
{
    if (waits) {
        atomic_store(&unsettled, false);
    }
    return usleep(time_us);
}

int paho_cork_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int ready;

    if (timeout_ms == 0) {
        return poll(fds, count, timeout_ms);
    }
    waits = true;
    atomic_store(&unsettled, false);
    paho_ahead_allow();
    if (acknowledges && atomic_load(&waiting) > 0) {
        ready = wait_for_more(fds, count, 0);
        if (ready != 0 && ++polls < POLLS_MAX) {
            return ready;
        }
        paho_cork_flush();
    }
    return wait_for_more(fds, count, timeout_ms);
}
