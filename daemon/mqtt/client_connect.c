/*
 * A connection of the client, from CONNECT to its end.
 *
 * Each connection has a client of Paho's for itself. Paho cannot go back from MQTT 3.1.1 to MQTT 5
 * with a client, keeps the messages whose PUBREL has not come, which the broker sends again, and
 * forgets the memory of the proxy's URL at every MQTTAsync_connect(). The next client is made
 * before the last one is destroyed: with the last one Paho would end its threads.
 */
#include <stdio.h>
#include <string.h>

#include "mqtt/client_internal.h"
#include "mqtt/paho/check_internal.h"
#include "mqtt/words_internal.h"
#include "net/net.h"

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
    client_note_connection(paho);
    pthread_cond_broadcast(&paho->changed);
    pthread_mutex_unlock(&paho->mutex);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    client_answer(context, true, 0, data->alt.connect.sessionPresent != 0, NULL);
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
            MQTTASYNC_SUCCESS) {
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

/* Gives the next connection a client of its own. Nothing of the last connection is left behind: its
 * callbacks end with its client. Returns as make_client(). */
static int renew_client(struct paho *paho, const struct paho_options *options)
{
    MQTTAsync last = paho->handle;

    if (make_client(paho, options, &paho->handle) != 0) {
        return -1;
    }
    MQTTAsync_destroy(&last);
    client_messages_reset(paho);
    pthread_mutex_lock(&paho->mutex);
    paho->lost = false;
    paho->connection = NULL;
    paho->complaint[0] = '\0';
    paho->answer = (struct mqtt_answer){0};
    pthread_mutex_unlock(&paho->mutex);
    return 0;
}

/* --- CONNECT -------------------------------------------------------------------------------- */

bool paho_speaks_5(void)
{
    return false;
}

int paho_connect(struct paho *paho, const struct paho_options *options, struct paho_answer *answer,
                 char problem[PAHO_PROBLEM_SIZE])
{
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    struct slot *slot = client_slot_take(paho);
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
    connect.onFailure = client_on_failure;
    connect.context = slot;

    if (renew_client(paho, options) != 0) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "there is no memory for a connection");
        return PAHO_E_FAILED;
    }
    /* Paho gives up after connect_timeout_s; our own limit is a little longer. */
    result = client_slot_wait(paho, slot, MQTTAsync_connect(paho->handle, &connect),
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
    (void)paho;
    (void)code;
    (void)sentence;
    return false;
}

bool paho_sent_connect(struct paho *paho)
{
    bool sent;

    pthread_mutex_lock(&paho->mutex);
    sent = paho->answer.connect_sent;
    pthread_mutex_unlock(&paho->mutex);
    return sent;
}
