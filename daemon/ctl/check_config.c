/*
 * Shows the effects of the configuration in terms of MQTT: an operator who reads the client ids and
 * filters notices a wrong one before the daemon connects. A valid value that was probably not meant
 * is a warning, never "good".
 */
#include <stdio.h>

#include "base/plural.h"
#include "ctl/check_findings_internal.h"
#include "mqtt/mqtt.h"
#include "session/session.h"

/* The versions of MQTT that the daemon uses, as configured. */
static const char *protocol(const struct config *config)
{
    if (config->broker.protocol == CONFIG_MQTT_5) {
        return "MQTT 5";
    }
    return config->broker.protocol == CONFIG_AUTO && paho_speaks_5() ? "MQTT 5 or 3.1.1"
                                                                     : "MQTT 3.1.1";
}

static void check_broker(struct ctl_findings *findings, const struct config *config)
{
    const char *user = config->broker.username;
    char as[128] = "without a user name";

    if (user != NULL) {
        snprintf(as, sizeof(as), "as user %.100s", user);
    }
    if (config->broker.protocol == CONFIG_MQTT_5 && !paho_speaks_5()) {
        ctl_finding(findings, "settings", false,
                    "broker.protocol = 5 needs a build with the adapted Paho, and this one has the "
                    "shared library: foxtrackrd does not start; set auto or 3.1.1");
    }
    if (config->broker.tls) {
        ctl_finding(findings, "settings", true, "%s:%d, %s with TLS, %s", config->broker.host,
                    config->broker.port, protocol(config), as);
    } else {
        ctl_finding_warning(findings, "settings",
                            "%s:%d, %s, %s; broker.tls = no: everything travels in clear",
                            config->broker.host, config->broker.port, protocol(config), as);
    }
}

/* Warns of a password that is sent without TLS, or stands in the file; never prints it. */
static void check_password(struct ctl_findings *findings, const struct config *config)
{
    if (config->broker.password == NULL) {
        return;
    }
    if (!config->broker.tls) {
        ctl_finding_warning(findings, "password", "travels in clear: broker.tls = no");
    }
    if (config->broker.password_inline) {
        ctl_finding_warning(findings, "password",
                            "stands in clear in %s, which is copied and shown to others more "
                            "easily than a file of its own: use broker.password_file",
                            config->path);
    }
}

/* Reports the proxy, never the password for it. */
static void check_proxy(struct ctl_findings *findings, const struct config *config)
{
    const struct config_proxy *proxy = config->broker.proxy;
    char name[BROKER_ROUTE_SIZE];

    if (proxy != NULL) {
        ctl_finding(findings, "proxy", true, "%s, %s, %s%.100s%s", broker_proxy_name(config, name),
                    proxy->socks5 ? "SOCKS 5" : "HTTP CONNECT",
                    proxy->user != NULL ? "as user " : "without a user name",
                    proxy->user != NULL ? proxy->user : "",
                    proxy->user != NULL ? ", which travels to it in clear with the password" : "");
    }
}

static void check_session(struct ctl_findings *findings, const struct config_session *session)
{
    char filters[CTL_DETAIL_SIZE / 2];
    size_t used = 0;

    filters[0] = '\0';
    for (size_t i = 0; i < session->filter_count && used < sizeof(filters); i++) {
        used += (size_t)snprintf(filters + used, sizeof(filters) - used, "%s%s", i > 0 ? ", " : "",
                                 session->filters[i]);
    }
    ctl_finding(findings, "session", true, "client id %s, QoS %d, %s %s%s", session->client_id,
                session->qos, plural((int64_t)session->filter_count, "filter", "filters"), filters,
                used >= sizeof(filters) ? "..." : "");
}

void ctl_check_configuration(struct ctl_findings *findings, const struct config *config)
{
    ctl_finding(findings, "configuration", true, "%s: %zu session%s", config->path,
                config->session_count, plural_s((int64_t)config->session_count));
    for (size_t i = 0; i < config->warning_count; i++) {
        ctl_finding_warning(findings, "configuration", "%s", config->warnings[i]);
    }
    check_broker(findings, config);
    check_proxy(findings, config);
    check_password(findings, config);
    for (size_t i = 0; i < config->session_count; i++) {
        check_session(findings, &config->sessions[i]);
    }
}
