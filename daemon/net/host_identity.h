/* What a certificate must be for, and what SNI may say: broker.host without its zone. Pure. */
#ifndef NET_HOST_IDENTITY_H
#define NET_HOST_IDENTITY_H

#include <stdbool.h>

#define HOST_IDENTITY_SIZE 256

struct host_identity {
    char name[HOST_IDENTITY_SIZE]; /* never with brackets, a zone or a dot at its end */
    bool is_address;               /* an IPv4 or IPv6 address, not a name */
};

/*
 * The identity of a host as the configuration writes it: a name, an IPv4 address, or an IPv6
 * address, which may have a zone ("fe80::1%eth0"). The zone names an interface of this machine and
 * no certificate holds it. Any thread; no errors: `host` passed the configuration's check.
 */
void host_identity(const char *host, struct host_identity *out);

#endif
