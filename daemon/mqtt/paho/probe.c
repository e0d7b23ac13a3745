/*
 * A program that tries the adapted Paho before anything is linked with it: paho.mk builds it with
 * the real flags and runs it. It ends with 0, or prints what is different and ends with 1; then the
 * daemon gets the shared library.
 *
 * usage: probe VERSION...      the versions of Paho that the adaptations were proved on
 *
 * A scripted broker on a thread (mqtt/paho/probe_broker.c), over TLS on the loopback, takes two
 * messages through a QoS 2 handshake, because one message cannot show what happens to packets that
 * come in one go. Its second step is a SUBACK and both PUBLISH, a TLS record each, in one TCP
 * segment. At the end it sends a malformed SUBACK. The opening comments of cork.c, ahead.c,
 * check.c, lean.c and put.c say what they rely on; the probe checks that
 *  - Paho gives a message to its persistence, as mqtt/paho/put.c expects it, before PUBREC leaves,
 *    and removes it when PUBREL has come;
 *  - Paho finds the packets that were read ahead (otherwise the time limit ends the probe);
 *  - acknowledgements pass mqtt/paho/cork.c and reach the broker, and Paho waits through it;
 *  - packets pass mqtt/paho/check.c: the malformed one ends the connection, and its reason is kept.
 */
#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mqtt/mqtt.h"
#include "mqtt/paho/check_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "mqtt/paho/lean_internal.h"
#include "mqtt/paho/plugin_internal.h"
#include "mqtt/paho/probe_internal.h"
#include "mqtt/paho/put_internal.h"

#define LIMIT_S 60

_Atomic(const char *) probe_step = "start";
atomic_uint probe_stored;
static atomic_uint removed;           /* messages that Paho removed when PUBREL came */
static atomic_uint arrived;           /* messages that Paho delivered when PUBREL came */
static atomic_uint written;           /* what the relay was told of */
static atomic_uint waited;            /* how often the relay waited in place of poll() */
static const void *_Atomic connected; /* the connection, as mqtt/paho/check.c names it */
static sem_t is_lost;

_Noreturn void probe_fail(const char *format, ...)
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
    probe_fail("the probe is out of memory");
}

static void on_alarm(int number)
{
    static const char said[] = "the probe waited in vain: ";
    const char *at = probe_step;

    (void)number;
    if (write(STDERR_FILENO, said, sizeof(said) - 1) > 0 &&
        write(STDERR_FILENO, at, strlen(at)) > 0) {
        (void)!write(STDERR_FILENO, "\n", 1);
    }
    _exit(1);
}

/* --- the client --------------------------------------------------------------------------------
 */

static int store_put(void *handle, char *key, int count, char *buffers[], int lengths[])
{
    struct paho_put put;
    const char *reason;

    (void)handle;
    switch (paho_put_read(key, count, buffers, lengths, &put, &reason)) {
    case PAHO_PUT_MESSAGE:
        if (put.id != probe_stored + 1 || put.topic_length != 1 || put.payload_length != 1) {
            probe_fail("Paho gave another message to its persistence than the broker sent");
        }
        probe_stored++;
        break;
    case PAHO_PUT_NOTHING:
        break;
    default:
        probe_fail("Paho gives %s to its persistence", reason);
    }
    return 0;
}

static int store_remove(void *handle, char *key)
{
    (void)handle;
    if (paho_put_removed(key) != 0 && paho_put_removed(key) != ++removed) {
        probe_fail("Paho removes %s from its persistence before message %u", key, removed);
    }
    return 0;
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    probe_fail("Paho failed (%s): %s", probe_step,
               data != NULL && data->message != NULL ? data->message : "");
}

static void on_connected(void *client, MQTTAsync_successData *data)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;

    (void)data;
    connected = paho_check_connection();
    response.onFailure = on_failure;
    if (MQTTAsync_subscribe(client, "t", 2, &response) != MQTTASYNC_SUCCESS) {
        probe_fail("Paho does not subscribe");
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
        probe_fail("Paho does not connect");
    }
}

static void judge(void)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";

    if (arrived != PROBE_MESSAGES) {
        probe_fail("Paho delivered %u messages of %d", arrived, PROBE_MESSAGES);
    }
    if (removed != PROBE_MESSAGES) {
        probe_fail("Paho removed %u messages of %d from its persistence", removed, PROBE_MESSAGES);
    }
    if (waited == 0 || written == 0) {
        probe_fail("Paho's acknowledgements do not pass mqtt/paho/cork.c");
    }
    if (connected == NULL || !paho_check_take(connected, problem) ||
        strstr(problem, "SUBACK") == NULL) {
        probe_fail("Paho's packets do not pass mqtt/paho/check.c");
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
        probe_fail("the adaptations were not proved on Paho %s", version);
    }
}

int main(int argc, char *argv[])
{
    static const struct paho_relay relay = {relay_written, relay_poll, NULL};
    MQTTClient_persistence persistence;
    char uri[PROBE_URI_SIZE];
    MQTTAsync client;
    pthread_t thread;
    int listener;

    (void)argc;
    persistence = paho_plugin(store_put, store_remove, &persistence);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    alarm(LIMIT_S);
    check_version(argv + 1);
    listener = probe_listen(uri);
    paho_cork_set_relay(&relay);
    if (sem_init(&is_lost, 0, 0) != 0 ||
        pthread_create(&thread, NULL, probe_broker, &listener) != 0 ||
        MQTTAsync_create(&client, uri, "probe", MQTTCLIENT_PERSISTENCE_USER, &persistence) !=
            MQTTASYNC_SUCCESS) {
        probe_fail("the probe cannot start a client");
    }
    client_connect(client);
    while (sem_wait(&is_lost) != 0) {
    }
    pthread_join(thread, NULL);
    judge();
    _exit(0); /* Paho's threads run yet */
}
