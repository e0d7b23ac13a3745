/*
 * A TLS library that cannot write acknowledgements: LD_PRELOAD this, and the first SSL_write() of
 * of so many connections fails, and every later write on that connection: the TCP connection is
 * there and stays. OpenSSL writes no more after an error, either.
 *
 *     TLS_WRITE_FAILS   number of connections that fail, one after the other
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct ssl_st SSL;

int SSL_write(SSL *ssl, const void *bytes, int length);
void SSL_free(SSL *ssl);

static atomic_int failed;            /* connections so far */
static _Atomic(const SSL *) failing; /* the one that fails; NULL: none */

/* PUBACK, PUBREC or PUBCOMP is what these bytes begin with (MQTT 3.1.1 §3.4, §3.5, §3.7). */
static int is_acknowledgement(const unsigned char *bytes, int length)
{
    return length >= 4 && bytes[1] == 2 &&
           (bytes[0] == 0x40 || bytes[0] == 0x50 || bytes[0] == 0x70);
}

static int fails(const SSL *ssl, const void *bytes, int length)
{
    const char *text = getenv("TLS_WRITE_FAILS");

    if (atomic_load(&failing) == ssl) {
        return 1;
    }
    if (text == NULL || !is_acknowledgement(bytes, length) ||
        atomic_fetch_add(&failed, 1) >= atoi(text)) {
        return 0;
    }
    atomic_store(&failing, ssl);
    return 1;
}

int SSL_write(SSL *ssl, const void *bytes, int length)
{
    int (*call)(SSL *, const void *, int);

    *(void **)&call = dlsym(RTLD_NEXT, "SSL_write");
    return fails(ssl, bytes, length) ? -1 : call(ssl, bytes, length);
}

/* A later connection may get the same address. */
void SSL_free(SSL *ssl)
{
    const SSL *expected = ssl;
    void (*call)(SSL *);

    *(void **)&call = dlsym(RTLD_NEXT, "SSL_free");
    atomic_compare_exchange_strong(&failing, &expected, NULL);
    call(ssl);
}
