/*
 * Acknowledgements by the handful.
 *
 * Paho answers every packet as soon as it has read it: a PUBREC and a PUBCOMP for a message, each
 * of four bytes, and for each an encryption, a system call, a segment that wakes the gate, and work
 * for the gate and the broker. In a catch-up that is more than half of what Paho's thread does,
 * and none of it is of use: the acknowledgements wait in the gate for the same commit, whether they
 * came one by one or together.
 *
 * Upstream has no switch for it. But the linker can put a function in front of those that Paho
 * calls (ld's --wrap; only what is linked statically is concerned, so OpenSSL itself and the shared
 * Paho are not): an acknowledgement that Paho hands to SSL_write() is kept here, and written
 * together with the others
 *  - when Paho is about to wait for more to read, which is when it calls poll();
 *  - when PAHO_CORK_ACKS of them are there: while a catch-up keeps Paho busy they must not miss
 *    the commit that they wait for;
 *  - before any other packet, so that the order is Paho's;
 *  - when somebody asks for it (paho_cork_flush()).
 * So a message on a quiet line is acknowledged as soon as ever. Where a Paho should ever wait in
 * another way than by poll(), nothing is kept.
 *
 * Whoever wants to know of it (paho_cork_set_relay()) is told when something was written, and waits
 * in place of poll().
 *
 * What must never happen: an acknowledgement goes out early. It cannot: it is only written later
 * than Paho wanted, and hold_until_durable() looks at when the gate reads it. One that is never
 * written, because the connection has gone, is one that the broker never heard; and where it cannot
 * be written on a connection that is there, the connection is closed: its messages come again.
 *
 * Threads. Only Paho's receive thread acknowledges, so only there poll() is more than poll(). Paho
 * writes, shuts down and frees a connection under a lock of its own, which is not held in poll();
 * so these three and a flush exclude each other here.
 *
 * Where the socket is full the thread waits, as it does for a full intake: at its other end is the
 * gate, which takes what there is room for, and closes the connection when a commit fails. A broker
 * that does not read is no reason to wait: the gate stops reading from it long before
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

#include "mqtt/paho/ahead_internal.h"

#define ACK_SIZE 4
#define CORKS    16 /* connections that have acknowledgements waiting at once; for more, all go */
/* Paho found something to read so often since the first one waits, and made no more of it. */
#define POLLS_MAX 64

/* What Paho calls, and what it would have called: the names are the linker's. */
int cork_write(SSL *ssl, const void *bytes, int length) __asm__("__wrap_SSL_write");
int cork_shutdown(SSL *ssl) __asm__("__wrap_SSL_shutdown");
void cork_free(SSL *ssl) __asm__("__wrap_SSL_free");
int cork_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("__wrap_poll");
int real_write(SSL *ssl, const void *bytes, int length) __asm__("__real_SSL_write");
int real_shutdown(SSL *ssl) __asm__("__real_SSL_shutdown");
void real_free(SSL *ssl) __asm__("__real_SSL_free");
int real_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("__real_poll");

struct cork {
    SSL *ssl; /* NULL: free */
    int length;
    unsigned char bytes[PAHO_CORK_ACKS * ACK_SIZE];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct cork corks[CORKS];
static const struct paho_relay *relay;  /* NULL: nobody wants to know */
static unsigned writes;                 /* so far; under the mutex */
static atomic_uint waiting;             /* acknowledgements in all corks; written under the mutex */
static unsigned polls;                  /* since the first of them; Paho's receive thread's */
static _Thread_local bool waits;        /* this thread has called poll() to wait, */
static _Thread_local bool acknowledges; /* and acknowledgements of its were kept */

/* PUBACK, PUBREC or PUBCOMP (MQTT 3.1.1 §3.4, §3.5, §3.7): two bytes of header, a packet id. */
static bool is_acknowledgement(const unsigned char *bytes, int length)
{
    return length == ACK_SIZE && bytes[1] == 2 &&
           (bytes[0] == 0x40 || bytes[0] == 0x50 || bytes[0] == 0x70);
}

/*
 * Nothing that is written here waits for more, so it need not wait for the kernel at the other end
 * either, which may take 40 ms to acknowledge what was written before (Nagle's algorithm, RFC 896).
 * Where that cannot be turned off, it is only slower.
 */
static void send_at_once(const SSL *ssl)
{
    const int on = 1;

    setsockopt(SSL_get_fd(ssl), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* As SSL_write(), but never "not yet". */
static int write_whole(SSL *ssl, const void *bytes, int length)
{
    struct pollfd fd = {.fd = SSL_get_fd(ssl), .events = POLLOUT};
    int written = real_write(ssl, bytes, length);

    writes++;
    while (written <= 0 && SSL_get_error(ssl, written) == SSL_ERROR_WANT_WRITE) {
        real_poll(&fd, 1, -1);
        ERR_clear_error();
        written = real_write(ssl, bytes, length);
    }
    return written;
}

/*
 * Paho believes that these were written. Where they cannot be, the connection is of no use: a
 * broker that never hears an acknowledgement keeps its window full of messages that it does not
 * send again. Closing the socket makes Paho see the end of the connection when it reads next.
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

/* What waits on a connection that ends is lost with it. */
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

int cork_write(SSL *ssl, const void *bytes, int length)
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

int cork_shutdown(SSL *ssl)
{
    int result;

    pthread_mutex_lock(&mutex);
    result = real_shutdown(ssl);
    pthread_mutex_unlock(&mutex);
    return result;
}

void cork_free(SSL *ssl)
{
    pthread_mutex_lock(&mutex);
    forget(ssl);
    pthread_mutex_unlock(&mutex);
    paho_ahead_forget(ssl);
    real_free(ssl);
}

/* Paho's receive thread waits. */
static int wait_for_more(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    bool ahead = paho_ahead_has(fds, count);
    int ready;

    timeout_ms = ahead ? 0 : timeout_ms;
    ready = relay != NULL && acknowledges ? relay->poll(relay->context, fds, count, timeout_ms)
                                          : real_poll(fds, count, timeout_ms);
    return ahead && ready >= 0 ? ready + paho_ahead_add(fds, count) : ready;
}

int cork_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int ready;

    waits |= timeout_ms != 0;
    if (timeout_ms == 0) {
        return real_poll(fds, count, timeout_ms);
    }
    if (acknowledges && atomic_load(&waiting) > 0) {
        ready = wait_for_more(fds, count, 0);
        if (ready != 0 && ++polls < POLLS_MAX) {
            return ready;
        }
        paho_cork_flush();
    }
    return wait_for_more(fds, count, timeout_ms);
}
