/*
 * The broker, asked step by step, so that what fails has a name: TCP, TLS, CONNECT, SUBSCRIBE.
 *
 * A durable session belongs to a client id, and whoever connects with that id takes the session
 * over. So the check has an id of its own, that of the first session with a word and a random
 * number behind it, and a clean session that ends with the connection. Its subscriptions are its
 * own too: what the broker sends for them in that second are copies, which are dropped here. Only a
 * shared subscription ($share/...) would take messages away from others, and is not asked for.
 */
#include "ctl_check_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "broker_options.h"
#include "clock.h"
#include "dial.h"
#include "duration.h"
#include "paho.h"
#include "tls.h"

#define DIAL_TIMEOUT_MS       10000
#define TLS_TIMEOUT_MS        10000
#define CONNECT_TIMEOUT_S     20
#define DISCONNECT_TIMEOUT_MS 2000
#define CLIENT_ID_SIZE        512

static void drop_message(void *context, const char *topic, size_t topic_length, const void *payload,
                         size_t payload_length, int qos)
{
    (void)context;
    (void)topic;
    (void)topic_length;
    (void)payload;
    (void)payload_length;
    (void)qos;
}

static void drop_released(void *context)
{
    (void)context;
}

static bool is_taken(const struct config *config, const char *client_id)
{
    for (size_t i = 0; i < config->session_count; i++) {
        if (strcmp(config->sessions[i].client_id, client_id) == 0) {
            return true;
        }
    }
    return false;
}

/* id-acme-01 gives id-acme-01-check-3f2a: nobody else's, now or at another time. */
static bool make_client_id(const struct config *config, char client_id[CLIENT_ID_SIZE])
{
    const char *first = config->sessions[0].client_id;
    uint16_t number;

    do {
        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
            return false;
        }
        snprintf(client_id, CLIENT_ID_SIZE, "%s%.400s-check-%04x",
                 strncmp(first, "id-", 3) == 0 ? "" : "id-", first, number);
    } while (is_taken(config, client_id));
    return true;
}

/* TCP, and with TLS the handshake. */
static bool check_transport(struct ctl_report *report, const struct config *config)
{
    char problem[DIAL_PROBLEM_SIZE];
    char reason[TLS_PROBLEM_SIZE];
    char left[DURATION_SIZE];
    int64_t expiry_ms = 0;
    int64_t left_ms;
    enum tls_result result = TLS_OK;
    int fd = dial(config->broker.host, config->broker.port, DIAL_TIMEOUT_MS, -1, problem);

    if (fd < 0) {
        ctl_report(report, "TCP", false, "%s", problem);
        return false;
    }
    ctl_report(report, "TCP", true, "%s:%d accepts connections", config->broker.host,
               config->broker.port);
    if (config->broker.tls) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        result =
            tls_explain(fd, config->broker.host, config->broker.ca_file, config->broker.cert_file,
                        config->broker.key_file, TLS_TIMEOUT_MS, &expiry_ms, reason);
        left_ms = expiry_ms - clock_wall_ms();
        if (result != TLS_OK) {
            ctl_report(report, "TLS", false, "%s", reason);
        } else {
            ctl_report(report, "TLS", true,
                       "the broker's certificate is trusted and expires in %s%s",
                       duration_text(left_ms, left),
                       left_ms < TLS_EXPIRES_SOON_MS ? ": its operator should renew it" : "");
        }
    }
    close(fd);
    return result == TLS_OK;
}

static void check_filter(struct ctl_report *report, struct paho *paho, const char *filter, int qos)
{
    int granted = 0;

    if (strncmp(filter, "$share/", 7) == 0) {
        ctl_report(report, "filter", true,
                   "%s: not asked for, because that would take messages away from others", filter);
        return;
    }
    switch (paho_subscribe(paho, filter, qos, &granted)) {
    case PAHO_OK:
        if (granted < qos) {
            ctl_report(report, "filter", false,
                       "%s: granted with QoS %d, asked was %d: ask the broker's operator, or set "
                       "session.qos = %d knowingly",
                       filter, granted, qos, granted);
        } else {
            ctl_report(report, "filter", true, "%s: granted with QoS %d", filter, granted);
        }
        break;
    case PAHO_E_REFUSED:
        ctl_report(report, "filter", false,
                   "%s: refused: ask the broker's operator for read access to it", filter);
        break;
    default:
        ctl_report(report, "filter", false, "%s: no answer to SUBSCRIBE", filter);
        break;
    }
}

static void check_filters(struct ctl_report *report, const struct config *config, struct paho *paho)
{
    for (size_t i = 0; i < config->session_count; i++) {
        const struct config_session *session = &config->sessions[i];

        for (size_t j = 0; j < session->filter_count; j++) {
            check_filter(report, paho, session->filters[j], session->qos);
        }
    }
}

static void check_credentials(struct ctl_report *report, const struct config *config,
                              const char *client_id)
{
    char uri[BROKER_URI_SIZE];
    struct paho_options options = broker_options(config, uri);
    /* systemd hands a credential to the service alone. */
    const char *hint = config->broker.username != NULL && config->broker.password == NULL
                           ? "; tried without a password: if the service has a credential, see the "
                             "examples in foxtrackrctl(8)"
                           : "";
    char problem[PAHO_PROBLEM_SIZE];
    struct paho *paho;
    bool present;

    options.client_id = client_id;
    options.clean_session = true;
    options.connect_timeout_s = CONNECT_TIMEOUT_S;
    if (paho_new(&paho, &options, drop_message, drop_released, NULL) != 0) {
        ctl_report(report, "credentials", false, "out of memory");
        return;
    }
    if (paho_connect(paho, &options, &present, problem) != PAHO_OK) {
        ctl_report(report, "credentials", false, "%s (user %s, client id %s)%s", problem,
                   config->broker.username != NULL ? config->broker.username : "none", client_id,
                   hint);
    } else {
        ctl_report(report, "credentials", true, "accepted (user %s, client id %s)",
                   config->broker.username != NULL ? config->broker.username : "none", client_id);
        check_filters(report, config, paho);
        paho_disconnect(paho, DISCONNECT_TIMEOUT_MS);
    }
    paho_free(paho);
}

void ctl_check_connect(struct ctl_report *report, const struct config *config)
{
    char client_id[CLIENT_ID_SIZE];

    paho_library_init();
    if (!make_client_id(config, client_id)) {
        ctl_report(report, "credentials", false, "no random number for a client id");
        return;
    }
    if (check_transport(report, config)) {
        check_credentials(report, config, client_id);
    }
}
