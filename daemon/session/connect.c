/*
 * Connects to the broker: tries the addresses of its name; a failure is described in a sentence.
 * session/address.c does what there is to do at one address.
 *
 * One attempt resolves the host and tries its addresses until one has answered CONNECT with a
 * session; the backoff comes after the last one. An address may fail at any stage, and after each
 * failure the next is tried: a machine that accepts TCP and then does not answer must not keep us
 * from the others. An address that does not answer TCP within DIAL_HEAD_START_MS is raced by the
 * next one. The address that worked is tried first in the next attempt.
 *
 * When a later address works, the earlier failures are reported according to their kind. An address
 * that refuses TCP at once (a broker that does not listen at ::1) is ordinary and gets a line of
 * level "debug". An address that did not answer, or accepted and then failed, costs time at every
 * attempt and may be a broken broker: this is a warning, and the session's last problem.
 */
#include "session/session_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "net/net.h"

#define DIAL_HEAD_START_MS 2000
#define CONNECT_TIMEOUT_S  30 /* from CONNECT to CONNACK, with the handshake */
/* The same for a host with several addresses; it grows by this much with each failed attempt, so
 * that a broker that answers slowly is reached in the end. */
#define CONNECT_PATIENCE_S 10

/* Returns how many seconds each of `count` addresses gets to answer CONNECT. */
static int patience_s(const struct session *session, size_t count)
{
    int patient_s = CONNECT_PATIENCE_S * (1 + session->failed_attempts);

    return count == 1 || patient_s > CONNECT_TIMEOUT_S ? CONNECT_TIMEOUT_S : patient_s;
}

/* Appends "address: reason" to the reasons of this attempt. The first is preceded by the route,
 * which the operator knows: always with a proxy, else if broker.host is a name. A proxy's address
 * is left out if the route names it. */
static void add_reason(const struct config *config, char *problem,
                       const struct dial_address *address, const char *reason)
{
    const struct config_proxy *proxy = config->broker.proxy;
    size_t used = strlen(problem);
    size_t before = used;
    char route[BROKER_ROUTE_SIZE];
    struct host_identity dialled;
    bool named_twice;

    host_identity(proxy != NULL ? proxy->host : config->broker.host, &dialled);
    named_twice = proxy != NULL && dialled.is_address;
    if (used == 0 && (proxy != NULL || !dialled.is_address)) {
        used = (size_t)snprintf(problem, SESSION_REASON_SIZE, "%s: ", broker_route(config, route));
    }
    if ((size_t)snprintf(problem + used, SESSION_REASON_SIZE - used, "%s%s%s%.384s",
                         before > 0 ? "; " : "", named_twice ? "" : address->name,
                         named_twice ? "" : ": ", reason) >= SESSION_REASON_SIZE - used &&
        before > 0) {
        snprintf(problem + before, SESSION_REASON_SIZE - before, "; ...");
    }
}

/* Logs the failures of the addresses before the one that works. */
static void say_earlier(struct session *session, bool all_refused, const char *problem)
{
    const struct log_fields fields = {.session = session->own->client_id};

    if (problem[0] == '\0') {
        return;
    }
    if (all_refused) {
        log_line_fields(LOG_DEBUG, &fields, "%s: %s; the next address works",
                        session->own->client_id, problem);
    } else {
        session_log_problem(session, problem);
    }
}

/* One attempt, with the reasons of the addresses that have failed in it. */
struct attempt {
    struct session *session;
    const struct dial_list *list;
    struct dial_race race;
    bool is_slow[DIAL_ADDRESSES_MAX]; /* did not answer in its head start */
    bool all_refused;                 /* by TCP, at once */
    char *problem;
};

/* A dial_tell_fn. */
static void tell_address(void *context, size_t index, int error, const char *reason)
{
    struct attempt *attempt = context;
    const struct dial_address *address = &attempt->list->entries[index];
    const char *client_id = attempt->session->own->client_id;

    if (error == EINPROGRESS) {
        const struct log_fields fields = {.session = client_id};

        attempt->is_slow[index] = true;
        log_line_fields(LOG_INFO, &fields,
                        "%s: %s does not answer yet, trying the next address beside it", client_id,
                        address->name);
        return;
    }
    attempt->all_refused = attempt->all_refused && error != ETIMEDOUT;
    add_reason(attempt->session->parts.config, attempt->problem, address, reason);
}

/* Adds the addresses that a later one has overtaken to the reasons. */
static void add_slow(struct attempt *attempt, int winner)
{
    char time[DURATION_SIZE];
    char reason[128];

    snprintf(reason, sizeof(reason),
             "no answer within %s, when the next address was tried beside it (a firewall, or a "
             "machine that is down?)",
             duration_text(DIAL_HEAD_START_MS, time));
    for (size_t i = 0; i < attempt->list->count; i++) {
        if (attempt->is_slow[i] && !attempt->race.is_over[i] && (int)i != winner) {
            attempt->all_refused = false;
            add_reason(attempt->session->parts.config, attempt->problem, &attempt->list->entries[i],
                       reason);
        }
    }
}

static bool has_more(const struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->list->count; i++) {
        if (!attempt->race.is_over[i]) {
            return true;
        }
    }
    return false;
}

/* Tries the addresses until one has answered CONNECT. Returns as session_connect() does. */
static bool try_addresses(struct attempt *attempt)
{
    struct session *session = attempt->session;
    char reason[SESSION_REASON_SIZE];
    int fd;
    int i;

    while ((i = dial_race(&attempt->race, &fd)) >= 0) {
        const struct dial_address *address = &attempt->list->entries[i];
        enum session_reached reached = session_try_address(session, address, fd, reason);

        if (reached == SESSION_REACHED) {
            dial_remember_good(&session->addresses, address);
            session->failed_attempts = 0;
            add_slow(attempt, i);
            say_earlier(session, attempt->all_refused, attempt->problem);
            return true;
        }
        if (reached == SESSION_NOT_NOW) {
            snprintf(attempt->problem, SESSION_REASON_SIZE, "%s", reason);
            return false;
        }
        attempt->all_refused = false;
        attempt->race.is_over[i] = true;
        add_reason(session->parts.config, attempt->problem, address, reason);
        if (has_more(attempt)) {
            paho_disconnect(session->paho, SESSION_CLEAN_UP_MS); /* ends the rest of the failed
                                                                  * connection */
        }
    }
    if (i == DIAL_RACE_STOPPED) {
        attempt->problem[0] = '\0';
    } else {
        session->failed_attempts++;
    }
    return false;
}

bool session_connect(struct session *session, char *problem)
{
    const struct config *config = session->parts.config;
    char dial_problem[DIAL_PROBLEM_SIZE];
    struct dial_list list;
    struct attempt attempt = {
        .session = session, .list = &list, .all_refused = true, .problem = problem};

    if (broker_resolve(config, &session->addresses, &list, dial_problem) != 0) {
        snprintf(problem, SESSION_REASON_SIZE, "%s", dial_problem);
        return false;
    }
    session->options.connect_timeout_s = patience_s(session, list.count);
    problem[0] = '\0';
    attempt.race = (struct dial_race){.list = &list,
                                      .head_start_ms = DIAL_HEAD_START_MS,
                                      .timeout_ms = SESSION_DIAL_MS,
                                      .stop_fd = session->stop_fd,
                                      .tell = tell_address,
                                      .context = &attempt};
    return try_addresses(&attempt);
}
