/*
 * The way to the broker: the host that is dialled, which is the proxy's if there is one, and the
 * broker's address as it is given to Paho.
 *
 * Paho never connects to that address: the gate compares it with the target of Paho's CONNECT
 * request, and Paho takes the certificate's expected name from it.
 *
 * An IPv6 address is written without brackets. Paho takes the port after the last colon, and
 * removes only the closing bracket of an address: it would use "[::1" in its CONNECT, as SNI and
 * for the certificate. Without brackets it uses "::1" in each place.
 */
#include "session/session.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "net/net.h"

void broker_target(const struct config *config, char target[BROKER_TARGET_SIZE])
{
    struct host_identity identity;

    host_identity(config->broker.host, &identity);
    snprintf(target, BROKER_TARGET_SIZE, "%s:%d", identity.name, config->broker.port);
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

bool broker_other_client_id(const struct config *config, const char *client_id, const char *purpose,
                            char out[BROKER_CLIENT_ID_SIZE])
{
    uint16_t number;

    do {
        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
            return false;
        }
        snprintf(out, BROKER_CLIENT_ID_SIZE, "%s%.400s-%.16s-%04x",
                 strncmp(client_id, "id-", 3) == 0 ? "" : "id-", client_id, purpose, number);
    } while (is_taken(config, out));
    return true;
}

void broker_proxy(const struct config *config, const struct gate *gate, unsigned session,
                  char proxy[BROKER_PROXY_SIZE])
{
    char authority[GATE_AUTHORITY_SIZE];

    gate_authority(gate, session, authority);
    /* Paho requires this scheme, although it speaks plain HTTP to the proxy in either case. */
    snprintf(proxy, BROKER_PROXY_SIZE, "%s://%s", config->broker.tls ? "https" : "http", authority);
}

struct paho_options broker_options(const struct config *config, char uri[BROKER_URI_SIZE])
{
    char target[BROKER_TARGET_SIZE];

    broker_target(config, target);
    snprintf(uri, BROKER_URI_SIZE, "%s://%s", config->broker.tls ? "ssl" : "tcp", target);
    return (struct paho_options){
        .uri = uri,
        .version = PAHO_MQTT_3_1_1,
        .tls = config->broker.tls,
        .ca_file = config->broker.ca_file,
        .cert_file = config->broker.cert_file,
        .key_file = config->broker.key_file,
        .username = config->broker.username,
        .password = config->broker.password,
        .keepalive_s = config->broker.keepalive_s,
    };
}

/* --- the way there --------------------------------------------------------------------------- */

/* The time that a proxy gets to resolve the broker's name and connect to it. */
#define PROXY_TIMEOUT_MS 20000

int broker_resolve(const struct config *config, const struct dial_history *history,
                   struct dial_list *out, char problem[DIAL_PROBLEM_SIZE])
{
    const struct config_proxy *proxy = config->broker.proxy;

    if (proxy != NULL) {
        return dial_resolve(DIAL_PROXY, proxy->host, proxy->port, history, out, problem);
    }
    return dial_resolve(DIAL_BROKER, config->broker.host, config->broker.port, history, out,
                        problem);
}

enum proxy_result broker_open(const struct config *config, int fd, int stop_fd,
                              char problem[PROXY_PROBLEM_SIZE])
{
    const struct config_proxy *proxy = config->broker.proxy;
    struct proxy way = {.kind = PROXY_NONE};

    if (proxy != NULL) {
        way = (struct proxy){.kind = proxy->socks5 ? PROXY_SOCKS5 : PROXY_HTTP,
                             .user = proxy->user,
                             .password = config->broker.proxy_password};
    }
    return proxy_open(fd, &way, config->broker.host, config->broker.port, PROXY_TIMEOUT_MS, stop_fd,
                      problem);
}

const char *broker_proxy_name(const struct config *config, char out[BROKER_ROUTE_SIZE])
{
    const struct config_proxy *proxy = config->broker.proxy;
    bool brackets = proxy != NULL && strchr(proxy->host, ':') != NULL;

    out[0] = '\0';
    if (proxy != NULL) {
        snprintf(out, BROKER_ROUTE_SIZE, "%s%.128s%s:%d", brackets ? "[" : "", proxy->host,
                 brackets ? "]" : "", proxy->port);
    }
    return out;
}

const char *broker_route(const struct config *config, char out[BROKER_ROUTE_SIZE])
{
    char proxy[BROKER_ROUTE_SIZE];

    broker_proxy_name(config, proxy);
    snprintf(out, BROKER_ROUTE_SIZE, "%.128s:%d%s%.144s", config->broker.host, config->broker.port,
             proxy[0] != '\0' ? " through the proxy " : "", proxy);
    return out;
}
