/* A connection's bytes, in clear or by TLS. Nothing blocks. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <sys/types.h>

#define WIRE_AGAIN (-1) /* not now */
#define WIRE_GONE  (-2)

struct wire {
    int fd;
    SSL *ssl; /* NULL: in clear */
};

/* A server's context with this certificate and key; NULL after saying why on standard error. */
SSL_CTX *wire_context(const char *certificate, const char *key);

/* Take an accepted, non-blocking socket. 0, or -1: closed. */
int wire_open(struct wire *wire, int fd, SSL_CTX *context);
void wire_close(struct wire *wire);

/* Bytes moved, at least one; WIRE_AGAIN or WIRE_GONE. */
ssize_t wire_read(struct wire *wire, void *bytes, size_t size);
ssize_t wire_write(struct wire *wire, const void *bytes, size_t size);

#endif
