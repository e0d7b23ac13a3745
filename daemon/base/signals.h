/* The daemon's signals: SIGTERM and SIGINT stop it, SIGHUP reloads. Main's thread. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stdbool.h>

/* Keep the signals pending from here on, in this thread and in all that it makes.
 * Async-signal-safe, and safe before the C library has begun. */
void signals_block(void);

/* Give the signals back their default action, for commands that only read and print. */
void signals_unblock(void);

/* Returns a non-blocking descriptor from which the signals are read as struct signalfd_siginfo, or
 * -1 with errno set. The caller closes it. */
int signals_open(void);

/* Returns true when a signal that ends the daemon is pending. Any thread. */
bool signals_stop_pending(void);

#endif
