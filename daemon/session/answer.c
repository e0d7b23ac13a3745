/*
 * Records and judges the CONNACK that accepts a connection.
 *
 * Paho's thread puts the record into the intake, before the messages that the broker sends after
 * CONNACK. So when a message is acknowledged, the answer to its CONNECT is on disk: if the process
 * dies then, the next one does not take the session for uncertain.
 *
 * MQTT 5 §3.2.2.3: a session that the broker keeps for a shorter time than asked is a warning, or
 * an error when it keeps none: messages can be lost then without a row in `gaps`. A shorter keep
 * alive is for the next connection.
 */
#include "base/duration.h"
#include "base/wall.h"
#include "session/session_internal.h"

#define SECOND_MS INT64_C(1000)

/* --- the record ------------------------------------------------------------------------------- */

/*
 * Returns which messages may be missing. A session that the broker had and has no more is certainly
 * lost, also when that answer could not be recorded and the broker now has the new one. After a
 * change of brokers, the previous one may still keep messages for us, whether the new one has a
 * session or not.
 */
static enum store_gap gap_of(const struct session *session, bool present)
{
    if (session->known && (!present || session->loss_unrecorded)) {
        return STORE_GAP_LOST;
    }
    if (session->elsewhere) {
        return STORE_GAP_MOVED;
    }
    return session->known && session->uncertain ? STORE_GAP_UNCERTAIN : STORE_GAP_NONE;
}

static void say_gap(struct session *session, enum store_gap gap)
{
    const struct log_fields fields = {.session = session->own->client_id, .id = LOG_ID_GAP};
    const struct config *config = session->parts.config;

    switch (gap) {
    case STORE_GAP_NONE:
        break;
    case STORE_GAP_LOST:
        session_note_error(session, "the broker has lost the session and what it kept for us");
        log_line_fields(
            LOG_ERR, &fields,
            "%s: the broker has lost the session and what it kept for us; messages "
            "since the last commit may be missing, see the table gaps; subscribing again",
            session->own->client_id);
        break;
    case STORE_GAP_MOVED:
        session_note_error(session, "the broker is another one than before");
        log_line_fields(LOG_ERR, &fields,
                        "%s: %s:%d is another broker than before; what the one before has kept for "
                        "this client id stays there (to fetch it, run with its broker.host once "
                        "more), see the table gaps",
                        session->own->client_id, config->broker.host, config->broker.port);
        break;
    case STORE_GAP_UNCERTAIN:
        session_log_problem(session,
                            "a CONNECT was not answered before, so the session may be a new one; "
                            "noted in the table gaps, subscribing again");
        break;
    }
}

/*
 * Logs that the broker has a session which the database has no record of: it is another database's,
 * or the broker's name has changed.
 *
 * A new database is one that was begun by mistake, where the disk of the old one is not mounted or
 * the URI names another one; or it is the first, and another program made the session. Nothing
 * tells one from the other.
 */
static void say_found(const struct session *session)
{
    const struct log_fields fields = {.session = session->own->client_id};
    const struct config *config = session->parts.config;

    if (session->known) {
        return;
    }
    if (session->parts.database_is_new && config->database.engine == CONFIG_POSTGRESQL) {
        log_line_fields(
            LOG_WARNING, &fields,
            "%s: the broker has a session for this client id, and the database %s is new: if "
            "foxtrackrd has run here before, database.uri may name another database, or the "
            "database was emptied: stop foxtrackrd, and name the one before, or restore a dump. If "
            "another program made the session, all is well",
            session->own->client_id, config->database.path);
    } else if (session->parts.database_is_new) {
        log_line_fields(
            LOG_WARNING, &fields,
            "%s: the broker has a session for this client id, and the database %s is new: if "
            "foxtrackrd has run here before, the disk with its database may not be mounted: stop "
            "foxtrackrd, then see \"A database on a disk of its own\" in foxtrackrd(8). If another "
            "program made the session, all is well",
            session->own->client_id, config->database.path);
    } else {
        log_line_fields(
            LOG_NOTICE, &fields,
            "%s: the broker has a session for this client id that the database does not know "
            "from it: the broker has a new name, or another foxtrackrd had this client id",
            session->own->client_id);
    }
}

/*
 * The session's thread waits in paho_connect(), and sees what is set here when that returns. The
 * version on record is the one to begin with in the next life of the daemon: not MQTT 5 where the
 * broker keeps no session of it. A new session that the broker will not keep has nothing in it:
 * where MQTT 3.1.1 can be tried, it is left before it is subscribed, as if it had not been.
 */
void session_record_answer(void *context, const struct paho_answer *answer)
{
    struct session *session = context;
    enum paho_version version = session->options.version;
    bool is_kept = version != PAHO_MQTT_5 || answer->session_expiry_s > 0;
    bool goes_on = session_protocol_note(
        &session->protocol, version, is_kept ? PROTOCOL_ACCEPTED : PROTOCOL_USELESS, wall_now_ms());

    session->is_useless = goes_on && !answer->session_present && !session->is_last_version;
    if (session->is_useless) {
        return;
    }
    session->uncertain = session->was_uncertain; /* this CONNECT was answered */
    session->gap = gap_of(session, answer->session_present);
    session->is_recorded =
        session_put_event(session, answer->session_present ? INTAKE_SETTLED : INTAKE_ESTABLISHED,
                          "", 0, session->gap);
}

bool session_note_answer(struct session *session)
{
    bool present = session->answer.session_present;

    session_forget_granted(session);
    if (!session->is_recorded) {
        session->loss_unrecorded = session->loss_unrecorded || session->gap == STORE_GAP_LOST;
        return false;
    }
    if (present) {
        say_found(session);
    } else {
        /* A new session has no subscriptions. */
        session_subscriptions_clear(&session->subscriptions);
    }
    say_gap(session, session->gap);
    session->known = true;
    session->elsewhere = false;
    session->uncertain = false;
    session->loss_unrecorded = false;
    return true;
}

/* --- properties of MQTT 5 ----------------------------------------------------------------------
 */

static void tell_useless(struct session *session)
{
    const struct log_fields fields = {.session = session->own->client_id};

    session_note_error(session, "the broker keeps no session of MQTT 5");
    log_line_fields(LOG_ERR, &fields,
                    "%s: the broker keeps no session of MQTT 5 when its connection ends: what is "
                    "published while foxtrackrd is not connected is lost; %s",
                    session->own->client_id,
                    session->protocol.configured == CONFIG_AUTO
                        ? "MQTT 3.1.1 is used from the next connection on"
                        : "set broker.protocol = 3.1.1");
}

/* The question was denied, and the session's own client accepted. */
static void tell_doubt(struct session *session)
{
    const struct log_fields fields = {.session = session->own->client_id};

    if (session->protocol.doubt != PROTOCOL_NOT_KNOWN || session->doubt_told) {
        return;
    }
    session->doubt_told = true;
    log_line_fields(LOG_NOTICE, &fields,
                    "%s: %s: MQTT 3.1.1 is used; if the broker's operator says that it keeps one, "
                    "set broker.protocol = 5",
                    session->own->client_id, session_protocol_reason(PROTOCOL_NOT_KNOWN));
}

void session_note_expiry(struct session *session)
{
    const struct log_fields fields = {.session = session->own->client_id};
    uint32_t granted_s = session->answer.session_expiry_s;
    uint32_t asked_s = session->options.session_expiry_s;
    char granted[DURATION_SIZE];
    char asked[DURATION_SIZE];

    if (session->options.version != PAHO_MQTT_5) {
        tell_doubt(session);
        return;
    }
    if (granted_s >= asked_s || granted_s == session->expiry_told_s) {
        return;
    }
    session->expiry_told_s = granted_s;
    if (granted_s == 0) {
        tell_useless(session);
    } else {
        log_line_fields(LOG_WARNING, &fields,
                        "%s: the broker keeps the session for %s, asked was %s: what is published "
                        "after that while foxtrackrd is away is lost",
                        session->own->client_id, duration_text(granted_s * SECOND_MS, granted),
                        duration_text(asked_s * SECOND_MS, asked));
    }
}

/*
 * Paho's timer cannot be changed while it is connected: 1.3.12 ignores the broker's keep alive, and
 * 1.3.14 heeds it too late, so that the broker would close the connection as dead. Where the
 * session ends with its connection, the connection stays: what the broker keeps would be lost.
 */
bool session_take_keepalive(struct session *session)
{
    const struct paho_answer *answer = &session->answer;
    const struct log_fields fields = {.session = session->own->client_id};

    if (answer->keepalive_s >= session->options.keepalive_s ||
        (answer->session_present && answer->session_expiry_s == 0)) {
        return false;
    }
    session->options.keepalive_s = answer->keepalive_s;
    log_line_fields(LOG_INFO, &fields,
                    "%s: the broker wants a keep alive of %d s: connecting again with it",
                    session->own->client_id, answer->keepalive_s);
    return true;
}
