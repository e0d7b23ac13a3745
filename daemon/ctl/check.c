/*
 * `foxtrackrctl check`: runs every check in the order in which a start would fail: the
 * configuration, the files, the database, certificates, and with --connect the broker. The longer
 * ones are in ctl/check_*.c.
 */
#include "ctl/commands_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/error_text.h"
#include "base/free_space.h"
#include "base/moment.h"
#include "base/plural.h"
#include "ctl/check_findings_internal.h"
#include "ctl/work_internal.h"
#include "net/net.h"
#include "session/session.h"
#include "store/sessions.h"
#include "store/store.h"
#include "store/tools.h"

#define WEEK_MS (INT64_C(7) * 24 * 3600 * 1000)
#define MIB     (INT64_C(1024) * 1024)

/* Over a shorter time there is no forecast of the space needed; with fewer messages the size of one
 * is not known. */
#define FORECAST_MESSAGES  1000
#define FORECAST_SPAN_MS   (INT64_C(6) * 3600 * 1000)
#define USUAL_MESSAGE_SIZE 128 /* bytes: a reading with its index and some extra */

static void check_ca(struct ctl_findings *findings, const struct config *config, int64_t now_ms)
{
    struct tls_certificates ca;
    char reason[TLS_PROBLEM_SIZE];
    char date[MOMENT_SIZE];
    char left[DURATION_SIZE];

    if (tls_check_ca_file(config->broker.ca_file, now_ms, &ca, reason) != 0) {
        ctl_finding(findings, "CA", false, "%s", reason);
        return;
    }
    ctl_finding(findings, "CA", ca.last_expiry_ms - now_ms > TLS_EXPIRES_SOON_MS,
                "%s: %d certificate%s, %d expired; the last expires on %s, in %s",
                config->broker.ca_file, ca.count, plural_s(ca.count), ca.expired,
                moment_date(ca.last_expiry_ms, date),
                duration_text(ca.last_expiry_ms - now_ms, left));
}

/* A walk through cert_file. */
struct client_file {
    struct ctl_findings *findings;
    const char *path;
    int64_t now_ms;
    bool first_is_told; /* the client's own certificate was reported as wrong */
};

static void check_client_date(void *context, const char *name, int64_t from_ms, int64_t until_ms)
{
    struct client_file *file = context;
    char date[MOMENT_SIZE];
    char left[DURATION_SIZE];

    if (file->first_is_told) {
        file->first_is_told = false;
    } else if (until_ms < file->now_ms) {
        ctl_finding(file->findings, "certificate", false,
                    "%s: \"%s\" expired on %s: a broker that needs it refuses the client; put its "
                    "successor in its place",
                    file->path, name, moment_date(until_ms, date));
    } else if (from_ms > file->now_ms) {
        ctl_finding(file->findings, "certificate", false, "%s: \"%s\" is not valid before %s",
                    file->path, name, moment_date(from_ms, date));
    } else {
        ctl_finding(file->findings, "certificate", until_ms - file->now_ms > TLS_EXPIRES_SOON_MS,
                    "%s: \"%s\" expires on %s, in %s", file->path, name,
                    moment_date(until_ms, date), duration_text(until_ms - file->now_ms, left));
    }
}

/* Checks the client's certificate with its key, and the dates of all certificates in its file. */
static void check_client(struct ctl_findings *findings, const struct config *config, int64_t now_ms)
{
    struct client_file file = {findings, config->broker.cert_file, now_ms, false};
    char reason[TLS_PROBLEM_SIZE];
    char first[TLS_PROBLEM_SIZE] = "";

    if (tls_check_client(file.path, config->broker.key_file, now_ms, first) != 0) {
        ctl_finding(findings, "certificate", false, "%s", first);
        file.first_is_told = true;
    }
    if (tls_each_certificate("cert_file", file.path, check_client_date, &file, reason) != 0 &&
        strcmp(reason, first) != 0) {
        ctl_finding(findings, "certificate", false, "%s", reason);
    }
}

static void check_certificates(struct ctl_findings *findings, const struct config *config)
{
    int64_t now_ms = clock_wall_ms();

    if (config->broker.tls) {
        check_ca(findings, config, now_ms);
    }
    if (config->broker.tls && config->broker.cert_file != NULL) {
        check_client(findings, config, now_ms);
    }
}

/* Checks the name that is resolved here: a proxy resolves the broker's. */
static void check_name(struct ctl_findings *findings, const struct config *config)
{
    const struct config_proxy *proxy = config->broker.proxy;
    const char *host = proxy != NULL ? proxy->host : config->broker.host;
    const char *name = proxy != NULL ? "proxy name" : "broker name";
    char addresses[256];
    char problem[DIAL_PROBLEM_SIZE];
    struct dial_list list;

    if (broker_resolve(config, NULL, &list, problem) != 0) {
        ctl_finding(findings, name, false,
                    "%s; correct %s, or see the name server: getent hosts %s", problem,
                    proxy != NULL ? "broker.proxy" : "broker.host", host);
    } else {
        dial_list_text(&list, addresses, sizeof(addresses));
        ctl_finding(findings, name, true, "%s: %s", host, addresses);
    }
}

static void warn_unused(void *context, const char *client_id, const char *broker, int64_t used_ms)
{
    char used[MOMENT_SIZE];

    ctl_finding_warning(context, "session", STORE_SESSION_UNUSED, client_id, broker,
                        moment_text(used_ms, used));
}

/* Checks that each session's recorded broker is the configured one. */
static void check_sessions(struct ctl_findings *findings, const struct config *config,
                           struct store *store)
{
    const char *client_ids[CONFIG_SESSIONS_MAX];

    for (size_t i = 0; i < config->session_count; i++) {
        const char *client_id = config->sessions[i].client_id;
        struct store_session session;

        client_ids[i] = client_id;
        if (store_session_find(store, client_id, &session) != STORE_OK) {
            ctl_finding(findings, "database", false, "%s", store_error(store));
        } else if (session.elsewhere) {
            ctl_finding_warning(
                findings, "session",
                "%s: its last session was at another broker than %s:%d: what that one has "
                "kept for it stays there, and the table gaps will say so",
                client_id, config->broker.host, config->broker.port);
        }
    }
    if (store_sessions_unused(store, client_ids, (unsigned)config->session_count, warn_unused,
                              findings) != STORE_OK) {
        ctl_finding(findings, "database", false, "%s", store_error(store));
    }
}

/* Returns the bytes that a week needs at the rate of the last week's runs; -1 when unknown. */
static int64_t week_bytes(const struct store_growth *growth)
{
    double size = USUAL_MESSAGE_SIZE;

    if (growth->lately == 0 || growth->span_ms < FORECAST_SPAN_MS) {
        return -1;
    }
    if (growth->received >= FORECAST_MESSAGES) {
        size = (double)growth->bytes / (double)growth->received;
    }
    return (int64_t)((double)growth->lately * size * (double)WEEK_MS / (double)growth->span_ms);
}

/* Checks the database. Fills *growth, with zeros for unknown values. */
static void check_database(struct ctl_findings *findings, const struct config *config,
                           struct store_growth *growth)
{
    bool postgresql = config->database.engine == CONFIG_POSTGRESQL;
    struct ctl_sessions sessions;
    struct store_options options = ctl_work_options(config, &sessions);
    struct store *store;
    int result;
    char problem[CTL_DETAIL_SIZE];
    int64_t now_ms = clock_wall_ms();
    int64_t taken_ms = 0;
    char taken[MOMENT_SIZE];

    options.read_only = true;
    if (!postgresql && access(config->database.path, F_OK) != 0 && errno == ENOENT) {
        ctl_finding(findings, "database", true, "%s: not there yet, the daemon will create it",
                    config->database.path);
        ctl_check_views(findings, config, NULL);
        return;
    }
    result = store_open(&options, &store, problem, sizeof(problem));
    if (result == STORE_E_EMPTY) {
        ctl_finding(findings, "database", true, "%s: empty, the daemon will make its tables",
                    config->database.path);
        ctl_check_views(findings, config, NULL);
        return;
    }
    if (result != STORE_OK) {
        ctl_finding(findings, "database", false, "%s", problem);
        return;
    }
    if (store_growth(store, now_ms - WEEK_MS, now_ms, growth) != STORE_OK) {
        ctl_finding(findings, "database", false, "%s", store_error(store));
    } else if (store_is_backup(store, &taken_ms)) {
        ctl_finding(findings, "database", true,
                    "%s: is a backup of %s; the daemon takes it over when it starts, and notes in "
                    "the table gaps what is not in it",
                    config->database.path, moment_text(taken_ms, taken));
    } else if (store_links(store) > 1) {
        ctl_finding(findings, "database", false,
                    "%s: has %u names (hard links), so the daemon refuses it: remove the others "
                    "(find -samefile lists them)",
                    config->database.path, store_links(store));
    } else {
        ctl_finding(
            findings, "database", true, "%s: schema %d, %.1f MiB, %" PRId64 " message%s received",
            config->database.path, store_schema_version(store), (double)growth->bytes / (double)MIB,
            growth->received, plural_s(growth->received));
        check_sessions(findings, config, store);
        ctl_check_views(findings, config, store);
        ctl_check_limits(findings, store);
        if (postgresql) {
            ctl_check_server(findings, store, week_bytes(growth));
        }
    }
    store_close(store);
}

/* The free space for a file, also while its directory is not there yet; -1 with errno set. */
static int64_t space_for(const char *path)
{
    char copy[PATH_MAX];
    char *directory;
    int64_t free_bytes;

    snprintf(copy, sizeof(copy), "%s", path);
    directory = dirname(copy);
    while ((free_bytes = free_space(directory)) < 0 && errno == ENOENT &&
           strcmp(directory, "/") != 0) {
        directory = dirname(directory);
    }
    return free_bytes;
}

static void check_space(struct ctl_findings *findings, const struct config *config,
                        const struct store_growth *growth)
{
    int64_t free_bytes = space_for(config->database.path);
    int error = errno;
    int64_t need = week_bytes(growth);
    int64_t keep = config->database.min_free_mb * MIB;
    bool good;

    if (free_bytes < 0) {
        ctl_finding(findings, "disk", false, "%s: %s", config->database.path, error_text(error));
        return;
    }
    good = free_bytes > keep + (need > 0 ? need : 0);
    if (need < 0) {
        ctl_finding(findings, "disk", good,
                    "%" PRId64
                    " MiB free; min_free_mb = %d; no forecast before 6 hours of messages%s",
                    free_bytes / MIB, config->database.min_free_mb, good ? "" : "; make room");
    } else {
        ctl_finding(findings, "disk", good,
                    "%" PRId64 " MiB free; 7 days at the rate of the last ones need about %" PRId64
                    " MiB beside min_free_mb = %d%s",
                    free_bytes / MIB, need / MIB, config->database.min_free_mb,
                    good ? "" : "; make room, or set database.retention_days");
    }
}

int ctl_check(const struct config *config, const struct ctl_words *words)
{
    struct ctl_findings findings;
    struct store_growth growth = {0};

    ctl_findings_begin(&findings, (words->options & CTL_JSON) != 0);
    ctl_check_configuration(&findings, config);
    ctl_check_siblings(&findings, config);
    ctl_check_files(&findings, config);
    ctl_check_paths(&findings, config);
    check_certificates(&findings, config);
    check_database(&findings, config, &growth);
    if (config->database.engine == CONFIG_SQLITE) {
        check_space(&findings, config, &growth);
    }
    check_name(&findings, config);
    if ((words->options & CTL_CONNECT) != 0) {
        ctl_check_connect(&findings, config);
    }
    return ctl_findings_end(&findings);
}
