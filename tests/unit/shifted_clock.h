/*
 * Clocks for tests in which threads wait. The monotonic clock runs as ever, and a test moves it on
 * in one step instead of sleeping. The wall clock of stored times stands until a test sets it.
 *
 * Linked with --wrap=clock_gettime,--wrap=pthread_cond_timedwait,--wrap=wall_now_ms (unit.mk). A
 * wait for a deadline that has begun already is not shortened by a step.
 */
#ifndef SHIFTED_CLOCK_H
#define SHIFTED_CLOCK_H

#include <stdint.h>

#define SHIFTED_WALL_MS 7 /* where the wall clock stands at first */

/* Put both clocks back: no step was made. While no other thread of the test runs. */
void shifted_clock_reset(void);

/* Move the monotonic clock on. Any thread. */
void shifted_clock_pass(int64_t ms);

/* Set what wall_now_ms() returns from now on. Any thread. */
void shifted_clock_set_wall(int64_t ms);

#endif
