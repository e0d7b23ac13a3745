/* Waiting in unit tests: for a condition, with a limit, never for a time. */
#ifndef UNIT_WAIT_H
#define UNIT_WAIT_H

#include <stdbool.h>
#include <time.h>

#define UNIT_WAIT_MS 20000 /* generous: machines are shared, and sanitizers are slow */

/* Look every millisecond until the condition holds; the test fails with `what` when it never does.
 */
static inline void unit_wait(bool (*condition)(void *context), void *context, const char *what)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < UNIT_WAIT_MS; i++) {
        if (condition(context)) {
            return;
        }
        nanosleep(&pause, NULL);
    }
    fail_msg("waited in vain for %s", what);
}

#endif
