/* Reads the certificate files again when they have changed; see its header. */
#include "status/certificates_internal.h"

#include <stdbool.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "net/net.h"

#define LOOK_PERIOD_MS 60000

/* Returns true when the path leads to another file than the one that was read, or that file was
 * written since. */
static bool has_changed(struct status_certificate_file *file, const char *path)
{
    struct stat now;

    if (stat(path, &now) != 0) {
        *file = (struct status_certificate_file){0};
        return false;
    }
    if (now.st_ino == file->inode && now.st_ctim.tv_sec == file->changed.tv_sec &&
        now.st_ctim.tv_nsec == file->changed.tv_nsec) {
        return false;
    }
    file->inode = now.st_ino;
    file->changed = now.st_ctim;
    file->expiry_ms = 0;
    return true;
}

/* Reads the dates of changed files. A wrong file is reported when it is used; here its date becomes
 * unknown. */
static void look_at_files(struct status_certificates *certificates, const struct config *config)
{
    struct tls_certificates found = {0};
    char problem[TLS_PROBLEM_SIZE];

    if (has_changed(&certificates->ca, config->broker.ca_file)) {
        (void)tls_check_ca_file(config->broker.ca_file, clock_wall_ms(), &found, problem);
        certificates->ca.expiry_ms = found.last_expiry_ms;
    }
    if (config->broker.cert_file != NULL &&
        has_changed(&certificates->client, config->broker.cert_file)) {
        (void)tls_read_expiry(config->broker.cert_file, &certificates->client.expiry_ms, problem);
    }
}

void status_certificates_look(struct status_certificates *certificates, const struct config *config,
                              int64_t monotonic_ms)
{
    if (!config->broker.tls) {
        return;
    }
    if (certificates->looked_ms == 0 || monotonic_ms - certificates->looked_ms >= LOOK_PERIOD_MS) {
        certificates->looked_ms = monotonic_ms;
        look_at_files(certificates, config);
    }
    certificates->broker_ms = tls_peer_expiry_ms();
    certificates->ca_ms = certificates->ca.expiry_ms;
    certificates->client_ms = certificates->client.expiry_ms;
}
