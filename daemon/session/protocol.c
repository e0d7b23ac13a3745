/*
 * Chooses the version of MQTT for each CONNECT. See session/session.h.
 *
 * A broker that does not speak MQTT 5 may answer its CONNECT with code 1 in the form of MQTT 3.1.1,
 * with 0x84, or close the connection without a word, as RabbitMQ 3.10 does. After such a close the
 * broker may have made a new session, as far as the daemon can tell: the session is uncertain, and
 * where it has kept messages before, that is a row in `gaps`. So where a session is known and the
 * broker is not known to speak MQTT 5, a client with an id of its own asks first: nothing of the
 * daemon's is in that client's session. A broker that refuses such a client without a CONNACK of
 * MQTT 5 is taken for one that speaks MQTT 3.1.1 only: slower, and never wrong. So is one that
 * accepts it and keeps no session of MQTT 5: with the first connection of that version the session
 * that it has would end. Of a broker that denies such a client in MQTT 5, because it knows its
 * clients by their ids, this is not known: MQTT 3.1.1 is used as before, and the question is asked
 * again a week after the session's own client was accepted. A broker that denies that one too, by
 * a wrong password for instance, has denied the client and not its id.
 *
 * Where no session is known, the daemon asks for MQTT 5 with its own client id: a new session that
 * the broker does not keep has nothing in it, and is left at once for one of MQTT 3.1.1.
 *
 * Must never happen: unless the configuration says so, a CONNECT of MQTT 5 with the session's own
 * client id leaves for a broker that has a session of ours and was never seen to keep one of
 * MQTT 5. The one exception is a broker that has refused MQTT 3.1.1.
 */
#include "session/session.h"

#define ASK_AGAIN_MS INT64_C(604800000) /* a week: brokers are upgraded */
#define CLOSED_LIMIT 2 /* closed CONNECTs in a row of a broker that has answered in MQTT 5 */
#define SILENT_LIMIT 2 /* unanswered CONNECTs before the versions take turns */

const char *session_protocol_name(enum paho_version version)
{
    return version == PAHO_MQTT_5 ? "MQTT 5" : "MQTT 3.1.1";
}

const char *session_protocol_reason(enum protocol_doubt doubt)
{
    switch (doubt) {
    case PROTOCOL_NO_DOUBT:
        break;
    case PROTOCOL_NOT_TAKEN:
        return "the broker does not take MQTT 5";
    case PROTOCOL_NOT_KEPT:
        return "the broker keeps no session of MQTT 5 when its connection ends";
    case PROTOCOL_NOT_KNOWN:
        return "whether the broker keeps a session of MQTT 5 is not known, because it denies the "
               "client that asks";
    case PROTOCOL_EARLIER:
        return "the broker did not take MQTT 5, or promise to keep a session of it, when an "
               "earlier run asked; it is asked again a week after that";
    }
    return "";
}

static bool is_free(const struct session_protocol *protocol)
{
    return protocol->configured == CONFIG_AUTO && protocol->can_5;
}

void session_protocol_remember(struct session_protocol *protocol, int remembered, int64_t asked_ms)
{
    protocol->remembered = remembered;
    protocol->asked_ms = is_free(protocol) ? asked_ms : 0;
    protocol->answers_5 = remembered == PAHO_MQTT_5;
    protocol->doubt = remembered == PAHO_MQTT_3_1_1 && protocol->asked_ms > 0 ? PROTOCOL_EARLIER
                                                                              : PROTOCOL_NO_DOUBT;
}

/* Returns true when MQTT 5 was asked for within the last week. A clock that was set back makes it
 * false. */
static bool was_asked(const struct session_protocol *protocol, int64_t now_ms)
{
    return protocol->asked_ms > 0 && protocol->asked_ms <= now_ms &&
           now_ms - protocol->asked_ms < ASK_AGAIN_MS;
}

/* Returns true when MQTT 3.1.1 is to be used without a question: the broker has taken that version
 * only, or it is that version's turn at a broker that does not answer. */
static bool is_old(const struct session_protocol *protocol, int64_t now_ms)
{
    bool took_it = protocol->remembered == PAHO_MQTT_3_1_1 && was_asked(protocol, now_ms);
    bool has_turn = protocol->silent >= SILENT_LIMIT && protocol->silent % 2 == 0;

    return !protocol->answers_5 && (took_it || has_turn);
}

struct protocol_choice session_protocol_choose(const struct session_protocol *protocol, bool known,
                                               int64_t now_ms)
{
    struct protocol_choice choice = {.version = PAHO_MQTT_5};

    if (is_free(protocol) ? is_old(protocol, now_ms)
                          : protocol->configured != CONFIG_MQTT_5 || !protocol->can_5) {
        choice.version = PAHO_MQTT_3_1_1;
    } else {
        choice.is_question = is_free(protocol) && !protocol->answers_5 && known;
    }
    return choice;
}

/* A CONNECT of MQTT 5 was closed. Returns true when the broker may speak MQTT 3.1.1 only. */
static bool note_closed(struct session_protocol *protocol, int64_t now_ms)
{
    bool takes_old;

    protocol->asked_ms = now_ms;
    protocol->closed++;
    takes_old = protocol->closed >= (protocol->answers_5 ? CLOSED_LIMIT : 1);
    protocol->doubt = takes_old ? PROTOCOL_NOT_TAKEN : protocol->doubt;
    return takes_old;
}

bool session_protocol_note(struct session_protocol *protocol, enum paho_version version,
                           enum protocol_result result, int64_t now_ms)
{
    bool is_5 = version == PAHO_MQTT_5;

    if (!is_free(protocol)) {
        if (result == PROTOCOL_ACCEPTED || result == PROTOCOL_USELESS) {
            protocol->asked_ms = is_5 ? now_ms : protocol->asked_ms;
            protocol->remembered = (int)version;
        }
        return false;
    }
    switch (result) {
    case PROTOCOL_ACCEPTED:
        protocol->doubt = is_5 ? PROTOCOL_NO_DOUBT : protocol->doubt;
        if (is_5 || (protocol->doubt == PROTOCOL_NOT_KNOWN && !was_asked(protocol, now_ms))) {
            protocol->asked_ms = now_ms;
        }
        protocol->remembered = (int)version;
        protocol->answers_5 = is_5;
        protocol->closed = protocol->silent = 0;
        return false;
    case PROTOCOL_DENIED:
        protocol->answers_5 = protocol->answers_5 || is_5;
        protocol->closed = protocol->silent = 0;
        return false;
    case PROTOCOL_REFUSED:
        protocol->asked_ms = is_5 ? now_ms : protocol->asked_ms;
        protocol->answers_5 = protocol->answers_5 && !is_5;
        protocol->doubt = is_5 ? PROTOCOL_NOT_TAKEN : protocol->doubt;
        return true;
    case PROTOCOL_CLOSED:
        return is_5 && note_closed(protocol, now_ms);
    case PROTOCOL_SILENT:
        protocol->asked_ms = is_5 ? now_ms : protocol->asked_ms;
        protocol->doubt = is_5 ? PROTOCOL_NOT_TAKEN : protocol->doubt;
        protocol->silent++;
        return false;
    case PROTOCOL_USELESS:
        protocol->doubt = PROTOCOL_NOT_KEPT;
        protocol->asked_ms = now_ms;
        protocol->remembered = PAHO_MQTT_3_1_1;
        protocol->answers_5 = false;
        protocol->closed = protocol->silent = 0;
        return true;
    case PROTOCOL_OTHER:
        break;
    }
    return false;
}

/* Returns why the answer to a question keeps the daemon from MQTT 5. */
static enum protocol_doubt doubt_of(enum protocol_result result)
{
    switch (result) {
    case PROTOCOL_REFUSED:
    case PROTOCOL_CLOSED:
    case PROTOCOL_SILENT:
        return PROTOCOL_NOT_TAKEN;
    case PROTOCOL_USELESS:
        return PROTOCOL_NOT_KEPT;
    case PROTOCOL_DENIED:
        return PROTOCOL_NOT_KNOWN;
    case PROTOCOL_ACCEPTED:
    case PROTOCOL_OTHER:
        break;
    }
    return PROTOCOL_NO_DOUBT;
}

bool session_protocol_answered(struct session_protocol *protocol, enum protocol_result result,
                               int64_t now_ms, enum paho_version *version)
{
    protocol->doubt = doubt_of(result);
    switch (result) {
    case PROTOCOL_ACCEPTED:
        protocol->answers_5 = true;
        protocol->silent = 0;
        *version = PAHO_MQTT_5;
        return true;
    case PROTOCOL_DENIED:
        protocol->silent = 0;
        *version = PAHO_MQTT_3_1_1;
        return true;
    case PROTOCOL_REFUSED:
    case PROTOCOL_CLOSED:
    case PROTOCOL_USELESS:
        protocol->asked_ms = now_ms;
        *version = PAHO_MQTT_3_1_1;
        return true;
    case PROTOCOL_SILENT:
        protocol->asked_ms = now_ms;
        protocol->silent++;
        break;
    case PROTOCOL_OTHER:
        break;
    }
    return false;
}
