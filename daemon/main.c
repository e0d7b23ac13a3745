/*
 * foxtrackrd's main(): acquires everything in order, reports READY, waits for signals, and releases
 * in reverse.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "arguments.h"
#include "base/clock.h"
#include "base/error_text.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/wall.h"
#include "base/zone.h"
#include "config/config.h"
#include "found.h"
#include "gate/gate.h"
#include "mqtt/mqtt.h"
#include "pipeline/pipeline.h"
#include "preflight.h"
#include "reload.h"
#include "session/session.h"
#include "standby.h"
#include "status/status.h"
#include "store/sessions.h"
#include "store/start.h"
#include "store/store.h"
#include "upgrade.h"

#define TICK_MS        1000
#define READY_LIMIT_MS 15000 /* an unreachable broker must not delay the boot */
#define STOP_LIMIT_MS  4500
#define STOP_WRITER_MS 1500 /* the writer's part of it, for the last messages */
#define RING_BYTES     ((size_t)2 * 1024 * 1024) /* a thousand messages are 300 KB */
#define STOP_POLL_MS   10
#define CREATE_MASK    027
#define STOPPED        (-1) /* a signal came before anything was started */

struct daemon {
    struct config *config; /* as loaded at the start; a reload does not change it */
    struct zone zone;      /* of database.time_zone */
    struct store *store;
    int64_t newest_ms;    /* see store_newest_ms(); at the start */
    bool database_is_new; /* see found_is_new(); at the start */
    struct watermark watermark;
    struct intake *intake;
    struct gate *gate;
    struct paho_relay relay; /* through the gate */
    struct writer *writer;
    struct session *sessions[CONFIG_SESSIONS_MAX];
    const char *client_ids[CONFIG_SESSIONS_MAX];
    unsigned session_count;
    struct status *status;
    struct watchdog *watchdog;
    int signal_fd;
};

/* --- start --------------------------------------------------------------------------------- */

static int open_log(const struct config *config)
{
    static const enum log_target targets[] = {
        [CONFIG_LOG_JOURNAL] = LOG_TARGET_JOURNAL,
        [CONFIG_LOG_STDERR] = LOG_TARGET_STDERR,
        [CONFIG_LOG_FILE] = LOG_TARGET_FILE,
    };
    char problem[CONFIG_PROBLEM_SIZE];

    if (log_open(targets[config->log.target], config->log.file, config->log.level, problem,
                 sizeof(problem)) != 0) {
        log_error("%s: log.file: %s", config->path, problem);
        return EX_CONFIG;
    }
    return EX_OK;
}

/* Set when main begins to stop; before that the signal may be pending. */
static atomic_bool stopping;

/* Ends long waits for a server. Any thread. */
static bool is_stopping(void)
{
    return atomic_load(&stopping) || signals_stop_pending();
}

static int open_store(struct daemon *daemon)
{
    struct upgrade upgrade = {.started_ms = clock_monotonic_ms()};
    char broker[BROKER_TARGET_SIZE];
    struct store_options options = store_options_of(daemon->config);
    int result;

    options.broker = broker;
    options.alone = true;
    options.progress = upgrade_progress;
    options.progress_context = &upgrade;
    options.zone = &daemon->zone;
    options.client_ids = daemon->client_ids;
    options.client_count = daemon->session_count;
    if (daemon->config->database.engine == CONFIG_POSTGRESQL) {
        options.stopped = is_stopping;
    }
    broker_target(daemon->config, broker);
    result = standby_open(daemon->config, &options, daemon->watchdog, &daemon->store);
    if (result != EX_OK) {
        return result == STANDBY_STOPPED ? STOPPED : result;
    }
    result = found_tell(daemon->store, daemon->config->database.path);
    if (result == STORE_OK) {
        result = store_newest_ms(daemon->store, &daemon->newest_ms);
    }
    wall_begin(daemon->newest_ms);
    wall_say();
    if (result != STORE_OK ||
        store_run_begin(daemon->store, FOXTRACKRD_VERSION, wall_now_ms()) != STORE_OK) {
        log_error("database: %s", store_error(daemon->store));
        return EX_IOERR;
    }
    return EX_OK;
}

static int start_pipeline(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    const struct writer_limits limits = reload_limits(config);
    struct writer_parts parts;
    char target[BROKER_TARGET_SIZE];
    int rc =
        intake_new(&daemon->intake, RING_BYTES, config->parser.max_payload, &daemon->watermark);

    paho_limit_payload(config->parser.max_payload);
    broker_target(config, target);
    if (rc == 0) {
        rc = gate_new(&daemon->gate, target, daemon->session_count, session_writes_at_once(config),
                      &daemon->watermark);
    }
    if (rc == 0) {
        daemon->relay = (struct paho_relay){gate_written, gate_poll, daemon->gate};
        paho_set_relay(&daemon->relay);
        parts = (struct writer_parts){
            .store = daemon->store,
            .intake = daemon->intake,
            .gate = daemon->gate,
            .watermark = &daemon->watermark,
            .client_ids = daemon->client_ids,
            .session_count = daemon->session_count,
            .last_message_ms = daemon->newest_ms,
        };
        rc = writer_start(&daemon->writer, &parts, &limits, config->database.path);
    }
    if (rc != 0) {
        log_error("cannot start: %s", error_text(-rc));
        return EX_OSERR;
    }
    daemon->config->fields = NULL; /* owned by the writer from here on, as are the views */
    daemon->config->views = NULL;
    watchdog_observe(daemon->watchdog, gate_pulse(daemon->gate), "gate");
    watchdog_observe(daemon->watchdog, writer_pulse(daemon->writer), "writer");
    return EX_OK;
}

struct recorded_subscriptions {
    struct session_subscriptions list;
    int rc;
};

static int remember(void *context, const char *filter, int qos)
{
    struct recorded_subscriptions *recorded = context;

    recorded->rc = session_subscriptions_add(&recorded->list, filter, qos);
    return recorded->rc;
}

/* Reads each session's record and subscriptions from the database, before the writer owns the
 * store. */
static int read_records(struct daemon *daemon, struct session_parts parts[],
                        struct recorded_subscriptions recorded[])
{
    for (unsigned i = 0; i < daemon->session_count; i++) {
        const char *client_id = daemon->client_ids[i];

        if (store_session_find(daemon->store, client_id, &parts[i].record) != STORE_OK ||
            store_subscriptions(daemon->store, client_id, remember, &recorded[i]) != STORE_OK) {
            log_error("database: %s",
                      recorded[i].rc != 0 ? "out of memory" : store_error(daemon->store));
            return EX_IOERR;
        }
    }
    return EX_OK;
}

/* A client id that was changed, or a section that was removed: its queue stays at the broker. */
static int look_at_sessions(struct daemon *daemon)
{
    if (found_tell_unused(daemon->store, daemon->client_ids, daemon->session_count) != STORE_OK ||
        found_is_new(daemon->store, &daemon->database_is_new) != STORE_OK) {
        log_error("database: %s", store_error(daemon->store));
        return EX_IOERR;
    }
    return EX_OK;
}

static int start_sessions(struct daemon *daemon, struct session_parts parts[],
                          const struct recorded_subscriptions recorded[])
{
    for (unsigned i = 0; i < daemon->session_count; i++) {
        int rc;

        parts[i].config = daemon->config;
        parts[i].index = i;
        parts[i].gate = daemon->gate;
        parts[i].intake = daemon->intake;
        parts[i].database_is_new = daemon->database_is_new;
        parts[i].subscriptions = recorded[i].list.entries;
        parts[i].subscription_count = recorded[i].list.count;
        rc = session_start(&daemon->sessions[i], &parts[i]);
        if (rc != 0) {
            log_error("%s: cannot start the session: %s", daemon->client_ids[i], error_text(-rc));
            return EX_OSERR;
        }
    }
    return EX_OK;
}

/* Acquires everything after the configuration, in order. Returns EX_OK, STOPPED, or the exit status
 * of a failure, which is logged by then; stop() releases the parts that are there, whatever the
 * result. */
static int start(struct daemon *daemon)
{
    struct session_parts parts[CONFIG_SESSIONS_MAX] = {0};
    struct recorded_subscriptions recorded[CONFIG_SESSIONS_MAX] = {0};
    struct status_sources sources;
    char problem[CONFIG_PROBLEM_SIZE];
    int rc;

    daemon->session_count = (unsigned)daemon->config->session_count;
    for (unsigned i = 0; i < daemon->session_count; i++) {
        daemon->client_ids[i] = daemon->config->sessions[i].client_id;
    }
    rc = open_store(daemon);
    if (rc == EX_OK && preflight_neighbours(daemon->config, problem) != 0) {
        log_error("%s", problem);
        rc = EX_CONFIG;
    }
    if (rc == EX_OK) {
        rc = read_records(daemon, parts, recorded);
    }
    if (rc == EX_OK) {
        rc = look_at_sessions(daemon);
    }
    if (rc == EX_OK) {
        rc = start_pipeline(daemon);
    }
    if (rc == EX_OK) {
        rc = start_sessions(daemon, parts, recorded);
    }
    for (unsigned i = 0; i < daemon->session_count; i++) {
        session_subscriptions_clear(&recorded[i].list);
    }
    if (rc == EX_OK) {
        sources = (struct status_sources){
            .writer = daemon->writer,
            .intake = daemon->intake,
            .gate = daemon->gate,
            .sessions = daemon->sessions,
            .session_count = daemon->session_count,
        };
        if (status_new(&daemon->status, daemon->config, &sources) != 0) {
            log_error("cannot start: out of memory");
            rc = EX_OSERR;
        }
    }
    return rc;
}

/* --- run ----------------------------------------------------------------------------------- */

static void reload(struct daemon *daemon)
{
    const struct reload_parts parts = {.running = daemon->config,
                                       .writer = daemon->writer,
                                       .intake = daemon->intake,
                                       .status = daemon->status};
    char problem[CONFIG_PROBLEM_SIZE];

    status_notify_reloading();
    if (log_reopen(problem, sizeof(problem)) != 0) {
        log_error("log.file: %s; going on with the old file", problem);
    }
    reload_configuration(&parts);
    for (unsigned i = 0; i < daemon->session_count; i++) {
        session_retry_now(daemon->sessions[i]);
    }
    status_notify_reloaded();
}

/* Pauses and resumes the sessions: they connect only while the writer can store messages. */
static void follow_writer(struct daemon *daemon)
{
    const struct writer_status *writer = status_writer(daemon->status);

    for (unsigned i = 0; i < daemon->session_count; i++) {
        session_set_paused(daemon->sessions[i], writer->state != WRITER_RUNNING, writer->reason);
    }
}

/* Handles pending signals. Returns true when one of them ends the daemon. */
static bool handle_signals(struct daemon *daemon)
{
    struct signalfd_siginfo info;
    bool stop = false;

    while (read(daemon->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload(daemon);
        } else {
            log_notice("stopping on %s", strsignal((int)info.ssi_signo));
            stop = true;
        }
    }
    return stop;
}

/* The main loop: waits for signals, at most for a tick or a part of the watchdog's period. */
static int run(struct daemon *daemon)
{
    struct pollfd fd = {.fd = daemon->signal_fd, .events = POLLIN};
    int64_t started_ms = clock_monotonic_ms();
    int64_t watchdog_ms = status_watchdog_ms();
    int tick_ms = watchdog_ms > 0 && watchdog_ms / 3 < TICK_MS ? (int)(watchdog_ms / 3) : TICK_MS;
    bool ready = false;

    for (;;) {
        poll(&fd, 1, ready ? tick_ms : tick_ms / 10);
        if (handle_signals(daemon)) {
            return EX_OK;
        }
        pulse_beat();
        wall_say();
        status_set_disk_wait(daemon->status, watchdog_disk_wait_ms(daemon->watchdog));
        watchdog_say_disk_wait(daemon->watchdog);
        status_tick(daemon->status);
        if (status_writer(daemon->status)->state == WRITER_FATAL) {
            return EX_IOERR;
        }
        if (status_writer(daemon->status)->state == WRITER_LOST) {
            return EX_TEMPFAIL; /* the service starts it again, as a standby */
        }
        follow_writer(daemon);
        if (!ready && (status_all_subscribed(daemon->status) ||
                       clock_monotonic_ms() - started_ms > READY_LIMIT_MS)) {
            ready = true;
            watchdog_running(daemon->watchdog);
            status_notify_ready(daemon->status);
        }
    }
}

/* --- stop ---------------------------------------------------------------------------------- */

/* Stops the sessions: received messages become durable, their acknowledgements leave, then
 * DISCONNECT. Returns false when this did not end in time. */
static bool stop_sessions(struct daemon *daemon, int64_t deadline_ms)
{
    const struct timespec pause = {.tv_nsec = STOP_POLL_MS * 1000000L};
    bool all = true;

    if (daemon->gate != NULL) {
        gate_quiesce(daemon->gate);
    }
    for (unsigned i = 0; i < daemon->session_count; i++) {
        if (daemon->sessions[i] != NULL) {
            session_stop_begin(daemon->sessions[i]);
        }
    }
    for (unsigned i = 0; i < daemon->session_count; i++) {
        if (daemon->sessions[i] != NULL) {
            all = session_stop_finish(daemon->sessions[i], deadline_ms) && all;
        }
    }
    while (daemon->gate != NULL && gate_open_links(daemon->gate) > 0 &&
           clock_monotonic_ms() < deadline_ms) {
        nanosleep(&pause, NULL);
    }
    return all;
}

/* Ends the writer and closes the database. Returns false when the writer hangs. */
static bool stop_store(struct daemon *daemon, int64_t deadline_ms, int *status)
{
    int64_t left_ms = deadline_ms - clock_monotonic_ms();
    enum writer_state state = WRITER_ENDED;
    int result = STORE_OK;

    if (daemon->writer != NULL) {
        intake_close(daemon->intake);
        state = writer_stop(daemon->writer, left_ms > 0 ? (int)left_ms : 0);
        daemon->writer = NULL;
    }
    if (state == WRITER_STALLED || state == WRITER_LEFT) {
        log_warning("stopped while the database is not writable; what was not stored was not "
                    "acknowledged: the broker will send it again");
    }
    if (state == WRITER_STALLED) {
        return false;
    }
    if (state == WRITER_LEFT) {
        left_ms = deadline_ms - clock_monotonic_ms();
        store_limit_wait(daemon->store, left_ms > 0 ? (int)left_ms : 0);
    }
    if (state != WRITER_FATAL && state != WRITER_LOST && daemon->store != NULL) {
        result = store_run_end(daemon->store, wall_now_ms());
    }
    if (result == STORE_FATAL) {
        log_error("database: %s", store_error(daemon->store));
        *status = *status == EX_OK ? EX_IOERR : *status;
    } else if (result != STORE_OK) {
        log_warning("database: %s", store_error(daemon->store));
    }
    if (store_close(daemon->store) != STORE_OK && *status == EX_OK) {
        log_error("database: it could not be closed cleanly");
        *status = EX_IOERR;
    }
    daemon->store = NULL;
    return true;
}

/* Releases everything in reverse. A part that hangs is left to the end of the process, which then
 * happens here. Returns `status`, or EX_IOERR when that was EX_OK and the database failed. */
static int stop(struct daemon *daemon, int status)
{
    int64_t deadline_ms = clock_monotonic_ms() + STOP_LIMIT_MS;
    bool ended;

    atomic_store(&stopping, true);
    watchdog_stopping(daemon->watchdog);
    status_notify_stopping("stopping");
    status_free(daemon->status);
    ended = stop_sessions(daemon, deadline_ms - STOP_WRITER_MS);
    ended = stop_store(daemon, deadline_ms, &status) && ended;
    log_notice("stopped");
    if (!ended) {
        log_close();
        _exit(status);
    }
    watchdog_free(daemon->watchdog);
    paho_set_relay(NULL);
    gate_free(daemon->gate);
    intake_free(daemon->intake);
    zone_clear(&daemon->zone);
    config_free(daemon->config);
    close(daemon->signal_fd);
    log_close();
    return status;
}

/* --- main ---------------------------------------------------------------------------------- */

/* Before every constructor, of the libraries too: see base/signals.c. */
__attribute__((section(".preinit_array"),
               used)) static void (*const block_first)(void) = signals_block;

static void log_problem(const char *sentence)
{
    log_error("%s", sentence);
}

/* Reads and checks the configuration. Returns EX_OK, or EX_CONFIG after having said why. */
static int load(struct daemon *daemon, const char *path, bool check_only)
{
    struct config_problems problems;
    char problem[CONFIG_PROBLEM_SIZE];
    bool good = true;

    if (!check_only && preflight_regular(path, problem) != 0) {
        log_error("%s", problem);
        return EX_CONFIG;
    }
    if (config_load(path, &daemon->config, &problems) != 0) {
        config_problems_tell(&problems, path, log_problem);
        return EX_CONFIG;
    }
    if (preflight_files(daemon->config, problem) != 0) {
        log_error("%s", problem);
        good = false;
    }
    if (preflight_protocol(daemon->config, problem) != 0) {
        log_error("%s", problem);
        good = false;
    }
    if (check_only && preflight_engine(daemon->config, problem) != 0) {
        log_error("%s", problem);
        good = false;
    }
    if (preflight_certificates(daemon->config, problem) != 0) {
        log_error("%s", problem);
        good = false;
    }
    if (!good) {
        config_free(daemon->config);
        return EX_CONFIG;
    }
    return EX_OK;
}

int main(int argc, char **argv)
{
    struct daemon daemon = {0};
    const char *path = CONFIG_DEFAULT_PATH;
    char problem[CONFIG_PROBLEM_SIZE];
    bool check_only = false;
    int status;

    if (!arguments_parse(argc, argv, &path, &check_only, &status)) {
        return status;
    }
    if (check_only) {
        signals_unblock();
    }
    umask(CREATE_MASK);
    /* Until the configuration is read; gives its errors their priority in the journal. */
    log_open(LOG_TARGET_STDERR, NULL, LOG_INFO, problem, sizeof(problem));
    status = load(&daemon, path, check_only);
    if (status != EX_OK) {
        return status;
    }
    if (check_only) {
        preflight_configuration(daemon.config);
        printf("%s: good\n", path);
        config_free(daemon.config);
        return EX_OK;
    }
    daemon.signal_fd = signals_open();
    /* A closed connection and a limit on file sizes are errors of write(), which are told. */
    if (daemon.signal_fd < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
        signal(SIGXFSZ, SIG_IGN) == SIG_ERR) {
        log_error("cannot set up signals: %s", error_text(errno));
        config_free(daemon.config);
        return EX_OSERR;
    }
    status = open_log(daemon.config);
    session_library_init(daemon.config); /* changes the environment: before any thread */
    if (status == EX_OK && zone_read(daemon.config->database.time_zone, &daemon.zone) < 0) {
        log_error("cannot start: out of memory");
        status = EX_OSERR;
    }
    if (status == EX_OK && signals_stop_pending()) {
        log_notice("stopped by a signal before anything was begun");
        status = STOPPED;
    }
    if (status == EX_OK && watchdog_new(&daemon.watchdog) != 0) {
        log_error("cannot start: no thread for the watchdog");
        status = EX_OSERR;
    }
    if (status == EX_OK) {
        log_notice("foxtrackrd %s starting with %s", FOXTRACKRD_VERSION, path);
        preflight_warnings(daemon.config);
        status = start(&daemon);
    }
    if (status == EX_OK) {
        status = run(&daemon);
    }
    return stop(&daemon, status == STOPPED ? EX_OK : status);
}
