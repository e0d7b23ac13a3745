/*
 * Who ended a connection, and why. See session/session.h.
 *
 * In most cases the gate has seen it: the end of the broker's stream, an error of the socket, or
 * its own cut. Where Paho was first, there are four causes:
 *
 * - A packet that is malformed. mqtt/paho/check.c knows it, unless Paho is the shared library.
 * - Nothing came for a keep alive. The gate knows when the broker's last bytes came.
 * - The same, because nothing could leave: acknowledgements, and PINGREQ behind them, wait for a
 *   commit, and a disk that is slow enough makes the broker, or Paho, lose patience. The gate knows
 *   for how long bytes have been waiting.
 * - The broker ended TLS (close_notify), and Paho read that before the gate saw the end of the
 *   stream. Then the broker's last bytes came just now.
 */
#include "session/session.h"

#include <stdio.h>

#include "base/duration.h"

/* Paho has reacted to bytes that came so long ago; what it waits for in vain takes longer. */
#define JUST_NOW_MS INT64_C(1000)
/* A CONNECT that waits so long for a commit is late because of that. */
#define CONNECT_HELD_MS INT64_C(5000)

const char *loss_cause_name(enum loss_cause cause)
{
    static const char *const names[LOSS_CAUSES] = {
        [LOSS_BROKER] = "broker",       [LOSS_NETWORK] = "network", [LOSS_SILENCE] = "silence",
        [LOSS_SLOW_DISK] = "slow_disk", [LOSS_PACKET] = "packet",   [LOSS_DAEMON] = "daemon",
    };

    return names[cause];
}

/* `held_limit_ms`: bytes that were held for so long have made the broker, or Paho, give up. */
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
    if (facts->link.opened == facts->opened_before) {
        return LOSS_SILENCE; /* Paho has not come so far */
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
    /* Paho was first, and perhaps the gate has not seen even that. */
    if (ending->silent_ms >= JUST_NOW_MS) {
        return LOSS_SILENCE;
    }
    /* In clear the gate sees the end of the stream first. */
    return facts->tls && facts->packets_checked ? LOSS_BROKER : LOSS_PACKET;
}

enum loss_cause loss_of_connection(const struct loss_facts *facts, char out[LOSS_TEXT_SIZE])
{
    const struct link_ending *ending = &facts->link.ending;
    /* A broker waits for one and a half keep alives, and has heard something within one before the
     * first byte was held. */
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
        snprintf(out, LOSS_TEXT_SIZE, "connection lost: %s",
                 ending->reason[0] != '\0' ? ending->reason
                                           : "the broker ended the TLS connection");
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
                 "another protocol than MQTT 3.1.1 at this port (broker.port), or refuses this "
                 "client so (broker.username, the client id, a limit of connections); its log "
                 "tells which",
                 facts->tls ? "" : "expects TLS here (broker.tls), ");
    } else {
        snprintf(out, LOSS_TEXT_SIZE, "%.240s%s%s", paho_problem, cause == LOSS_NETWORK ? "; " : "",
                 cause == LOSS_NETWORK ? ending->reason : "");
    }
    return cause;
}
