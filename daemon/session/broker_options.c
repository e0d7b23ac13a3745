/*
 * The broker's address as Paho gets it. Paho never connects there: the gate does not pass on what
 * it asks for but compares it (CONNECT), and the rest of Paho takes the name of the certificate
 * from it.
 *
 * An IPv6 address goes in without brackets. Paho takes the port from behind the last colon, and of
 * an address in brackets it removes the closing one alone: "[::1", which is what it would ask the
 * gate for, send as SNI and look for in the certificate. Without brackets it finds "::1" in each
 * place.
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
    /* Paho wants its own scheme here; what it speaks to the proxy is HTTP in either case. */
    snprintf(proxy, BROKER_PROXY_SIZE, "%s://%s", config->broker.tls ? "https" : "http", authority);
}

struct paho_options broker_options(const struct config *config, char uri[BROKER_URI_SIZE])
{
    char target[BROKER_TARGET_SIZE];

    broker_target(config, target);
    snprintf(uri, BROKER_URI_SIZE, "%s://%s", config->broker.tls ? "ssl" : "tcp", target);
    return (struct paho_options){
        .uri = uri,
        .tls = config->broker.tls,
        .ca_file = config->broker.ca_file,
        .cert_file = config->broker.cert_file,
        .key_file = config->broker.key_file,
        .username = config->broker.username,
        .password = config->broker.password,
        .keepalive_s = config->broker.keepalive_s,
    };
}
