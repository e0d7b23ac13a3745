/*
 * A connection of the client, from CONNECT to its end.
 *
 * Each connection has a client of Paho's for itself. Paho cannot go back from MQTT 3.1.1 to MQTT 5
 * with a client, keeps the messages whose PUBREL has not come, which the broker sends again, and
 * forgets the memory of the proxy's URL at every MQTTAsync_connect(). The next client is made
 * before the last one is destroyed: with the last one Paho would end its threads.
 *
 * In MQTT 5 Paho keeps to itself what a broker says beside a code: a refused CONNECT comes without
 * its Reason String, and a DISCONNECT is not reported as a loss. mqtt/paho/check.c reads CONNACK
 * and DISCONNECT before Paho does; the callbacks here take what it has kept.
 *
 * Must never happen: a session of MQTT 5 that is to last is asked for without Session Expiry
 * Interval, or with Clean Start. The broker would drop what it keeps at the end of the connection
 * (§3.1.2.11.2), or at its beginning (§3.1.2.4). Paho's initializer has Clean Start on.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mqtt/client_internal.h"
#include "mqtt/paho/check_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "mqtt/words_internal.h"
#include "net/net.h"

#define SETTLE_LIMIT_MS 2000
#define SETTLE_STEP_MS  1

_Static_assert(PAHO_PROBLEM_SIZE >= MQTT_WORDS_SIZE, "a refusal in words must fit");
_Static_assert((int)PAHO_MQTT_3_1_1 == MQTTVERSION_3_1_1 && (int)PAHO_MQTT_5 == MQTTVERSION_5,
               "Paho numbers the versions in the same way");

/* --- callbacks, on Paho's threads ----------------------------------------------------------- */

void client_note_connection(struct paho *paho)
{
    struct mqtt_answer news;
    const void *connection;

    if (paho_check_connection == NULL) {
        return;
    }
    connection = paho_check_connection();
    if (connection != NULL) {
        paho->connection = connection;
    }
    paho_check_take(paho->connection, paho->complaint);
    if (!paho_check_take_answer(paho->connection, &news)) {
        return;
    }
    paho->answer.connect_sent = news.connect_sent;
    if (news.has_connack) {
        paho->answer.has_connack = true;
        paho->answer.connack = news.connack;
    }
    if (news.has_disconnect) {
        paho->answer.has_disconnect = true;
        paho->answer.disconnect = news.disconnect;
    }
}

static void on_lost(void *context, char *cause)
{
    struct paho *paho = context;

    (void)cause; /* always NULL */
    pthread_mutex_lock(&paho->mutex);
    paho->lost = true;
    paho->has_ended = true;
    client_note_connection(paho);
    pthread_cond_broadcast(&paho->changed);
    pthread_mutex_unlock(&paho->mutex);
}

/* DISCONNECT: Paho closes the connection after this, and does not call on_lost(). */
static void on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
    (void)properties;
    (void)code;
    on_lost(context, NULL);
}

/* Under the mutex: changes what was asked to what CONNACK says. */
static void read_answer(struct paho *paho, bool session_present)
{
    const struct mqtt_properties *said = &paho->answer.connack.properties;

    paho->accepted.session_present = session_present;
    if (paho->version != PAHO_MQTT_5) {
        return;
    }
    if (said->has_session_expiry) {
        paho->accepted.session_expiry_s = said->session_expiry_s;
        paho->accepted.has_said_expiry = true;
    }
    if (said->has_server_keepalive) {
        paho->accepted.keepalive_s = (int)said->server_keepalive_s;
    }
    paho->accepted.has_shared = said->shared_available;
    paho->accepted.has_wildcards = said->wildcard_available;
}

/*
 * CONNACK has accepted the connection. The handler is called before Paho's thread goes on to the
 * messages of the connection. It is not called when the session's thread no longer waits, because
 * that thread has then taken the CONNECT for unanswered.
 */
static void accept_connection(struct slot *slot, bool session_present)
{
    struct paho *paho = slot->paho;
    bool is_awaited;

    pthread_mutex_lock(&paho->mutex);
    client_note_connection(paho);
    read_answer(paho, session_present);
    is_awaited = slot->is_awaited;
    slot->is_accepted = paho->is_handing_over = is_awaited;
    pthread_mutex_unlock(&paho->mutex);
    if (is_awaited && paho->handler.accepted != NULL) {
        paho->handler.accepted(paho->handler.context, &paho->accepted);
    }
    pthread_mutex_lock(&paho->mutex);
    paho->is_handing_over = false;
    pthread_mutex_unlock(&paho->mutex);
    client_answer(slot, true, 0, NULL);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    accept_connection(context, data->alt.connect.sessionPresent != 0);
}

static void on_connected5(void *context, MQTTAsync_successData5 *data)
{
    accept_connection(context, data->alt.connect.sessionPresent != 0);
}

/* The code of a CONNACK is in `code`; Paho does not always set `reasonCode`. */
static void on_unconnected5(void *context, MQTTAsync_failureData5 *data)
{
    client_answer(context, false, data->code, data->message);
}

/* --- clients of Paho's ---------------------------------------------------------------------- */

/* Makes a client of Paho's. Returns 0, or -1: out of memory, or Paho would not. */
static int make_client(struct paho *paho, const struct paho_options *options, MQTTAsync *out)
{
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    MQTTAsync client = NULL;

    create.MQTTVersion = (int)options->version;
    if (MQTTAsync_createWithOptions(&client, options->uri, options->client_id,
                                    MQTTCLIENT_PERSISTENCE_USER, &paho->persistence,
                                    &create) != MQTTASYNC_SUCCESS ||
        MQTTAsync_setCallbacks(client, paho, on_lost, client_on_message, NULL) !=
            MQTTASYNC_SUCCESS ||
        MQTTAsync_setDisconnected(client, paho, on_disconnected) != MQTTASYNC_SUCCESS) {
        if (client != NULL) {
            MQTTAsync_destroy(&client);
        }
        return -1;
    }
    *out = client;
    return 0;
}

int client_make(struct paho *paho, const struct paho_options *options)
{
    return make_client(paho, options, &paho->handle);
}

/* Waits until a new connection cannot be taken for one that Paho's receive thread is closing. */
static void let_settle(void)
{
    const struct timespec pause = {.tv_nsec = SETTLE_STEP_MS * 1000000L};
    int64_t until_ms = clock_monotonic_ms() + SETTLE_LIMIT_MS;

    while (paho_cork_settled != NULL && !paho_cork_settled() && clock_monotonic_ms() < until_ms) {
        nanosleep(&pause, NULL);
    }
}

/* Gives the next connection a client of its own. Nothing of the last connection is left behind: its
 * callbacks end with its client. Returns as make_client(). */
static int renew_client(struct paho *paho, const struct paho_options *options)
{
    MQTTAsync last = paho->handle;

    if (make_client(paho, options, &paho->handle) != 0) {
        return -1;
    }
    paho->version = options->version;
    paho->ends_session =
        options->version == PAHO_MQTT_5 && options->clean_session && options->session_expiry_s > 0;
    MQTTAsync_destroy(&last);
    client_messages_reset(paho);
    pthread_mutex_lock(&paho->mutex);
    paho->lost = false;
    paho->has_ended = false;
    paho->connection = NULL;
    paho->complaint[0] = '\0';
    paho->answer = (struct mqtt_answer){0};
    paho->accepted = (struct paho_answer){
        .session_expiry_s = options->version == PAHO_MQTT_5 ? options->session_expiry_s : 0,
        .keepalive_s = options->keepalive_s,
        .has_shared = true,
        .has_wildcards = true,
    };
    pthread_mutex_unlock(&paho->mutex);
    return 0;
}

/* --- CONNECT -------------------------------------------------------------------------------- */

bool paho_speaks_5(void)
{
    return paho_check_take_answer != NULL;
}

bool client_add_number(MQTTProperties *properties, enum MQTTPropertyCodes id, uint32_t number)
{
    MQTTProperty property = {.identifier = id};

    if (id == MQTTPROPERTY_CODE_RECEIVE_MAXIMUM) {
        property.value.integer2 = (unsigned short)number;
    } else {
        property.value.integer4 = number;
    }
    return MQTTProperties_add(properties, &property) == 0;
}

/* Set the options that only MQTT 5 has. Returns as client_add_number(). */
static bool set_options_5(MQTTAsync_connectOptions *connect, const struct paho_options *options,
                          MQTTProperties *properties)
{
    connect->cleanstart = options->clean_session;
    connect->onSuccess5 = on_connected5;
    connect->onFailure5 = on_unconnected5;
    connect->connectProperties = properties;
    return client_add_number(properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
                             options->session_expiry_s) &&
           client_add_number(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM,
                             options->receive_maximum);
}

static void set_options_3_1_1(MQTTAsync_connectOptions *connect, const struct paho_options *options)
{
    connect->cleansession = options->clean_session;
    connect->onSuccess = on_connected;
    connect->onFailure = client_on_failure;
}

/* Gives CONNECT to Paho. Returns as MQTTAsync_connect() does. */
static int send_connect(struct paho *paho, const struct paho_options *options, struct slot *slot)
{
    MQTTAsync_connectOptions of_3_1_1 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    MQTTProperties properties = MQTTProperties_initializer;
    int rc = MQTTASYNC_FAILURE;

    ssl.trustStore = options->ca_file;
    ssl.keyStore = options->cert_file;
    ssl.privateKey = options->key_file;
    ssl.enabledCipherSuites = TLS_CIPHERS;
    ssl.enableServerCertAuth = 1;
    ssl.verify = 1;
    ssl.disableDefaultTrustStore = 1;

    if (options->version != PAHO_MQTT_5) {
        connect = of_3_1_1;
        set_options_3_1_1(&connect, options);
    } else if (!set_options_5(&connect, options, &properties)) {
        goto exit;
    }
    connect.MQTTVersion = (int)options->version;
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
    connect.context = slot;
    rc = MQTTAsync_connect(paho->handle, &connect);

exit:
    MQTTProperties_free(&properties); /* Paho has a copy */
    return rc;
}

/* The broker has answered a CONNECT of MQTT 5 as MQTT 3.1.1 does, or it was not the answer that
 * made the connection fail: then returns PAHO_E_FAILED. */
static int judge_old_answer(struct paho *paho, const struct paho_options *options)
{
    const struct mqtt_connack *connack = &paho->answer.connack;
    int result = PAHO_E_FAILED;

    pthread_mutex_lock(&paho->mutex);
    if (options->version == PAHO_MQTT_5 && paho->answer.has_connack && connack->is_old) {
        result = connack->code != 0 ? PAHO_E_VERSION : PAHO_E_OLD_ANSWER;
    }
    if (result == PAHO_E_OLD_ANSWER) {
        snprintf(paho->complaint, sizeof(paho->complaint),
                 "the broker accepts a CONNECT of MQTT 5 as if it were one of MQTT 3.1.1: set "
                 "broker.protocol = 3.1.1");
    }
    pthread_mutex_unlock(&paho->mutex);
    return result;
}

/* Describes a CONNECT that failed. Returns the result of paho_connect(). */
static int explain(struct paho *paho, const struct paho_options *options, const struct slot *slot,
                   int result, char problem[PAHO_PROBLEM_SIZE])
{
    int code = slot->code;

    if (result == PAHO_E_FAILED) {
        result = judge_old_answer(paho, options);
    }
    if (result == PAHO_E_VERSION) {
        code = 1;
    } else if (result == PAHO_E_REFUSED && (code == 1 || code == 0x84)) {
        result = PAHO_E_VERSION;
    }
    if (result == PAHO_E_REFUSED || result == PAHO_E_VERSION) {
        mqtt_words_connack(code, paho->answer.connack.properties.reason, options, problem);
    } else if (!paho_complaint(paho, problem)) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "no answer to CONNECT%s%.200s",
                 slot->message[0] != '\0' ? ": " : "", slot->message);
    }
    return result;
}

int paho_connect(struct paho *paho, const struct paho_options *options, struct paho_answer *answer,
                 char problem[PAHO_PROBLEM_SIZE])
{
    struct slot *slot = client_slot_take(paho);
    int result;

    let_settle();
    if (renew_client(paho, options) != 0) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "there is no memory for a connection");
        return PAHO_E_FAILED;
    }
    /* Paho gives up after connect_timeout_s; our own limit is a little longer. */
    result = client_slot_wait(paho, slot, send_connect(paho, options, slot),
                              (options->connect_timeout_s + 10) * INT64_C(1000), false);
    if (result != PAHO_OK) {
        return explain(paho, options, slot, result, problem);
    }
    *answer = paho->accepted;
    return PAHO_OK;
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

bool paho_disconnect_reason(struct paho *paho, int *code, char sentence[PAHO_PROBLEM_SIZE])
{
    const struct mqtt_disconnect *said = &paho->answer.disconnect;
    bool is_known;

    pthread_mutex_lock(&paho->mutex);
    is_known = paho->answer.has_disconnect;
    if (is_known) {
        *code = said->code;
        mqtt_words_disconnect(said->code, said->properties.reason, said->properties.server,
                              sentence);
        paho->answer.has_disconnect = false;
    }
    pthread_mutex_unlock(&paho->mutex);
    return is_known;
}

bool paho_sent_connect(struct paho *paho)
{
    bool sent;

    pthread_mutex_lock(&paho->mutex);
    sent = paho->answer.connect_sent;
    pthread_mutex_unlock(&paho->mutex);
    return sent;
}
