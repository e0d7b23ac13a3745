/*
 * Checks of a configuration before anything is opened for writing: files with two purposes, files
 * that are not foxtrackrd's, certificates that cannot work.
 */
#include "preflight.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/own_file.h"
#include "config/config.h"
#include "mqtt/mqtt.h"
#include "net/net.h"
#include "store/start.h"

struct replaced {
    const char *key;
    const char *path; /* NULL: none */
    enum own_file_kind kind;
};

enum { REPLACED = 2 };

static void list_replaced(const struct config *config, struct replaced list[REPLACED])
{
    list[0] = (struct replaced){"status.file", config->status.file, OWN_FILE_STATUS};
    list[1] =
        (struct replaced){"status.metrics_file", config->status.metrics_file, OWN_FILE_METRICS};
}

/* Returns 1, with `problem` set, when one of the replaced files has this verdict; else 0. */
static int find_verdict(const struct config *config, enum own_file_verdict verdict, char *problem)
{
    struct replaced list[REPLACED];
    char reason[OWN_FILE_REASON_SIZE];
    int error;

    list_replaced(config, list);
    for (size_t i = 0; i < REPLACED; i++) {
        if (list[i].path != NULL &&
            own_file_judge(list[i].path, list[i].kind, &error, reason) == verdict) {
            snprintf(problem, CONFIG_PROBLEM_SIZE, "%.120s: %s: %.130s %.200s", config->path,
                     list[i].key, list[i].path, reason);
            return 1;
        }
    }
    return 0;
}

/* Refuses anything but a regular file: reading a pipe would block for ever. */
static int check_regular(const struct config *config, const char *key, const char *path,
                         char *problem)
{
    struct stat status;

    if (path == NULL || stat(path, &status) != 0 || S_ISREG(status.st_mode)) {
        return 0;
    }
    snprintf(problem, CONFIG_PROBLEM_SIZE, "%.120s: %s: %.200s is not a regular file", config->path,
             key, path);
    return 1;
}

int preflight_protocol(const struct config *config, char *problem)
{
    if (config->broker.protocol != CONFIG_MQTT_5 || paho_speaks_5()) {
        return 0;
    }
    snprintf(problem, CONFIG_PROBLEM_SIZE,
             "%.200s: broker.protocol: 5 needs a build with the adapted Paho, and this one has the "
             "shared library: set auto or 3.1.1",
             config->path);
    return 1;
}

int preflight_engine(const struct config *config, char *problem)
{
    const struct store_options options = store_options_of(config);
    char sentence[CONFIG_PROBLEM_SIZE / 2];

    if (store_check(&options, sentence, sizeof(sentence)) == STORE_OK) {
        return 0;
    }
    snprintf(problem, CONFIG_PROBLEM_SIZE, "%.200s: %s", config->path, sentence);
    return 1;
}

int preflight_regular(const char *path, char *problem)
{
    struct stat status;

    if (stat(path, &status) != 0 || S_ISREG(status.st_mode)) {
        return 0; /* the later read reports the error */
    }
    snprintf(problem, CONFIG_PROBLEM_SIZE,
             "%.200s: is not a regular file, and a reload could not read it again", path);
    return 1;
}

int preflight_files(const struct config *config, char *problem)
{
    if (paths_check(config, problem) != 0 ||
        check_regular(config, "broker.ca_file", config->broker.ca_file, problem) != 0 ||
        check_regular(config, "broker.cert_file", config->broker.cert_file, problem) != 0 ||
        check_regular(config, "broker.key_file", config->broker.key_file, problem) != 0) {
        return 1;
    }
    return find_verdict(config, OWN_FILE_OTHER, problem);
}

int preflight_neighbours(const struct config *config, char *problem)
{
    return find_verdict(config, OWN_FILE_IN_USE, problem);
}

int preflight_certificates(const struct config *config, char *problem)
{
    char reason[TLS_PROBLEM_SIZE];
    int64_t now_ms = clock_wall_ms();

    if (!config->broker.tls ||
        (tls_check_ca_file(config->broker.ca_file, now_ms, NULL, reason) == 0 &&
         (config->broker.cert_file == NULL ||
          tls_check_client(config->broker.cert_file, config->broker.key_file, now_ms, reason) ==
              0))) {
        return 0;
    }
    /* The reason begins with the name of the key. */
    snprintf(problem, CONFIG_PROBLEM_SIZE, "%.120s: broker.%.350s", config->path, reason);
    return 1;
}

void preflight_configuration(const struct config *config)
{
    for (size_t i = 0; i < config->warning_count; i++) {
        log_warning("%s", config->warnings[i]);
    }
}

static void warn(void *context, const char *sentence)
{
    (void)context;
    log_warning("%s", sentence);
}

void preflight_warnings(const struct config *config)
{
    struct tls_certificates certificates;
    char reason[TLS_PROBLEM_SIZE];
    char left[DURATION_SIZE];
    int64_t now_ms = clock_wall_ms();

    preflight_configuration(config);
    if (config->broker.protocol == CONFIG_AUTO && !paho_speaks_5()) {
        log_notice("broker.protocol = auto means MQTT 3.1.1 in this build, which has the shared "
                   "library of Paho");
    }
    paths_each_shared(config, warn, NULL);
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
