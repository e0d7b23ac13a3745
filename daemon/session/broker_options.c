/*
 * The broker's address as it is given to Paho. Paho never connects to it: the gate only compares it
 * with the target of Paho's CONNECT request, and Paho takes the certificate's expected name from
 * it.
 *
 * An IPv6 address is written without brackets. Paho takes the port after the last colon, and
 * removes only the closing bracket of an address: it would use "[::1" in its CONNECT, as SNI and
 * for the certificate. Without brackets it uses "::1" in each place.
 */
#include "session/session.h"

#include <stdio.h>

#include "net/net.h"

void broker_target(const struct config *config, char target[BROKER_TARGET_SIZE])
{
    struct host_identity identity;

    host_identity(config->broker.host, &identity);
    snprintf(target, BROKER_TARGET_SIZE, "%s:%d", identity.name, config->broker.port);
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
