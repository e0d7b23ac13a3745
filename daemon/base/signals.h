/* The daemon's signals: SIGTERM and SIGINT stop it, SIGHUP reloads. Main's thread. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stdbool.h>

/* Keep the signals pending from here on, in this thread and in all that it makes.
 * Async-signal-safe, and safe before the C library has begun. */
void signals_block(void);

/* Give them back their default action: for what only looks and prints. */
void signals_unblock(void);

/* Returns a non-blocking descriptor that they are read from, for signalfd_siginfo, or -1 with errno
 * set. The caller closes it. */
int signals_open(void);

/* Whether a signal waits that ends the daemon. Any thread. */
bool signals_stop_pending(void);

#endif
