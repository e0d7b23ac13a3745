#include "broker_options.h"

#include <stdio.h>
#include <string.h>

struct paho_options broker_options(const struct config *config, char uri[BROKER_URI_SIZE])
{
    bool v6 = strchr(config->broker.host, ':') != NULL;

    snprintf(uri, BROKER_URI_SIZE, "%s://%s%s%s:%d", config->broker.tls ? "ssl" : "tcp",
             v6 ? "[" : "", config->broker.host, v6 ? "]" : "", config->broker.port);
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
