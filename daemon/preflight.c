#include "preflight.h"

#include <stdio.h>

#include "clock.h"
#include "duration.h"
#include "log.h"
#include "tls.h"

int preflight_certificates(const struct config *config, char *problem)
{
    char reason[TLS_PROBLEM_SIZE];
    int64_t now_ms = clock_wall_ms();
    const char *key = NULL;

    if (!config->broker.tls) {
        return 0;
    }
    if (tls_check_ca_file(config->broker.ca_file, now_ms, NULL, reason) != 0) {
        key = "broker.ca_file";
    } else if (config->broker.cert_file != NULL &&
               tls_check_client(config->broker.cert_file, config->broker.key_file, now_ms,
                                reason) != 0) {
        key = "broker.cert_file";
    }
    if (key == NULL) {
        return 0;
    }
    snprintf(problem, CONFIG_PROBLEM_SIZE, "%.120s: %s: %.350s", config->path, key, reason);
    return 1;
}

void preflight_configuration(const struct config *config)
{
    for (size_t i = 0; i < config->warning_count; i++) {
        log_warning("%s", config->warnings[i]);
    }
}

void preflight_warnings(const struct config *config)
{
    struct tls_certificates certificates;
    char reason[TLS_PROBLEM_SIZE];
    char left[DURATION_SIZE];
    int64_t now_ms = clock_wall_ms();

    preflight_configuration(config);
    if (!config->broker.tls) {
        if (config->broker.password != NULL) {
            log_warning("broker.tls = no: the password and all data travel in clear to %s:%d",
                        config->broker.host, config->broker.port);
        } else {
            log_warning("broker.tls = no: all data travels in clear to %s:%d", config->broker.host,
                        config->broker.port);
        }
    } else if (tls_check_ca_file(config->broker.ca_file, now_ms, &certificates, reason) == 0 &&
               certificates.last_expiry_ms - now_ms < TLS_EXPIRES_SOON_MS) {
        log_warning("broker.ca_file %s: its last certificate expires in %s", config->broker.ca_file,
                    duration_text(certificates.last_expiry_ms - now_ms, left));
    }
}
