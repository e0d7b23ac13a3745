/*
 * The scripted broker of the probe: a TLS server on the loopback that takes two messages through a
 * QoS 2 handshake, see mqtt/paho/probe.c. Whatever is not as expected ends the program.
 */
#include "mqtt/paho/probe_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *broker_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    if (context == NULL || key == NULL || certificate == NULL ||
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) == NULL ||
        X509_set_pubkey(certificate, key) != 1 || X509_sign(certificate, key, EVP_sha256()) == 0 ||
        SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1) {
        probe_fail("the probe cannot make a certificate");
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void broker_send(SSL *ssl, const char *bytes, int length)
{
    if (SSL_write(ssl, bytes, length) != length) {
        probe_fail("the probe's broker cannot send (%s)", probe_step);
    }
}

#define BROKER_SEND(ssl, literal) broker_send(ssl, literal, (int)sizeof(literal) - 1)

static void broker_read(SSL *ssl, unsigned char *bytes, int length)
{
    for (int have = 0; have < length;) {
        int got = SSL_read(ssl, bytes + have, length - have);

        if (got <= 0) {
            probe_fail("Paho closed the connection (%s)", probe_step);
        }
        have += got;
    }
}

/* A packet of less than 128 bytes; sets *id to the two bytes behind the fixed header. */
static void broker_expect(SSL *ssl, unsigned char first, unsigned *id)
{
    unsigned char header[2];
    unsigned char rest[128];

    broker_read(ssl, header, sizeof(header));
    if (header[0] != first || header[1] < 2 || header[1] >= sizeof(rest)) {
        probe_fail("Paho sent a packet 0x%02x of %u bytes (%s)", header[0], header[1], probe_step);
    }
    broker_read(ssl, rest, header[1]);
    *id = (unsigned)rest[0] << 8 | rest[1];
}

static void broker_expect_ids(SSL *ssl, unsigned char first)
{
    for (unsigned expected = 1; expected <= PROBE_MESSAGES; expected++) {
        unsigned id;

        broker_expect(ssl, first, &id);
        if (id != expected) {
            probe_fail("Paho acknowledged packet %u instead of %u (%s)", id, expected, probe_step);
        }
    }
}

/* Bytes written until `on` is 0 leave in one segment. */
static void broker_gather(int fd, int on)
{
    if (setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)) != 0) {
        probe_fail("the probe cannot set TCP_CORK");
    }
}

static void broker_play(SSL *ssl, int fd)
{
    char suback[] = "\x90\x03\0\0\2";
    unsigned id;

    probe_step = "CONNECT";
    broker_expect(ssl, 0x10, &id);
    BROKER_SEND(ssl, "\x20\2\0\0");
    probe_step = "SUBSCRIBE";
    broker_expect(ssl, 0x82, &id);
    suback[2] = (char)(id >> 8);
    suback[3] = (char)id;
    probe_step = "PUBREC for two messages whose packets came in one go";
    broker_gather(fd, 1);
    broker_send(ssl, suback, (int)sizeof(suback) - 1);
    BROKER_SEND(ssl, "\x34\6\0\1t\0\1x");
    BROKER_SEND(ssl, "\x34\6\0\1t\0\2y");
    broker_gather(fd, 0);
    broker_expect_ids(ssl, 0x50);
    if (probe_stored != PROBE_MESSAGES) {
        probe_fail("Paho acknowledged %d messages and gave %u to its persistence", PROBE_MESSAGES,
                   probe_stored);
    }
    probe_step = "PUBCOMP";
    BROKER_SEND(ssl, "\x62\2\0\1");
    BROKER_SEND(ssl, "\x62\2\0\2");
    broker_expect_ids(ssl, 0x70);
    probe_step = "the end of the connection after a malformed packet";
    BROKER_SEND(ssl, "\x90\2\0\1");
    while (SSL_read(ssl, suback, 2) > 0) {
        if (memcmp(suback, "\xE0", 2) != 0) {
            probe_fail("Paho sent more than DISCONNECT after a malformed packet");
        }
    }
}

void *probe_broker(void *argument)
{
    int fd = accept(*(const int *)argument, NULL, NULL);
    SSL_CTX *context = broker_context();
    SSL *ssl = SSL_new(context);

    probe_step = "the TLS handshake";
    if (fd < 0 || ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1) {
        probe_fail("the probe's broker cannot accept a TLS connection");
    }
    broker_play(ssl, fd);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return NULL;
}

int probe_listen(char uri[PROBE_URI_SIZE])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        probe_fail("the probe cannot listen on the loopback");
    }
    snprintf(uri, PROBE_URI_SIZE, "ssl://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}
