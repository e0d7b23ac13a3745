/*
 * A daemon that waits for the sessions. It has opened the database, and reads nothing from it
 * before it has them, because the other daemon may still change everything.
 *
 * A standby asks for the locks twice a second. The server alone decides who gets them, so that two
 * daemons that wait cannot both go on. The pause between two tries has a random part, so that
 * standbys do not try in step.
 */
#include "standby.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/pulse.h"
#include "base/signals.h"
#include "store/take.h"

#define STEP_MS      50
#define TRY_MS       450
#define TRY_RANDOM   100
#define PROBLEM_SIZE 1024

struct waiting {
    const struct config *config;
    struct watchdog *watchdog;
    struct status_waiting *files; /* NULL before the first wait */
    unsigned random;
    bool begun;
    char told[PROBLEM_SIZE + 64]; /* the last STATUS=, which is logged once */
};

/* Says what the daemon waits for, when it is something else than before. `holder` is the daemon
 * that has the sessions, or NULL. */
static void tell(struct waiting *waiting, const char *before, const char *what, const char *after,
                 const char *holder)
{
    char text[sizeof(waiting->told)];

    snprintf(text, sizeof(text), "%s%s%s", before, what, after);
    if (strcmp(text, waiting->told) != 0) {
        log_notice("%s", text);
        snprintf(waiting->told, sizeof(waiting->told), "%s", text);
        status_notify_waiting(text);
    }
    if (!waiting->begun) {
        waiting->begun = true;
        watchdog_running(waiting->watchdog);
        if (status_waiting_new(&waiting->files, waiting->config) != 0) {
            log_warning("out of memory; waiting without a status file");
        }
    }
    if (waiting->files != NULL) {
        status_waiting_show(waiting->files, text, holder);
    }
}

/* Waits until the next try. Returns false when a signal wants the daemon to stop. */
static bool pause_try(struct waiting *waiting)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    int left_ms;

    waiting->random = waiting->random * 1103515245U + 12345U;
    left_ms = TRY_MS + (int)(waiting->random >> 16) % TRY_RANDOM;
    while (left_ms > 0 && !signals_stop_pending()) {
        nanosleep(&step, NULL);
        pulse_beat();
        left_ms -= STEP_MS;
    }
    return !signals_stop_pending();
}

/* Opens the database; waits while its server cannot be reached. */
static int open_store(struct waiting *waiting, const struct config *config,
                      const struct store_options *options, struct store **out)
{
    char problem[PROBLEM_SIZE];
    int result;

    while ((result = store_open(options, out, problem, sizeof(problem))) == STORE_E_WAIT) {
        tell(waiting, "waiting for the database: ", problem, "", NULL);
        if (!pause_try(waiting)) {
            return STANDBY_STOPPED;
        }
    }
    if (result == STORE_E_STOPPED) {
        log_notice("%s", problem);
        return STANDBY_STOPPED;
    }
    if (result != STORE_OK) {
        log_error("%s", problem);
        /* The service tries again, as it does after 74; this one says that no disk has failed. */
        return result == STORE_E_LOCKED && config->database.engine == CONFIG_POSTGRESQL
                   ? EX_TEMPFAIL
                   : EX_IOERR;
    }
    return EX_OK;
}

/* Takes the sessions; waits while another daemon has them. */
static int take(struct waiting *waiting, struct store *store)
{
    struct store_holder holder;
    int result;

    while ((result = store_take(store, &holder)) != STORE_OK) {
        if (result == STORE_E_LOCKED) {
            tell(waiting, "standby: ", holder.text, " has the sessions", holder.text);
        } else if (result == STORE_E_WAIT) {
            tell(waiting, "waiting for the database: ", store_error(store), "", NULL);
        } else {
            log_error("%s", store_error(store));
            return EX_IOERR;
        }
        if (!pause_try(waiting)) {
            return STANDBY_STOPPED;
        }
    }
    if (waiting->begun) {
        log_notice("taking over");
        status_notify_waiting("taking over");
    }
    return EX_OK;
}

int standby_open(const struct config *config, const struct store_options *options,
                 struct watchdog *watchdog, struct store **out)
{
    struct waiting waiting = {.config = config, .watchdog = watchdog, .random = (unsigned)getpid()};
    struct store *store = NULL;
    int status = open_store(&waiting, config, options, &store);

    if (status == EX_OK) {
        status = take(&waiting, store);
    }
    status_waiting_free(waiting.files);
    if (status != EX_OK) {
        store_close(store);
        return status;
    }
    *out = store;
    return EX_OK;
}
