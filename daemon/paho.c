/*
 * How Paho is made to fit.
 *
 * Paho writes an acknowledgement as soon as the callback that announces a message returns, and
 * cannot be told to wait (the gate holds it back instead). What matters here is that a message is
 * in the intake before that callback returns:
 *
 *  - QoS 2: Paho gives an incoming PUBLISH to its persistence before it writes PUBREC. Ours is a
 *    plugin that stores nothing and passes the message on. messageArrived, which Paho calls when
 *    PUBREL has come, is too late and ignored for QoS 2.
 *  - QoS 0 and 1: messageArrived comes before PUBACK.
 *
 * Nothing is lost by not storing: after a restart, or on CONNACK, Paho answers a PUBREL that it
 * does not know with PUBCOMP, so that the handshake of an old packet id completes.
 */
#include "paho.h"

#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "paho_cork.h"
#include "paho_lean.h"
#include "tls.h"

#define SLOTS            8
#define ANSWER_TIMEOUT_S 30
#define KEY_RECEIVED     "r-" /* Paho's key prefix for an MQTT 3.1.1 PUBLISH received */

/* The answer to one request. A late answer to a request that was given up finds its own slot, not
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
};

/* --- the persistence plugin ---------------------------------------------------------------- */

static int store_open_nothing(void **handle, const char *client_id, const char *uri, void *context)
{
    (void)client_id;
    (void)uri;
    *handle = context;
    return 0;
}

static int store_close_nothing(void *handle)
{
    (void)handle;
    return 0;
}

/* A PUBLISH without its fixed header: topic, packet identifier, payload (MQTT 3.1.1 §3.3). */
static void take_publish(const struct paho *paho, const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    size_t topic_length;
    size_t before_payload;

    if (length < 2) {
        return; /* Paho has refused it by now */
    }
    topic_length = (size_t)at[0] << 8 | at[1];
    before_payload = 2 + topic_length + 2;
    if (length < before_payload) {
        return;
    }
    paho->message(paho->context, bytes + 2, topic_length, bytes + before_payload,
                  length - before_payload, 2);
}

static int store_put(void *handle, char *key, int count, char *buffers[], int lengths[])
{
    /* Two buffers: the fixed header, and the rest of the packet. */
    if (strncmp(key, KEY_RECEIVED, strlen(KEY_RECEIVED)) == 0 && count == 2) {
        take_publish(handle, buffers[1], (size_t)lengths[1]);
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

/* --- callbacks, on Paho's threads ---------------------------------------------------------- */

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    const struct paho *paho = context;
    size_t length = topic_length > 0 ? (size_t)topic_length : strlen(topic);

    if (message->qos != 2) {
        paho->message(paho->context, topic, length, message->payload, (size_t)message->payloadlen,
                      message->qos);
    } else {
        paho->released(paho->context);
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void on_lost(void *context, char *cause)
{
    struct paho *paho = context;

    (void)cause; /* always NULL */
    pthread_mutex_lock(&paho->mutex);
    paho->lost = true;
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
    answer(context, true, 0, data->alt.connect.sessionPresent != 0, NULL);
}

static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    answer(context, true, data->alt.qos, false, NULL);
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

/*
 * Paho goes on when an allocation fails, and then acknowledges the message that it could not hand
 * over for want of it: end here. The broker has heard nothing and sends the message again.
 */
_Noreturn void paho_out_of_memory(void)
{
    log_line(LOG_CRIT, "out of memory in Paho: ending, before it acknowledges a message that it "
                       "could not hand over");
    _exit(EX_OSERR);
}

/* Debian's build says so first, on the thread that would write the acknowledgement. */
static void on_trace(enum MQTTASYNC_TRACE_LEVELS level, char *message)
{
    (void)level;
    if (strcasestr(message, "memory allocation error") != NULL) {
        paho_out_of_memory();
    }
    log_debug("paho: %s", message);
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
 * Wait for the answer to a request that MQTTAsync took with `rc`; a connection lost or, unless
 * `leaving`, paho_stop() ends the wait. PAHO_OK, PAHO_E_REFUSED (a code from the broker) or
 * PAHO_E_FAILED.
 */
static int slot_wait(struct paho *paho, struct slot *slot, int rc, int64_t timeout_ms, bool leaving)
{
    struct timespec deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    int result = PAHO_E_FAILED;

    if (rc != MQTTASYNC_SUCCESS) {
        return PAHO_E_FAILED;
    }
    pthread_mutex_lock(&paho->mutex);
    while (!slot->done && !paho->lost && (leaving || !paho->stopping) &&
           pthread_cond_timedwait(&paho->changed, &paho->mutex, &deadline) == 0) {
    }
    if (slot->done && slot->ok) {
        result = PAHO_OK;
    } else if (slot->done && slot->code > 0) {
        result = PAHO_E_REFUSED;
    }
    pthread_mutex_unlock(&paho->mutex);
    return result;
}

/* CONNACK return codes (MQTT 3.1.1 §3.2.2.3), and what an operator can do. */
static const char *refusal(int code)
{
    switch (code) {
    case 1:
        return "the broker does not speak MQTT 3.1.1";
    case 2:
        return "the broker refuses the client id: Foxtrackr's begin with id-, as session.given and "
               "session.number make them";
    case 3:
        return "the broker says it is unavailable";
    case 4:
        return "bad user name or password: check broker.username and the password";
    case 5:
        return "not authorised: check broker.username and the password, and that the broker "
               "allows this client id";
    default:
        return "the broker refuses the connection with an unknown code";
    }
}

int paho_connect(struct paho *paho, const struct paho_options *options, bool *session_present,
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

    connect.MQTTVersion = MQTTVERSION_3_1_1;
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
    connect.onFailure = on_failure;
    connect.context = slot;

    pthread_mutex_lock(&paho->mutex);
    paho->lost = false;
    pthread_mutex_unlock(&paho->mutex);
    /* Paho gives up by itself after connect_timeout_s; a little later we do. */
    result = slot_wait(paho, slot, MQTTAsync_connect(paho->handle, &connect),
                       (options->connect_timeout_s + 10) * INT64_C(1000), false);
    if (result == PAHO_OK) {
        *session_present = slot->session_present;
    } else if (result == PAHO_E_REFUSED) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "%s", refusal(slot->code));
    } else {
        snprintf(problem, PAHO_PROBLEM_SIZE, "no answer to CONNECT%s%.200s",
                 slot->message[0] != '\0' ? ": " : "", slot->message);
    }
    return result;
}

int paho_subscribe(struct paho *paho, const char *filter, int qos, int *granted_qos)
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

void paho_library_init(void)
{
    /* Paho would take a proxy from here, or go past ours: past the gate. */
    static const char *const variables[] = {"http_proxy",         "https_proxy", "no_proxy",
                                            "HTTP_PROXY",         "HTTPS_PROXY", "NO_PROXY",
                                            "MQTT_C_CLIENT_TRACE"};

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        unsetenv(variables[i]);
    }
    /* Before the first client: it takes a quarter of the time that Debian's build spends tracing.
     * (FATAL would not: it leaves the internal level as it was.) */
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    MQTTAsync_setTraceCallback(on_trace);
}

void paho_describe(char out[PAHO_PROBLEM_SIZE])
{
    const MQTTAsync_nameValue *info = MQTTAsync_getVersionInfo();
    const char *version = "unknown";

    for (; info->name != NULL; info++) {
        if (strcmp(info->name, "Version") == 0) {
            version = info->value;
        }
    }
    snprintf(out, PAHO_PROBLEM_SIZE, "Eclipse Paho MQTT C %s, %s", version,
             paho_lean != NULL ? "static, without its debug heap" : "shared library");
}

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
    paho->persistence = (MQTTClient_persistence){
        .context = paho,
        .popen = store_open_nothing,
        .pclose = store_close_nothing,
        .pput = store_put,
        .pget = store_get,
        .premove = store_remove,
        .pkeys = store_keys,
        .pclear = store_close_nothing,
        .pcontainskey = store_contains,
    };
    pthread_mutex_init(&paho->mutex, NULL);
    clock_cond_init(&paho->changed);
    if (MQTTAsync_create(&paho->handle, options->uri, options->client_id,
                         MQTTCLIENT_PERSISTENCE_USER, &paho->persistence) != MQTTASYNC_SUCCESS ||
        MQTTAsync_setCallbacks(paho->handle, paho, on_lost, on_message, NULL) !=
            MQTTASYNC_SUCCESS) {
        paho_free(paho);
        return -1;
    }
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
