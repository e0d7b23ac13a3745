/*
 * The broker's host name or address as TLS verifies it. One function decides whether a host is a
 * name or an address, for Paho's handshake (net/tls_peer.c), for the diagnostic handshake
 * (net/tls_explain.c) and for the URI that Paho gets (session/broker_options.c), so that they
 * cannot disagree.
 */
#include "net/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void host_identity(const char *host, struct host_identity *out)
{
    unsigned char address[16];
    size_t length;

    *out = (struct host_identity){0};
    snprintf(out->name, sizeof(out->name), "%s", host);
    if (strchr(out->name, ':') != NULL) {
        out->name[strcspn(out->name, "%")] = '\0';
    }
    out->is_address =
        inet_pton(AF_INET, out->name, address) == 1 || inet_pton(AF_INET6, out->name, address) == 1;
    length = strlen(out->name);
    if (!out->is_address && length > 1 && out->name[length - 1] == '.') {
        out->name[length - 1] = '\0'; /* RFC 6066 §3: SNI has no trailing dot */
    }
}
