/*
 * Judges what a CONNACK of MQTT 5 says of the session's expiry and of the keep alive (MQTT 5
 * §3.2.2.3). A session that the broker keeps for a shorter time than asked is a warning, or an
 * error when it keeps none: messages can be lost then without a row in `gaps`.
 */
#include "base/duration.h"
#include "base/wall.h"
#include "session/session_internal.h"

#define SECOND_MS INT64_C(1000)

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

void session_note_expiry(struct session *session)
{
    const struct log_fields fields = {.session = session->own->client_id};
    uint32_t granted_s = session->answer.session_expiry_s;
    uint32_t asked_s = session->options.session_expiry_s;
    char granted[DURATION_SIZE];
    char asked[DURATION_SIZE];

    if (session->options.version != PAHO_MQTT_5) {
        return;
    }
    if (granted_s == 0) {
        (void)session_protocol_note(&session->protocol, PAHO_MQTT_5, PROTOCOL_USELESS,
                                    wall_now_ms());
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
