/* Expiry dates of the certificates that a connection depends on. Main's thread only. */
#ifndef STATUS_CERTIFICATES_INTERNAL_H
#define STATUS_CERTIFICATES_INTERNAL_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "config/config.h"

/* One file, as it was when it was read. */
struct status_certificate_file {
    ino_t inode;
    struct timespec changed;
    int64_t expiry_ms; /* 0: unknown */
};

/* Begins zeroed. Times are ms since the epoch; 0: unknown, or there is no certificate. */
struct status_certificates {
    int64_t broker_ms; /* the broker's own, from the last handshake */
    int64_t ca_ms;     /* the last of ca_file */
    int64_t client_ms; /* the first of cert_file */

    int64_t looked_ms; /* monotonic; 0: never */
    struct status_certificate_file ca;
    struct status_certificate_file client;
};

/* Check once a minute whether the files have changed, and read the changed ones. */
void status_certificates_look(struct status_certificates *certificates, const struct config *config,
                              int64_t monotonic_ms);

#endif
