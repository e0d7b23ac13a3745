/*
 * Determines who ended a connection, and why. See session/session.h.
 *
 * In most cases the gate has seen the cause: the end of the broker's stream, an error of the
 * socket, or its own severing. A broker of MQTT 5 may say itself why it ends the connection, in a
 * DISCONNECT (MQTT 5 §3.14). If Paho closed first, there are four causes:
 *
 * - A malformed packet. mqtt/paho/check.c reports it, unless Paho is the shared library.
 * - The broker was silent for a keep alive. The gate knows when its last bytes came.
 * - The same, because nothing could leave: acknowledgements, and PINGREQ behind them, wait for a
 *   commit, and on a slow disk the broker's or Paho's time limit passes. The gate knows for how
 *   long bytes have been waiting.
 * - The broker ended TLS (close_notify), and Paho read that before the gate saw the end of the
 *   stream. Then the broker's last bytes came just now. Where no packet is checked, a malformed one
 *   over TLS looks the same. Brokers end connections at every restart, so that is taken for the
 *   cause, and the text names both.
 */
#include "session/session.h"

#include <stdio.h>

#include "base/duration.h"

/* Paho has reacted to the broker's bytes if they came less than this ago; its time limits are
 * longer. */
#define JUST_NOW_MS INT64_C(1000)
/* A CONNECT held for so long by a commit was answered late because of that. */
#define CONNECT_HELD_MS INT64_C(5000)

#define KEEP_ALIVE_TIMEOUT 0x8D /* of a DISCONNECT (MQTT 5 §3.14.2.1) */

const char *loss_cause_name(enum loss_cause cause)
{
    static const char *const names[LOSS_CAUSES] = {
        [LOSS_BROKER] = "broker",       [LOSS_NETWORK] = "network", [LOSS_SILENCE] = "silence",
        [LOSS_SLOW_DISK] = "slow_disk", [LOSS_PACKET] = "packet",   [LOSS_DAEMON] = "daemon",
    };

    return names[cause];
}

/* `held_limit_ms`: if bytes were held for this long, that made the broker or Paho give up. */
static enum loss_cause judge(const struct loss_facts *facts, int64_t held_limit_ms)
{
    const struct link_ending *ending = &facts->link.ending;
    bool was_held = ending->held_ms >= held_limit_ms;

    if (facts->complaint != NULL) {
        return LOSS_PACKET;
    }
    if (ending->closer == LINK_CLOSED_BY_DAEMON) {
        return LOSS_DAEMON;
    }
    if (facts->disconnect != NULL) {
        return facts->disconnect_code == KEEP_ALIVE_TIMEOUT && was_held ? LOSS_SLOW_DISK
                                                                        : LOSS_BROKER;
    }
    if (facts->link.opened == facts->opened_before) {
        return LOSS_SILENCE; /* Paho has not opened a link */
    }
    if (ending->closer == LINK_CLOSED_BY_NETWORK) {
        return LOSS_NETWORK;
    }
    if (was_held) {
        return LOSS_SLOW_DISK;
    }
    if (ending->closer == LINK_CLOSED_BY_BROKER) {
        return LOSS_BROKER;
    }
    /* Paho closed first, or the gate has not even seen that yet. */
    if (ending->silent_ms >= JUST_NOW_MS) {
        return LOSS_SILENCE;
    }
    /* Without TLS the gate sees the end of the stream before Paho. */
    return facts->tls ? LOSS_BROKER : LOSS_PACKET;
}

enum loss_cause loss_of_connection(const struct loss_facts *facts, char out[LOSS_TEXT_SIZE])
{
    const struct link_ending *ending = &facts->link.ending;
    /* A broker waits for one and a half keep alives, and received bytes at most one keep alive
     * before the first byte was held: half a keep alive of holding can be too long. */
    enum loss_cause cause = judge(facts, facts->keepalive_s * INT64_C(500));
    char time[DURATION_SIZE];

    switch (cause) {
    case LOSS_DAEMON:
        snprintf(out, LOSS_TEXT_SIZE, "connection cut by foxtrackrd: %s", ending->reason);
        break;
    case LOSS_PACKET:
        snprintf(out, LOSS_TEXT_SIZE,
                 "connection closed: %.300s; nothing of that packet was acknowledged",
                 facts->complaint != NULL
                     ? facts->complaint
                     : "the MQTT library did not take what the broker sent last");
        break;
    case LOSS_SLOW_DISK:
        snprintf(out, LOSS_TEXT_SIZE,
                 "connection lost: nothing could be sent to the broker for %s, because a commit "
                 "waited for the disk so long",
                 duration_text(ending->held_ms, time));
        break;
    case LOSS_SILENCE:
        snprintf(out, LOSS_TEXT_SIZE, "connection lost: no answer from the broker for %s",
                 duration_text(ending->silent_ms, time));
        break;
    default:
        snprintf(out, LOSS_TEXT_SIZE, "connection lost: %.400s",
                 facts->disconnect != NULL   ? facts->disconnect
                 : ending->reason[0] != '\0' ? ending->reason
                 : facts->packets_checked    ? "the broker ended the TLS connection"
                                          : "the broker ended the TLS connection, or sent what the "
                                            "MQTT library did not take");
        break;
    }
    return cause;
}

enum loss_cause loss_of_connect(const struct loss_facts *facts, const char *paho_problem,
                                char out[LOSS_TEXT_SIZE])
{
    const struct link_ending *ending = &facts->link.ending;
    enum loss_cause cause = judge(facts, CONNECT_HELD_MS);
    char time[DURATION_SIZE];

    if (cause == LOSS_DAEMON) {
        snprintf(out, LOSS_TEXT_SIZE,
                 "foxtrackrd cut the connection before the answer to CONNECT: %s", ending->reason);
    } else if (cause == LOSS_SLOW_DISK) {
        snprintf(out, LOSS_TEXT_SIZE,
                 "CONNECT could not be sent for %s, because a commit waited for the disk so long",
                 duration_text(ending->held_ms, time));
    } else if (cause == LOSS_BROKER) {
        snprintf(out, LOSS_TEXT_SIZE,
                 "the broker closed the connection without an answer to CONNECT: it %sspeaks "
                 "another protocol than %s at this port (broker.port), or refuses this "
                 "client so (broker.username, the client id, a limit of connections); its log "
                 "tells which",
                 facts->tls ? "" : "expects TLS here (broker.tls), ",
                 session_protocol_name(facts->version));
    } else {
        snprintf(out, LOSS_TEXT_SIZE, "%.240s%s%s", paho_problem, cause == LOSS_NETWORK ? "; " : "",
                 cause == LOSS_NETWORK ? ending->reason : "");
    }
    return cause;
}
