/*
 * A program that tries the adapted Paho before anything is linked with it: paho.mk builds it with
 * the real flags and runs it. It ends with 0, or prints what is different and ends with 1; then the
 * daemon gets the shared library.
 *
 * usage: probe VERSION...      the versions of Paho that the adaptations were proved on
 *
 * A scripted broker on a thread (mqtt/paho/probe_broker.c), over TLS on the loopback, takes two
 * messages through a QoS 2 handshake, because one message cannot show what happens to packets that
 * come in one go: a SUBACK and both PUBLISH, a TLS record each, come in one TCP segment. Another
 * message comes twice before its PUBREL, sixty times. Then comes a large one, of which the
 * beginning is kept. At the end the broker sends a malformed SUBACK. It plays this in MQTT 3.1.1
 * and in MQTT 5; and two more ends of a connection of MQTT 5. Each connection has a client of its
 * own, and the client before it is destroyed. The opening comments of cork.c, ahead.c, check.c,
 * lean.c, put.c, shorten.c and shortcuts.c say what they rely on; the probe checks that
 *  - Paho gives a message to its persistence, as mqtt/paho/put.c expects it, before PUBREC leaves,
 *    and removes it when PUBREL has come;
 *  - Paho delivers a message of MQTT 5 before PUBREC leaves, and one of MQTT 3.1.1 after PUBREL;
 *  - a large message is read in Paho's place, and Paho acknowledges what stands for it;
 *  - a message that comes twice is not kept (mqtt/paho/shortcuts.c);
 *  - Paho finds the packets that were read ahead (otherwise the time limit ends the probe);
 *  - acknowledgements pass mqtt/paho/cork.c and reach the broker, and Paho waits through it;
 *  - packets pass mqtt/paho/check.c: the malformed one ends the connection, and its reason is kept;
 *  - a DISCONNECT is reported, and its code is kept;
 *  - a CONNACK as of MQTT 3.1.1 that answers a CONNECT of MQTT 5 is a failure, and its code is
 * kept.
 */
#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
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
#include "mqtt/paho/shorten_internal.h"

#define LIMIT_S 60

_Atomic(const char *) probe_step = "start";
atomic_uint probe_stored;
atomic_uint probe_removed;
atomic_uint probe_arrived;
static atomic_uint written;           /* what the relay was told of */
static atomic_uint waited;            /* how often the relay waited in place of poll() */
static const void *_Atomic connected; /* the connection, as mqtt/paho/check.c names it */
static const struct probe_script *script;
static sem_t has_ended; /* the connection of the script */

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

/* Messages with a higher packet identifier come twice, or are large. */
static bool comes_once(unsigned id)
{
    return id <= PROBE_MESSAGES;
}

/* Check that mqtt/paho/shorten.c has kept the beginning of a large message, and of no other. */
static void check_large(const struct paho_put *put)
{
    struct paho_message message = {.topic = put->topic,
                                   .topic_length = put->topic_length,
                                   .payload = put->payload,
                                   .payload_length = put->payload_length,
                                   .full_length = put->payload_length,
                                   .qos = 2};
    bool is_large = put->id == PROBE_LARGE_ID;

    if (!paho_check_restore(&message, put->id) || message.topic_length != 1 ||
        (message.digest != NULL) != is_large ||
        (is_large &&
         (message.full_length != PROBE_LARGE || message.payload_length != PROBE_KEPT))) {
        probe_fail("Paho's large packets do not pass mqtt/paho/shorten.c");
    }
}

static int store_put(void *handle, char *key, int count, char *buffers[], int lengths[])
{
    struct paho_put put;
    const char *reason;

    (void)handle;
    switch (paho_put_read(key, count, buffers, lengths, &put, &reason)) {
    case PAHO_PUT_MESSAGE:
        if (strncmp(key, script->version == 5 ? "r5-" : "r-", strlen("r-")) != 0 ||
            (comes_once(put.id) && (put.id != probe_stored + 1 || put.payload_length != 1))) {
            probe_fail("Paho gave another message to its persistence than the broker sent");
        }
        check_large(&put);
        probe_stored += comes_once(put.id);
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
    unsigned id = paho_put_removed(key);

    (void)handle;
    if (id != 0 && comes_once(id) && id != ++probe_removed) {
        probe_fail("Paho removes %s from its persistence before message %u", key, probe_removed);
    }
    return 0;
}

static void fail(const char *message)
{
    probe_fail("Paho failed (%s): %s", probe_step, message != NULL ? message : "");
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    fail(data != NULL ? data->message : NULL);
}

static void on_failure5(void *context, MQTTAsync_failureData5 *data)
{
    (void)context;
    fail(data != NULL ? data->message : NULL);
}

static void on_unconnected5(void *context, MQTTAsync_failureData5 *data)
{
    if (script->end != PROBE_OLD) {
        on_failure5(context, data);
    }
    connected = paho_check_connection();
    sem_post(&has_ended);
}

static void subscribe(MQTTAsync client)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;

    connected = paho_check_connection();
    if (script->version == 5) {
        response.onFailure5 = on_failure5;
    } else {
        response.onFailure = on_failure;
    }
    if (MQTTAsync_subscribe(client, "t", 2, &response) != MQTTASYNC_SUCCESS) {
        probe_fail("Paho does not subscribe");
    }
}

static void on_connected(void *client, MQTTAsync_successData *data)
{
    (void)data;
    subscribe(client);
}

static void on_connected5(void *client, MQTTAsync_successData5 *data)
{
    (void)data;
    subscribe(client);
}

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    (void)context;
    (void)topic_length;
    probe_arrived += comes_once((unsigned)message->msgid);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void on_lost(void *context, char *cause)
{
    (void)context;
    (void)cause;
    sem_post(&has_ended);
}

/* DISCONNECT: Paho does not call on_lost(). */
static void on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
    (void)context;
    (void)properties;
    (void)code;
    sem_post(&has_ended);
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
    MQTTAsync_connectOptions of_3_1_1 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;

    ssl.enableServerCertAuth = 0;
    if (script->version == 5) {
        connect.onSuccess5 = on_connected5;
        connect.onFailure5 = on_unconnected5;
    } else {
        connect = of_3_1_1;
        connect.MQTTVersion = MQTTVERSION_3_1_1;
        connect.onSuccess = on_connected;
        connect.onFailure = on_failure;
    }
    connect.connectTimeout = LIMIT_S;
    connect.ssl = &ssl;
    connect.context = client;
    if (MQTTAsync_setCallbacks(client, NULL, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS ||
        MQTTAsync_setDisconnected(client, NULL, on_disconnected) != MQTTASYNC_SUCCESS ||
        MQTTAsync_connect(client, &connect) != MQTTASYNC_SUCCESS) {
        probe_fail("Paho does not connect");
    }
}

static void judge_messages(void)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";

    if (probe_arrived != PROBE_MESSAGES) {
        probe_fail("Paho delivered %u messages of %d", probe_arrived, PROBE_MESSAGES);
    }
    if (probe_removed != PROBE_MESSAGES) {
        probe_fail("Paho removed %u messages of %d from its persistence", probe_removed,
                   PROBE_MESSAGES);
    }
    if (waited == 0 || written == 0) {
        probe_fail("Paho's acknowledgements do not pass mqtt/paho/cork.c");
    }
    if (connected == NULL || !paho_check_take(connected, problem) ||
        strstr(problem, "SUBACK") == NULL) {
        probe_fail("Paho's packets do not pass mqtt/paho/check.c");
    }
}

static void judge(void)
{
    struct mqtt_answer answer = {0};
    bool is_known = paho_check_take_answer(connected, &answer);

    switch (script->end) {
    case PROBE_MALFORMED:
        judge_messages();
        break;
    case PROBE_DISCONNECT:
        if (!is_known || !answer.has_disconnect || answer.disconnect.code != 0x8E) {
            probe_fail("a DISCONNECT does not pass mqtt/paho/check.c");
        }
        break;
    case PROBE_OLD:
        if (!is_known || !answer.has_connack || !answer.connack.is_old) {
            probe_fail("a CONNACK of two bytes does not pass mqtt/paho/check.c");
        }
        break;
    }
}

/* Plays a script with a new client, and destroys the one before it. */
static void play(struct probe_script *next, const char *uri, MQTTAsync *last)
{
    static MQTTClient_persistence persistence;
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    MQTTAsync client;
    pthread_t thread;

    script = next;
    probe_stored = probe_removed = probe_arrived = written = waited = 0;
    connected = NULL;
    persistence = paho_plugin(store_put, store_remove, &persistence);
    options.MQTTVersion = script->version;
    if (pthread_create(&thread, NULL, probe_broker, next) != 0 ||
        MQTTAsync_createWithOptions(&client, uri, "probe", MQTTCLIENT_PERSISTENCE_USER,
                                    &persistence, &options) != MQTTASYNC_SUCCESS) {
        probe_fail("the probe cannot start a client");
    }
    if (*last != NULL) {
        MQTTAsync_destroy(last);
    }
    client_connect(client);
    while (sem_wait(&has_ended) != 0) {
    }
    pthread_join(thread, NULL);
    judge();
    *last = client;
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
    static struct probe_script scripts[] = {
        {4, PROBE_MALFORMED, -1},
        {5, PROBE_MALFORMED, -1},
        {5, PROBE_DISCONNECT, -1},
        {5, PROBE_OLD, -1},
    };
    char uri[PROBE_URI_SIZE];
    MQTTAsync client = NULL;
    int listener;

    (void)argc;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    alarm(LIMIT_S);
    check_version(argv + 1);
    listener = probe_listen(uri);
    paho_cork_set_relay(&relay);
    paho_shorten_limit(PROBE_KEPT);
    if (sem_init(&has_ended, 0, 0) != 0) {
        probe_fail("the probe cannot make a semaphore");
    }
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        scripts[i].listener = listener;
        play(&scripts[i], uri, &client);
    }
    _exit(0); /* Paho's threads run yet */
}
