/*
 * Reports the cause of a connection's end to the log, the status and the metrics. session/loss.c
 * determines the cause; this file adds whether the session's connections end again and again.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "session/session_internal.h"

#define SHORT_LIVES 3 /* so many in a row are no coincidence */

struct loss_facts session_loss_facts(struct session *session, const struct gate_link_status *before,
                                     char complaint[PAHO_PROBLEM_SIZE])
{
    struct loss_facts facts = {
        .opened_before = before->opened,
        .packets_checked = paho_checks_packets(),
        .tls = session->options.tls,
        .keepalive_s = session->options.keepalive_s,
    };

    gate_link_status(session->parts.gate, session->parts.index, &facts.link);
    if (paho_complaint(session->paho, complaint)) {
        facts.complaint = complaint;
    }
    return facts;
}

/* Counts consecutive connections that the broker ends soon. A broker closes a connection without a
 * reason when its client id connects again (MQTT 3.1.1 §3.1.4). Any other cause does not point to
 * another client, and neither does an end in place of an answer.
 */
static bool ends_soon_again(struct session *session, enum session_reconciled result,
                            enum loss_cause cause)
{
    bool soon = clock_monotonic_ms() - session->connected_ms < SESSION_STABLE_MS;
    bool taken_over = cause == LOSS_BROKER && result != SESSION_RECONCILE_FAILED && soon;

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

static enum loss_cause judge(struct session *session, enum session_reconciled result, char *problem)
{
    static const struct gate_link_status never;
    char complaint[PAHO_PROBLEM_SIZE];
    char reason[LOSS_TEXT_SIZE];
    struct loss_facts facts = session_loss_facts(session, &never, complaint);
    enum loss_cause cause;

    if (result == SESSION_NOT_RECORDED && facts.link.open) {
        snprintf(problem, SESSION_REASON_SIZE,
                 "connection cut by foxtrackrd: the database takes nothing at the moment");
        return LOSS_DAEMON;
    }
    cause = loss_of_connection(&facts, reason);
    /* After an unanswered request, `problem` already names the request. */
    if (result == SESSION_RECONCILE_FAILED && cause == LOSS_BROKER) {
        size_t length = strlen(problem);

        snprintf(problem + length, SESSION_REASON_SIZE - length,
                 ": the broker ended the connection instead; it may not allow this filter, or this "
                 "client: its log tells");
    } else if (result != SESSION_RECONCILE_FAILED || cause != LOSS_SILENCE) {
        snprintf(problem, SESSION_REASON_SIZE, "%s", reason);
    }
    name_proxy(session->parts.config, cause, problem);
    return cause;
}

void session_tell_loss(struct session *session, enum session_reconciled result, char *problem)
{
    enum loss_cause cause = judge(session, result, problem);
    size_t length = strlen(problem);

    if (ends_soon_again(session, result, cause)) {
        snprintf(
            problem + length, SESSION_REASON_SIZE - length,
            " soon after it was made, again and again: does another client use this client id?");
    }
    if (result == SESSION_RECONCILE_FAILED && cause != LOSS_DAEMON && cause != LOSS_SLOW_DISK) {
        dial_remember_bad(&session->addresses);
    }
    pthread_mutex_lock(&session->mutex);
    session->status.lost[cause]++;
    pthread_mutex_unlock(&session->mutex);
}
