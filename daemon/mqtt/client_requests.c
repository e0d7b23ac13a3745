/*
 * Requests and their answers: SUBSCRIBE, UNSUBSCRIBE and DISCONNECT.
 *
 * Paho reports the answer to a request in a callback on one of its threads; the session's thread
 * waits for it. Each request has a slot of its own for the answer, because an answer may come after
 * the wait for it has ended: such an answer is dropped, because the session's thread then reads the
 * slot without the mutex. Must never happen: a late answer is taken for that of another request.
 */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "mqtt/client_internal.h"
#include "mqtt/words_internal.h"

#define ANSWER_TIMEOUT_S 30

/* Retain Handling (MQTT 5 §3.8.3.1): retained messages come with a subscription that is new, and
 * not again with each connection, which subscribes to every filter. */
#define RETAINED_TO_A_NEW_ONE 1

_Static_assert(PAHO_PROBLEM_SIZE >= MQTT_WORDS_SIZE, "a refusal in words must fit");

/* --- answers, on Paho's threads ------------------------------------------------------------- */

void client_answer(struct slot *slot, bool ok, int code, const char *message)
{
    struct paho *paho = slot->paho;

    pthread_mutex_lock(&paho->mutex);
    client_note_connection(paho);
    if (slot->is_awaited) {
        slot->done = true;
        slot->ok = ok;
        slot->code = code;
        snprintf(slot->message, sizeof(slot->message), "%s", message != NULL ? message : "");
        pthread_cond_broadcast(&paho->changed);
    }
    pthread_mutex_unlock(&paho->mutex);
}

static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    int code = data->alt.qos & 0xFF; /* Paho takes a refusal of MQTT 5 for a QoS */

    client_answer(context, code <= 2, code, NULL);
}

/* The granted QoS. */
static void on_subscribed5(void *context, MQTTAsync_successData5 *data)
{
    client_answer(context, true, (int)data->reasonCode, NULL);
}

/* Paho takes every UNSUBACK for a success. */
static void on_unsubscribed5(void *context, MQTTAsync_successData5 *data)
{
    int code = (int)data->reasonCode; /* 0x11: there was no such subscription */

    client_answer(context, code < 0x80, code, NULL);
}

static void on_done(void *context, MQTTAsync_successData *data)
{
    (void)data;
    client_answer(context, true, 0, NULL);
}

void client_on_failure(void *context, MQTTAsync_failureData *data)
{
    if (data != NULL) {
        client_answer(context, false, data->code, data->message);
    } else {
        client_answer(context, false, MQTTASYNC_FAILURE, NULL);
    }
}

/* `reasonCode` is the broker's, of SUBACK; `code` is Paho's. */
static void on_failure5(void *context, MQTTAsync_failureData5 *data)
{
    int code = data->reasonCode != MQTTREASONCODE_SUCCESS ? (int)data->reasonCode : data->code;

    client_answer(context, false, code, data->message);
}

/* --- slots ---------------------------------------------------------------------------------- */

struct slot *client_slot_take(struct paho *paho)
{
    struct slot *slot;

    pthread_mutex_lock(&paho->mutex);
    slot = &paho->slots[paho->next_slot++ % CLIENT_SLOTS];
    slot->paho = paho;
    slot->is_awaited = true;
    slot->is_accepted = false;
    slot->done = false;
    slot->ok = false;
    slot->code = MQTTASYNC_FAILURE;
    slot->message[0] = '\0';
    pthread_mutex_unlock(&paho->mutex);
    return slot;
}

/* Under the mutex: a number that changes with every message, and with every part of a large one. */
static unsigned heard_so_far(const struct paho *paho)
{
    return paho->heard + (paho_check_pieces != NULL ? paho_check_pieces(paho->connection) : 0);
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
    if (heard_so_far(paho) == *heard && !paho->is_handing_over) {
        return false;
    }
    *heard = heard_so_far(paho);
    *deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    return true;
}

int client_slot_wait(struct paho *paho, struct slot *slot, int rc, int64_t timeout_ms, bool leaving)
{
    struct timespec deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    int result = PAHO_E_FAILED;
    unsigned heard;

    if (rc != MQTTASYNC_SUCCESS) {
        return PAHO_E_FAILED;
    }
    pthread_mutex_lock(&paho->mutex);
    heard = heard_so_far(paho);
    while (!slot->done && (slot->is_accepted || (!paho->lost && (leaving || !paho->stopping)))) {
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
    slot->is_awaited = false;
    pthread_mutex_unlock(&paho->mutex);
    return result;
}

/* --- requests ------------------------------------------------------------------------------- */

int paho_subscribe(struct paho *paho, const char *filter, int qos, int *granted_qos,
                   char problem[PAHO_PROBLEM_SIZE])
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    struct slot *slot = client_slot_take(paho);
    int result;

    if (paho->version == PAHO_MQTT_5) {
        response.onSuccess5 = on_subscribed5;
        response.onFailure5 = on_failure5;
        response.subscribeOptions.retainHandling = RETAINED_TO_A_NEW_ONE;
    } else {
        response.onSuccess = on_subscribed;
        response.onFailure = client_on_failure;
    }
    response.context = slot;
    result = client_slot_wait(paho, slot, MQTTAsync_subscribe(paho->handle, filter, qos, &response),
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
    struct slot *slot = client_slot_take(paho);

    if (paho->version == PAHO_MQTT_5) {
        response.onSuccess5 = on_unsubscribed5;
        response.onFailure5 = on_failure5;
    } else {
        response.onSuccess = on_done;
        response.onFailure = client_on_failure;
    }
    response.context = slot;
    return client_slot_wait(paho, slot, MQTTAsync_unsubscribe(paho->handle, filter, &response),
                            ANSWER_TIMEOUT_S * INT64_C(1000), false);
}

/* After the broker's DISCONNECT Paho may still be about to close the connection. It would then drop
 * the request, and never answer it. */
static bool has_ended(struct paho *paho)
{
    bool ended;

    pthread_mutex_lock(&paho->mutex);
    ended = paho->has_ended;
    pthread_mutex_unlock(&paho->mutex);
    return ended;
}

void paho_disconnect(struct paho *paho, int timeout_ms)
{
    MQTTAsync_disconnectOptions disconnect = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions of_5 = MQTTAsync_disconnectOptions_initializer5;
    struct slot *slot = client_slot_take(paho);

    if (has_ended(paho)) {
        return;
    }
    if (paho->ends_session) { /* MQTT 5 §3.14.2.2.2; without memory it ends later, by itself */
        disconnect = of_5;
        (void)client_add_number(&disconnect.properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
                                0);
    }
    /* In MQTT 5 too, Paho calls these, and sends the reason code 0: the session stays. */
    disconnect.timeout = timeout_ms;
    disconnect.onSuccess = on_done;
    disconnect.onFailure = client_on_failure;
    disconnect.context = slot;
    client_slot_wait(paho, slot, MQTTAsync_disconnect(paho->handle, &disconnect), timeout_ms, true);
    MQTTProperties_free(&disconnect.properties); /* Paho has a copy */
}
