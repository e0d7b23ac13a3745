/*
 * Status: what the daemon tells about itself, to systemd (sd_notify), to the status file that
 * `foxtrackrctl status` reads, and to the metrics file. Main's thread only.
 *
 * Everything it shows comes from the snapshots of the writer, the sessions and the gate; it keeps
 * only what needs a past: rates and the progress of a catch-up.
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

/* Where to look; all of it outlives the status. */
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

/* Removes the status file and the metrics file, if they are those that it wrote: there is nothing
 * to tell any more. NULL is allowed. */
void status_free(struct status *status);

/* Take from a newly loaded configuration what a reload changes: how often the files are written,
 * and the free space that is kept. It is not kept itself. */
void status_reload(struct status *status, const struct config *loaded);

/* Look, and tell what has changed or is due. Called about once a second. */
void status_tick(struct status *status);

/* How long the disk keeps a thread waiting, for the next tick. */
void status_set_disk_wait(struct status *status, int64_t wait_ms);

/* Whether every session was subscribed at the last tick. */
bool status_all_subscribed(const struct status *status);

/* The writer's state at the last tick. */
const struct writer_status *status_writer(const struct status *status);

/* The systemd protocol, sd_notify(3). Outside systemd they do nothing. */
void status_notify_starting(const char *text,
                            int64_t extend_ms); /* READY may take so much longer */
void status_notify_ready(const struct status *status);
void status_notify_reloading(void);
void status_notify_reloaded(void);
void status_notify_stopping(const char *text);

/* Any thread: a sign of life, which the watchdog waits for; and more time to start or stop, counted
 * from now. */
void status_notify_alive(void);
void status_notify_more_time(int64_t more_ms);

/* WatchdogSec= in ms; 0 when there is no watchdog. Any thread. */
int64_t status_watchdog_ms(void);

/* --- watchdog ---------------------------------------------------------------------------- */

/*
 * The watchdog: one thread that tells systemd whether the daemon makes progress; see
 * status/watchdog.c. Main's thread calls all of these.
 */

/* A disk that takes no longer than this over one call is not worth a word. */
#define WATCHDOG_WAIT_WORTH_SAYING_MS 5000

struct watchdog;

/*
 * Start the thread, in the phase of starting, and give the caller, main's thread, its pulse.
 * Signals are blocked already. Returns 0 and sets *out, for watchdog_free(); or a negative errno.
 */
int watchdog_new(struct watchdog **out);

/* Look at one more thread (at most two); `name` is for the log and outlives the watchdog. The pulse
 * must last until watchdog_stopping(). */
void watchdog_observe(struct watchdog *watchdog, const struct pulse *pulse, const char *name);

/* The daemon is ready: WATCHDOG=1 from here on, while every thread goes on. */
void watchdog_running(struct watchdog *watchdog);

/* The daemon stops: only main's thread counts from here on. NULL is allowed. */
void watchdog_stopping(struct watchdog *watchdog);

/* For how long the disk has kept a thread waiting in one and the same call; 0: it does not. */
int64_t watchdog_disk_wait_ms(const struct watchdog *watchdog);

/* Log it when the disk keeps a thread waiting long, and when that is over. Called about once a
 * second. */
void watchdog_say_disk_wait(struct watchdog *watchdog);

/* End the thread and free. NULL is allowed. */
void watchdog_free(struct watchdog *watchdog);

#endif
