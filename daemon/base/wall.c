/*
 * The wall clock, checked for plausibility.
 *
 * A machine without a battery-backed clock starts in 1970, or at the time of its last stop, until
 * it has asked a time server. Until then its clock is an untrusted input:
 * - A clock that is earlier than the newest time in the database (what the last commit of a
 * session, or the newest reading of a device, says of our clock), or than this program, is behind:
 * time does not go back. Then wall_now_ms() gives that newest time plus what has passed on the
 * monotonic clock since the start. It is the least that the time can be. Messages are stored with
 * it and their times are judged by it; retention does nothing meanwhile (pipeline/writer_survey.c),
 * and the log and the status say so.
 * - A clock that the kernel reports as synchronised (adjtimex: not STA_UNSYNC) is believed,
 * whatever the database holds: then it is the database that holds a time from a clock that was
 * ahead. A container sees the kernel of its host, which has the one clock that there is. Where the
 * call is not allowed (a unit with ProtectClock=yes, which no SystemCallFilter= overrides; some
 * containers), systemd-timesyncd's file says the same of that daemon; without either nothing is
 * known, and the clock has to get past the newest time by itself.
 * - A clock that is ahead cannot be told from a daemon that was stopped for long. Nothing that
 *   cannot be undone may depend on it; pipeline/writer_survey.c makes sure that retention does not.
 *
 * A time in the future that was not believed is no loss: the message is in quarantine, and
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

static bool is_synchronised(void)
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

    return clock_ms >= least || is_synchronised() ? clock_ms : least;
}

bool wall_is_behind(int64_t *newest_ms)
{
    int64_t least = least_ms();
    bool behind = clock_wall_ms() < least && !is_synchronised();

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
