/* See publisher.h. Paho's callbacks and the main thread meet under `lock`. */
#include "publisher.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <MQTTAsync.h>

#define WAIT_S 60 /* longest wait for an answer of the broker */

struct publisher {
    struct publisher_options options;
    MQTTAsync client;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int in_flight;
    bool done;         /* the request that is being waited for has succeeded */
    char problem[256]; /* "" while all is well */
    int granted[PUBLISHER_FILTERS_MAX];
    int granted_count;
};

static void set_problem(struct publisher *publisher, const char *what, const char *why, int code)
{
    pthread_mutex_lock(&publisher->lock);
    if (publisher->problem[0] == '\0') {
        snprintf(publisher->problem, sizeof publisher->problem, "%s: %s (%d)", what,
                 why != NULL ? why : "no reason given", code);
    }
    pthread_cond_broadcast(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
}

static void on_done(void *context, MQTTAsync_successData *data)
{
    struct publisher *publisher = context;

    (void)data;
    pthread_mutex_lock(&publisher->lock);
    publisher->done = true;
    pthread_cond_broadcast(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    set_problem(context, "the broker refused or did not answer",
                data != NULL ? data->message : NULL, data != NULL ? data->code : 0);
}

static void on_granted(void *context, MQTTAsync_successData *data)
{
    struct publisher *publisher = context;

    pthread_mutex_lock(&publisher->lock);
    for (int i = 0; i < publisher->granted_count; i++) {
        publisher->granted[i] =
            publisher->granted_count == 1 ? data->alt.qos : data->alt.qosList[i];
    }
    pthread_mutex_unlock(&publisher->lock);
    on_done(context, data);
}

static void on_sent(void *context, MQTTAsync_successData *data)
{
    struct publisher *publisher = context;

    (void)data;
    pthread_mutex_lock(&publisher->lock);
    publisher->in_flight--;
    pthread_cond_broadcast(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
}

static void on_lost(void *context, char *cause)
{
    set_problem(context, "the connection was lost", cause, 0);
}

/* Nothing is wanted: a durable session that is made anew may find what is queued for it. */
static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    (void)context;
    (void)topic_length;
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* Wait for the request to be done (in_flight_max < 0), or for no more than that in flight. */
static void wait_for(struct publisher *publisher, int in_flight_max, const char *what)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    pthread_mutex_lock(&publisher->lock);
    while (publisher->problem[0] == '\0' &&
           (in_flight_max < 0 ? !publisher->done : publisher->in_flight > in_flight_max)) {
        if (pthread_cond_timedwait(&publisher->changed, &publisher->lock, &deadline) == ETIMEDOUT) {
            errx(EXIT_FAILURE, "%s: no answer from the broker in %d s", what, WAIT_S);
        }
    }
    if (publisher->problem[0] != '\0') {
        errx(EXIT_FAILURE, "%s: %s", what, publisher->problem);
    }
    if (in_flight_max < 0) {
        publisher->done = false;
    }
    pthread_mutex_unlock(&publisher->lock);
}

static void must(int rc, const char *what)
{
    if (rc != MQTTASYNC_SUCCESS) {
        errx(EXIT_FAILURE, "cannot %s: %s (%d)", what, MQTTAsync_strerror(rc), rc);
    }
}

struct publisher *publisher_open(const struct publisher_options *options)
{
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    struct publisher *publisher = calloc(1, sizeof *publisher);
    char uri[300];
    char client_id[64];

    if (publisher == NULL) {
        errx(EXIT_FAILURE, "out of memory");
    }
    publisher->options = *options;
    pthread_mutex_init(&publisher->lock, NULL);
    pthread_cond_init(&publisher->changed, NULL);
    snprintf(uri, sizeof uri, "%s://%s:%d", options->tls ? "ssl" : "tcp", options->host,
             options->port);
    snprintf(client_id, sizeof client_id, "fleet-%ld", (long)getpid());

    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    must(MQTTAsync_create(&publisher->client, uri,
                          options->client_id != NULL ? options->client_id : client_id,
                          MQTTCLIENT_PERSISTENCE_NONE, NULL),
         "make a client");
    must(MQTTAsync_setCallbacks(publisher->client, publisher, on_lost, on_message, NULL),
         "set callbacks");

    connect.MQTTVersion = MQTTVERSION_3_1_1;
    connect.cleansession = !options->durable;
    connect.keepAliveInterval = 60;
    connect.connectTimeout = 15;
    connect.maxInflight = options->window;
    connect.username = options->username;
    connect.password = options->username != NULL ? options->password : NULL;
    connect.onSuccess = on_done;
    connect.onFailure = on_failure;
    connect.context = publisher;
    if (options->tls) {
        tls.trustStore = options->ca_file;
        tls.enableServerCertAuth = 1;
        tls.verify = 1;
        connect.ssl = &tls;
    }
    must(MQTTAsync_connect(publisher->client, &connect), "connect");
    wait_for(publisher, -1, uri);
    return publisher;
}

void publisher_publish(struct publisher *publisher, const char *topic, const void *payload,
                       size_t length)
{
    MQTTAsync_message message = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;

    wait_for(publisher, publisher->options.window - 1, "publish");
    pthread_mutex_lock(&publisher->lock);
    publisher->in_flight++;
    pthread_mutex_unlock(&publisher->lock);

    message.payload = (void *)payload; /* Paho copies it and does not write to it */
    message.payloadlen = (int)length;
    message.qos = publisher->options.qos;
    message.retained = publisher->options.retain;
    response.onSuccess = on_sent;
    response.onFailure = on_failure;
    response.context = publisher;
    must(MQTTAsync_sendMessage(publisher->client, topic, &message, &response), "publish");
}

void publisher_subscribe(struct publisher *publisher, char *const *filters, int filter_count,
                         int qos)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    int asked[PUBLISHER_FILTERS_MAX] = {0};

    for (int i = 0; i < filter_count; i++) {
        asked[i] = qos;
    }
    publisher->granted_count = filter_count;
    response.onSuccess = on_granted;
    response.onFailure = on_failure;
    response.context = publisher;
    must(MQTTAsync_subscribeMany(publisher->client, filter_count, filters, asked, &response),
         "subscribe");
    wait_for(publisher, -1, "subscribe");
    for (int i = 0; i < filter_count; i++) {
        if (publisher->granted[i] != qos) {
            errx(EXIT_FAILURE, "the broker granted QoS %d instead of %d for %s",
                 publisher->granted[i], qos, filters[i]);
        }
    }
}

void publisher_close(struct publisher *publisher)
{
    MQTTAsync_disconnectOptions disconnect = MQTTAsync_disconnectOptions_initializer;

    if (publisher == NULL) {
        return;
    }
    wait_for(publisher, 0, "the last messages");
    disconnect.timeout = 1000 * WAIT_S;
    disconnect.onSuccess = on_done;
    disconnect.onFailure = on_failure;
    disconnect.context = publisher;
    must(MQTTAsync_disconnect(publisher->client, &disconnect), "disconnect");
    wait_for(publisher, -1, "disconnect");
    MQTTAsync_destroy(&publisher->client);
    pthread_cond_destroy(&publisher->changed);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher);
}
