/* A client like Paho, over TLS, and its peer. The tests call what Paho calls. */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/cork_internal.h"

struct tls_pair {
    SSL *paho;
    SSL *peer;
    int paho_fd;
    int peer_fd;
};

/* No certificates: who the peer is does not matter here. */
static inline SSL_CTX *tls_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    assert_non_null(context);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(context, "aNULL:@SECLEVEL=0"), 1);
    return context;
}

static inline void tls_connect(SSL_CTX *client, SSL_CTX *server, struct tls_pair *pair)
{
    int fds[2];
    bool paho = false;
    bool peer = false;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *pair = (struct tls_pair){
        .paho = SSL_new(client), .peer = SSL_new(server), .paho_fd = fds[0], .peer_fd = fds[1]};
    SSL_set_fd(pair->paho, fds[0]);
    SSL_set_fd(pair->peer, fds[1]);
    for (int i = 0; i < 100 && !(paho && peer); i++) {
        paho = paho || SSL_connect(pair->paho) == 1;
        peer = peer || SSL_accept(pair->peer) == 1;
    }
    assert_true(paho && peer);
}

static inline void tls_close(struct tls_pair *pair)
{
    paho_cork_free(pair->paho);
    SSL_free(pair->peer);
    close(pair->paho_fd);
    if (pair->peer_fd >= 0) {
        close(pair->peer_fd);
    }
}

/* --- a fixture ------------------------------------------------------------------------------ */

struct tls_fixture {
    SSL_CTX *client;
    SSL_CTX *server;
    struct tls_pair one;
    int other[2]; /* a pipe: what else Paho waits for */
};

/* As Paho does when it has read everything. */
static inline void tls_wait_for_more(const struct tls_fixture *fixture)
{
    struct pollfd fd = {.fd = fixture->other[0], .events = POLLIN};

    assert_int_equal(paho_cork_poll(&fd, 1, 1), 0);
}

static inline int tls_fixture_make(void **state)
{
    struct tls_fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->client = tls_context(TLS_client_method());
    fixture->server = tls_context(TLS_server_method());
    tls_connect(fixture->client, fixture->server, &fixture->one);
    assert_int_equal(pipe(fixture->other), 0);
    tls_wait_for_more(fixture); /* Paho's receive thread waits before it reads or acknowledges */
    *state = fixture;
    return 0;
}

static inline int tls_fixture_remove(void **state)
{
    struct tls_fixture *fixture = *state;

    tls_close(&fixture->one);
    SSL_CTX_free(fixture->client);
    SSL_CTX_free(fixture->server);
    close(fixture->other[0]);
    close(fixture->other[1]);
    free(fixture);
    return 0;
}

#endif
