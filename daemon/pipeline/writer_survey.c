/*
 * Finds the cutoff before which retention may delete.
 *
 * Deletions cannot be undone, and they depend on the clock, which may be wrong by years. So a pass
 * does not count from the wall clock alone, but from the smaller of the wall clock and the newest
 * reading on disk, which carries the time of another clock, the device's. So a clock that is ahead
 * deletes only rows that are old by the readings too, and a database whose devices have been silent
 * for a year keeps its rows.
 *
 * One implausible reading must not move that time, and one device may have any time that our own
 * clock lets pass (max_future counts from our clock, even when that is ahead). Therefore:
 *
 * - A reading agrees with the clock if it is at most a day older and at most a day ahead. A
 *   reading that is further ahead is ignored, and so is one that was more than a day ahead when
 *   it arrived: the tables hold such readings when max_future is long, or our clock was ahead for
 *   a moment.
 * - Two devices whose newest readings agree with the clock confirm it, because they do not share
 *   a fault with our clock. The pass counts from the smaller of the clock and the newest reading.
 * - One device that agrees with the clock while all others are older confirms the clock after an
 *   hour of agreement in this run: either it is the last active device, or its clock and ours are
 *   both ahead.
 * - One device that agrees confirms the clock at once if no other device has any reading.
 * - Otherwise the newest reading does not count: the pass counts from the newest reading of
 *   another device or, if there is only one device, from its reading before that.
 *
 * Without any reading the pass counts from the newest entry of quarantine. That has our own clock's
 * time, which cannot confirm itself: the entry counts only if the clock is reported as
 * synchronised, otherwise nothing is deleted.
 *
 * If the clock is set during a survey, its result is worthless: the pass deletes nothing.
 *
 * While the clock is behind (base/wall.c) nothing is deleted.
 *
 * A pass that would delete more than half of a table first logs table, rows and date, and waits an
 * hour so that an operator can act. Meanwhile every pass makes a new survey (ten minutes apart): a
 * corrected clock or a longer retention ends the wait, and nothing is deleted. After the hour the
 * next survey must find no more rows than announced, by a cutoff that has advanced no faster than
 * the monotonic clock (with an hour of slack), or the wait starts again. The wait is counted by the
 * monotonic clock and survives a reload, unless that changes the table's limit, because then the
 * deletion differs from the announced one. A restart starts the wait again, because it protects
 * against a clock that is wrong after booting; a daemon that runs for an hour deletes. Lack of
 * space does not shorten the wait: the broker keeps messages that are not accepted, but deleted
 * rows are lost.
 */
#include "pipeline/writer_survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/moment.h"
#include "base/plural.h"
#include "base/wall.h"

#define DAY_MS        INT64_C(86400000)
#define AGREE_MS      DAY_MS
#define ALONE_MS      3600000
#define HOLD_SLACK_MS 3600000
#define SET_MS        60000 /* a smaller change of the clock does not matter to retention */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool agrees(int64_t time_ms, int64_t clock_ms)
{
    return time_ms >= clock_ms - AGREE_MS && time_ms <= clock_ms + AGREE_MS;
}

int64_t writer_survey_basis(const struct store_newest *newest, int64_t clock_ms, int64_t alone_ms,
                            bool synchronised)
{
    bool first_agrees = agrees(newest->first_ms, clock_ms);
    bool second_agrees = agrees(newest->second_ms, clock_ms);
    int64_t basis_ms = newest->devices > 1 ? newest->second_ms : newest->before_ms;

    if (newest->devices == 0 && !synchronised) {
        return INT64_MIN;
    }
    if (first_agrees && (newest->devices <= 1 || second_agrees || alone_ms >= ALONE_MS)) {
        basis_ms = newest->first_ms;
    }
    return basis_ms == 0 || basis_ms > clock_ms + AGREE_MS ? INT64_MIN
                                                           : smaller(basis_ms, clock_ms);
}

void writer_survey_begin(struct writer_survey *survey)
{
    survey->phase = WRITER_SURVEY_NEWEST;
    survey->begun_wall_ms = clock_wall_ms();
    survey->begun_ms = clock_monotonic_ms();
    survey->newest = (struct store_newest){.until_ms = survey->begun_wall_ms + AGREE_MS};
}

/* Returns true when the clock was set since the survey began. */
static bool clock_was_set(const struct writer_survey *survey)
{
    int64_t ahead_ms =
        clock_wall_ms() - survey->begun_wall_ms - (clock_monotonic_ms() - survey->begun_ms);

    return ahead_ms > SET_MS || ahead_ms < -SET_MS;
}

static void note_alone(struct writer_survey *survey, int64_t clock_ms)
{
    const struct store_newest *newest = &survey->newest;
    bool alone = newest->devices > 1 && agrees(newest->first_ms, clock_ms) &&
                 !agrees(newest->second_ms, clock_ms);

    if (!alone) {
        survey->alone_since_ms = 0;
    } else if (survey->alone_since_ms == 0) {
        survey->alone_since_ms = clock_monotonic_ms();
    }
}

static void begin_count(struct writer_survey *survey, enum store_table table)
{
    survey->phase = table < STORE_TABLES ? WRITER_SURVEY_COUNT : WRITER_SURVEY_DONE;
    survey->tally = (struct store_tally){.table = table};
    if (table < STORE_TABLES) {
        survey->tally.cutoff_ms = survey->cutoff_ms[table];
        survey->tally.done = survey->cutoff_ms[table] == STORE_KEEP;
    }
}

static void set_cutoffs(struct writer_survey *survey, const struct writer_limits *limits)
{
    int64_t clock_ms = clock_wall_ms();
    bool keep = wall_is_behind(NULL) || clock_was_set(survey);
    int64_t basis_ms;

    note_alone(survey, clock_ms);
    survey->agreed_ms = !keep && survey->newest.devices > 1 &&
                                agrees(survey->newest.first_ms, clock_ms) &&
                                agrees(survey->newest.second_ms, clock_ms)
                            ? survey->begun_ms
                            : 0;
    basis_ms = writer_survey_basis(
        &survey->newest, clock_ms,
        survey->alone_since_ms == 0 ? 0 : clock_monotonic_ms() - survey->alone_since_ms,
        wall_is_synchronised());
    for (int i = 0; i < STORE_TABLES; i++) {
        int days = limits->retention_days[i];

        survey->cutoff_ms[i] =
            days == 0 || keep || basis_ms == INT64_MIN ? STORE_KEEP : basis_ms - days * DAY_MS;
    }
    survey->rollup_cutoff_ms = limits->rollup_days == 0 || keep || basis_ms == INT64_MIN
                                   ? STORE_KEEP
                                   : basis_ms - limits->rollup_days * DAY_MS;
}

static void announce(struct writer_survey *survey, enum store_table table, int days)
{
    struct writer_hold *hold = &survey->holds[table];
    char date[MOMENT_SIZE];

    *hold = (struct writer_hold){.held = true,
                                 .days = days,
                                 .since_ms = clock_monotonic_ms(),
                                 .cutoff_ms = survey->cutoff_ms[table]};
    log_warning("database.retention_days: about to delete %" PRId64
                " row%s of %s from before %s, more than half of the table; this waits an hour: if "
                "it is not meant, set the clock right or raise the limit and reload",
                survey->tally.old_rows, plural_s(survey->tally.old_rows), store_table_name(table),
                moment_iso(survey->cutoff_ms[table], date));
}

/* Decides, after a table's rows were counted, whether its deletion waits. */
static void judge(struct writer_survey *survey, const struct writer_limits *limits)
{
    enum store_table table = survey->tally.table;
    struct writer_hold *hold = &survey->holds[table];
    int days = limits->retention_days[table];
    int64_t passed_ms = clock_monotonic_ms() - hold->since_ms;

    if (survey->cutoff_ms[table] == STORE_KEEP ||
        survey->tally.old_rows <= survey->tally.kept_rows) {
        if (hold->held && !hold->over) {
            log_notice("database.retention_days: what was announced of %s is not deleted: it is "
                       "not more than half of the table any more",
                       store_table_name(table));
        }
        *hold = (struct writer_hold){0};
        return;
    }
    if (!hold->held || hold->days != days ||
        survey->cutoff_ms[table] > hold->cutoff_ms + passed_ms + HOLD_SLACK_MS) {
        announce(survey, table, days);
        passed_ms = 0;
    }
    hold->rows = survey->tally.old_rows;
    hold->over = passed_ms >= WRITER_SURVEY_HOLD_MS;
    if (!hold->over) {
        survey->cutoff_ms[table] = STORE_KEEP;
    }
}

int writer_survey_step(struct writer_survey *survey, struct store *store,
                       const struct writer_limits *limits, const struct store_chunk *chunk)
{
    int result = STORE_OK;

    if (survey->phase == WRITER_SURVEY_NEWEST) {
        result = store_survey_newest(store, &survey->newest, chunk);
        if (result == STORE_OK && survey->newest.done) {
            set_cutoffs(survey, limits);
            begin_count(survey, STORE_BATTERY);
        }
        return result;
    }
    result = store_survey_count(store, &survey->tally, chunk);
    if (result == STORE_OK && survey->tally.done) {
        judge(survey, limits);
        begin_count(survey, survey->tally.table + 1);
    }
    return result;
}

int64_t writer_survey_next_ms(const struct writer_survey *survey, int64_t limit_ms)
{
    int64_t now_ms = clock_monotonic_ms();

    for (int i = 0; i < STORE_TABLES; i++) {
        const struct writer_hold *hold = &survey->holds[i];

        if (hold->held && !hold->over) {
            limit_ms = smaller(limit_ms, hold->since_ms + WRITER_SURVEY_HOLD_MS - now_ms);
        }
    }
    return limit_ms > 0 ? limit_ms : 0;
}

void writer_survey_waits(const struct writer_survey *survey, struct writer_wait out[STORE_TABLES])
{
    for (int i = 0; i < STORE_TABLES; i++) {
        const struct writer_hold *hold = &survey->holds[i];

        out[i] = (struct writer_wait){0};
        if (hold->held && !hold->over) {
            out[i].rows = hold->rows;
            out[i].before_ms = hold->cutoff_ms;
            out[i].until_ms = hold->since_ms + WRITER_SURVEY_HOLD_MS;
        }
    }
}
