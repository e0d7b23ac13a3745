/* Progress on a terminal, and Ctrl-C; see ctl/work_internal.h. */
#include "ctl/work_internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/plural.h"

#define READ_TIMEOUT_MS 5000 /* used without a configuration */

#define SHOW_PERIOD_MS 200
#define MIB            1048576.0

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

bool ctl_work_stopped(void)
{
    return stopped != 0;
}

/* "copying      45 %  512.0 of 1137.8 MiB, 3 s left" */
static void show(struct ctl_work *work, const char *what, enum store_unit unit, int64_t done,
                 int64_t total, int64_t now_ms)
{
    int64_t spent_ms = now_ms - work->begun_ms;
    char left[DURATION_SIZE];

    fprintf(stderr, "\r\033[K%-12s ", what);
    if (total <= 0) { /* the total is unknown */
        if (done > 0 && unit == STORE_ROWS) {
            fprintf(stderr, "%" PRId64 " row%s, ", done, plural_s(done));
        }
        fprintf(stderr, "%s", duration_text(spent_ms, left));
    } else {
        done = done < total ? done : total;
        fprintf(stderr, "%3d %%  ", (int)((double)done * 100 / (double)total));
        if (unit == STORE_BYTES) {
            fprintf(stderr, "%.1f of %.1f MiB", (double)done / MIB, (double)total / MIB);
        } else {
            fprintf(stderr, "%" PRId64 " of %" PRId64, done, total);
        }
        if (done > 0 && spent_ms > 1000) {
            int64_t left_ms = (int64_t)((double)spent_ms * (double)(total - done) / (double)done);

            fprintf(stderr, ", %s left", duration_text(left_ms + 999, left));
        }
    }
    fflush(stderr);
}

static bool progress(void *context, const char *what, enum store_unit unit, int64_t done,
                     int64_t total)
{
    struct ctl_work *work = context;
    int64_t now_ms = clock_monotonic_ms();

    if (work->what == NULL || strcmp(work->what, what) != 0) {
        work->what = what;
        work->begun_ms = now_ms;
        work->shown_ms = 0;
    }
    if (work->terminal && now_ms - work->shown_ms >= SHOW_PERIOD_MS) {
        show(work, what, unit, done, total, now_ms);
        work->shown_ms = now_ms;
    }
    return !ctl_work_stopped();
}

void ctl_work_begin(struct ctl_work *work)
{
    const struct sigaction action = {.sa_handler = stop}; /* no SA_RESTART: a signal also ends a
                                                           * wait */

    *work = (struct ctl_work){
        .watcher = {.progress = progress, .context = work},
        .terminal = isatty(STDERR_FILENO) == 1,
    };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

void ctl_work_clear(struct ctl_work *work)
{
    if (work->terminal && work->shown_ms != 0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        work->shown_ms = 0;
    }
}

struct store_options ctl_work_reading(const struct config *config, const char *file)
{
    struct store_options options = {.busy_timeout_ms = READ_TIMEOUT_MS};

    if (file == NULL) {
        options = store_options_of(config);
    } else if (config != NULL) {
        options.busy_timeout_ms = config->database.busy_timeout_ms;
    }
    options.path = file != NULL ? file : options.path;
    options.named = file != NULL;
    options.read_only = true;
    options.stopped = ctl_work_stopped;
    return options;
}

struct store_options ctl_work_options(const struct config *config, struct ctl_sessions *sessions)
{
    struct store_options options = store_options_of(config);

    for (size_t i = 0; i < config->session_count; i++) {
        sessions->client_ids[i] = config->sessions[i].client_id;
    }
    broker_target(config, sessions->broker);
    options.broker = sessions->broker;
    options.client_ids = sessions->client_ids;
    options.client_count = (unsigned)config->session_count;
    return options;
}
