/*
 * The scripted broker of the probe: a TLS server on the loopback that speaks MQTT 3.1.1 or MQTT 5
 * and takes messages through a QoS 2 handshake, see mqtt/paho/probe.c. Whatever is not as expected
 * ends the program.
 */
#include "mqtt/paho/probe_internal.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
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

/* Reads a packet with a rest of 2 to 127 bytes. Returns the length of the rest. */
static int broker_expect(SSL *ssl, unsigned char first, unsigned char rest[128])
{
    unsigned char header[2];

    broker_read(ssl, header, sizeof(header));
    if (header[0] != first || header[1] < 2 || header[1] >= 128) {
        probe_fail("Paho sent a packet 0x%02x of %u bytes (%s)", header[0], header[1], probe_step);
    }
    broker_read(ssl, rest, header[1]);
    return header[1];
}

/* Reads an acknowledgement, which has no reason code in MQTT 5 either. */
static void broker_expect_id(SSL *ssl, unsigned char first, unsigned expected)
{
    unsigned char rest[128];
    int length = broker_expect(ssl, first, rest);
    unsigned id = (unsigned)rest[0] << 8 | rest[1];

    if (length != 2) {
        probe_fail("Paho sent an acknowledgement of %d bytes (%s)", 2 + length, probe_step);
    }
    if (id != expected) {
        probe_fail("Paho acknowledged packet %u instead of %u (%s)", id, expected, probe_step);
    }
}

static void broker_expect_ids(SSL *ssl, unsigned char first)
{
    for (unsigned expected = 1; expected <= PROBE_MESSAGES; expected++) {
        broker_expect_id(ssl, first, expected);
    }
}

/* Bytes written until `on` is 0 leave in one segment. */
static void broker_gather(int fd, int on)
{
    if (setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)) != 0) {
        probe_fail("the probe cannot set TCP_CORK");
    }
}

static void broker_suback(SSL *ssl, int version, const unsigned char *id)
{
    char suback[] = "\x90\x03\0\0\2";
    char suback_5[] = "\x90\x04\0\0\0\2";
    bool is_5 = version == 5;

    memcpy((is_5 ? suback_5 : suback) + 2, id, 2);
    broker_send(ssl, is_5 ? suback_5 : suback, is_5 ? 6 : 5);
}

/* A message with a payload of one byte. In MQTT 5 it has no properties. */
static void broker_publish(SSL *ssl, int version, char id)
{
    char publish[] = "\x34\6\0\1t\0\0x";
    char publish_5[] = "\x34\7\0\1t\0\0\0x";

    publish[6] = publish_5[6] = id;
    broker_send(ssl, version == 5 ? publish_5 : publish, version == 5 ? 9 : 8);
}

static void broker_take_messages(SSL *ssl, int fd, int version, const unsigned char *id)
{
    unsigned arrived = version == 5 ? PROBE_MESSAGES : 0;

    probe_step = "PUBREC for two messages whose packets came in one go";
    broker_gather(fd, 1);
    broker_suback(ssl, version, id);
    broker_publish(ssl, version, 1);
    broker_publish(ssl, version, 2);
    broker_gather(fd, 0);
    broker_expect_ids(ssl, 0x50);
    if (probe_stored != PROBE_MESSAGES) {
        probe_fail("Paho acknowledged %d messages and gave %u to its persistence", PROBE_MESSAGES,
                   probe_stored);
    }
    if (probe_arrived != arrived || probe_removed != 0) {
        probe_fail("before PUBREL Paho delivered %u messages instead of %u and removed %u",
                   probe_arrived, arrived, probe_removed);
    }
    probe_step = "PUBCOMP";
    BROKER_SEND(ssl, "\x62\2\0\1");
    BROKER_SEND(ssl, "\x62\2\0\2");
    broker_expect_ids(ssl, 0x70);
}

#define ROUNDS 60
#define BEGIN  10   /* rounds before the first measure */
#define LONG   8000 /* bytes of payload */

/* Sends a long message with the packet identifier 3 twice, and completes its handshake. */
static void broker_repeat(SSL *ssl, int version)
{
    static char publish[3 + 6 + LONG] = "\x34\0\0\0\1t\0\3";
    int rest = 5 + (version == 5) + LONG;

    publish[1] = (char)((rest & 0x7F) | 0x80);
    publish[2] = (char)(rest >> 7);
    broker_send(ssl, publish, 3 + rest);
    broker_send(ssl, publish, 3 + rest);
    broker_expect_id(ssl, 0x50, 3);
    broker_expect_id(ssl, 0x50, 3);
    BROKER_SEND(ssl, "\x62\2\0\3");
    broker_expect_id(ssl, 0x70, 3);
}

/* A message that comes again before its PUBREL costs no memory for ever. */
static void broker_repeat_often(SSL *ssl, int version)
{
    size_t before = 0;
    size_t after;

    probe_step = "the handshake of a message that came twice";
    for (int i = 0; i < ROUNDS; i++) {
        if (i == BEGIN) {
            before = mallinfo2().uordblks;
        }
        broker_repeat(ssl, version);
    }
    after = mallinfo2().uordblks;
    if (after > before + (size_t)(ROUNDS - BEGIN) / 2 * LONG) {
        probe_fail("Paho keeps the memory of messages that came twice: %zu bytes of %d messages",
                   after - before, ROUNDS - BEGIN);
    }
}

/* Sends a message of which the client keeps the beginning, and completes its handshake. */
static void broker_send_large(SSL *ssl, int version)
{
    static char publish[4 + 6 + PROBE_LARGE] = "\x34\0\0\0\0\1t\0";
    int rest = 5 + (version == 5) + PROBE_LARGE;

    probe_step = "the handshake of a large message";
    publish[1] = (char)((rest & 0x7F) | 0x80);
    publish[2] = (char)((rest >> 7 & 0x7F) | 0x80);
    publish[3] = (char)(rest >> 14);
    publish[8] = PROBE_LARGE_ID;
    broker_send(ssl, publish, 4 + rest);
    broker_expect_id(ssl, 0x50, PROBE_LARGE_ID);
    BROKER_SEND(ssl, "\x62\2\0\4");
    broker_expect_id(ssl, 0x70, PROBE_LARGE_ID);
}

/* The client has nothing more to say than DISCONNECT, which has two more bytes in MQTT 5. */
static void broker_expect_end(SSL *ssl)
{
    unsigned char rest[128];
    unsigned char first;

    while (SSL_read(ssl, &first, 1) > 0) {
        if (first != 0xE0 || SSL_read(ssl, rest, 1) != 1 || rest[0] > 2 ||
            (rest[0] > 0 && SSL_read(ssl, rest + 1, rest[0]) != rest[0])) {
            probe_fail("Paho sent more than DISCONNECT at the end (%s)", probe_step);
        }
    }
}

static void broker_play(SSL *ssl, int fd, const struct probe_script *script)
{
    unsigned char rest[128];

    probe_step = "CONNECT";
    if (broker_expect(ssl, 0x10, rest) < 10 || rest[6] != script->version) {
        probe_fail("Paho does not connect with the version of MQTT that it was asked for");
    }
    if (script->end == PROBE_OLD) {
        probe_step = "the end of the connection after a CONNACK as of MQTT 3.1.1";
        BROKER_SEND(ssl, "\x20\2\0\1");
        broker_expect_end(ssl);
        return;
    }
    if (script->version == 5) {
        BROKER_SEND(ssl, "\x20\3\0\0\0");
    } else {
        BROKER_SEND(ssl, "\x20\2\0\0");
    }
    probe_step = "SUBSCRIBE";
    broker_expect(ssl, 0x82, rest);
    if (script->end == PROBE_DISCONNECT) {
        probe_step = "the end of the connection after DISCONNECT";
        broker_suback(ssl, script->version, rest);
        BROKER_SEND(ssl, "\xE0\1\x8E");
        broker_expect_end(ssl);
        return;
    }
    broker_take_messages(ssl, fd, script->version, rest);
    broker_repeat_often(ssl, script->version);
    broker_send_large(ssl, script->version);
    probe_step = "the end of the connection after a malformed packet";
    BROKER_SEND(ssl, "\x90\2\0\1");
    broker_expect_end(ssl);
}

void *probe_broker(void *argument)
{
    const struct probe_script *script = argument;
    int fd = accept(script->listener, NULL, NULL);
    SSL_CTX *context = broker_context();
    SSL *ssl = SSL_new(context);

    probe_step = "the TLS handshake";
    if (fd < 0 || ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1) {
        probe_fail("the probe's broker cannot accept a TLS connection");
    }
    broker_play(ssl, fd, script);
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

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, 4) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        probe_fail("the probe cannot listen on the loopback");
    }
    snprintf(uri, PROBE_URI_SIZE, "ssl://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}
