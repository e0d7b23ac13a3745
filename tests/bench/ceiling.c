/*
 * The trivial client: it answers QoS packets and does nothing else, so that what it reaches is the
 * broker's own ceiling.
 *
 * usage: ceiling --port P [--ca FILE] [--qos 2] [--client-id ID]     until SIGTERM
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "client_options.h"

#define IN_SIZE  ((size_t)64 * 1024)
#define OUT_SIZE ((size_t)64 * 1024)

struct client {
    int fd;
    SSL *ssl;
    uint8_t in[IN_SIZE];
    size_t in_length;
    uint8_t out[OUT_SIZE];
    size_t out_length;
};

_Noreturn static void die(const char *what)
{
    perror(what);
    exit(EX_UNAVAILABLE);
}

static void flush_out(struct client *client)
{
    size_t at = 0;

    while (at < client->out_length) {
        ssize_t sent =
            client->ssl != NULL
                ? SSL_write(client->ssl, client->out + at, (int)(client->out_length - at))
                : send(client->fd, client->out + at, client->out_length - at, MSG_NOSIGNAL);

        if (sent <= 0) {
            die("ceiling: write");
        }
        at += (size_t)sent;
    }
    client->out_length = 0;
}

static void put(struct client *client, const void *bytes, size_t length)
{
    if (client->out_length + length > OUT_SIZE) {
        flush_out(client);
    }
    memcpy(client->out + client->out_length, bytes, length);
    client->out_length += length;
}

static void answer(struct client *client, const uint8_t *packet, const uint8_t *body)
{
    size_t topic_length;

    switch (packet[0] & 0xf0) {
    case 0x30: { /* PUBLISH */
        int qos = packet[0] >> 1 & 3;

        if (qos > 0) {
            topic_length = (size_t)body[0] << 8 | body[1];
            put(client,
                (uint8_t[]){qos == 2 ? 0x50 : 0x40, 2, body[2 + topic_length],
                            body[3 + topic_length]},
                4);
        }
        break;
    }
    case 0x60: /* PUBREL */
        put(client, (uint8_t[]){0x70, 2, body[0], body[1]}, 4);
        break;
    default:
        break;
    }
}

/* Answer the whole packets in the buffer. */
static void act(struct client *client)
{
    size_t at = 0;

    for (;;) {
        const uint8_t *packet = client->in + at;
        size_t there = client->in_length - at;
        size_t header = 1;
        size_t length = 0;

        do {
            if (there <= header) {
                memmove(client->in, packet, there);
                client->in_length = there;
                return;
            }
            length |= (size_t)(packet[header] & 0x7f) << 7 * (header - 1);
        } while ((packet[header++] & 0x80) != 0);
        if (there < header + length) {
            memmove(client->in, packet, there);
            client->in_length = there;
            return;
        }
        answer(client, packet, packet + header);
        at += header + length;
    }
}

static void connect_to(struct client *client, int port, const char *ca)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        die("ceiling: connect");
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (ca != NULL) {
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());

        if (context == NULL || SSL_CTX_load_verify_locations(context, ca, NULL) != 1) {
            die("ceiling: CA");
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        client->ssl = SSL_new(context);
        if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1 ||
            SSL_set1_host(client->ssl, "localhost") != 1 || SSL_connect(client->ssl) != 1) {
            die("ceiling: TLS");
        }
    }
}

static void greet(struct client *client, const char *id, int qos)
{
    static const uint8_t filter[] = "\0\x0b"
                                    "foxtrackr/#";
    uint8_t length = (uint8_t)strlen(id);

    put(client,
        (uint8_t[]){0x10, (uint8_t)(12 + length), 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 0, 0, length},
        14);
    put(client, id, length);
    put(client, (uint8_t[]){0x82, sizeof(filter) - 1 + 3, 0, 1}, 4);
    put(client, filter, sizeof(filter) - 1);
    put(client, (uint8_t[]){(uint8_t)qos}, 1);
    flush_out(client);
}

/* Until the broker or a signal ends it. */
static void drain(struct client *client)
{
    for (;;) {
        size_t room = IN_SIZE - client->in_length;
        uint8_t *end = client->in + client->in_length;
        ssize_t got = client->ssl != NULL ? SSL_read(client->ssl, end, (int)room)
                                          : recv(client->fd, end, room, 0);

        if (got <= 0) {
            die("ceiling: read");
        }
        client->in_length += (size_t)got;
        act(client);
        flush_out(client);
    }
}

int main(int argc, char **argv)
{
    struct client_options options = {.client_id = "id-ceiling-01", .qos = 2};
    static struct client client;

    if (!client_options_parse(argc, argv, "ceiling --port P [--ca FILE] [--qos 2] [--client-id ID]",
                              &options)) {
        return EX_USAGE;
    }
    if (options.store != NULL || strlen(options.client_id) > 100) {
        fputs("ceiling: it stores nothing, and its client id has at most 100 bytes\n", stderr);
        return EX_USAGE;
    }
    connect_to(&client, options.port, options.ca);
    greet(&client, options.client_id, options.qos);
    drain(&client);
}
