/*
 * A TLS library that cannot write acknowledgements: LD_PRELOAD this, and the first SSL_write() of
 * each that the variable counts fails, on a connection that is there and stays.
 *
 *     TLS_WRITE_FAILS   so many writes of acknowledgements fail, the first ones
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct ssl_st SSL;

int SSL_write(SSL *ssl, const void *bytes, int length);

static atomic_int failed;

/* PUBACK, PUBREC or PUBCOMP is what these bytes begin with (MQTT 3.1.1 §3.4, §3.5, §3.7). */
static int is_acknowledgement(const unsigned char *bytes, int length)
{
    return length >= 4 && bytes[1] == 2 &&
           (bytes[0] == 0x40 || bytes[0] == 0x50 || bytes[0] == 0x70);
}

int SSL_write(SSL *ssl, const void *bytes, int length)
{
    const char *text = getenv("TLS_WRITE_FAILS");
    int (*call)(SSL *, const void *, int);

    *(void **)&call = dlsym(RTLD_NEXT, "SSL_write");
    if (text != NULL && is_acknowledgement(bytes, length) &&
        atomic_fetch_add(&failed, 1) < atoi(text)) {
        return -1;
    }
    return call(ssl, bytes, length);
}
