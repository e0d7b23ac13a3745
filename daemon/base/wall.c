/*
 * The wall clock, checked for plausibility.
 *
 * A machine without a battery-backed clock starts in 1970, or at the time of its last stop, until
 * it has asked a time server. Until then its clock is an untrusted input:
 * - A clock is behind if it is earlier than this program or than the newest time in the database
 *   (of our clock: a session's last commit, a device's newest reading), because time does not go
 *   back. Then wall_now_ms() returns that newest time plus the monotonic time since the start: the
 *   time cannot be earlier. Messages are stored and judged with it. Meanwhile retention does
 *   nothing (pipeline/writer_survey.c), and the log and the status report the state.
 * - A clock that the kernel reports as synchronised (adjtimex: not STA_UNSYNC) is trusted, whatever
 *   the database holds: then the database holds a time from a clock that was ahead. A container
 *   sees the kernel of its host, whose clock is the only one. Where the call is not allowed (a unit
 *   with ProtectClock=yes, which no SystemCallFilter= overrides; some containers), the file of
 *   systemd-timesyncd gives the same answer for that daemon. Without either, the clock is trusted
 *   only when it has passed the newest time.
 * - A clock that is ahead cannot be told from a daemon that was stopped for long. Nothing that
 *   cannot be undone may depend on it; pipeline/writer_survey.c makes sure that retention does not.
 *
 * A message with an untrusted time in the future is not lost: it goes to quarantine, and
 * pipeline/writer_rejudge.c judges it again when the clock has moved on.
 */
#include "base/wall.h"

#include <stddef.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/moment.h"

/* 2024-01-01: no clock is right that is earlier than this program. */
#define PROGRAM_MS INT64_C(1704067200000)

#define TIMESYNCD_FILE "/run/systemd/timesync/synchronized"

static struct {
    int64_t newest_ms;
    int64_t begun_ms; /* monotonic */
    bool said_behind;
} wall = {.newest_ms = PROGRAM_MS};

void wall_begin(int64_t newest_ms)
{
    wall.newest_ms = newest_ms > PROGRAM_MS ? newest_ms : PROGRAM_MS;
    wall.begun_ms = clock_monotonic_ms();
    wall.said_behind = false;
}

bool wall_is_synchronised(void)
{
    struct timex status = {0};

    if (adjtimex(&status) >= 0) {
        return (status.status & STA_UNSYNC) == 0;
    }
    return access(TIMESYNCD_FILE, F_OK) == 0;
}

/* A lower bound of the present time, from the database's newest time. */
static int64_t least_ms(void)
{
    return wall.begun_ms == 0 ? wall.newest_ms
                              : wall.newest_ms + clock_monotonic_ms() - wall.begun_ms;
}

int64_t wall_now_ms(void)
{
    int64_t clock_ms = clock_wall_ms();
    int64_t least = least_ms();

    return clock_ms >= least || wall_is_synchronised() ? clock_ms : least;
}

bool wall_is_behind(int64_t *newest_ms)
{
    int64_t least = least_ms();
    bool behind = clock_wall_ms() < least && !wall_is_synchronised();

    if (behind && newest_ms != NULL) {
        *newest_ms = least;
    }
    return behind;
}

void wall_say(void)
{
    int64_t newest_ms = 0;
    bool behind = wall_is_behind(&newest_ms);
    char clock[MOMENT_SIZE];
    char newest[MOMENT_SIZE];

    if (behind == wall.said_behind) {
        return;
    }
    wall.said_behind = behind;
    moment_iso(clock_wall_ms(), clock);
    moment_iso(newest_ms, newest);
    if (behind) {
        log_error(
            "the system's clock says %s, which is earlier than %s, the newest time in the "
            "database, and it is not reported as synchronised: it is taken for behind; "
            "messages are stored as of the later time and retention deletes nothing until it "
            "is right: set the clock (timedatectl, chronyc); if it is right, see \"Clock\" in "
            "foxtrackrd(8)",
            clock, newest);
    } else {
        log_notice("the system's clock says %s and is believed again", clock);
    }
}
