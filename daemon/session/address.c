/*
 * Proxy, TLS and CONNECT at one address of the broker, in the version of MQTT that
 * session/protocol.c chooses; at most one other version is tried after it.
 *
 * Before each CONNECT with the session's client id goes the record that it was sent, because the
 * broker may make a new session for it and the answer may be lost. A question, which a client with
 * an id of its own asks to learn whether the broker speaks MQTT 5, has no such record: nothing of
 * ours is in that client's session, which is clean and ends with its DISCONNECT. The broker is
 * asked to keep that session for a minute all the same: one that answers with an expiry of 0 would
 * not keep the daemon's own either. It goes through the gate like every connection of Paho's.
 *
 * A question subscribes to nothing, but some brokers subscribe clients themselves (EMQX:
 * auto-subscribe), to a shared subscription too, whose messages then go to this client alone. A
 * message ends the question's connection before it is acknowledged, so that the broker gives it to
 * another client.
 *
 * Must never happen: a question changes what is known of the session's fate, or acknowledges a
 * message.
 */
#include "session/session_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/wall.h"
#include "net/net.h"

#define EXPLAIN_TIMEOUT_MS 5000
#define QUESTION_EXPIRY_S  60
#define NO_DATABASE        "the database is not writable at the moment"

/* --- failures -------------------------------------------------------------------------------- */

/* After a failed TLS connection: repeats the handshake and sets `problem` if it fails too. */
static enum tls_result explain_tls(struct session *session, const struct dial_address *address,
                                   char *problem)
{
    const struct config *config = session->parts.config;
    char unreachable[DIAL_PROBLEM_SIZE];
    char reason[TLS_PROBLEM_SIZE];
    enum tls_result result;
    int fd = dial_connect(address, SESSION_DIAL_MS, session->stop_fd, unreachable);

    if (fd < 0) {
        return TLS_OK;
    }
    if (broker_open(config, fd, session->stop_fd, reason) != PROXY_OK) {
        close(fd);
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

/* The broker refused the CONNECT or never got it: restores the state of the session from before. */
static void nothing_changed(struct session *session)
{
    session->uncertain = session->was_uncertain;
    if (!session->uncertain) {
        /* When the intake refuses the event, the flag stays set: an extra SUBSCRIBE does no
         * harm. */
        (void)session_put_event(session, INTAKE_REFUSED, "", 0, STORE_GAP_NONE);
    }
}

/* How a CONNECT went that the broker did not answer. */
struct unanswered {
    bool arrived; /* the broker may have got it */
    enum protocol_result result;
};

/* Sets `problem` for an address that accepted TCP and did not answer the CONNECT of `paho`.
 * `before` is the link's status at the start. */
static struct unanswered judge(struct session *session, struct paho *paho,
                               const struct dial_address *address,
                               const struct gate_link_status *before, const char *paho_problem,
                               char *problem)
{
    struct loss_texts texts;
    struct loss_facts facts = session_loss_facts(session, paho, before, &texts);
    enum loss_cause cause = loss_of_connect(&facts, paho_problem, problem);
    struct unanswered judged = {.arrived = true, .result = PROTOCOL_OTHER};
    enum tls_result handshake = TLS_OK;

    /* Repeating the handshake explains nothing if the daemon itself caused the failure. */
    if (session->options.tls && cause != LOSS_DAEMON && cause != LOSS_SLOW_DISK) {
        handshake = explain_tls(session, address, problem);
    }
    /* With TLS, CONNECT goes out only after a handshake. */
    if (session->options.tls &&
        (handshake == TLS_E_REFUSED || facts.link.from_broker_bytes == before->from_broker_bytes)) {
        judged.arrived = false;
    } else if (session_is_stopping(session) || !paho_sent_connect(paho)) {
        judged.result = PROTOCOL_OTHER;
    } else if (cause == LOSS_BROKER || cause == LOSS_PACKET) {
        judged.result = PROTOCOL_CLOSED;
    } else if (cause == LOSS_SILENCE) {
        judged.result = PROTOCOL_SILENT;
    }
    return judged;
}

/* --- the session's CONNECT ------------------------------------------------------------------- */

/*
 * TLS and CONNECT with the session's client id and options, over the connected socket `fd`, which
 * becomes the gate's. SESSION_REACHED sets session->answer, which session_record_answer() has
 * recorded; the others set `problem` and *result. SESSION_NOT_NOW: CONNECT was not sent.
 */
static enum session_reached connect_session(struct session *session,
                                            const struct dial_address *address, int fd,
                                            enum protocol_result *result, char *problem)
{
    char paho_problem[PAHO_PROBLEM_SIZE];
    struct gate_link_status before;
    struct gate_link_status after;
    struct unanswered judged;

    gate_link_status(session->parts.gate, session->parts.index, &before);
    gate_offer(session->parts.gate, session->parts.index, fd);
    *result = PROTOCOL_OTHER;
    if (!session_put_event(session, INTAKE_CONNECTING, "", 0, STORE_GAP_NONE)) {
        snprintf(problem, SESSION_REASON_SIZE, NO_DATABASE);
        return SESSION_NOT_NOW;
    }
    session->was_uncertain = session->uncertain;
    session->uncertain = true;
    switch (paho_connect(session->paho, &session->options, &session->answer, paho_problem)) {
    case PAHO_OK:
        if (session->is_useless) {
            snprintf(problem, SESSION_REASON_SIZE, "%s",
                     session_protocol_reason(PROTOCOL_NOT_KEPT));
            nothing_changed(session);
            *result = PROTOCOL_USELESS;
            return SESSION_NOT_REACHED;
        }
        break; /* session_record_answer() has noted it */
    case PAHO_E_REFUSED:
        snprintf(problem, SESSION_REASON_SIZE, "%s", paho_problem);
        nothing_changed(session);
        *result = PROTOCOL_DENIED;
        return SESSION_NOT_REACHED;
    case PAHO_E_VERSION:
        snprintf(problem, SESSION_REASON_SIZE, "%s", paho_problem);
        nothing_changed(session);
        *result = PROTOCOL_REFUSED;
        return SESSION_NOT_REACHED;
    case PAHO_E_OLD_ANSWER:
        snprintf(problem, SESSION_REASON_SIZE, "%s", paho_problem);
        *result = PROTOCOL_CLOSED;
        return SESSION_NOT_REACHED;
    default:
        judged = judge(session, session->paho, address, &before, paho_problem, problem);
        if (!judged.arrived) {
            nothing_changed(session);
        }
        *result = judged.result;
        return SESSION_NOT_REACHED;
    }
    gate_link_status(session->parts.gate, session->parts.index, &after);
    if (after.opened == before.opened) {
        /* Must never happen: without the gate nothing holds acknowledgements back. */
        log_line(LOG_CRIT, "%s: Paho reached the broker without the gate", session->own->client_id);
        abort();
    }
    return SESSION_REACHED;
}

/* --- the question ---------------------------------------------------------------------------- */

struct question {
    struct session *session;
    bool was_told; /* that a message came */
};

/* Cuts the link, so that no acknowledgement of the message leaves: nothing stores it. Called for
 * each message, on Paho's thread. */
static void refuse_message(void *context, const struct paho_message *message)
{
    struct question *question = context;
    const struct session *session = question->session;
    const struct log_fields fields = {.session = session->own->client_id};

    gate_sever(session->parts.gate, session->parts.index, "a message came to the wrong client");
    if (!question->was_told) {
        log_line_fields(LOG_NOTICE, &fields,
                        "%s: the broker sent a message (QoS %d) to the client that only asks for "
                        "MQTT 5; it is not acknowledged",
                        session->own->client_id, message->qos);
    }
    question->was_told = true;
}

static void drop_released(void *context)
{
    (void)context;
}

/* Sends the CONNECT of a question with `paho`, over `fd`. Returns how it went; PROTOCOL_DENIED,
 * PROTOCOL_SILENT and PROTOCOL_OTHER set `problem`. */
static enum protocol_result send_question(struct session *session, struct paho *paho,
                                          const struct paho_options *options,
                                          const struct dial_address *address, int fd, char *problem)
{
    char paho_problem[PAHO_PROBLEM_SIZE];
    struct gate_link_status before;
    struct paho_answer answer;

    gate_link_status(session->parts.gate, session->parts.index, &before);
    gate_offer(session->parts.gate, session->parts.index, fd);
    switch (paho_connect(paho, options, &answer, paho_problem)) {
    case PAHO_OK:
        return answer.session_expiry_s > 0 ? PROTOCOL_ACCEPTED : PROTOCOL_USELESS;
    case PAHO_E_REFUSED:
        snprintf(problem, SESSION_REASON_SIZE, "%s", paho_problem);
        return PROTOCOL_DENIED;
    case PAHO_E_VERSION:
        return PROTOCOL_REFUSED;
    case PAHO_E_OLD_ANSWER:
        return PROTOCOL_CLOSED;
    default:
        return judge(session, paho, address, &before, paho_problem, problem).result;
    }
}

/*
 * Asks the broker for MQTT 5 with a client id of its own, over the connected socket `fd`, which
 * becomes the gate's. Returns how that went; PROTOCOL_DENIED, PROTOCOL_SILENT and PROTOCOL_OTHER
 * set `problem`.
 */
static enum protocol_result ask(struct session *session, const struct dial_address *address, int fd,
                                char *problem)
{
    char client_id[BROKER_CLIENT_ID_SIZE];
    struct question question = {.session = session};
    const struct paho_handler handler = {
        .message = refuse_message, .released = drop_released, .context = &question};
    struct paho_options options = session->options;
    enum protocol_result result = PROTOCOL_OTHER;
    struct paho *paho;

    options.version = PAHO_MQTT_5;
    options.client_id = client_id;
    options.clean_session = true;
    options.session_expiry_s = QUESTION_EXPIRY_S;
    if (!broker_other_client_id(session->parts.config, session->own->client_id, "ask", client_id) ||
        paho_new(&paho, &options, &handler) != 0) {
        close(fd);
        snprintf(problem, SESSION_REASON_SIZE, "no memory to ask the broker for MQTT 5");
        return PROTOCOL_OTHER;
    }
    if (session_set_question(session, paho)) {
        result = send_question(session, paho, &options, address, fd, problem);
        paho_disconnect(paho, SESSION_CLEAN_UP_MS);
        session_set_question(session, NULL);
    } else {
        close(fd);
        problem[0] = '\0'; /* a stop */
    }
    paho_free(paho);
    return result;
}

/* Makes another connection to the broker, for a further CONNECT. Returns a socket, or -1 with
 * `problem` set. */
static int dial_again(const struct session *session, const struct dial_address *address,
                      char *problem)
{
    int fd = dial_connect(address, SESSION_DIAL_MS, session->stop_fd, problem);

    if (fd >= 0 && broker_open(session->parts.config, fd, session->stop_fd, problem) != PROXY_OK) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* --- both ------------------------------------------------------------------------------------ */

static void tell_not_kept(const struct session *session)
{
    const struct log_fields fields = {.session = session->own->client_id};

    log_line_fields(LOG_NOTICE, &fields,
                    "%s: the broker speaks MQTT 5, and keeps no session of it when its "
                    "connection ends: MQTT 3.1.1 is used",
                    session->own->client_id);
}

static void tell_version(const struct session *session, const struct dial_address *address,
                         const char *why, enum paho_version version)
{
    const struct log_fields fields = {.session = session->own->client_id};

    log_line_fields(LOG_DEBUG, &fields, "%s: %s: %s; trying %s", session->own->client_id,
                    address->name, why, session_protocol_name(version));
}

/* Asks the broker and sets *version for the CONNECT that follows; *fd becomes a new socket for
 * it. Returns false, with `problem` set, when there is none. */
static bool ask_first(struct session *session, const struct dial_address *address, int *fd,
                      enum paho_version *version, char *problem)
{
    enum protocol_result result = ask(session, address, *fd, problem);
    const struct log_fields fields = {.session = session->own->client_id};

    if (!session_protocol_answered(&session->protocol, result, wall_now_ms(), version)) {
        return false;
    }
    if (result == PROTOCOL_USELESS) {
        tell_not_kept(session);
    } else if (result == PROTOCOL_DENIED) {
        log_line_fields(LOG_DEBUG, &fields, "%s: %s denies the client that asks for MQTT 5: %s",
                        session->own->client_id, address->name, problem);
    } else {
        log_line_fields(LOG_DEBUG, &fields, "%s: %s %s MQTT 5", session->own->client_id,
                        address->name, *version == PAHO_MQTT_5 ? "speaks" : "does not take");
    }
    *fd = dial_again(session, address, problem);
    return *fd >= 0;
}

enum session_reached session_try_address(struct session *session,
                                         const struct dial_address *address, int fd, char *problem)
{
    const struct protocol_choice choice =
        session_protocol_choose(&session->protocol, session->known, wall_now_ms());
    struct paho_options *options = &session->options;
    enum session_reached reached;
    enum protocol_result result = PROTOCOL_OTHER;
    enum proxy_result opened = broker_open(session->parts.config, fd, session->stop_fd, problem);

    if (opened != PROXY_OK) {
        close(fd);
        return opened == PROXY_STOPPED ? SESSION_NOT_NOW : SESSION_NOT_REACHED;
    }
    options->version = choice.version;
    if (choice.is_question && !ask_first(session, address, &fd, &options->version, problem)) {
        return SESSION_NOT_REACHED;
    }
    for (int tries = 0;; tries++) {
        bool was_refused = result == PROTOCOL_REFUSED;

        session->is_last_version = tries > 0;
        reached = connect_session(session, address, fd, &result, problem);
        if (was_refused && result == PROTOCOL_REFUSED) {
            snprintf(problem, SESSION_REASON_SIZE, SESSION_SPEAKS_NEITHER);
        }
        if (reached == SESSION_REACHED ||
            !session_protocol_note(&session->protocol, options->version, result, wall_now_ms()) ||
            tries > 0) {
            return reached;
        }
        options->version = options->version == PAHO_MQTT_5 ? PAHO_MQTT_3_1_1 : PAHO_MQTT_5;
        if (result == PROTOCOL_USELESS) {
            tell_not_kept(session);
        }
        tell_version(session, address, problem, options->version);
        paho_disconnect(session->paho, SESSION_CLEAN_UP_MS);
        fd = dial_again(session, address, problem);
        if (fd < 0) {
            return SESSION_NOT_REACHED;
        }
    }
}
