/*
 * The wall clock, checked for plausibility. See base/wall.c.
 *
 * wall_begin() is called once before there are threads; the others by any thread.
 */
#ifndef BASE_WALL_H
#define BASE_WALL_H

#include <stdbool.h>
#include <stdint.h>

/* Note the newest time that the database holds of our own clock (ms since the epoch; 0: none). */
void wall_begin(int64_t newest_ms);

/*
 * The present time in ms since the epoch, for stored times and for judging a message's time. While
 * the clock is behind: the newest time in the database plus what has passed since the start, so
 * that no stored time goes back. clock_wall_ms() is for times that only this process compares.
 */
int64_t wall_now_ms(void);

/* Returns true when the clock is behind: earlier than the newest known time, and not reported as
 * synchronised. Sets *newest_ms, if not NULL, to that time when it is. */
bool wall_is_behind(int64_t *newest_ms);

/* Returns true when the kernel, or systemd-timesyncd, reports the clock as synchronised. */
bool wall_is_synchronised(void);

/* Log when wall_is_behind() has changed since the last call, and at the start. Main's thread. */
void wall_say(void);

#endif
