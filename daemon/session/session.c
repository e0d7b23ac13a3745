/*
 * A session: one thread that keeps one durable MQTT session alive.
 *
 *     dial → hand the socket to the gate → CONNECT → subscriptions → wait for the loss → back off
 *
 * One attempt tries every address of the broker (session/connect.c). The thread connects TCP itself
 * and then lets Paho connect through the gate, so that each failing step is known. Paho reports a
 * failed TLS handshake without a reason, so tls_explain() repeats it, sending no credentials.
 *
 * The state of the broker's session is recorded in the database by events that pass through the
 * intake among the messages. The gate sends nothing before the earlier events are durable, so each
 * record is on disk before the packet that depends on it: CONNECTING before CONNECT, the gap before
 * SUBSCRIBE. If the process dies between CONNECT and the record of its answer, the next one finds
 * the CONNECTING flag and subscribes again.
 */
#include "session/session_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/wall.h"
#include "net/net.h"

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS  120000
#define DISCONNECT_MS    3000
#define PEAK_KEPT_MS     10000

/* --- status and log -------------------------------------------------------------------------- */

static void set_state(struct session *session, enum session_state state, const char *reason)
{
    pthread_mutex_lock(&session->mutex);
    session->status.state = state;
    if (state != SESSION_SUBSCRIBED && state != SESSION_PARTIAL) {
        session->status.connected_since_ms = 0;
        session->status.in_flight = 0;
    }
    snprintf(session->status.reason, sizeof(session->status.reason), "%s", reason);
    pthread_mutex_unlock(&session->mutex);
}

/* Sets the state "connecting" and keeps the reason of the earlier failure. */
static void set_connecting(struct session *session)
{
    pthread_mutex_lock(&session->mutex);
    session->status.state = SESSION_CONNECTING;
    session->status.connected_since_ms = 0;
    pthread_mutex_unlock(&session->mutex);
}

bool session_is_stopping(struct session *session)
{
    bool result;

    pthread_mutex_lock(&session->mutex);
    result = session->stopping;
    pthread_mutex_unlock(&session->mutex);
    return result;
}

bool session_set_question(struct session *session, struct paho *paho)
{
    bool noted;

    pthread_mutex_lock(&session->mutex);
    noted = paho == NULL || !session->stopping;
    session->question = noted ? paho : NULL;
    pthread_mutex_unlock(&session->mutex);
    return noted;
}

void session_log_problem(struct session *session, const char *problem)
{
    const struct log_fields fields = {.session = session->own->client_id, .id = LOG_ID_UNCONNECTED};

    session_note_error(session, problem);
    if (log_line_limited(&session->cause, LOG_WARNING, &fields, "%s: %s", session->own->client_id,
                         problem)) {
        session->problem_said = true;
    }
}

/* --- towards the intake ----------------------------------------------------------------------- */

/* Counts a message in flight. If the clock jumps back, an old peak stays longer; nothing else
 * depends on it. */
static void count_in_flight(struct session *session, int64_t now_ms)
{
    struct session_status *status = &session->status;

    status->in_flight++;
    if (status->in_flight >= status->in_flight_peak || now_ms - session->peak_ms > PEAK_KEPT_MS) {
        status->in_flight_peak = status->in_flight;
        session->peak_ms = now_ms;
    }
}

/* Paho's receive thread: the handshake of a QoS 2 message of this connection is complete. */
static void release_message(void *context)
{
    struct session *session = context;

    pthread_mutex_lock(&session->mutex);
    session->status.in_flight -= session->status.in_flight > 0;
    pthread_mutex_unlock(&session->mutex);
}

/* Under the mutex: returns true, once a run, when the broker has sent more messages than it was
 * asked to have in flight (MQTT 5 §3.3.4). They are taken all the same: mosquitto up to 2.0.12
 * sends nearly all that it has kept when a session comes back and begins to acknowledge. */
static bool exceeds_window(struct session *session)
{
    const struct session_status *status = &session->status;
    bool exceeds = status->protocol == PAHO_MQTT_5 && !session->window_told &&
                   status->in_flight > status->receive_maximum;

    session->window_told = session->window_told || exceeds;
    return exceeds;
}

/* Paho's receive thread: takes a message. paho_message_fn says what must hold when this returns. */
static void take_message(void *context, const struct paho_message *message)
{
    struct session *session = context;
    struct intake_item item = {
        .kind = INTAKE_MESSAGE,
        .session = session->parts.index,
        .qos = message->qos,
        .received_ms = wall_now_ms(),
        .topic = message->topic,
        .topic_length = message->topic_length,
        .payload = message->payload,
        .payload_length = message->payload_length,
        .full_length = message->full_length,
    };
    bool is_new = message->qos == 2 && !message->is_repeated;
    bool exceeds;
    int result;

    if (message->digest != NULL) {
        memcpy(item.digest, message->digest, DIGEST_SIZE);
    }
    pthread_mutex_lock(&session->mutex);
    item.in_flight = session->status.in_flight + is_new;
    if (item.in_flight < session->status.in_flight_peak) {
        item.in_flight = session->status.in_flight_peak;
    }
    pthread_mutex_unlock(&session->mutex);
    gate_before_message(session->parts.gate, session->parts.index, paho_flush);
    result = intake_put(session->parts.intake, &item);
    if (result != INTAKE_OK) {
        gate_sever(session->parts.gate, session->parts.index,
                   "the database is not writable at the moment");
    }
    pthread_mutex_lock(&session->mutex);
    session->status.received += result == INTAKE_OK;
    if (is_new && result == INTAKE_OK) {
        count_in_flight(session, item.received_ms);
    }
    exceeds = exceeds_window(session);
    session->status.refused_qos0 += result != INTAKE_OK && message->qos == 0;
    pthread_mutex_unlock(&session->mutex);
    if (exceeds) {
        const struct log_fields fields = {.session = session->own->client_id};

        log_line_fields(
            LOG_DEBUG, &fields,
            "%s: more is in flight than session.receive_maximum asks for, %d: it is taken, "
            "and the broker may send less later",
            session->own->client_id, session->own->receive_maximum);
    }
    if (result != INTAKE_OK && message->qos == 0) {
        const struct log_fields fields = {.session = session->own->client_id};

        log_line_limited(
            &session->refused_cause, LOG_ERR, &fields,
            "%s: a QoS 0 message came while the database is not writable, dropping: the "
            "broker does not send such messages again",
            session->own->client_id);
    }
}

bool session_put_event(struct session *session, enum intake_kind kind, const char *filter, int qos,
                       enum store_gap gap)
{
    const struct intake_item item = {
        .kind = kind,
        .session = session->parts.index,
        .qos = qos,
        .gap = (int)gap,
        .protocol = session->protocol.remembered,
        .protocol_asked_ms = session->protocol.asked_ms,
        .received_ms = wall_now_ms(),
        .topic = filter,
        .topic_length = strlen(filter),
    };

    return intake_put(session->parts.intake, &item) == INTAKE_OK;
}

/* --- the thread ---------------------------------------------------------------------------- */

/* The next delay: doubled each time, from half of it to all of it at random, so that a fleet of
 * clients does not reconnect at the same time. */
static int next_backoff_ms(struct session *session)
{
    unsigned random = 0;
    int full_ms;

    full_ms = session->backoff_ms == 0 ? BACKOFF_FIRST_MS : 2 * session->backoff_ms;
    session->backoff_ms = full_ms < BACKOFF_LAST_MS ? full_ms : BACKOFF_LAST_MS;
    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    return session->backoff_ms / 2 + (int)(random % (unsigned)(session->backoff_ms / 2 + 1));
}

#define AGREED_SIZE (64 + DURATION_SIZE)

/* Returns what MQTT 5 tells about the connection, as the end of a sentence; "" with MQTT 3.1.1. */
static const char *agreed_text(const struct session *session, char out[AGREED_SIZE])
{
    char kept[DURATION_SIZE];

    out[0] = '\0';
    if (session->options.version == PAHO_MQTT_5) {
        snprintf(out, AGREED_SIZE, "; window %u asked, session expiry %s %s",
                 session->options.receive_maximum,
                 duration_text(session->answer.session_expiry_s * INT64_C(1000), kept),
                 session->answer.has_said_expiry ? "granted" : "asked");
    }
    return out;
}

/* Logs the end of a problem if the problem was logged: so the last line of the log is always
 * current, and the limit on repeated problems also limits these lines. */
static void note_connected(struct session *session)
{
    const struct log_fields fields = {.session = session->own->client_id, .id = LOG_ID_CONNECTED};
    int priority = session->problem_said || session->status.connects == 0 ? LOG_NOTICE : LOG_DEBUG;
    char route[BROKER_ROUTE_SIZE];
    char agreed[AGREED_SIZE];

    session->connected_ms = clock_monotonic_ms();
    pthread_mutex_lock(&session->mutex);
    session->status.connected_since_ms = clock_wall_ms();
    session->status.session_present = session->answer.session_present;
    session->status.protocol = (int)session->options.version;
    session->status.protocol_doubt = session->protocol.doubt;
    session->status.receive_maximum = session->options.receive_maximum;
    session->status.session_expiry_s = session->answer.session_expiry_s;
    session->status.has_said_expiry = session->answer.has_said_expiry;
    session->status.keepalive_s = session->answer.keepalive_s;
    session->status.connects++;
    pthread_mutex_unlock(&session->mutex);
    log_line_fields(priority, &fields, "%s: connected to %s with %s, %s%s", session->own->client_id,
                    broker_route(session->parts.config, route),
                    session_protocol_name(session->options.version),
                    session->answer.session_present ? "the broker has kept the session"
                                                    : "the broker made a new session",
                    agreed_text(session, agreed));
    session->problem_said = false;
    log_cause_over(&session->cause);
}

/* While connected: retries filters that the broker did not grant; returns on a loss or a stop. */
static void stay(struct session *session, char *problem)
{
    int retry_ms = BACKOFF_FIRST_MS;
    enum session_reconciled result;

    for (;;) {
        enum paho_event event;

        result = session_reconcile(session, problem);
        if (result == SESSION_RECONCILE_FAILED || result == SESSION_NOT_RECORDED) {
            break;
        }
        if (result == SESSION_RECONCILED_PARTLY) {
            set_state(session, SESSION_PARTIAL, problem);
            session_log_problem(session, problem);
            retry_ms = retry_ms < BACKOFF_LAST_MS / 2 ? 2 * retry_ms : BACKOFF_LAST_MS;
        } else {
            set_state(session, SESSION_SUBSCRIBED, "");
        }
        event = paho_wait(session->paho, result == SESSION_RECONCILED_PARTLY ? retry_ms : -1);
        if (event == PAHO_LOST || session_is_stopping(session)) {
            break;
        }
    }
    if (!session_is_stopping(session)) {
        session_tell_loss(session, result, problem);
    }
}

/* Connects and records the answer. When it returns false the attempt is over, and `problem` is set
 * unless it was stopped. */
static bool establish(struct session *session, char *problem)
{
    set_connecting(session);
    if (!session_connect(session, problem)) {
        session->short_lives = 0; /* the broker is unreachable: no sign of another client with this
                                   * id */
        return false;
    }
    note_connected(session);
    if (!session_note_answer(session)) {
        if (!session_is_stopping(session)) {
            session_tell_loss(session, SESSION_NOT_RECORDED, problem);
        }
        return false;
    }
    session_note_expiry(session);
    return true;
}

/* One attempt, from the name to the loss. Sets `problem` unless it was stopped. */
static void attempt(struct session *session, char *problem)
{
    problem[0] = '\0';
    if (!establish(session, problem)) {
        return;
    }
    if (session_take_keepalive(session)) {
        paho_disconnect(session->paho, DISCONNECT_MS);
        if (!establish(session, problem)) {
            return;
        }
    }
    stay(session, problem);
    if (clock_monotonic_ms() - session->connected_ms > SESSION_STABLE_MS) {
        session->backoff_ms = 0;
    }
}

/* Returns true when the backoff is to end: a stop, or session_retry_now(). */
static bool backoff_is_over(struct session *session)
{
    bool over;

    pthread_mutex_lock(&session->mutex);
    over = session->stopping || session->retry_now;
    session->retry_now = false;
    pthread_mutex_unlock(&session->mutex);
    return over;
}

static void back_off(struct session *session, const char *problem)
{
    int64_t until_ms = clock_monotonic_ms() + next_backoff_ms(session);
    int64_t left_ms;

    set_state(session, SESSION_WAITING, problem);
    pthread_mutex_lock(&session->mutex);
    session->status.retry_at_ms = until_ms;
    pthread_mutex_unlock(&session->mutex);
    while (!backoff_is_over(session) && (left_ms = until_ms - clock_monotonic_ms()) > 0) {
        paho_wait(session->paho, (int)left_ms); /* a late report of the old connection's loss ends
                                                 * the wait too */
    }
}

/* Waits while the session is paused, that is while nothing can be written to the disk. Returns true
 * when it waited. */
static bool wait_while_paused(struct session *session)
{
    char reason[SESSION_REASON_SIZE];
    bool paused;

    pthread_mutex_lock(&session->mutex);
    paused = session->paused && !session->stopping;
    memcpy(reason, session->pause_reason, sizeof(reason));
    pthread_mutex_unlock(&session->mutex);
    if (paused) {
        set_state(session, SESSION_PAUSED, reason);
        paho_wait(session->paho, -1);
    }
    return paused;
}

static void *run(void *argument)
{
    struct session *session = argument;
    char problem[SESSION_REASON_SIZE];

    pthread_setname_np(pthread_self(), "session");
    while (!session_is_stopping(session)) {
        if (wait_while_paused(session)) {
            continue;
        }
        attempt(session, problem);
        /* Closes what is left of a failed attempt; on a stop this sends DISCONNECT. */
        paho_disconnect(session->paho, DISCONNECT_MS);
        if (!session_is_stopping(session)) {
            session_log_problem(session, problem);
            back_off(session, problem);
        }
    }
    set_state(session, SESSION_IDLE, "stopped");
    pthread_mutex_lock(&session->mutex);
    session->ended = true;
    pthread_cond_broadcast(&session->ended_changed);
    pthread_mutex_unlock(&session->mutex);
    return NULL;
}

/* --- the contract -------------------------------------------------------------------------- */

void session_library_init(const struct config *config)
{
    paho_library_init();
    tls_peer_watch(config->broker.host);
}

bool session_writes_at_once(const struct config *config)
{
    return paho_writes_at_once(config->broker.tls);
}

static void session_free(struct session *session)
{
    paho_free(session->paho);
    session_subscriptions_clear(&session->subscriptions);
    free(session->granted);
    pthread_cond_destroy(&session->ended_changed);
    pthread_mutex_destroy(&session->mutex);
    if (session->stop_fd >= 0) {
        close(session->stop_fd);
    }
    free(session);
}

static void fill_options(struct session *session)
{
    const struct config *config = session->parts.config;

    broker_proxy(config, session->parts.gate, session->parts.index, session->proxy_url);
    session->options = broker_options(config, session->uri);
    session->options.client_id = session->own->client_id;
    session->options.proxy_url = session->proxy_url;
    session->options.receive_maximum = (unsigned)session->own->receive_maximum;
    session->options.session_expiry_s = (uint32_t)(session->own->session_expiry_ms / 1000);
    session->protocol.configured = config->broker.protocol;
    session->protocol.can_5 = paho_speaks_5();
    session_protocol_remember(&session->protocol, session->parts.record.protocol.version,
                              session->parts.record.protocol.asked_ms);
    session->expiry_told_s = -1;
}

int session_start(struct session **out, const struct session_parts *parts)
{
    struct session *session = calloc(1, sizeof(*session));
    const struct paho_handler handler = {.accepted = session_record_answer,
                                         .message = take_message,
                                         .released = release_message,
                                         .context = session};
    int rc = 0;

    if (session == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&session->mutex, NULL);
    clock_cond_init(&session->ended_changed);
    session->parts = *parts;
    session->own = &parts->config->sessions[parts->index];
    session->known = parts->record.known;
    session->elsewhere = parts->record.elsewhere;
    session->uncertain = parts->record.uncertain;
    session->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    session->granted = malloc(session->own->filter_count * sizeof(*session->granted));
    if (session->granted == NULL) {
        session_free(session);
        return -ENOMEM;
    }
    session_forget_granted(session);
    for (size_t i = 0; i < parts->subscription_count && rc == 0; i++) {
        rc = session_subscriptions_add(&session->subscriptions, parts->subscriptions[i].filter,
                                       parts->subscriptions[i].qos);
    }
    fill_options(session);
    if (rc == 0 &&
        (session->stop_fd < 0 || paho_new(&session->paho, &session->options, &handler) != 0)) {
        rc = -ENOMEM;
    }
    if (rc == 0) {
        rc = -pthread_create(&session->thread, NULL, run, session);
    }
    if (rc != 0) {
        session_free(session);
        return rc;
    }
    *out = session;
    return 0;
}

void session_set_paused(struct session *session, bool paused, const char *reason)
{
    bool changed;

    pthread_mutex_lock(&session->mutex);
    changed = session->paused != paused;
    session->paused = paused;
    snprintf(session->pause_reason, sizeof(session->pause_reason), "%s", reason);
    pthread_mutex_unlock(&session->mutex);
    if (changed) {
        paho_wake(session->paho);
    }
}

void session_retry_now(struct session *session)
{
    pthread_mutex_lock(&session->mutex);
    session->retry_now = session->status.state == SESSION_WAITING;
    pthread_mutex_unlock(&session->mutex);
    paho_wake(session->paho);
}

void session_stop_begin(struct session *session)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&session->mutex);
    session->stopping = true;
    if (session->question != NULL) {
        paho_stop(session->question);
    }
    pthread_mutex_unlock(&session->mutex);
    (void)!write(session->stop_fd, &one, sizeof(one));
    paho_stop(session->paho);
}

bool session_stop_finish(struct session *session, int64_t deadline_ms)
{
    const struct timespec deadline = clock_deadline(deadline_ms);
    bool ended;
    int rc = 0;

    pthread_mutex_lock(&session->mutex);
    while (!session->ended && rc == 0) {
        rc = pthread_cond_timedwait(&session->ended_changed, &session->mutex, &deadline);
    }
    ended = session->ended;
    pthread_mutex_unlock(&session->mutex);
    if (ended) {
        pthread_join(session->thread, NULL);
        session_free(session);
    }
    return ended;
}
