/*
 * Reaching the broker: name, TCP, TLS, CONNECT, and what went wrong in a sentence.
 */
#include "session_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "tls.h"

#define DIAL_TIMEOUT_MS    10000
#define EXPLAIN_TIMEOUT_MS 5000

/* After a failed TLS connection: say why, if a handshake of our own fails too. */
static enum tls_result explain_tls(struct session *session, char *problem)
{
    const struct config *config = session->parts.config;
    char unreachable[DIAL_PROBLEM_SIZE];
    char reason[TLS_PROBLEM_SIZE];
    enum tls_result result;
    int fd = dial(config->broker.host, config->broker.port, DIAL_TIMEOUT_MS, session->stop_fd,
                  unreachable);

    if (fd < 0) {
        return TLS_OK;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    result = tls_explain(fd, config->broker.host, config->broker.ca_file, config->broker.cert_file,
                         config->broker.key_file, EXPLAIN_TIMEOUT_MS, NULL, reason);
    close(fd);
    if (result != TLS_OK) {
        snprintf(problem, SESSION_REASON_SIZE, "%s", reason);
    }
    return result;
}

/* The broker refused the CONNECT, or never got it: what was known of the session still holds. */
static void nothing_changed(struct session *session, bool was_uncertain)
{
    session->uncertain = was_uncertain;
    if (!was_uncertain) {
        /* When the intake refuses it, the flag stays: subscribing once too often does no harm. */
        (void)session_put_event(session, INTAKE_REFUSED, "", 0, STORE_GAP_NONE);
    }
}

bool session_connect(struct session *session, bool *present, char *problem)
{
    const struct config *config = session->parts.config;
    char dial_problem[DIAL_PROBLEM_SIZE];
    char paho_problem[PAHO_PROBLEM_SIZE];
    struct gate_link_status before;
    struct gate_link_status after;
    bool was_uncertain = session->uncertain;
    int fd = dial(config->broker.host, config->broker.port, DIAL_TIMEOUT_MS, session->stop_fd,
                  dial_problem);

    if (fd < 0) {
        snprintf(problem, SESSION_REASON_SIZE, "%s", dial_problem);
        return false;
    }
    gate_link_status(session->parts.gate, session->parts.index, &before);
    gate_offer(session->parts.gate, session->parts.index, fd);
    if (!session_put_event(session, INTAKE_CONNECTING, "", 0, STORE_GAP_NONE)) {
        snprintf(problem, SESSION_REASON_SIZE, "the database takes nothing at the moment");
        return false;
    }
    session->uncertain = true;
    switch (paho_connect(session->paho, &session->options, present, paho_problem)) {
    case PAHO_OK:
        session->uncertain = was_uncertain; /* this CONNECT has its answer */
        break;
    case PAHO_E_REFUSED:
        snprintf(problem, SESSION_REASON_SIZE, "%s", paho_problem);
        nothing_changed(session, was_uncertain);
        return false;
    default:
        gate_link_status(session->parts.gate, session->parts.index, &after);
        snprintf(problem, SESSION_REASON_SIZE, "%s%s%s", paho_problem,
                 after.ended[0] != '\0' ? "; " : "", after.ended);
        /* With TLS, CONNECT goes out only after a handshake. */
        if (session->options.tls && (explain_tls(session, problem) == TLS_E_REFUSED ||
                                     after.from_broker_bytes == before.from_broker_bytes)) {
            nothing_changed(session, was_uncertain);
        }
        return false;
    }
    gate_link_status(session->parts.gate, session->parts.index, &after);
    if (after.opened == before.opened) {
        /* Never seen, and never to be: without the gate the promise does not hold. */
        log_line(LOG_CRIT, "%s: Paho reached the broker without the gate", session->own->client_id);
        abort();
    }
    return true;
}

bool session_record_answer(struct session *session, bool present)
{
    bool new_session = !present || session->uncertain;
    enum store_gap gap = STORE_GAP_NONE;

    if (!new_session) {
        if (!session_put_event(session, INTAKE_SETTLED, "", 0, STORE_GAP_NONE)) {
            return false;
        }
    } else {
        if (session->known) {
            gap = present ? STORE_GAP_UNCERTAIN : STORE_GAP_LOST;
        }
        if (!session_put_event(session, INTAKE_ESTABLISHED, "", 0, gap)) {
            return false;
        }
        session_memory_clear(&session->memory);
    }
    if (gap == STORE_GAP_LOST) {
        const struct log_fields fields = {.session = session->own->client_id, .id = LOG_ID_GAP};

        log_line_fields(
            LOG_ERR, &fields,
            "%s: the broker has lost the session and what it kept for us; messages "
            "since the last commit may be missing, see the table gaps; subscribing again",
            session->own->client_id);
    } else if (gap == STORE_GAP_UNCERTAIN) {
        session_log_problem(session,
                            "a CONNECT was not answered before, so the session may be a new one; "
                            "noted in the table gaps, subscribing again");
    }
    session->known = true;
    session->uncertain = false;
    return true;
}
