/* Reports the progress of a migration: log lines for every tenth, STATUS= every second. */
#include "upgrade.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/plural.h"
#include "base/pulse.h"
#include "base/signals.h"
#include "status/status.h"

#define STATUS_PERIOD_MS 1000
#define LINE_PERIOD_MS   1000 /* at least, between two lines */
#define LINE_STEP_PCT    10

/* A statement that drops a table, and the commit, report no progress while the disk writes. Two
 * minutes and a slow disk's rate are an upper bound of that time. */
#define SILENCE_MS      INT64_C(120000)
#define SLOW_BYTES_A_MS INT64_C(4000)

static unsigned percent(const struct store_progress *progress)
{
    uint64_t done = progress->rows_done < progress->rows ? progress->rows_done : progress->rows;

    return progress->rows == 0 ? 0 : (unsigned)(done * 100 / progress->rows);
}

static void log_progress(struct upgrade *upgrade, const struct store_progress *progress)
{
    int64_t now_ms = clock_monotonic_ms();
    unsigned pct = percent(progress);
    char took[DURATION_SIZE];

    if (progress->done) {
        log_notice("database: its schema is now version %d (%s)", progress->to,
                   duration_text(now_ms - upgrade->started_ms, took));
    } else if (!upgrade->begun && progress->rows > 0) {
        upgrade->begun = true;
        upgrade->logged_ms = now_ms;
        log_notice("database: bringing its schema from version %d to %d: %" PRIu64
                   " row%s to write anew; interrupted, it begins again at the next start",
                   progress->from, progress->to, progress->rows, plural_s((int64_t)progress->rows));
    } else if (progress->finishing && !upgrade->finishing) {
        upgrade->finishing = true;
        log_info("database: schema version %d: every row is written, moving them to disk",
                 progress->to);
    } else if (pct >= upgrade->logged_pct + LINE_STEP_PCT &&
               now_ms - upgrade->logged_ms >= LINE_PERIOD_MS) {
        upgrade->logged_ms = now_ms;
        upgrade->logged_pct = pct - pct % LINE_STEP_PCT;
        log_info("database: schema version %d: %u %% of %" PRIu64 " row%s", progress->to, pct,
                 progress->rows, plural_s((int64_t)progress->rows));
    }
}

static void notify(struct upgrade *upgrade, const struct store_progress *progress)
{
    int64_t now_ms = clock_monotonic_ms();
    char rows[64] = "";
    char text[160];

    if (progress->done) {
        return;
    }
    if (upgrade->told_ms != 0 && now_ms - upgrade->told_ms < STATUS_PERIOD_MS &&
        !progress->finishing) {
        return;
    }
    upgrade->told_ms = now_ms;
    if (progress->rows > 0) {
        snprintf(rows, sizeof(rows), ": %u %% of %" PRIu64 " row%s", percent(progress),
                 progress->rows, plural_s((int64_t)progress->rows));
    }
    snprintf(text, sizeof(text), "bringing the database from schema version %d to %d%s%s",
             progress->from, progress->to, rows,
             progress->finishing ? ", moving them to disk" : "");
    status_notify_starting(text, SILENCE_MS + progress->bytes_to_sync / SLOW_BYTES_A_MS);
}

bool upgrade_progress(void *context, const struct store_progress *progress)
{
    struct upgrade *upgrade = context;

    pulse_beat();
    if (progress->from == 0) {
        upgrade->fresh = true;
    }
    if (!upgrade->fresh) {
        log_progress(upgrade, progress);
        notify(upgrade, progress);
    }
    if (progress->done) { /* another migration may follow */
        *upgrade = (struct upgrade){.started_ms = clock_monotonic_ms(), .fresh = upgrade->fresh};
    }
    return !signals_stop_pending();
}
