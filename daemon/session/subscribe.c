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
#include <string.h>

#define SHARE     "$share/"
#define MORE_SIZE 32 /* for "; and 1000 more" at the end of a problem */

/* Unsubscribes recorded filters that are no longer configured. Sets `problem` unless it returns
 * SESSION_RECONCILED. A refusal, which only MQTT 5 has, leaves the rest for the next attempt:
 * SESSION_RECONCILED_PARTLY. */
static enum session_reconciled drop_unwanted(struct session *session, char *problem)
{
    const char *filter;

    while ((filter = session_subscriptions_unwanted(&session->subscriptions, session->own)) !=
           NULL) {
        switch (paho_unsubscribe(session->paho, filter)) {
        case PAHO_OK:
            break;
        case PAHO_E_REFUSED:
            snprintf(problem, SESSION_REASON_SIZE,
                     "the broker refuses UNSUBSCRIBE from %.200s, so its messages still come",
                     filter);
            return SESSION_RECONCILED_PARTLY;
        default:
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

/* Says that the broker grants less than was asked, and which key settles it. */
static void say_lower(const char *filter, int granted, int asked, char *problem)
{
    snprintf(problem, SESSION_REASON_SIZE, "the broker grants QoS %d for %.200s, asked was %d: %s",
             granted, filter, asked,
             granted == 1
                 ? "messages come at least once, and copies are recognised: set session.qos = 1, "
                   "or raise the broker's maximum QoS"
                 : "messages may be lost on the way: raise the broker's maximum QoS");
}

/* Subscribes to one filter of the configuration. Sets `problem` unless it is granted as asked. */
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
        say_lower(filter, granted, own->qos, problem);
        return SESSION_RECONCILED_PARTLY;
    }
    return SESSION_RECONCILED;
}

/* Appends the problem of one filter to those of the filters before it. Returns false when there is
 * no room for it. */
static bool add_problem(char *problems, const char *one)
{
    size_t used = strlen(problems);
    size_t room = SESSION_REASON_SIZE - MORE_SIZE - used;

    if ((size_t)snprintf(problems + used, room, "%s%s", used > 0 ? "; " : "", one) >= room) {
        problems[used] = '\0';
        return false;
    }
    return true;
}

/* Warns, once a run, that a shared subscription can lose messages without a row in `gaps`: the
 * broker reports the session as present although the subscription is gone from it. */
static void warn_of_shares(struct session *session)
{
    const struct config_session *own = session->own;

    for (size_t i = 0; i < own->filter_count && !session->shares_told; i++) {
        const char *filter = own->filters[i];
        const struct log_fields fields = {.session = own->client_id, .topic = filter};

        if (strncmp(filter, SHARE, strlen(SHARE)) == 0) {
            log_line_fields(LOG_WARNING, &fields,
                            "%s: %s is a shared subscription: a broker may forget it when it "
                            "restarts, as mosquitto does, and what is published before foxtrackrd "
                            "has subscribed again goes to nobody, without a row in the table "
                            "gaps%s",
                            own->client_id, filter,
                            session->options.version == PAHO_MQTT_3_1_1
                                ? "; some brokers grant it in MQTT 3.1.1 and deliver nothing"
                                : "");
        }
    }
    session->shares_told = true;
}

enum session_reconciled session_reconcile(struct session *session, char *problem)
{
    enum session_reconciled result = drop_unwanted(session, problem);
    char one[SESSION_REASON_SIZE];
    size_t more = 0;

    if (result == SESSION_RECONCILED) {
        problem[0] = '\0';
    } else if (result != SESSION_RECONCILED_PARTLY) {
        return result;
    }
    warn_of_shares(session);
    for (size_t i = 0; i < session->own->filter_count; i++) {
        /* Granted on this connection already: only the other filters are retried. */
        if (session->granted[i] >= session->own->qos) {
            continue;
        }
        switch (subscribe(session, i, one)) {
        case SESSION_RECONCILED:
            break;
        case SESSION_RECONCILED_PARTLY:
            result = SESSION_RECONCILED_PARTLY;
            if (more > 0 || !add_problem(problem, one)) {
                more++; /* after one that did not fit, the others are counted only */
            }
            break;
        case SESSION_RECONCILE_FAILED:
            memcpy(problem, one, sizeof(one));
            return SESSION_RECONCILE_FAILED;
        case SESSION_NOT_RECORDED:
            return SESSION_NOT_RECORDED;
        }
    }
    if (more > 0) {
        snprintf(problem + strlen(problem), MORE_SIZE, "; and %zu more", more);
    }
    return result;
}
