/*
 * The work on roll-ups, in idle time and in short transactions (chunks).
 *
 * A cycle begins every ten minutes, in a pause of the messages if there is one, and after a
 * catch-up:
 *
 *   survey   finds the newest reading of each device, as retention does (store/sqlite/survey.c)
 *   roll     moves the boundary to the last full hour that is over by the clock and by the
 *            readings, a day at a time; the readings of the running day's last hours are all that a
 *            view has to add up by itself
 *   sum      adds up the days that are over, of the fleet and of groups (store/sqlite/rollup_sum.c)
 *   learn    how often devices report (store/sqlite/rollup_habits.c)
 *   analyze  once a day, and after a catch-up
 *
 * Days in rollup_dirty are made anew before anything else.
 *
 * A wrong boundary gives no wrong answer, only a slow one. So the clock is believed if it is
 * reported as synchronised, and otherwise as far as the readings of two devices go.
 *
 * Chunks take BUDGET_US before their commit and rest as long as they took: a message that arrives
 * waits for one chunk at most. They are not synced, as those of retention, and share its rule for
 * the WAL. A chunk that fails is rolled back and tried again; what is in memory alone begins anew.
 */
#include "store/sqlite/rollup_internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/moment.h"
#include "base/wall.h"
#include "store/sqlite/sqlite_internal.h"

#define LONG_MS           (3 * DAY_MS)
#define SAY_PERIOD_MS     60000
#define DAY_MS            INT64_C(86400000)
#define HOUR_MS           INT64_C(3600000)
#define LAG_MS            INT64_C(600000) /* readings are expected to arrive within it */
#define CYCLE_MS          600000
#define EMPTY_CYCLE_MS    10000 /* of a database without readings */
#define BUDGET_US         5000
#define WAIT_MS           100 /* for messages' own checkpoint, or for another program's lock */
#define AFTER_FAIL_MS     1000
#define PAUSE_EXPECTED_MS 60000
#define ROLLUP_ROOM       (INT64_C(64) * 1024 * 1024) /* free bytes, with fewer nothing is rolled up */

/* --- days to make anew ----------------------------------------------------------------------- */

struct dirty {
    enum rollup_table table;
    int64_t device;
    struct rollup_day day;
};

static int next_dirty(struct store *store, struct dirty *dirty, bool *row)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ROLLUP_DIRTY];
    int result = store_step(store, STATEMENT_ROLLUP_DIRTY, NULL, 0, row);

    if (result == STORE_OK && *row) {
        dirty->table = rollup_table_of((const char *)sqlite3_column_text(statement, 0));
        dirty->device = sqlite3_column_int64(statement, 1);
        dirty->day.day = sqlite3_column_int64(statement, 2);
        dirty->day.from_ms = sqlite3_column_int64(statement, 3);
        dirty->day.until_ms = sqlite3_column_int64(statement, 4);
    }
    store_reset(store, STATEMENT_ROLLUP_DIRTY);
    return result;
}

/* Sets *dirty to the next day: that which is added up in part, if there is one. */
static int next_to_make(struct store *store, struct dirty *dirty, bool *more)
{
    const struct rollup_part *parts = store->rollup.work.parts;

    for (int i = 0; i < ROLLUP_TABLES; i++) {
        int result;

        if (!parts[i].begun) {
            continue;
        }
        *dirty = (struct dirty){(enum rollup_table)i, parts[i].device, parts[i].day};
        result = rollup_is_marked(store, dirty->table, dirty->device, dirty->day.day, more);
        if (result != STORE_OK || *more) {
            return result;
        }
    }
    return next_dirty(store, dirty, more);
}

/* *made: the day is rolled up; otherwise some of its readings are added. */
static int make_anew(struct store *store, const struct dirty *dirty, int64_t deadline_us,
                     bool *made)
{
    int64_t boundary_ms = rollup_boundary(&store->rollup, dirty->device);
    int64_t until_ms = dirty->day.until_ms < boundary_ms ? dirty->day.until_ms : boundary_ms;
    const struct rollup_part *part = &store->rollup.work.parts[dirty->table];
    int result =
        rollup_add(store, dirty->table, dirty->device, &dirty->day, until_ms, deadline_us, made);

    if (result != STORE_OK || !*made) {
        return result;
    }
    result = rollup_keep_calendar(store, &dirty->day);
    if (result == STORE_OK) {
        result = rollup_put(store, dirty->table);
    }
    if (result == STORE_OK && part->next_ms < boundary_ms) {
        result = rollup_note_pause(store, dirty->table, dirty->device, part->next_ms);
    }
    if (result == STORE_OK && dirty->table == ROLLUP_BATTERY) {
        result = rollup_trend_changed(store, dirty->device);
    }
    return result == STORE_OK ? rollup_unmark(store, dirty->table, dirty->device, dirty->day.day)
                              : result;
}

int rollup_clean(struct store *store, int64_t deadline_us, bool *more)
{
    struct dirty dirty;
    bool made = false;
    int result;

    do {
        result = next_to_make(store, &dirty, more);
        if (result == STORE_OK && *more) {
            result = make_anew(store, &dirty, deadline_us, &made);
        }
    } while (result == STORE_OK && *more && made && clock_monotonic_us() < deadline_us);
    return result;
}

/* --- what is due ----------------------------------------------------------------------------- */

/* Tells of long work when it begins, and once a minute. */
static void say_begun(struct rollup *rollup)
{
    struct rollup_work *work = &rollup->work;
    int64_t now_ms = clock_monotonic_ms();
    char from[MOMENT_SIZE];
    char to[MOMENT_SIZE];

    if (rollup->state.from_ms == ROLLUP_NEVER_MS ||
        work->target_ms - rollup->state.from_ms < LONG_MS || now_ms < work->say_at_ms) {
        return;
    }
    log_notice("database: rolling readings up by day, from %s to %s; until then the views by day "
               "take longer",
               moment_iso(rollup->state.from_ms, from), moment_iso(work->target_ms, to));
    work->said = true;
    work->say_at_ms = now_ms + SAY_PERIOD_MS;
}

static void say_done(struct rollup *rollup)
{
    char to[MOMENT_SIZE];

    if (rollup->work.said) {
        log_notice("database: readings are rolled up by day, to %s",
                   moment_iso(rollup->state.from_ms, to));
        rollup->work.said = false;
    }
}

/* Sets the target from the survey. Returns false when no hour is over since the last one. */
static bool set_target(struct rollup *rollup)
{
    const struct store_newest *newest = &rollup->work.newest;
    int64_t basis_ms =
        wall_is_synchronised() || newest->second_ms == 0 ? newest->first_ms : newest->second_ms;
    int64_t now_ms = wall_now_ms();

    basis_ms = (now_ms < basis_ms ? now_ms : basis_ms) - LAG_MS;
    rollup->work.target_ms = basis_ms - basis_ms % HOUR_MS;
    return newest->devices > 0 && basis_ms > 0 &&
           (rollup->work.target_ms > rollup->state.from_ms ||
            rollup->state.until_ms > rollup->state.from_ms);
}

static int survey(struct store *store, bool *done)
{
    struct rollup_work *work = &store->rollup.work;
    const struct store_chunk chunk = {.budget_us = BUDGET_US, .clock_us = clock_monotonic_us};
    int result = sqlite_survey_newest(store, &work->newest, &chunk);

    *done = work->newest.done;
    return result;
}

/* The tables that ANALYZE looks at, with a limit: some milliseconds each. Not those of roll-ups and
 * their days: the views name the order of their tables, and with numbers of rows SQLite would read
 * a whole table for a Bloom filter when somebody asks for one device. */
static const char *const analyses[] = {
    "ANALYZE device_groups",
    "ANALYZE battery",
    "ANALYZE temperature",
    "ANALYZE messages",
    "ANALYZE quarantine",
    ("DELETE FROM sqlite_stat1 WHERE tbl IN ('devices', 'calendar', 'battery_days',"
     " 'temperature_days', 'fleet_days', 'group_days')"),
};

static int analyze(struct store *store, bool *done)
{
    struct rollup *rollup = &store->rollup;
    const int count = (int)(sizeof(analyses) / sizeof(analyses[0]));

    errno = 0;
    if (sqlite3_exec(store->db, "PRAGMA analysis_limit = 1000", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(store->db, analyses[rollup->work.analyzed], NULL, NULL, NULL) != SQLITE_OK) {
        return store_fail(store, "analyze its tables");
    }
    rollup->work.analyzed++;
    *done = rollup->work.analyzed >= count;
    if (!*done) {
        return STORE_OK;
    }
    rollup->work.analyzed = 0;
    rollup->work.caught_up = false;
    rollup->state.analyzed_ms = wall_now_ms();
    return rollup_write_state(store);
}

static bool analysis_is_due(const struct rollup *rollup)
{
    int64_t age_ms = wall_now_ms() - rollup->state.analyzed_ms;

    return rollup->work.newest.devices > 0 &&
           (rollup->work.caught_up || age_ms >= DAY_MS || age_ms < 0);
}

/* Sets the phase that follows the present one, which is done. */
static void go_on(struct store *store)
{
    struct rollup_work *work = &store->rollup.work;

    switch (work->phase) {
    case ROLLUP_RESTS:
        work->phase = ROLLUP_SURVEYS;
        work->newest = (struct store_newest){.until_ms = wall_now_ms() + DAY_MS};
        break;
    case ROLLUP_SURVEYS:
        work->phase = set_target(&store->rollup) ? ROLLUP_ROLLS : ROLLUP_SUMS;
        break;
    case ROLLUP_ROLLS:
        say_done(&store->rollup);
        work->phase = ROLLUP_SUMS;
        break;
    case ROLLUP_SUMS:
        work->phase = ROLLUP_LEARNS;
        work->device = 0;
        break;
    case ROLLUP_LEARNS:
        work->phase = analysis_is_due(&store->rollup) ? ROLLUP_ANALYZES : ROLLUP_RESTS;
        work->caught_up = work->caught_up && work->phase == ROLLUP_ANALYZES;
        break;
    case ROLLUP_ANALYZES:
        work->phase = ROLLUP_RESTS;
        break;
    }
    if (work->phase == ROLLUP_RESTS) {
        work->due_ms =
            clock_monotonic_ms() + (work->newest.devices > 0 ? CYCLE_MS : EMPTY_CYCLE_MS);
    }
}

/* --- chunks ---------------------------------------------------------------------------------- */

/* Does a part of the phase in the open transaction. */
static int do_part(struct store *store, int64_t deadline_us, bool *done)
{
    switch (store->rollup.work.phase) {
    case ROLLUP_ROLLS:
        say_begun(&store->rollup);
        return rollup_advance(store, deadline_us, done);
    case ROLLUP_SUMS:
        return rollup_sum(store, deadline_us, done);
    case ROLLUP_LEARNS:
        return rollup_learn(store, deadline_us, done);
    case ROLLUP_ANALYZES:
        return analyze(store, done);
    default:
        *done = true;
        return STORE_OK;
    }
}

static void undo(struct store *store)
{
    char why[STORE_ERROR_SIZE];

    /* Keep the sentence of the first error, not of the rollback. */
    snprintf(why, sizeof(why), "%s", store->error);
    (void)store_transaction_rollback(store);
    snprintf(store->error, sizeof(store->error), "%s", why);
    store->rollup.work = (struct rollup_work){.due_ms = clock_monotonic_ms() + AFTER_FAIL_MS,
                                              .caught_up = store->rollup.work.caught_up};
}

/* One transaction: days to make anew if there are some, else a part of the phase. *rest_ms is set
 * when another program holds the lock. */
static int chunk(struct store *store, bool dirty, bool *done, int *rest_ms)
{
    int64_t deadline_us = clock_monotonic_us() + BUDGET_US;
    bool more = dirty;
    int before = store->wal_pages;
    int changes = sqlite3_total_changes(store->db);
    int result = store_chunk_begin(store);

    *done = false;
    if (result == STORE_E_RETRY && sqlite3_get_autocommit(store->db)) {
        *rest_ms = WAIT_MS;
        return STORE_OK; /* another program writes: later */
    }
    if (result == STORE_OK) {
        result = rollup_load(store);
    }
    if (result == STORE_OK && dirty) {
        result = rollup_clean(store, deadline_us, &more);
    } else if (result == STORE_OK) {
        result = do_part(store, deadline_us, done);
    }
    if (result == STORE_OK && sqlite3_total_changes(store->db) == changes &&
        store->rollup.work.phase != ROLLUP_ANALYZES) {
        result = store_execute(store, STATEMENT_COMMIT, NULL, 0); /* nothing to count or sync */
    } else if (result == STORE_OK) {
        result = store_chunk_commit(store, before);
    }
    if (result != STORE_OK) {
        undo(store);
    }
    return result;
}

/* Returns true when a cycle runs, or begins now: in a pause, unless there was none for long. */
static bool is_due(const struct rollup_work *work, bool in_pause)
{
    return work->phase != ROLLUP_RESTS || (work->caught_up && in_pause) ||
           clock_monotonic_ms() >= work->due_ms + (in_pause ? 0 : PAUSE_EXPECTED_MS);
}

/* Does a part of what is due. *more: there is more to do. *rest_ms is set if that is to wait. */
static int do_work(struct store *store, bool in_pause, bool *more, int *rest_ms)
{
    struct rollup_work *work = &store->rollup.work;
    struct dirty ignored;
    bool dirty = false;
    bool done = false;
    int result = next_dirty(store, &ignored, &dirty);

    if (result != STORE_OK || (!dirty && !is_due(work, in_pause))) {
        return result;
    }
    *more = true;
    if (!dirty && work->phase == ROLLUP_RESTS) {
        done = true;
        result = rollup_load(store);
    } else if (!dirty && work->phase == ROLLUP_SURVEYS) {
        result = survey(store, &done);
    } else {
        switch (store_retention_turn(store, false)) {
        case STORE_TURN_WAIT:
            *rest_ms = WAIT_MS;
            return store_tidy_wal(store, false);
        case STORE_TURN_MOVE:
            return store_checkpoint(store);
        default:
            result = chunk(store, dirty, &done, rest_ms);
        }
    }
    if (result == STORE_OK && done) {
        go_on(store);
        *more = work->phase != ROLLUP_RESTS;
    }
    return result;
}

int rollup_idle(struct store *store, bool in_pause, int *again_ms)
{
    int64_t begun_us = clock_monotonic_us();
    bool more = false;
    int rest_ms = 0;
    int result;

    /* A disk that is nearly full keeps its space for messages. */
    if (sqlite_sorts_in(store) || store->free_bytes < ROLLUP_ROOM) {
        return STORE_OK;
    }
    result = do_work(store, in_pause, &more, &rest_ms);
    if (rest_ms == 0) {
        rest_ms = (int)((clock_monotonic_us() - begun_us) / 1000) + 1;
    }
    if (result == STORE_OK && more && rest_ms < *again_ms) {
        *again_ms = rest_ms;
    }
    return result;
}
