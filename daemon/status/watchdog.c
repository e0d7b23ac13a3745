/*
 * The watchdog: one thread that reads the pulses of main, the writer and the gate, and reports to
 * systemd whether they make progress.
 *
 *  - Running: WATCHDOG=1 while each of them makes progress or waits for the disk (base/pulse.h). If
 *    one hangs for half of WatchdogSec=, WATCHDOG=1 stops, and systemd kills and restarts the
 *    process. Nothing is lost, because no message is acknowledged before it is on disk.
 *  - Starting and stopping: EXTEND_TIMEOUT_USEC= while main's thread makes progress, so that a
 *    migration of hours, or the last checkpoint on a slow disk, can finish, and a hang is still
 *    ended.
 *
 * The watchdog has a thread of its own because main's may itself wait for the disk: during a
 * migration, or for the status file. This thread must never wait for the disk, so it accesses no
 * file, and it logs only when it gives up, when a blocked log does no further harm.
 *
 * A stop that is requested during the start gets no extension: systemd kills the process after
 * TimeoutStopSec=, and the start's unfinished transaction is rolled back.
 */
#include "status/status.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"

#define TICK_MS         1000
#define TICKS_A_PERIOD  4
#define STEP_LIMIT_MS   30000 /* in the start and the stop, a thread without a step hangs */
#define EXTEND_AFTER_MS 5000  /* most starts and stops are faster and need no extension */
#define EXTEND_EVERY_MS 5000
#define EXTEND_BY_MS    60000
#define SAY_EVERY_MS    60000
#define OBSERVED_MAX    3

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct observed {
    struct pulse_view view;
    const char *name;
    bool hangs;
};

struct watchdog {
    pthread_t thread;
    struct pulse main_pulse;
    _Atomic int64_t disk_wait_ms;

    pthread_mutex_t mutex; /* guards the members up to the blank line */
    pthread_cond_t ending_changed;
    bool ending;
    enum phase phase;
    int64_t phase_since_ms;
    int64_t extended_ms;
    struct observed observed[OBSERVED_MAX]; /* main's first */
    unsigned observed_count;

    /* Used by main's thread only. */
    int64_t said_ms; /* when a wait for the disk was last logged; 0: its end was logged */
    int64_t said_wait_ms;
};

static int64_t step_limit_ms(enum phase phase)
{
    int64_t period_ms = status_watchdog_ms();

    return phase == PHASE_RUNNING && period_ms > 0 ? period_ms / 2 : STEP_LIMIT_MS;
}

/* With the mutex held. Returns true when all observed threads of this phase make progress. */
static bool look(struct watchdog *watchdog, int64_t now_ms)
{
    int64_t limit_ms = step_limit_ms(watchdog->phase);
    int64_t disk_wait_ms = 0;
    bool alive = true;

    for (unsigned i = 0; i < watchdog->observed_count; i++) {
        struct observed *observed = &watchdog->observed[i];
        bool hangs = !pulse_view_alive(&observed->view, now_ms, limit_ms);
        int64_t wait_ms = pulse_view_waiting_ms(&observed->view);

        if (hangs && !observed->hangs) {
            log_error("the thread %s has made no step for %lld s and does not wait for the disk: "
                      "it hangs, and systemd is told so by silence",
                      observed->name, (long long)(now_ms - observed->view.alive_ms) / 1000);
        }
        observed->hangs = hangs;
        alive = alive && !hangs;
        disk_wait_ms = wait_ms > disk_wait_ms ? wait_ms : disk_wait_ms;
    }
    atomic_store(&watchdog->disk_wait_ms, disk_wait_ms);
    return alive;
}

/* Returns true when a stop was requested and main's thread does not handle signals yet. */
static bool stop_is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* With the mutex held. */
static void tell(struct watchdog *watchdog, int64_t now_ms)
{
    if (watchdog->phase == PHASE_RUNNING) {
        status_notify_alive();
    } else if (now_ms - watchdog->phase_since_ms >= EXTEND_AFTER_MS &&
               now_ms - watchdog->extended_ms >= EXTEND_EVERY_MS &&
               (watchdog->phase == PHASE_STOPPING || !stop_is_pending())) {
        watchdog->extended_ms = now_ms;
        status_notify_more_time(EXTEND_BY_MS);
    }
}

static void *run(void *argument)
{
    struct watchdog *watchdog = argument;
    int64_t period_ms = status_watchdog_ms();
    int64_t tick_ms = period_ms > 0 && period_ms / TICKS_A_PERIOD < TICK_MS
                          ? period_ms / TICKS_A_PERIOD
                          : TICK_MS;

    pthread_setname_np(pthread_self(), "watchdog");
    pthread_mutex_lock(&watchdog->mutex);
    while (!watchdog->ending) {
        int64_t now_ms = clock_monotonic_ms();
        const struct timespec next = clock_deadline(now_ms + tick_ms);

        if (look(watchdog, now_ms)) {
            tell(watchdog, now_ms);
        }
        pthread_cond_timedwait(&watchdog->ending_changed, &watchdog->mutex, &next);
    }
    pthread_mutex_unlock(&watchdog->mutex);
    return NULL;
}

/* --- the contract -------------------------------------------------------------------------- */

int watchdog_new(struct watchdog **out)
{
    struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
    int rc;

    if (watchdog == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&watchdog->mutex, NULL);
    clock_cond_init(&watchdog->ending_changed);
    watchdog->phase_since_ms = clock_monotonic_ms();
    watchdog_observe(watchdog, &watchdog->main_pulse, "main");
    rc = -pthread_create(&watchdog->thread, NULL, run, watchdog);
    if (rc != 0) {
        pthread_cond_destroy(&watchdog->ending_changed);
        pthread_mutex_destroy(&watchdog->mutex);
        free(watchdog);
        return rc;
    }
    pulse_attach(&watchdog->main_pulse);
    *out = watchdog;
    return 0;
}

void watchdog_observe(struct watchdog *watchdog, const struct pulse *pulse, const char *name)
{
    struct observed *observed;

    pthread_mutex_lock(&watchdog->mutex);
    observed = &watchdog->observed[watchdog->observed_count++];
    observed->name = name;
    pulse_view_begin(&observed->view, pulse, clock_monotonic_ms());
    pthread_mutex_unlock(&watchdog->mutex);
}

void watchdog_running(struct watchdog *watchdog)
{
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->phase = PHASE_RUNNING;
    pthread_mutex_unlock(&watchdog->mutex);
}

void watchdog_stopping(struct watchdog *watchdog)
{
    if (watchdog == NULL) {
        return;
    }
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->phase = PHASE_STOPPING;
    watchdog->phase_since_ms = clock_monotonic_ms();
    watchdog->observed_count = 1;
    pthread_mutex_unlock(&watchdog->mutex);
}

int64_t watchdog_disk_wait_ms(const struct watchdog *watchdog)
{
    return atomic_load(&watchdog->disk_wait_ms);
}

void watchdog_say_disk_wait(struct watchdog *watchdog)
{
    int64_t wait_ms = watchdog_disk_wait_ms(watchdog);
    int64_t now_ms = clock_monotonic_ms();
    char duration[DURATION_SIZE];

    if (wait_ms >= WATCHDOG_WAIT_WORTH_SAYING_MS) {
        if (watchdog->said_ms == 0 || now_ms - watchdog->said_ms >= SAY_EVERY_MS) {
            log_warning("the disk has been busy with one write, read or sync for %s; waiting, and "
                        "nothing that is not on disk is acknowledged",
                        duration_text(wait_ms, duration));
            watchdog->said_ms = now_ms;
        }
        watchdog->said_wait_ms = wait_ms;
    } else if (watchdog->said_ms != 0 && wait_ms == 0) {
        log_notice("the disk answers again, after %s or more",
                   duration_text(watchdog->said_wait_ms, duration));
        watchdog->said_ms = 0;
    }
}

void watchdog_free(struct watchdog *watchdog)
{
    if (watchdog == NULL) {
        return;
    }
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->ending = true;
    pthread_cond_signal(&watchdog->ending_changed);
    pthread_mutex_unlock(&watchdog->mutex);
    pthread_join(watchdog->thread, NULL);
    pulse_attach(NULL);
    pthread_cond_destroy(&watchdog->ending_changed);
    pthread_mutex_destroy(&watchdog->mutex);
    free(watchdog);
}
