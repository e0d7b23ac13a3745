#include "ctl_check.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "clock.h"
#include "duration.h"
#include "store.h"
#include "tls.h"

#define WEEK_MS           (INT64_C(7) * 24 * 3600 * 1000)
#define EXPIRY_WARNING_MS (INT64_C(14) * 24 * 3600 * 1000)
#define DETAIL_SIZE       1024
#define MIB               (INT64_C(1024) * 1024)

struct report {
    bool json;
    bool good;
    json_t *checks;
};

static void tell(struct report *report, const char *name, bool good, const char *detail)
{
    report->good = report->good && good;
    if (report->json) {
        json_array_append_new(report->checks, json_pack("{s:s, s:b, s:s}", "check", name, "good",
                                                        good, "detail", detail));
    } else {
        printf("%-14s %-5s %s\n", name, good ? "good" : "BAD", detail);
    }
}

static void check_configuration(struct report *report, const struct config *config)
{
    char detail[DETAIL_SIZE];

    snprintf(detail, sizeof(detail), "%s: %zu session%s to %s:%d%s", config->path,
             config->session_count, config->session_count == 1 ? "" : "s", config->broker.host,
             config->broker.port, config->broker.tls ? " with TLS" : " in clear");
    tell(report, "configuration", true, detail);
    if (!config->broker.tls && config->broker.password != NULL) {
        tell(report, "password", true, "travels in clear: broker.tls = no");
    }
}

static void check_certificates(struct report *report, const struct config *config)
{
    struct tls_certificates certificates;
    char reason[TLS_PROBLEM_SIZE];
    char detail[DETAIL_SIZE];
    char left[DURATION_SIZE];
    int64_t now_ms = clock_wall_ms();

    if (!config->broker.tls) {
        return;
    }
    if (tls_check_ca_file(config->broker.ca_file, now_ms, &certificates, reason) != 0) {
        tell(report, "CA", false, reason);
    } else {
        snprintf(detail, sizeof(detail), "%s: %d certificates, %d expired; the last expires in %s",
                 config->broker.ca_file, certificates.count, certificates.expired,
                 duration_text(certificates.last_expiry_ms - now_ms, left));
        tell(report, "CA", certificates.last_expiry_ms - now_ms > EXPIRY_WARNING_MS, detail);
    }
    if (config->broker.cert_file != NULL) {
        if (tls_check_client(config->broker.cert_file, config->broker.key_file, now_ms, reason) !=
            0) {
            tell(report, "certificate", false, reason);
        } else {
            tell(report, "certificate", true, config->broker.cert_file);
        }
    }
}

static void check_database(struct report *report, const struct config *config)
{
    const struct store_options options = {.path = config->database.path,
                                          .busy_timeout_ms = config->database.busy_timeout_ms,
                                          .read_only = true};
    struct store *store;
    char problem[DETAIL_SIZE];

    if (access(config->database.path, F_OK) != 0 && errno == ENOENT) {
        snprintf(problem, sizeof(problem), "%s: not there yet, the daemon will create it",
                 config->database.path);
        tell(report, "database", true, problem);
        return;
    }
    if (store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        tell(report, "database", false, problem);
        return;
    }
    store_close(store);
    snprintf(problem, sizeof(problem), "%s: schema %d", config->database.path,
             store_schema_version());
    tell(report, "database", true, problem);
}

/* Bytes that a week will need, from the daemon's own growth so far; -1 when unknown. */
static int64_t week_bytes(const struct config *config)
{
    json_t *root =
        config->status.file != NULL ? json_load_file(config->status.file, 0, NULL) : NULL;
    int64_t received =
        (int64_t)json_integer_value(json_object_get(json_object_get(root, "counts"), "received"));
    int64_t running_ms =
        clock_wall_ms() - (int64_t)json_integer_value(json_object_get(root, "started_ms"));
    const int64_t bytes_a_message = 128; /* a reading with its index and some extra */
    int64_t bytes = -1;

    if (root != NULL && running_ms > 0 && received > 0) {
        bytes = (int64_t)((double)received * (double)bytes_a_message * (double)WEEK_MS /
                          (double)running_ms);
    }
    json_decref(root);
    return bytes;
}

static void check_space(struct report *report, const struct config *config)
{
    char directory[PATH_MAX];
    char detail[DETAIL_SIZE];
    struct statvfs fs;
    int64_t free_bytes;
    int64_t need = week_bytes(config);
    int64_t keep = config->database.min_free_mb * MIB;

    snprintf(directory, sizeof(directory), "%s", config->database.path);
    if (statvfs(dirname(directory), &fs) != 0) {
        snprintf(detail, sizeof(detail), "%s: %s", config->database.path, strerror(errno));
        tell(report, "disk", false, detail);
        return;
    }
    free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (need < 0) {
        snprintf(detail, sizeof(detail),
                 "%" PRId64 " MiB free; min_free_mb = %d; no rate known yet for a forecast",
                 free_bytes / MIB, config->database.min_free_mb);
        tell(report, "disk", free_bytes > keep, detail);
    } else {
        snprintf(detail, sizeof(detail),
                 "%" PRId64 " MiB free; 7 days at the rate of this run need about %" PRId64
                 " MiB beside min_free_mb = %d",
                 free_bytes / MIB, need / MIB, config->database.min_free_mb);
        tell(report, "disk", free_bytes > keep + need, detail);
    }
}

int ctl_check(const struct config *config, bool json)
{
    struct report report = {.json = json, .good = true};

    if (json) {
        report.checks = json_array();
    }
    check_configuration(&report, config);
    check_certificates(&report, config);
    check_database(&report, config);
    check_space(&report, config);
    if (json) {
        json_t *root = json_pack("{s:b, s:o}", "good", report.good, "checks", report.checks);

        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(root);
    }
    return report.good ? EX_OK : 1;
}
