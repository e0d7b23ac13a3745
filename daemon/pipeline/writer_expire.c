/*
 * The pace of retention: passes ten minutes apart, in chunks with rests between them.
 *
 * A pass is a survey, which finds the cutoff for deletions (pipeline/writer_survey.c), and then the
 * deletions (store/sqlite/expire.c). A chunk of either takes a few milliseconds on the writer's
 * thread, and messages are written between two chunks. The cutoffs of a pass do not change until
 * its end, whatever the clock does. Every deletion is counted in the table `expired` and in the
 * status, and logged once a day.
 */
#include "pipeline/writer_expire_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/moment.h"
#include "base/plural.h"
#include "base/wall.h"

#define BUDGET_US      5000  /* for the deletions, without the commit */
#define TARGET_US      12000 /* for a whole chunk */
#define REST_FACTOR    3
#define LATER_US       100000 /* pause after a checkpoint */
#define PAGES_FIRST    32
#define PAGES_LEAST    4
#define PAGES_MOST     256
#define PASS_PERIOD_MS 600000
#define AFTER_ERROR_MS 60000
#define SAY_PERIOD_MS  86400000

/* New rows reuse free pages; only free pages beyond this share are given back. */
#define KEEP_FREE_PERCENT 25

void writer_expire_init(struct writer_expire *expire)
{
    *expire = (struct writer_expire){.limit_pages = PAGES_FIRST, .said_ms = INT64_MIN / 2};
}

void writer_expire_restart(struct writer_expire *expire, bool short_of_space)
{
    expire->active = false;
    expire->short_of_space = short_of_space;
    expire->next_pass_ms = clock_monotonic_ms();
}

int writer_expire_wait_ms(const struct writer_expire *expire, int limit_ms)
{
    int64_t wait_ms = expire->active ? (expire->rest_until_us - clock_monotonic_us() + 999) / 1000
                                     : expire->next_pass_ms - clock_monotonic_ms();

    if (wait_ms <= 0) {
        return 0;
    }
    return wait_ms < limit_ms ? (int)wait_ms : limit_ms;
}

int writer_expire_adapt(int limit, bool reached_limit, int64_t took_us)
{
    if (took_us > TARGET_US) {
        return limit / 2 > PAGES_LEAST ? limit / 2 : PAGES_LEAST;
    }
    if (reached_limit && took_us < TARGET_US / 2) {
        return 2 * limit < PAGES_MOST ? 2 * limit : PAGES_MOST;
    }
    return limit;
}

static void begin_pass(struct writer_expire *expire)
{
    expire->active = true;
    expire->surveying = true;
    writer_survey_begin(&expire->survey);
}

/* Begins the deletions with the cutoffs of the completed survey. */
static void begin_deleting(struct writer_expire *expire, const struct writer_limits *limits)
{
    expire->surveying = false;
    expire->pass =
        (struct store_expiry){.keep_rollups = limits->rollup_days > 0,
                              .rollup_cutoff_ms = expire->survey.rollup_cutoff_ms,
                              .keep_free_percent = expire->short_of_space ? 0 : KEEP_FREE_PERCENT};
    memcpy(expire->pass.cutoff_ms, expire->survey.cutoff_ms, sizeof(expire->pass.cutoff_ms));
    if (expire->spare_quarantine) {
        expire->pass.cutoff_ms[STORE_QUARANTINE] = STORE_KEEP;
    }
}

/* Does a chunk of either part of a pass. */
static int do_chunk(struct writer_expire *expire, struct store *store,
                    const struct writer_limits *limits, const struct store_chunk *chunk,
                    struct store_expired *out)
{
    int result;

    if (!expire->surveying) {
        return store_expire(store, &expire->pass, chunk, out);
    }
    result = writer_survey_step(&expire->survey, store, limits, chunk);
    if (result == STORE_OK && expire->survey.phase == WRITER_SURVEY_DONE) {
        begin_deleting(expire, limits);
    }
    return result;
}

static void end_pass(struct writer_expire *expire, int64_t pause_ms)
{
    expire->active = false;
    expire->next_pass_ms = clock_monotonic_ms() + pause_ms;
    if (clock_monotonic_ms() - expire->said_ms >= SAY_PERIOD_MS) {
        writer_expire_say(expire);
    }
}

void writer_expire_postpone(struct writer_expire *expire)
{
    end_pass(expire, AFTER_ERROR_MS);
}

int writer_expire_chunk(struct writer_expire *expire, struct store *store,
                        const struct writer_limits *limits, struct store_expired *out)
{
    const struct store_chunk chunk = {.budget_us = BUDGET_US,
                                      .limit_pages = expire->limit_pages,
                                      .now_ms = wall_now_ms(),
                                      .nobody_waits = expire->short_of_space,
                                      .clock_us = clock_monotonic_us};
    int64_t begun_us;
    int64_t took_us;
    int result;

    *out = (struct store_expired){0};
    if (writer_expire_wait_ms(expire, 1) > 0) {
        return STORE_OK;
    }
    if (!expire->active) {
        begin_pass(expire);
    }
    begun_us = clock_monotonic_us();
    result = do_chunk(expire, store, limits, &chunk, out);
    took_us = clock_monotonic_us() - begun_us;
    expire->limit_pages = writer_expire_adapt(expire->limit_pages, out->reached_limit, took_us);
    expire->rest_until_us =
        begun_us + took_us + (expire->short_of_space ? 0 : REST_FACTOR * took_us);
    if (result != STORE_OK) {
        *out = (struct store_expired){0};
        end_pass(expire, AFTER_ERROR_MS);
        return result;
    }
    if (out->later) {
        /* A checkpoint made here was due and would have come with the next batch: not counted as a
         * chunk's time. */
        expire->rest_until_us += LATER_US;
        return STORE_OK;
    }
    if (!expire->short_of_space && took_us > expire->longest_us) {
        expire->longest_us = took_us;
    }
    for (int i = 0; i < STORE_TABLES; i++) {
        if (out->rows[i] > 0) {
            expire->unsaid[i] += out->rows[i];
            expire->unsaid_before_ms[i] = expire->pass.cutoff_ms[i];
        }
    }
    if (out->done) {
        end_pass(expire, writer_survey_next_ms(&expire->survey, PASS_PERIOD_MS));
    }
    return STORE_OK;
}

/* Logs the deletions, once a day because a little is deleted every few minutes; a deletion of more
 * than half of a table is also announced beforehand (pipeline/writer_survey.c).
 */
void writer_expire_say(struct writer_expire *expire)
{
    char text[320] = "";
    size_t length = 0;

    for (int i = 0; i < STORE_TABLES; i++) {
        char date[MOMENT_SIZE];

        if (expire->unsaid[i] > 0 && length < sizeof(text)) {
            length += (size_t)snprintf(
                text + length, sizeof(text) - length, "%s%" PRIu64 " row%s of %s from before %s",
                length > 0 ? ", " : "", expire->unsaid[i], plural_s((int64_t)expire->unsaid[i]),
                store_table_name((enum store_table)i),
                moment_iso(expire->unsaid_before_ms[i], date));
            expire->unsaid[i] = 0;
        }
    }
    if (length > 0) {
        log_notice("database.retention_days: deleted %s", text);
        expire->said_ms = clock_monotonic_ms();
    }
}
