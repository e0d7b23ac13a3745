/*
 * A program that tries the adapted Paho before anything is linked with it: paho.mk builds it with
 * the real flags and runs it. It ends with 0, or prints what is different and ends with 1; then the
 * daemon gets the shared library.
 *
 * usage: probe VERSION...      the versions of Paho that the adaptations were proved on
 *
 * A scripted broker on a thread, over TLS on the loopback, takes two messages through a QoS 2
 * handshake, because one message cannot show what happens to packets that come in one go. Its
 * second step is a SUBACK and both PUBLISH, a TLS record each, in one TCP segment. At the end it
 * sends a malformed SUBACK. The opening comments of cork.c, ahead.c, check.c, lean.c and put.c say
 * what they rely on; the probe checks that
 *  - Paho gives a message to its persistence, as mqtt/paho/put.c expects it, before PUBREC leaves;
 *  - Paho finds the packets that were read ahead (otherwise the time limit ends the probe);
 *  - acknowledgements pass mqtt/paho/cork.c and reach the broker, and Paho waits through it;
 *  - packets pass mqtt/paho/check.c: the malformed one ends the connection, and its reason is kept.
 */
#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mqtt/mqtt.h"
#include "mqtt/paho/check_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "mqtt/paho/lean_internal.h"
#include "mqtt/paho/put_internal.h"

#define LIMIT_S  60
#define MESSAGES 2
#define URI_SIZE 64

static _Atomic(const char *) step = "start";
static atomic_uint stored;            /* messages that Paho gave to its persistence */
static atomic_uint arrived;           /* messages that Paho delivered when PUBREL came */
static atomic_uint written;           /* what the relay was told of */
static atomic_uint waited;            /* how often the relay waited in place of poll() */
static const void *_Atomic connected; /* the connection, as mqtt/paho/check.c names it */
static sem_t is_lost;

static _Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(1);
}

_Noreturn void paho_out_of_memory(void)
{
    fail("the probe is out of memory");
}

static void on_alarm(int number)
{
    static const char said[] = "the probe waited in vain: ";
    const char *at = step;

    (void)number;
    if (write(STDERR_FILENO, said, sizeof(said) - 1) > 0 &&
        write(STDERR_FILENO, at, strlen(at)) > 0) {
        (void)!write(STDERR_FILENO, "\n", 1);
    }
    _exit(1);
}

/* --- the broker ------------------------------------------------------------------------------ */

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
        fail("the probe cannot make a certificate");
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void broker_send(SSL *ssl, const char *bytes, int length)
{
    if (SSL_write(ssl, bytes, length) != length) {
        fail("the probe's broker cannot send (%s)", step);
    }
}

#define BROKER_SEND(ssl, literal) broker_send(ssl, literal, (int)sizeof(literal) - 1)

static void broker_read(SSL *ssl, unsigned char *bytes, int length)
{
    for (int have = 0; have < length;) {
        int got = SSL_read(ssl, bytes + have, length - have);

        if (got <= 0) {
            fail("Paho closed the connection (%s)", step);
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
        fail("Paho sent a packet 0x%02x of %u bytes (%s)", header[0], header[1], step);
    }
    broker_read(ssl, rest, header[1]);
    *id = (unsigned)rest[0] << 8 | rest[1];
}

static void broker_expect_ids(SSL *ssl, unsigned char first)
{
    for (unsigned expected = 1; expected <= MESSAGES; expected++) {
        unsigned id;

        broker_expect(ssl, first, &id);
        if (id != expected) {
            fail("Paho acknowledged packet %u instead of %u (%s)", id, expected, step);
        }
    }
}

/* What is sent until `on` is 0 leaves in one segment. */
static void broker_gather(int fd, int on)
{
    if (setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)) != 0) {
        fail("the probe cannot set TCP_CORK");
    }
}

static void broker_play(SSL *ssl, int fd)
{
    char suback[] = "\x90\x03\0\0\2";
    unsigned id;

    step = "CONNECT";
    broker_expect(ssl, 0x10, &id);
    BROKER_SEND(ssl, "\x20\2\0\0");
    step = "SUBSCRIBE";
    broker_expect(ssl, 0x82, &id);
    suback[2] = (char)(id >> 8);
    suback[3] = (char)id;
    step = "PUBREC for two messages whose packets came in one go";
    broker_gather(fd, 1);
    broker_send(ssl, suback, (int)sizeof(suback) - 1);
    BROKER_SEND(ssl, "\x34\6\0\1t\0\1x");
    BROKER_SEND(ssl, "\x34\6\0\1t\0\2y");
    broker_gather(fd, 0);
    broker_expect_ids(ssl, 0x50);
    if (stored != MESSAGES) {
        fail("Paho acknowledged %d messages and gave %u to its persistence", MESSAGES, stored);
    }
    step = "PUBCOMP";
    BROKER_SEND(ssl, "\x62\2\0\1");
    BROKER_SEND(ssl, "\x62\2\0\2");
    broker_expect_ids(ssl, 0x70);
    step = "the end of the connection after a malformed packet";
    BROKER_SEND(ssl, "\x90\2\0\1");
    while (SSL_read(ssl, suback, 2) > 0) {
        if (memcmp(suback, "\xE0", 2) != 0) {
            fail("Paho sent more than DISCONNECT after a malformed packet");
        }
    }
}

static void *broker(void *argument)
{
    int fd = accept(*(const int *)argument, NULL, NULL);
    SSL_CTX *context = broker_context();
    SSL *ssl = SSL_new(context);

    step = "the TLS handshake";
    if (fd < 0 || ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1) {
        fail("the probe's broker cannot accept a TLS connection");
    }
    broker_play(ssl, fd);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return NULL;
}

static int broker_listen(char uri[URI_SIZE])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        fail("the probe cannot listen on the loopback");
    }
    snprintf(uri, URI_SIZE, "ssl://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* --- the client --------------------------------------------------------------------------------
 */

static int do_nothing(void *handle)
{
    (void)handle;
    return 0;
}

static int store_open(void **handle, const char *client_id, const char *uri, void *context)
{
    (void)client_id;
    (void)uri;
    *handle = context;
    return 0;
}

static int store_put(void *handle, char *key, int count, char *buffers[], int lengths[])
{
    struct paho_put put;
    const char *reason;

    (void)handle;
    switch (paho_put_read(key, count, buffers, lengths, &put, &reason)) {
    case PAHO_PUT_MESSAGE:
        if (put.id != stored + 1 || put.topic_length != 1 || put.payload_length != 1) {
            fail("Paho gave another message to its persistence than the broker sent");
        }
        stored++;
        break;
    case PAHO_PUT_NOTHING:
        break;
    default:
        fail("Paho gives %s to its persistence", reason);
    }
    return 0;
}

static int store_get(void *handle, char *key, char **buffer, int *length)
{
    (void)handle;
    (void)key;
    *buffer = NULL;
    *length = 0;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

static int store_remove(void *handle, char *key)
{
    (void)handle;
    (void)key;
    return 0;
}

static int store_keys(void *handle, char ***keys, int *count)
{
    (void)handle;
    *keys = NULL;
    *count = 0;
    return 0;
}

static int store_contains(void *handle, char *key)
{
    (void)handle;
    (void)key;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    fail("Paho failed (%s): %s", step, data != NULL && data->message != NULL ? data->message : "");
}

static void on_connected(void *client, MQTTAsync_successData *data)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;

    (void)data;
    connected = paho_check_connection();
    response.onFailure = on_failure;
    if (MQTTAsync_subscribe(client, "t", 2, &response) != MQTTASYNC_SUCCESS) {
        fail("Paho does not subscribe");
    }
}

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    (void)context;
    (void)topic_length;
    arrived++;
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void on_lost(void *context, char *cause)
{
    (void)context;
    (void)cause;
    sem_post(&is_lost);
}

static void relay_written(void *context)
{
    (void)context;
    written++;
}

static int relay_poll(void *context, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    (void)context;
    waited++;
    return poll(fds, count, timeout_ms);
}

static void client_connect(MQTTAsync client)
{
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;

    ssl.enableServerCertAuth = 0;
    connect.MQTTVersion = MQTTVERSION_3_1_1;
    connect.connectTimeout = LIMIT_S;
    connect.ssl = &ssl;
    connect.context = client;
    connect.onSuccess = on_connected;
    connect.onFailure = on_failure;
    if (MQTTAsync_setCallbacks(client, NULL, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS ||
        MQTTAsync_connect(client, &connect) != MQTTASYNC_SUCCESS) {
        fail("Paho does not connect");
    }
}

static void judge(void)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";

    if (arrived != MESSAGES) {
        fail("Paho delivered %u messages of %d", arrived, MESSAGES);
    }
    if (waited == 0 || written == 0) {
        fail("Paho's acknowledgements do not pass mqtt/paho/cork.c");
    }
    if (connected == NULL || !paho_check_take(connected, problem) ||
        strstr(problem, "SUBACK") == NULL) {
        fail("Paho's packets do not pass mqtt/paho/check.c");
    }
}

static void check_version(char *const proved[])
{
    char version[PAHO_PROBLEM_SIZE] = "unknown";

    for (const MQTTAsync_nameValue *info = MQTTAsync_getVersionInfo(); info->name != NULL; info++) {
        if (strcmp(info->name, "Version") == 0) {
            snprintf(version, sizeof(version), "%s", info->value);
        }
    }
    while (*proved != NULL && strcmp(*proved, version) != 0) {
        proved++;
    }
    if (*proved == NULL) {
        fail("the adaptations were not proved on Paho %s", version);
    }
}

int main(int argc, char *argv[])
{
    static const struct paho_relay relay = {relay_written, relay_poll, NULL};
    static MQTTClient_persistence persistence = {
        .context = &persistence, /* Paho wants one */
        .popen = store_open,
        .pclose = do_nothing,
        .pput = store_put,
        .pget = store_get,
        .premove = store_remove,
        .pkeys = store_keys,
        .pclear = do_nothing,
        .pcontainskey = store_contains,
    };
    char uri[URI_SIZE];
    MQTTAsync client;
    pthread_t thread;
    int listener;

    (void)argc;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    alarm(LIMIT_S);
    check_version(argv + 1);
    listener = broker_listen(uri);
    paho_cork_set_relay(&relay);
    if (sem_init(&is_lost, 0, 0) != 0 || pthread_create(&thread, NULL, broker, &listener) != 0 ||
        MQTTAsync_create(&client, uri, "probe", MQTTCLIENT_PERSISTENCE_USER, &persistence) !=
            MQTTASYNC_SUCCESS) {
        fail("the probe cannot start a client");
    }
    client_connect(client);
    while (sem_wait(&is_lost) != 0) {
    }
    pthread_join(thread, NULL);
    judge();
    _exit(0); /* Paho's threads run yet */
}
