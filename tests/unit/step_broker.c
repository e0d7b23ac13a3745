/* The broker of step_broker.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "step_broker.h"

#define PACKET_MAX 130 /* bytes of a packet of the client's */

/* --- a connection ---------------------------------------------------------------------------- */

/* One end of a connection; `ssl` is NULL without TLS. */
struct peer {
    int fd;
    SSL *ssl;
};

static bool take(struct step_broker *broker, struct peer peer, size_t length)
{
    while (length > 0) {
        unsigned char *at = broker->seen + broker->seen_length;
        ssize_t got =
            peer.ssl != NULL ? SSL_read(peer.ssl, at, (int)length) : read(peer.fd, at, length);

        if (got <= 0) {
            return false;
        }
        broker->seen_length += (size_t)got;
        length -= (size_t)got;
    }
    return true;
}

/* Reads a packet. Returns its first byte, or NULL: the client has closed. */
static const unsigned char *take_packet(struct step_broker *broker, struct peer peer)
{
    const unsigned char *packet = broker->seen + broker->seen_length;

    return broker->seen_length + PACKET_MAX < sizeof(broker->seen) && take(broker, peer, 2) &&
                   take(broker, peer, packet[1])
               ? packet
               : NULL;
}

static bool play_step(struct step_broker *broker, struct peer peer, const struct step *step)
{
    const unsigned char *packet = step->awaited != 0 ? take_packet(broker, peer) : NULL;
    char answer[128];
    char *id;

    if (step->awaited != 0 && (packet == NULL || packet[0] != step->awaited)) {
        return false;
    }
    if (step->length == 0) {
        return true;
    }
    memcpy(answer, step->answer, step->length);
    id = memmem(answer, step->length, "ID", 2);
    if (id != NULL && packet != NULL) {
        memcpy(id, packet + 2, 2);
    }
    return (peer.ssl != NULL ? SSL_write(peer.ssl, answer, (int)step->length)
                             : write(peer.fd, answer, step->length)) == (ssize_t)step->length;
}

static void *play(void *argument)
{
    struct step_broker *broker = argument;
    struct peer peer = {.fd = accept(broker->listener, NULL, NULL)};
    bool goes_on = peer.fd >= 0;

    if (goes_on && broker->context != NULL) {
        peer.ssl = SSL_new(broker->context);
        goes_on = SSL_set_fd(peer.ssl, peer.fd) == 1 && SSL_accept(peer.ssl) == 1;
    }
    for (size_t i = 0; i < broker->count && goes_on; i++) {
        goes_on = play_step(broker, peer, &broker->steps[i]);
    }
    while (goes_on && !broker->closes && take_packet(broker, peer) != NULL) {
    }
    SSL_free(peer.ssl);
    close(peer.fd);
    return NULL;
}

void step_broker_begin(struct step_broker *broker, const struct step *steps, size_t count,
                       bool closes)
{
    broker->steps = steps;
    broker->count = count;
    broker->closes = closes;
    broker->seen_length = 0;
    assert_int_equal(pthread_create(&broker->thread, NULL, play, broker), 0);
}

void step_broker_join(struct step_broker *broker)
{
    assert_int_equal(pthread_join(broker->thread, NULL), 0);
}

/* --- the listener ---------------------------------------------------------------------------- */

/* A certificate for localhost, signed by itself. */
static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_EXTENSION *name = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");

    assert_non_null(certificate);
    assert_non_null(name);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_add_ext(certificate, name, -1);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    X509_EXTENSION_free(name);
    return certificate;
}

static void write_certificate(X509 *certificate, char path[64])
{
    FILE *file;

    snprintf(path, 64, "/tmp/step-broker-XXXXXX");
    file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
}

static void prepare_tls(struct step_broker *broker)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key);

    broker->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(broker->context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(broker->context, key), 1);
    write_certificate(certificate, broker->ca_file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void step_broker_open(struct step_broker *broker, bool tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    signal(SIGPIPE, SIG_IGN);
    *broker = (struct step_broker){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(broker->listener, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(broker->listener, 4), 0);
    assert_int_equal(getsockname(broker->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(broker->uri, sizeof(broker->uri), "%s:%u", tls ? "ssl://localhost" : "tcp://127.0.0.1",
             ntohs(address.sin_port));
    if (tls) {
        prepare_tls(broker);
    }
}

void step_broker_close(struct step_broker *broker)
{
    close(broker->listener);
    SSL_CTX_free(broker->context);
    if (broker->ca_file[0] != '\0') {
        unlink(broker->ca_file);
    }
}
