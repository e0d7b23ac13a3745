/*
 * Opening the database and taking the sessions, which may mean to wait: for a server that cannot be
 * reached yet, and, with session.standby, for the daemon that has the sessions.
 */
#ifndef STANDBY_H
#define STANDBY_H

#include "config/config.h"
#include "status/status.h"
#include "store/store.h"

/* No exit status: a signal has ended the wait. */
#define STANDBY_STOPPED (-1)

/*
 * Open the store, and take its sessions. While it waits, the start counts as complete (READY=1),
 * STATUS= says what it waits for, and the watchdog is fed. Called in main's thread before the
 * pipeline is made. Signals stay pending. Returns EX_OK and sets *out, STANDBY_STOPPED, or the exit
 * status; the reason is in the log then.
 */
int standby_open(const struct config *config, const struct store_options *options,
                 struct watchdog *watchdog, struct store **out);

#endif
