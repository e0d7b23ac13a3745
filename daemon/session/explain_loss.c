/*
 * Reports the cause of a connection's end to the log, the status and the metrics. session/loss.c
 * determines the cause; this file adds whether the session's connections end again and again.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "session/session_internal.h"

#define SHORT_LIVES 3    /* so many in a row are no coincidence */
#define TAKEN_OVER  0x8E /* DISCONNECT, MQTT 5 §3.14.2.1 */

struct loss_facts session_loss_facts(struct session *session, struct paho *paho,
                                     const struct gate_link_status *before,
                                     struct loss_texts *texts)
{
    struct loss_facts facts = {
        .opened_before = before->opened,
        .packets_checked = paho_checks_packets(),
        .tls = session->options.tls,
        .keepalive_s = session->options.keepalive_s,
        .version = session->options.version,
    };

    gate_link_status(session->parts.gate, session->parts.index, &facts.link);
    if (paho_complaint(paho, texts->complaint)) {
        facts.complaint = texts->complaint;
    }
    if (paho_disconnect_reason(paho, &facts.disconnect_code, texts->disconnect)) {
        facts.disconnect = texts->disconnect;
    }
    return facts;
}

/* Counts consecutive connections that the broker ends soon. A broker closes a connection without a
 * reason when its client id connects again (MQTT 3.1.1 §3.1.4). Any other cause does not point to
 * another client, and neither does an end in place of an answer. A broker that gives a reason has
 * told by it whether there is another client.
 */
static bool ends_soon_again(struct session *session, enum session_reconciled result,
                            enum loss_cause cause, bool gives_reason)
{
    bool soon = clock_monotonic_ms() - session->connected_ms < SESSION_STABLE_MS;
    bool taken_over =
        cause == LOSS_BROKER && result != SESSION_RECONCILE_FAILED && soon && !gives_reason;

    session->short_lives = taken_over ? session->short_lives + 1 : 0;
    return session->short_lives >= SHORT_LIVES;
}

/* Names the proxy where it may be the cause: it looks like the broker from here. */
static void name_proxy(const struct config *config, enum loss_cause cause, char *problem)
{
    size_t length = strlen(problem);
    char name[BROKER_ROUTE_SIZE];

    if (broker_proxy_name(config, name)[0] != '\0' &&
        (cause == LOSS_BROKER || cause == LOSS_NETWORK || cause == LOSS_SILENCE)) {
        snprintf(problem + length, SESSION_REASON_SIZE - length,
                 " (or the cause is the proxy %s in between)", name);
    }
}

/* Sets `problem` to the reason of the end, and *facts to what is known of it. */
static enum loss_cause judge(struct session *session, enum session_reconciled result,
                             struct loss_facts *facts, struct loss_texts *texts, char *problem)
{
    static const struct gate_link_status never;
    char reason[LOSS_TEXT_SIZE];
    enum loss_cause cause;

    *facts = session_loss_facts(session, session->paho, &never, texts);
    if (result == SESSION_NOT_RECORDED && facts->link.open) {
        snprintf(problem, SESSION_REASON_SIZE,
                 "connection cut by foxtrackrd: the database is not writable at the moment");
        return LOSS_DAEMON;
    }
    cause = loss_of_connection(facts, reason);
    /* After an unanswered request, `problem` already names the request. */
    if (result == SESSION_RECONCILE_FAILED && cause == LOSS_BROKER) {
        size_t length = strlen(problem);

        snprintf(problem + length, SESSION_REASON_SIZE - length,
                 ": the broker ended the connection instead%s%.400s",
                 facts->disconnect != NULL ? ": " : "",
                 facts->disconnect != NULL
                     ? facts->disconnect
                     : "; it may not allow this filter, or this client: its log tells");
    } else if (result != SESSION_RECONCILE_FAILED || cause != LOSS_SILENCE) {
        snprintf(problem, SESSION_REASON_SIZE, "%s", reason);
    }
    if (facts->disconnect == NULL) {
        name_proxy(session->parts.config, cause, problem);
    }
    return cause;
}

void session_tell_loss(struct session *session, enum session_reconciled result, char *problem)
{
    struct loss_texts texts;
    struct loss_facts facts;
    enum loss_cause cause = judge(session, result, &facts, &texts, problem);
    size_t length = strlen(problem);

    if (ends_soon_again(session, result, cause, facts.disconnect != NULL)) {
        snprintf(
            problem + length, SESSION_REASON_SIZE - length,
            " soon after it was made, again and again: does another client use this client id?");
    }
    if (facts.disconnect != NULL && facts.disconnect_code == TAKEN_OVER) {
        snprintf(problem + length, SESSION_REASON_SIZE - length,
                 "; each client needs an id of its own (session.number)");
    }
    if (result == SESSION_RECONCILE_FAILED && cause != LOSS_DAEMON && cause != LOSS_SLOW_DISK) {
        dial_remember_bad(&session->addresses);
    }
    if (cause == LOSS_DAEMON) {
        /* Because of the database, which pauses the session. When it works again nothing is wrong
         * with the broker, so the delays begin anew. */
        session->backoff_ms = 0;
    }
    pthread_mutex_lock(&session->mutex);
    session->status.lost[cause]++;
    pthread_mutex_unlock(&session->mutex);
}
