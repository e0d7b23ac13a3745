/*
 * Subscriptions: SUBSCRIBE and UNSUBSCRIBE only what differs from what the broker is known to hold.
 */
#include "session_internal.h"

#include <stdio.h>

/* Unsubscribe from what is remembered and no longer configured. False: the connection failed. */
static bool drop_unwanted(struct session *session)
{
    const char *filter;

    while ((filter = session_memory_unwanted(&session->memory, session->own)) != NULL) {
        if (paho_unsubscribe(session->paho, filter) != PAHO_OK ||
            !session_put_event(session, INTAKE_UNSUBSCRIBED, filter, 0, STORE_GAP_NONE)) {
            return false;
        }
        log_line_fields(LOG_INFO,
                        &(struct log_fields){.session = session->own->client_id, .topic = filter},
                        "%s: unsubscribed from %s", session->own->client_id, filter);
        session_memory_remove(&session->memory, filter);
    }
    return true;
}

/* Subscribe to one filter. */
static enum session_reconciled subscribe(struct session *session, const char *filter, char *problem)
{
    const struct config_session *own = session->own;
    int granted = 0;

    switch (paho_subscribe(session->paho, filter, own->qos, &granted)) {
    case PAHO_OK:
        break;
    case PAHO_E_REFUSED:
        snprintf(problem, SESSION_REASON_SIZE,
                 "the broker refuses the subscription to %.200s: check its access list", filter);
        return SESSION_RECONCILED_PARTLY;
    default:
        snprintf(problem, SESSION_REASON_SIZE, "no answer to SUBSCRIBE to %.200s", filter);
        return SESSION_RECONCILE_FAILED;
    }
    if (granted < own->qos) {
        snprintf(problem, SESSION_REASON_SIZE,
                 "the broker grants QoS %d for %.200s, asked was %d: messages may be lost on the "
                 "way; check the broker's maximum QoS",
                 granted, filter, own->qos);
        return SESSION_RECONCILED_PARTLY;
    }
    if (!session_put_event(session, INTAKE_SUBSCRIBED, filter, granted, STORE_GAP_NONE) ||
        session_memory_add(&session->memory, filter, granted) != 0) {
        snprintf(problem, SESSION_REASON_SIZE, "the database takes nothing at the moment");
        return SESSION_RECONCILE_FAILED;
    }
    log_line_fields(LOG_INFO, &(struct log_fields){.session = own->client_id, .topic = filter},
                    "%s: subscribed to %s with QoS %d", own->client_id, filter, granted);
    return SESSION_RECONCILED;
}

enum session_reconciled session_reconcile(struct session *session, char *problem)
{
    enum session_reconciled result = SESSION_RECONCILED;

    if (!drop_unwanted(session)) {
        snprintf(problem, SESSION_REASON_SIZE, "no answer to UNSUBSCRIBE");
        return SESSION_RECONCILE_FAILED;
    }
    for (size_t i = 0; i < session->own->filter_count; i++) {
        const char *filter = session->own->filters[i];
        enum session_reconciled one;

        if (session_memory_has(&session->memory, filter, session->own->qos)) {
            continue;
        }
        one = subscribe(session, filter, problem);
        if (one == SESSION_RECONCILE_FAILED) {
            return one;
        }
        if (one == SESSION_RECONCILED_PARTLY) {
            result = one;
        }
    }
    return result;
}
