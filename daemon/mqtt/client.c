/*
 * Wraps Paho's asynchronous client in calls that wait, and hands messages to the intake in time.
 *
 * Paho writes an acknowledgement as soon as the callback that announces a message returns, and
 * cannot be told to wait (the gate holds it back instead). So each message must be in the intake
 * before that callback returns:
 *
 *  - QoS 2: Paho gives an incoming PUBLISH to its persistence before it writes PUBREC. Our
 *    persistence is a plugin that stores nothing and passes the message on. messageArrived, which
 *    Paho calls when PUBREL has come (MQTT 3.1.1) or after the persistence (MQTT 5), is ignored for
 *    QoS 2. When PUBREL has come Paho removes the packet from the persistence, in both versions.
 *  - QoS 0 and 1: messageArrived comes before PUBACK.
 *
 * Nothing is lost by not storing: after a restart, or on CONNACK, Paho answers a PUBREL that it
 * does not know with PUBCOMP, so that the handshake of an old packet id completes.
 *
 * Each connection has a client of Paho's for itself. Paho cannot go back from MQTT 3.1.1 to MQTT 5
 * with a client, keeps the messages whose PUBREL has not come, which the broker sends again, and
 * forgets the memory of the proxy's URL at every MQTTAsync_connect(). The next client is made
 * before the last one is destroyed: with the last one Paho would end its threads.
 *
 * Must never happen: a message is acknowledged and was not handed over. So a Paho that behaves
 * otherwise than described, anywhere on the way of a message, ends the process (paho_unexpected()).
 */
#include "mqtt/mqtt.h"

#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/paho/check_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "mqtt/paho/library_internal.h"
#include "mqtt/paho/plugin_internal.h"
#include "mqtt/paho/put_internal.h"
#include "mqtt/words_internal.h"
#include "net/net.h"

#define SLOTS            8
#define ANSWER_TIMEOUT_S 30
#define PACKET_IDS       65536

_Static_assert(PAHO_PROBLEM_SIZE >= MQTT_WORDS_SIZE, "a refusal in words must fit");
_Static_assert((int)PAHO_MQTT_3_1_1 == MQTTVERSION_3_1_1 && (int)PAHO_MQTT_5 == MQTTVERSION_5,
               "Paho numbers the versions in the same way");

/* The answer to one request. A late answer to an abandoned request goes to its own slot, not to
 * that of the next request. */
struct slot {
    struct paho *paho;
    bool done;
    bool ok;
    bool session_present;
    int code;
    char message[PAHO_PROBLEM_SIZE];
};

struct paho {
    MQTTAsync handle;
    MQTTClient_persistence persistence;
    paho_message_fn message;
    paho_released_fn released;
    void *context;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct slot slots[SLOTS];
    unsigned next_slot;
    bool lost;
    bool woken;
    bool stopping;
    unsigned heard;                           /* messages received so far */
    bool is_handing_over;                     /* a message is being put into the intake now */
    const void *connection;                   /* see mqtt/paho/check_internal.h */
    char complaint[MQTT_PACKET_PROBLEM_SIZE]; /* "" or why the connection was closed */

    /* Paho's receive thread's: packet identifiers that were handed over by store_put() and whose
     * PUBREL has not come. */
    unsigned char put[PACKET_IDS / CHAR_BIT];
};

/* --- the persistence plugin ---------------------------------------------------------------- */

/* Hands a message over. Counts it for slot_wait(), whose time limit starts again with each
 * message. */
static void hand_over(struct paho *paho, const struct paho_message *message)
{
    pthread_mutex_lock(&paho->mutex);
    paho->is_handing_over = true;
    pthread_mutex_unlock(&paho->mutex);
    paho->message(paho->context, message);
    pthread_mutex_lock(&paho->mutex);
    paho->is_handing_over = false;
    paho->heard++;
    pthread_mutex_unlock(&paho->mutex);
}

static bool is_put(const struct paho *paho, int id)
{
    return id > 0 && id < PACKET_IDS &&
           (paho->put[id / CHAR_BIT] >> (unsigned)id % CHAR_BIT & 1) != 0;
}

static int store_put(void *handle, char *key, int count, char *buffers[], int lengths[])
{
    struct paho *paho = handle;
    struct paho_message message = {.qos = 2};
    const char *reason;
    struct paho_put put;

    switch (paho_put_read(key, count, buffers, lengths, &put, &reason)) {
    case PAHO_PUT_MESSAGE:
        message.topic = put.topic;
        message.topic_length = put.topic_length;
        message.payload = put.payload;
        message.payload_length = message.full_length = put.payload_length;
        message.is_repeated = is_put(paho, (int)put.id);
        paho->put[put.id / CHAR_BIT] |= (unsigned char)(1U << put.id % CHAR_BIT);
        hand_over(paho, &message);
        break;
    case PAHO_PUT_NOTHING:
        break;
    default:
        paho_unexpected(reason);
    }
    return 0;
}

static int store_remove(void *handle, char *key)
{
    struct paho *paho = handle;
    unsigned id = paho_put_removed(key);

    if (is_put(paho, (int)id)) {
        paho->put[id / CHAR_BIT] &= (unsigned char)~(1U << id % CHAR_BIT);
        paho->released(paho->context);
    }
    return 0;
}

/* --- callbacks, on Paho's threads ---------------------------------------------------------- */

static void deliver(struct paho *paho, const char *topic, int topic_length,
                    const MQTTAsync_message *message)
{
    const struct paho_message given = {
        .topic = topic,
        .topic_length = topic_length > 0 ? (size_t)topic_length : strlen(topic),
        .payload = message->payload,
        .payload_length = (size_t)message->payloadlen,
        .full_length = (size_t)message->payloadlen,
        .qos = message->qos,
    };

    switch (message->qos) {
    case 0:
    case 1:
        hand_over(paho, &given);
        break;
    case 2:
        if (!is_put(paho, message->msgid)) {
            paho_unexpected("a QoS 2 message that was not given to the persistence");
        }
        break;
    default:
        paho_unexpected("a message with another QoS than 0, 1 and 2");
    }
}

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    if (topic != NULL && topic_length >= 0 && message != NULL && message->payloadlen >= 0) {
        deliver(context, topic, topic_length, message);
    } else {
        paho_unexpected("a message without a topic or a payload");
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* Under the mutex: note why this connection was closed, if a packet of it was malformed. */
static void take_complaint(struct paho *paho)
{
    if (paho_check_take != NULL) {
        paho_check_take(paho->connection, paho->complaint);
    }
}

/* Under the mutex, in a callback of a CONNECT: notes the callback's connection. */
static void note_connection(struct paho *paho)
{
    if (paho_check_connection != NULL && paho_check_connection() != NULL) {
        paho->connection = paho_check_connection();
    }
}

static void on_lost(void *context, char *cause)
{
    struct paho *paho = context;

    (void)cause; /* always NULL */
    pthread_mutex_lock(&paho->mutex);
    paho->lost = true;
    take_complaint(paho);
    pthread_cond_broadcast(&paho->changed);
    pthread_mutex_unlock(&paho->mutex);
}

static void answer(struct slot *slot, bool ok, int code, bool session_present, const char *message)
{
    struct paho *paho = slot->paho;

    pthread_mutex_lock(&paho->mutex);
    slot->done = true;
    slot->ok = ok;
    slot->code = code;
    slot->session_present = session_present;
    snprintf(slot->message, sizeof(slot->message), "%s", message != NULL ? message : "");
    pthread_cond_broadcast(&paho->changed);
    pthread_mutex_unlock(&paho->mutex);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    struct paho *paho = ((struct slot *)context)->paho;

    pthread_mutex_lock(&paho->mutex);
    note_connection(paho);
    pthread_mutex_unlock(&paho->mutex);
    answer(context, true, 0, data->alt.connect.sessionPresent != 0, NULL);
}

static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    int code = data->alt.qos & 0xFF; /* Paho takes a refusal of MQTT 5 for a QoS */

    answer(context, code <= 2, code, false, NULL);
}

static void on_done(void *context, MQTTAsync_successData *data)
{
    (void)data;
    answer(context, true, 0, false, NULL);
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    if (data != NULL) {
        answer(context, false, data->code, false, data->message);
    } else {
        answer(context, false, MQTTASYNC_FAILURE, false, NULL);
    }
}

static void on_unconnected(void *context, MQTTAsync_failureData *data)
{
    struct paho *paho = ((struct slot *)context)->paho;

    pthread_mutex_lock(&paho->mutex);
    note_connection(paho);
    take_complaint(paho);
    pthread_mutex_unlock(&paho->mutex);
    on_failure(context, data);
}

/* --- requests ------------------------------------------------------------------------------ */

static struct slot *slot_take(struct paho *paho)
{
    struct slot *slot;

    pthread_mutex_lock(&paho->mutex);
    slot = &paho->slots[paho->next_slot++ % SLOTS];
    slot->paho = paho;
    slot->done = false;
    slot->ok = false;
    slot->code = MQTTASYNC_FAILURE;
    slot->message[0] = '\0';
    pthread_mutex_unlock(&paho->mutex);
    return slot;
}

/*
 * Under the mutex: waits for a change until `*deadline`. The deadline is extended if messages came
 * meanwhile, or one waits for room in the intake: the answer comes after them. Returns false when
 * the time is over.
 */
static bool wait_on(struct paho *paho, struct timespec *deadline, unsigned *heard,
                    int64_t timeout_ms)
{
    if (pthread_cond_timedwait(&paho->changed, &paho->mutex, deadline) == 0) {
        return true;
    }
    if (paho->heard == *heard && !paho->is_handing_over) {
        return false;
    }
    *heard = paho->heard;
    *deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    return true;
}

/*
 * Waits for the answer to a request that MQTTAsync took with `rc`; the loss of the connection or,
 * unless `leaving`, paho_stop() ends the wait. `timeout_ms` limits the broker's silence; unless
 * `leaving`, messages extend it, because a broker sends the many that it has kept first. PAHO_OK,
 * PAHO_E_REFUSED (a code from the broker) or PAHO_E_FAILED.
 */
static int slot_wait(struct paho *paho, struct slot *slot, int rc, int64_t timeout_ms, bool leaving)
{
    struct timespec deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    int result = PAHO_E_FAILED;
    unsigned heard;

    if (rc != MQTTASYNC_SUCCESS) {
        return PAHO_E_FAILED;
    }
    pthread_mutex_lock(&paho->mutex);
    heard = paho->heard;
    while (!slot->done && !paho->lost && (leaving || !paho->stopping)) {
        if (leaving ? pthread_cond_timedwait(&paho->changed, &paho->mutex, &deadline) != 0
                    : !wait_on(paho, &deadline, &heard, timeout_ms)) {
            break;
        }
    }
    if (slot->done && slot->ok) {
        result = PAHO_OK;
    } else if (slot->done && slot->code > 0) {
        result = PAHO_E_REFUSED;
    }
    pthread_mutex_unlock(&paho->mutex);
    return result;
}

bool paho_speaks_5(void)
{
    return false;
}

/* Makes a client of Paho's. Returns 0, or -1: out of memory, or Paho would not. */
static int make_client(struct paho *paho, const struct paho_options *options, MQTTAsync *out)
{
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    MQTTAsync client = NULL;

    create.MQTTVersion = (int)options->version;
    if (MQTTAsync_createWithOptions(&client, options->uri, options->client_id,
                                    MQTTCLIENT_PERSISTENCE_USER, &paho->persistence,
                                    &create) != MQTTASYNC_SUCCESS ||
        MQTTAsync_setCallbacks(client, paho, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS) {
        if (client != NULL) {
            MQTTAsync_destroy(&client);
        }
        return -1;
    }
    *out = client;
    return 0;
}

/* Gives the next connection a client of its own. Nothing of the last connection is left behind: its
 * callbacks end with its client. Returns as make_client(). */
static int renew_client(struct paho *paho, const struct paho_options *options)
{
    MQTTAsync last = paho->handle;

    if (make_client(paho, options, &paho->handle) != 0) {
        return -1;
    }
    MQTTAsync_destroy(&last);
    memset(paho->put, 0, sizeof(paho->put));
    pthread_mutex_lock(&paho->mutex);
    paho->lost = false;
    paho->connection = NULL;
    paho->complaint[0] = '\0';
    pthread_mutex_unlock(&paho->mutex);
    return 0;
}

int paho_connect(struct paho *paho, const struct paho_options *options, struct paho_answer *answer,
                 char problem[PAHO_PROBLEM_SIZE])
{
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    struct slot *slot = slot_take(paho);
    int result;

    ssl.trustStore = options->ca_file;
    ssl.keyStore = options->cert_file;
    ssl.privateKey = options->key_file;
    ssl.enabledCipherSuites = TLS_CIPHERS;
    ssl.enableServerCertAuth = 1;
    ssl.verify = 1;
    ssl.disableDefaultTrustStore = 1;

    connect.MQTTVersion = (int)options->version;
    connect.cleansession = options->clean_session;
    connect.keepAliveInterval = options->keepalive_s;
    connect.connectTimeout = options->connect_timeout_s;
    connect.username = options->username;
    if (options->password != NULL) {
        connect.binarypwd.data = options->password;
        connect.binarypwd.len = (int)strlen(options->password);
    }
    if (options->tls) {
        connect.ssl = &ssl;
        connect.httpsProxy = options->proxy_url;
    } else {
        connect.httpProxy = options->proxy_url;
    }
    connect.onSuccess = on_connected;
    connect.onFailure = on_unconnected;
    connect.context = slot;

    if (renew_client(paho, options) != 0) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "there is no memory for a connection");
        return PAHO_E_FAILED;
    }
    /* Paho gives up after connect_timeout_s; our own limit is a little longer. */
    result = slot_wait(paho, slot, MQTTAsync_connect(paho->handle, &connect),
                       (options->connect_timeout_s + 10) * INT64_C(1000), false);
    if (result == PAHO_OK) {
        *answer = (struct paho_answer){
            .session_present = slot->session_present,
            .keepalive_s = options->keepalive_s,
            .has_shared = true,
            .has_wildcards = true,
        };
    } else if (result == PAHO_E_REFUSED) {
        mqtt_words_connack(slot->code, options->client_id, options->keepalive_s, problem);
    } else if (!paho_complaint(paho, problem)) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "no answer to CONNECT%s%.200s",
                 slot->message[0] != '\0' ? ": " : "", slot->message);
    }
    return result;
}

int paho_subscribe(struct paho *paho, const char *filter, int qos, int *granted_qos,
                   char problem[PAHO_PROBLEM_SIZE])
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    struct slot *slot = slot_take(paho);
    int result;

    response.onSuccess = on_subscribed;
    response.onFailure = on_failure;
    response.context = slot;
    result = slot_wait(paho, slot, MQTTAsync_subscribe(paho->handle, filter, qos, &response),
                       ANSWER_TIMEOUT_S * INT64_C(1000), false);
    if (result == PAHO_OK) {
        *granted_qos = slot->code;
    } else if (result == PAHO_E_REFUSED) {
        mqtt_words_suback(slot->code, filter, problem);
    } else {
        snprintf(problem, PAHO_PROBLEM_SIZE, "no answer to SUBSCRIBE to %.200s", filter);
    }
    return result;
}

int paho_unsubscribe(struct paho *paho, const char *filter)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    struct slot *slot = slot_take(paho);

    response.onSuccess = on_done;
    response.onFailure = on_failure;
    response.context = slot;
    return slot_wait(paho, slot, MQTTAsync_unsubscribe(paho->handle, filter, &response),
                     ANSWER_TIMEOUT_S * INT64_C(1000), false);
}

bool paho_complaint(struct paho *paho, char problem[PAHO_PROBLEM_SIZE])
{
    bool is_known;

    pthread_mutex_lock(&paho->mutex);
    is_known = paho->complaint[0] != '\0';
    if (is_known) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "%s", paho->complaint);
    }
    pthread_mutex_unlock(&paho->mutex);
    return is_known;
}

bool paho_checks_packets(void)
{
    return paho_check_take != NULL;
}

bool paho_writes_at_once(bool tls)
{
    return tls && paho_cork_flush != NULL;
}

void paho_set_relay(const struct paho_relay *relay)
{
    if (paho_cork_set_relay != NULL) {
        paho_cork_set_relay(relay);
    }
}

void paho_flush(void)
{
    if (paho_cork_flush != NULL) {
        paho_cork_flush();
    }
}

void paho_disconnect(struct paho *paho, int timeout_ms)
{
    MQTTAsync_disconnectOptions disconnect = MQTTAsync_disconnectOptions_initializer;
    struct slot *slot = slot_take(paho);

    disconnect.timeout = timeout_ms;
    disconnect.onSuccess = on_done;
    disconnect.onFailure = on_failure;
    disconnect.context = slot;
    slot_wait(paho, slot, MQTTAsync_disconnect(paho->handle, &disconnect), timeout_ms, true);
}

enum paho_event paho_wait(struct paho *paho, int timeout_ms)
{
    struct timespec deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    enum paho_event event = PAHO_TIMEOUT;
    int rc = 0;

    pthread_mutex_lock(&paho->mutex);
    while (!paho->lost && !paho->woken && !paho->stopping && rc == 0) {
        rc = timeout_ms < 0 ? pthread_cond_wait(&paho->changed, &paho->mutex)
                            : pthread_cond_timedwait(&paho->changed, &paho->mutex, &deadline);
    }
    if (paho->woken || paho->stopping) {
        paho->woken = false;
        event = PAHO_WOKEN;
    } else if (paho->lost) {
        paho->lost = false;
        event = PAHO_LOST;
    }
    pthread_mutex_unlock(&paho->mutex);
    return event;
}

void paho_wake(struct paho *paho)
{
    pthread_mutex_lock(&paho->mutex);
    paho->woken = true;
    pthread_cond_broadcast(&paho->changed);
    pthread_mutex_unlock(&paho->mutex);
}

void paho_stop(struct paho *paho)
{
    pthread_mutex_lock(&paho->mutex);
    paho->stopping = true;
    pthread_cond_broadcast(&paho->changed);
    pthread_mutex_unlock(&paho->mutex);
}

/* --- making ------------------------------------------------------------------------------- */

int paho_new(struct paho **out, const struct paho_options *options, paho_message_fn message,
             paho_released_fn released, void *context)
{
    struct paho *paho = calloc(1, sizeof(*paho));

    if (paho == NULL) {
        return -1;
    }
    paho->message = message;
    paho->released = released;
    paho->context = context;
    paho->persistence = paho_plugin(store_put, store_remove, paho);
    pthread_mutex_init(&paho->mutex, NULL);
    clock_cond_init(&paho->changed);
    if (make_client(paho, options, &paho->handle) != 0) {
        paho_free(paho);
        return -1;
    }
    paho_library_try();
    *out = paho;
    return 0;
}

void paho_free(struct paho *paho)
{
    if (paho == NULL) {
        return;
    }
    if (paho->handle != NULL) {
        MQTTAsync_destroy(&paho->handle);
    }
    pthread_cond_destroy(&paho->changed);
    pthread_mutex_destroy(&paho->mutex);
    free(paho);
}
