/*
 * Checks the broker step by step, so that the failing step is known: TCP, TLS, CONNECT, SUBSCRIBE.
 *
 * The check uses the daemon's own code: the same addresses in the same order, the same gate as
 * Paho's proxy, the same SNI and the same verification of the certificate. Other code could succeed
 * where the daemon fails. One address that passes is enough, as it is for the daemon.
 *
 * A durable session belongs to a client id, and a client that connects with that id takes the
 * session over. So the check uses a client id of its own (the first session's, with "check" and a
 * random number appended) and a clean session that ends with the connection. The messages that the
 * broker sends to it are copies, which are dropped here. A shared subscription ($share/...) would
 * take messages away from other clients, so it is not subscribed. A broker that subscribes every
 * client to a shared one by itself would lose messages to the check, and not to the daemon's own
 * question for MQTT 5 (session/address.c).
 *
 * A broker tells how long it keeps a session of MQTT 5 in its answer to a client that asks for one.
 * The check asks that first, over a connection of its own. Must never happen: a session that may
 * outlast the check has a subscription, because the broker would queue messages for it.
 */
#include "ctl/check_findings_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/error_text.h"
#include "gate/gate.h"
#include "mqtt/mqtt.h"
#include "net/net.h"
#include "session/session.h"

#define DIAL_TIMEOUT_MS       10000
#define TLS_TIMEOUT_MS        10000
#define CONNECT_TIMEOUT_S     20
#define DISCONNECT_TIMEOUT_MS 2000

/* A systemd credential is readable for the service only, not for this command. */
#define UNREAD_CREDENTIAL                                                                          \
    "; tried without a password: if the service has a credential, see the examples in "            \
    "foxtrackrctl(8)"

static void drop_message(void *context, const struct paho_message *message)
{
    (void)context;
    (void)message;
}

static void drop_released(void *context)
{
    (void)context;
}

/* The check of one address. */
struct trial {
    struct ctl_findings *findings;
    const struct config *config;
    const char *client_id;
    struct gate *gate;
    const struct dial_address *address;
    bool last; /* the last address: a failure is BAD */
};

/*
 * Reports a failed step. The daemon would try the next address, so the failure is BAD only at the
 * last one. `reason` says what is wrong and what to do.
 */
static void fail(const struct trial *trial, const char *step, const char *reason)
{
    if (trial->last) {
        ctl_finding(trial->findings, step, false, "%s: %s", trial->address->name, reason);
    } else {
        ctl_finding_warning(
            trial->findings, "address",
            "%s is of no use, and the daemon goes on to the next address after it: %s: %s",
            trial->address->name, step, reason);
    }
}

static void report_tls(const struct trial *trial, int64_t expiry_ms)
{
    int64_t left_ms = expiry_ms - clock_wall_ms();
    char left[DURATION_SIZE];

    ctl_finding(trial->findings, "TLS", true,
                "the broker's certificate is trusted and expires in %s%s",
                duration_text(left_ms, left),
                left_ms < TLS_EXPIRES_SOON_MS ? ": its operator should renew it" : "");
}

/*
 * Connects to the address, and through the proxy if one is configured. Returns a non-blocking
 * socket to the broker; or -1, and *step and `reason` (of TLS_PROBLEM_SIZE bytes) say what failed.
 */
static int open_way(const struct trial *trial, const char **step, char *reason)
{
    const struct config_proxy *proxy = trial->config->broker.proxy;
    int fd = dial_connect(trial->address, DIAL_TIMEOUT_MS, -1, reason);

    *step = "TCP";
    if (fd >= 0 && broker_open(trial->config, fd, -1, reason) != PROXY_OK) {
        size_t length = strlen(reason);

        if (proxy != NULL && proxy->user != NULL && trial->config->broker.proxy_password == NULL) {
            snprintf(reason + length, TLS_PROBLEM_SIZE - length, UNREAD_CREDENTIAL);
        }
        *step = "proxy";
        close(fd);
        fd = -1;
    }
    return fd;
}

static void report_way(const struct trial *trial)
{
    char route[BROKER_ROUTE_SIZE];

    ctl_finding(trial->findings, "TCP", true, "%s accepts connections", trial->address->name);
    if (trial->config->broker.proxy != NULL) {
        ctl_finding(trial->findings, "proxy", true, "there is a way to %s",
                    broker_route(trial->config, route));
    }
}

/* Checks TCP, the proxy, and with TLS the handshake; explains a failure as the daemon does. Returns
 * false on failure. */
static bool check_transport(const struct trial *trial)
{
    const struct config *config = trial->config;
    char reason[TLS_PROBLEM_SIZE];
    const char *step;
    int64_t expiry_ms = 0;
    enum tls_result result = TLS_OK;
    int fd = open_way(trial, &step, reason);

    if (fd < 0) {
        fail(trial, step, reason);
        return false;
    }
    if (config->broker.tls) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        result =
            tls_explain(fd, config->broker.host, config->broker.ca_file, config->broker.cert_file,
                        config->broker.key_file, TLS_TIMEOUT_MS, &expiry_ms, reason);
    }
    close(fd);
    if (result != TLS_OK && !trial->last) {
        fail(trial, "TLS", reason);
        return false;
    }
    report_way(trial);
    if (result != TLS_OK) {
        fail(trial, "TLS", reason);
    } else if (config->broker.tls) {
        report_tls(trial, expiry_ms);
    }
    return result == TLS_OK;
}

static void check_filter(struct ctl_findings *findings, struct paho *paho, const char *filter,
                         int qos)
{
    char problem[PAHO_PROBLEM_SIZE];
    int granted = 0;

    if (strncmp(filter, "$share/", 7) == 0) {
        ctl_finding_warning(findings, "filter",
                            "%s: not asked for, because that would take messages away from others",
                            filter);
        return;
    }
    switch (paho_subscribe(paho, filter, qos, &granted, problem)) {
    case PAHO_OK:
        if (granted < qos) {
            ctl_finding(findings, "filter", false,
                        "%s: granted with QoS %d, asked was %d: ask the broker's operator, or set "
                        "session.qos = %d knowingly",
                        filter, granted, qos, granted);
        } else {
            ctl_finding(findings, "filter", true, "%s: granted with QoS %d", filter, granted);
        }
        break;
    default:
        ctl_finding(findings, "filter", false, "%s: %s", filter, problem);
        break;
    }
}

static void check_filters(struct ctl_findings *findings, const struct config *config,
                          struct paho *paho)
{
    for (size_t i = 0; i < config->session_count; i++) {
        const struct config_session *session = &config->sessions[i];

        for (size_t j = 0; j < session->filter_count; j++) {
            check_filter(findings, paho, session->filters[j], session->qos);
        }
    }
}

/* Gives the gate a connection to the address and lets Paho connect through it, as a session does.
 * Sets *answer, or `problem` unless the broker accepts. */
static enum protocol_result connect_paho(const struct trial *trial, struct paho *paho,
                                         const struct paho_options *options,
                                         struct paho_answer *answer, char problem[LOSS_TEXT_SIZE])
{
    char way_problem[TLS_PROBLEM_SIZE];
    const char *step;
    char paho_problem[PAHO_PROBLEM_SIZE];
    char complaint[PAHO_PROBLEM_SIZE];
    struct loss_facts facts = {.packets_checked = paho_checks_packets(),
                               .tls = options->tls,
                               .keepalive_s = options->keepalive_s,
                               .version = options->version};
    enum loss_cause cause;
    int fd = open_way(trial, &step, way_problem);

    if (fd < 0) {
        snprintf(problem, LOSS_TEXT_SIZE, "%s", way_problem);
        return PROTOCOL_OTHER;
    }
    gate_link_status(trial->gate, 0, &facts.link);
    facts.opened_before = facts.link.opened;
    gate_offer(trial->gate, 0, fd);
    switch (paho_connect(paho, options, answer, paho_problem)) {
    case PAHO_OK:
        return PROTOCOL_ACCEPTED;
    case PAHO_E_REFUSED:
        snprintf(problem, LOSS_TEXT_SIZE, "%s", paho_problem);
        return PROTOCOL_DENIED;
    case PAHO_E_VERSION:
        snprintf(problem, LOSS_TEXT_SIZE, "%s", paho_problem);
        return PROTOCOL_REFUSED;
    case PAHO_E_OLD_ANSWER:
        snprintf(problem, LOSS_TEXT_SIZE, "%s", paho_problem);
        return PROTOCOL_CLOSED;
    default:
        break;
    }
    gate_link_status(trial->gate, 0, &facts.link);
    if (paho_complaint(paho, complaint)) {
        facts.complaint = complaint;
    }
    cause = loss_of_connect(&facts, paho_problem, problem);
    return paho_sent_connect(paho) && (cause == LOSS_BROKER || cause == LOSS_PACKET)
               ? PROTOCOL_CLOSED
               : PROTOCOL_OTHER;
}

/* Returns the session that asks for the longest expiry. */
static const struct config_session *longest_lasting(const struct config *config)
{
    const struct config_session *longest = &config->sessions[0];

    for (size_t i = 1; i < config->session_count; i++) {
        if (config->sessions[i].session_expiry_ms > longest->session_expiry_ms) {
            longest = &config->sessions[i];
        }
    }
    return longest;
}

/* The broker's answers to the CONNECTs of the check's client. */
struct agreed {
    char older[LOSS_TEXT_SIZE]; /* why it is not MQTT 5, or "" */
    uint32_t expiry_s;          /* MQTT 5: as granted */
};

/* Connects in the version that the daemon would use; with MQTT 5 twice, the second time with a
 * session that ends with the connection. Sets options->version, and *agreed or `problem`. */
static bool connect_either(const struct trial *trial, struct paho *paho,
                           struct paho_options *options, struct agreed *agreed,
                           char problem[LOSS_TEXT_SIZE])
{
    struct paho_answer answer = {0};
    struct session_protocol protocol = {.configured = trial->config->broker.protocol,
                                        .can_5 = paho_speaks_5()};
    enum protocol_result result;
    bool was_refused;

    agreed->older[0] = '\0';
    options->version = session_protocol_choose(&protocol, false, 0).version;
    options->session_expiry_s =
        (uint32_t)(longest_lasting(trial->config)->session_expiry_ms / 1000);
    result = connect_paho(trial, paho, options, &answer, problem);
    if (session_protocol_note(&protocol, options->version, result, 0)) {
        snprintf(agreed->older, LOSS_TEXT_SIZE, "%s", problem);
        paho_disconnect(paho, DISCONNECT_TIMEOUT_MS);
        options->version = PAHO_MQTT_3_1_1;
        was_refused = result == PROTOCOL_REFUSED;
        result = connect_paho(trial, paho, options, &answer, problem);
        if (was_refused && result == PROTOCOL_REFUSED) {
            snprintf(problem, LOSS_TEXT_SIZE, SESSION_SPEAKS_NEITHER);
        }
    }
    agreed->expiry_s = answer.session_expiry_s;
    if (result == PROTOCOL_ACCEPTED && options->version == PAHO_MQTT_5) {
        paho_disconnect(paho, DISCONNECT_TIMEOUT_MS);
        options->session_expiry_s = 0;
        result = connect_paho(trial, paho, options, &answer, problem);
    }
    return result == PROTOCOL_ACCEPTED;
}

/* Warns when the broker keeps a session of MQTT 5 for a shorter time than asked. */
static void report_expiry(struct ctl_findings *findings, const struct config *config,
                          uint32_t granted_s)
{
    const struct config_session *longest = longest_lasting(config);
    char asked[DURATION_SIZE];
    char granted[DURATION_SIZE];

    duration_text(longest->session_expiry_ms, asked);
    if (granted_s == 0) {
        ctl_finding_warning(
            findings, "expiry",
            "the broker keeps no session of MQTT 5 when its connection ends (%s asked): what is "
            "published while foxtrackrd is not connected would be lost; set broker.protocol = "
            "3.1.1, or ask the broker's operator to let sessions last",
            asked);
    } else if (granted_s < longest->session_expiry_ms / 1000) {
        ctl_finding_warning(
            findings, "expiry",
            "the broker keeps a session of MQTT 5 for %s, and %s is asked: what is published after "
            "that while foxtrackrd is away is lost; ask the broker's operator for more, or set "
            "session.session_expiry = %" PRIu32 "s knowingly",
            duration_text(granted_s * INT64_C(1000), granted), asked, granted_s);
    }
}

static void report_protocol(struct ctl_findings *findings, const struct config *config,
                            enum paho_version version, const struct agreed *agreed)
{
    bool has_several = config->session_count > 1;
    char expiry[DURATION_SIZE];

    if (version == PAHO_MQTT_5) {
        ctl_finding(
            findings, "protocol", true, "MQTT 5; window %d asked%s; session expiry %s asked%s",
            config->sessions[0].receive_maximum, has_several ? " for the first session" : "",
            duration_text(longest_lasting(config)->session_expiry_ms, expiry),
            has_several ? ", the longest of the sessions" : "");
        report_expiry(findings, config, agreed->expiry_s);
    } else if (agreed->older[0] != '\0') {
        ctl_finding(findings, "protocol", true,
                    "MQTT 3.1.1, because the broker does not take MQTT 5: %s", agreed->older);
    } else {
        ctl_finding(findings, "protocol", true, "MQTT 3.1.1");
    }
}

/* Checks CONNECT and SUBSCRIBE. Returns false when CONNECT fails. */
static bool check_credentials(const struct trial *trial)
{
    const struct config *config = trial->config;
    const char *user = config->broker.username != NULL ? config->broker.username : "none";
    char uri[BROKER_URI_SIZE];
    char proxy[BROKER_PROXY_SIZE];
    char problem[LOSS_TEXT_SIZE];
    struct agreed agreed;
    char reason[CTL_DETAIL_SIZE];
    const struct paho_handler handler = {.message = drop_message, .released = drop_released};
    struct paho_options options = broker_options(config, uri);
    struct paho *paho;
    bool good;

    broker_proxy(config, trial->gate, 0, proxy);
    options.proxy_url = proxy;
    options.client_id = trial->client_id;
    options.clean_session = true;
    options.connect_timeout_s = CONNECT_TIMEOUT_S;
    paho_limit_payload(config->parser.max_payload); /* retained messages may come */
    if (paho_new(&paho, &options, &handler) != 0) {
        fail(trial, "credentials", "out of memory");
        return false;
    }
    options.receive_maximum = (unsigned)config->sessions[0].receive_maximum;
    good = connect_either(trial, paho, &options, &agreed, problem);
    if (good) {
        report_protocol(trial->findings, config, options.version, &agreed);
        ctl_finding(trial->findings, "credentials", true, "accepted (user %s, client id %s)", user,
                    trial->client_id);
        check_filters(trial->findings, config, paho);
    } else {
        snprintf(
            reason, sizeof(reason), "%s (user %s, client id %s)%s", problem, user, trial->client_id,
            config->broker.username != NULL && config->broker.password == NULL ? UNREAD_CREDENTIAL
                                                                               : "");
        fail(trial, "credentials", reason);
    }
    paho_disconnect(paho, DISCONNECT_TIMEOUT_MS);
    paho_free(paho);
    return good;
}

/* Checks the addresses in the daemon's order, until one of them has passed every step. */
static void check_addresses(struct ctl_findings *findings, const struct config *config,
                            const char *client_id, struct gate *gate)
{
    char problem[DIAL_PROBLEM_SIZE];
    struct dial_list list;

    if (broker_resolve(config, NULL, &list, problem) != 0) {
        ctl_finding(findings, "TCP", false, "%s", problem);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        const struct trial trial = {
            .findings = findings,
            .config = config,
            .client_id = client_id,
            .gate = gate,
            .address = &list.entries[i],
            .last = i + 1 == list.count,
        };

        if (check_transport(&trial) && check_credentials(&trial)) {
            return;
        }
    }
}

void ctl_check_connect(struct ctl_findings *findings, const struct config *config)
{
    static const struct watermark nothing_pending; /* so the gate holds nothing back */
    char client_id[BROKER_CLIENT_ID_SIZE];
    char target[BROKER_TARGET_SIZE];
    struct gate *gate;
    int rc;

    session_library_init(config);
    if (!broker_other_client_id(config, config->sessions[0].client_id, "check", client_id)) {
        ctl_finding(findings, "credentials", false, "no random number for a client id");
        return;
    }
    broker_target(config, target);
    rc = gate_new(&gate, target, 1, session_writes_at_once(config), &nothing_pending);
    if (rc != 0) {
        ctl_finding(findings, "TCP", false, "no relay on 127.0.0.1 to connect through: %s",
                    error_text(-rc));
        return;
    }
    check_addresses(findings, config, client_id, gate);
    gate_free(gate);
}
