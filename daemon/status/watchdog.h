/*
 * The watchdog: one thread that tells systemd whether the daemon makes progress; see
 * status/watchdog.c. Main's thread calls all of these.
 */
#ifndef STATUS_WATCHDOG_H
#define STATUS_WATCHDOG_H

#include <stdint.h>

#include "base/pulse.h"

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
