/*
 * Status: reports the daemon's state to systemd (sd_notify), in the status file for `foxtrackrctl
 * status`, and in the metrics file. Main's thread only.
 *
 * All data come from the snapshots of the writer, the sessions and the gate; only rates and the
 * progress of a catch-up need state of their own.
 */
#ifndef STATUS_STATUS_H
#define STATUS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pulse.h"
#include "config/config.h"
#include "gate/gate.h"
#include "pipeline/pipeline.h"
#include "session/session.h"

/* The sources of the data; all of them outlive the status. */
struct status_sources {
    struct writer *writer;
    struct intake *intake;
    struct gate *gate;
    struct session **sessions; /* by index; entries are never NULL */
    unsigned session_count;
};

struct status;

/* Returns 0 and sets *out, for status_free(); or -ENOMEM. `config` outlives it. */
int status_new(struct status **out, const struct config *config,
               const struct status_sources *sources);

/* Remove the status file and the metrics file, if this status wrote them, and free. NULL is
 * allowed. */
void status_free(struct status *status);

/* Copy the values that a reload changes from a newly loaded configuration: the interval of the
 * files, and the free space to keep. The configuration itself is not kept. */
void status_reload(struct status *status, const struct config *loaded);

/* Take a snapshot and publish it where it has changed or is due. Called about once a second. */
void status_tick(struct status *status);

/* Set how long a thread has been waiting for the disk, for the next tick. */
void status_set_disk_wait(struct status *status, int64_t wait_ms);

/* Returns true when every session was subscribed at the last tick. */
bool status_all_subscribed(const struct status *status);

/* The writer's state at the last tick. */
const struct writer_status *status_writer(const struct status *status);

/* --- a daemon that waits ------------------------------------------------------------------- */

struct status_waiting;

/* The two files of a daemon that waits for its database or as a standby. Returns 0 and sets *out,
 * for status_waiting_free(); or -ENOMEM. `config` outlives it. */
int status_waiting_new(struct status_waiting **out, const struct config *config);

/* Write the files where `text` has changed or they are due. `holder` is the daemon that has the
 * sessions, NULL: the database is waited for. Called about twice a second. */
void status_waiting_show(struct status_waiting *waiting, const char *text, const char *holder);

/* Remove the files, so that those of the status can take their place, and free. NULL is allowed. */
void status_waiting_free(struct status_waiting *waiting);

/* The systemd protocol, sd_notify(3). Outside systemd they do nothing. */
void status_notify_starting(const char *text,
                            int64_t extend_ms); /* how much longer READY=1 may take */
void status_notify_waiting(const char *text);   /* READY=1 too: a standby has started */
void status_notify_ready(const struct status *status);
void status_notify_reloading(void);
void status_notify_reloaded(void);
void status_notify_stopping(const char *text);

/* Any thread: WATCHDOG=1, which systemd's watchdog waits for; and more time to start or stop,
 * counted from now. */
void status_notify_alive(void);
void status_notify_more_time(int64_t more_ms);

/* WatchdogSec= in ms; 0 when there is no watchdog. Any thread. */
int64_t status_watchdog_ms(void);

/* --- watchdog ---------------------------------------------------------------------------- */

/*
 * The watchdog: one thread that reports to systemd whether the daemon makes progress; see
 * status/watchdog.c. Main's thread calls all of these.
 */

/* A wait for the disk up to this long is not logged. */
#define WATCHDOG_WAIT_WORTH_SAYING_MS 5000

struct watchdog;

/*
 * Start the thread, in the phase of starting, and attach a pulse to the caller, main's thread.
 * Signals are blocked already. Returns 0 and sets *out, for watchdog_free(); or a negative errno.
 */
int watchdog_new(struct watchdog **out);

/* Observe one more thread (at most two); `name` is for the log and outlives the watchdog. The pulse
 * must last until watchdog_stopping(). */
void watchdog_observe(struct watchdog *watchdog, const struct pulse *pulse, const char *name);

/* The daemon is ready: WATCHDOG=1 is sent from now on, while every thread makes progress. */
void watchdog_running(struct watchdog *watchdog);

/* The daemon stops: only main's thread is observed from now on. NULL is allowed. */
void watchdog_stopping(struct watchdog *watchdog);

/* Returns how long a thread has been waiting for the disk in one and the same call; 0: none is. */
int64_t watchdog_disk_wait_ms(const struct watchdog *watchdog);

/* Log the beginning and the end of a long wait for the disk. Called about once a second. */
void watchdog_say_disk_wait(struct watchdog *watchdog);

/* End the thread and free. NULL is allowed. */
void watchdog_free(struct watchdog *watchdog);

#endif
