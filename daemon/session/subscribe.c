/*
 * Subscriptions: makes the broker's subscriptions those of the configuration.
 *
 * Every filter is subscribed at every connection, and only the broker's answer counts. "Session
 * present" says that the broker has a session, not that our subscriptions are in it: the session
 * may have been restored from an older state or belong to another broker, or another program may
 * have unsubscribed this client id. A repeated SUBSCRIBE replaces the subscription (MQTT 3.1.1
 * §3.8.4) and brings retained messages again, which are duplicates.
 *
 * The subscriptions recorded in the database have two uses: a filter that is no longer configured
 * is unsubscribed, and a new subscription or a changed QoS is logged.
 */
#include "session/session_internal.h"

#include <stdio.h>

/* Unsubscribes recorded filters that are no longer configured. Sets `problem` unless it returns
 * SESSION_RECONCILED. */
static enum session_reconciled drop_unwanted(struct session *session, char *problem)
{
    const char *filter;

    while ((filter = session_subscriptions_unwanted(&session->subscriptions, session->own)) !=
           NULL) {
        if (paho_unsubscribe(session->paho, filter) != PAHO_OK) {
            snprintf(problem, SESSION_REASON_SIZE, "no answer to UNSUBSCRIBE from %.200s", filter);
            return SESSION_RECONCILE_FAILED;
        }
        if (!session_put_event(session, INTAKE_UNSUBSCRIBED, filter, 0, STORE_GAP_NONE)) {
            return SESSION_NOT_RECORDED;
        }
        log_line_fields(LOG_INFO,
                        &(struct log_fields){.session = session->own->client_id, .topic = filter},
                        "%s: unsubscribed from %s", session->own->client_id, filter);
        session_subscriptions_remove(&session->subscriptions, filter);
    }
    return SESSION_RECONCILED;
}

/* Records and logs a granted subscription, unless it is recorded already. */
static bool remember(struct session *session, const char *filter, int granted)
{
    const struct log_fields fields = {.session = session->own->client_id, .topic = filter};

    if (session_subscriptions_has(&session->subscriptions, filter, granted)) {
        log_line_fields(LOG_DEBUG, &fields, "%s: subscribed again to %s with QoS %d",
                        session->own->client_id, filter, granted);
        return true;
    }
    if (!session_put_event(session, INTAKE_SUBSCRIBED, filter, granted, STORE_GAP_NONE) ||
        session_subscriptions_add(&session->subscriptions, filter, granted) != 0) {
        return false;
    }
    log_line_fields(LOG_INFO, &fields, "%s: subscribed to %s with QoS %d", session->own->client_id,
                    filter, granted);
    return true;
}

/* Subscribes to one filter of the configuration. */
static enum session_reconciled subscribe(struct session *session, size_t index, char *problem)
{
    const struct config_session *own = session->own;
    const char *filter = own->filters[index];
    int granted = 0;

    switch (paho_subscribe(session->paho, filter, own->qos, &granted, problem)) {
    case PAHO_OK:
        break;
    case PAHO_E_REFUSED:
        session_note_granted(session, index, SESSION_NOT_GRANTED);
        return SESSION_RECONCILED_PARTLY;
    default:
        return SESSION_RECONCILE_FAILED;
    }
    session_note_granted(session, index, granted);
    if (!remember(session, filter, granted)) {
        return SESSION_NOT_RECORDED;
    }
    if (granted < own->qos) {
        snprintf(problem, SESSION_REASON_SIZE,
                 "the broker grants QoS %d for %.200s, asked was %d: messages may be lost on the "
                 "way; check the broker's maximum QoS",
                 granted, filter, own->qos);
        return SESSION_RECONCILED_PARTLY;
    }
    return SESSION_RECONCILED;
}

enum session_reconciled session_reconcile(struct session *session, char *problem)
{
    enum session_reconciled result = drop_unwanted(session, problem);

    if (result != SESSION_RECONCILED) {
        return result;
    }
    for (size_t i = 0; i < session->own->filter_count; i++) {
        enum session_reconciled one;

        /* Granted on this connection already: only the other filters are retried. */
        if (session->granted[i] >= session->own->qos) {
            continue;
        }
        one = subscribe(session, i, problem);
        if (one == SESSION_RECONCILE_FAILED || one == SESSION_NOT_RECORDED) {
            return one;
        }
        if (one == SESSION_RECONCILED_PARTLY) {
            result = one;
        }
    }
    return result;
}
