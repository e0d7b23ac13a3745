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
 * Must never happen: a message is acknowledged and was not handed over. So a Paho that behaves
 * otherwise than described, anywhere on the way of a message, ends the process (paho_unexpected()).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "mqtt/client_internal.h"
#include "mqtt/paho/check_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "mqtt/paho/library_internal.h"

int paho_new(struct paho **out, const struct paho_options *options,
             const struct paho_handler *handler)
{
    struct paho *paho = calloc(1, sizeof(*paho));

    if (paho == NULL) {
        return -1;
    }
    paho->handler = *handler;
    client_messages_init(paho);
    pthread_mutex_init(&paho->mutex, NULL);
    clock_cond_init(&paho->changed);
    if (client_make(paho, options) != 0) {
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

/* --- waits ---------------------------------------------------------------------------------- */

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

/* --- what of Paho is adapted ---------------------------------------------------------------- */

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
