/*
 * Judges messages in quarantine again whose time lay in the future.
 *
 * A message whose time is further ahead than max_future is in quarantine with the reason `time`.
 * Either its sender's clock is ahead or ours is behind, which is not known at that time. Every
 * minute, and when the clock was set, the entries whose time has come are parsed again: an
 * index by their claimed time finds just those (schema/sqlite/0004), so that a pass costs nothing
 * while there are none. A message that is accepted now moves to its tables as in replay
 * (store/sqlite/rejudge.c), in one transaction, and the counts of the run in which it came do not
 * change. A part takes a few milliseconds and is followed by a pause three times as long.
 *
 * A row cannot become an entry of quarantine again, and a clock may be ahead for two seconds only.
 * A pass therefore waits for a clock that is believed: at least ten seconds have passed since it
 * was set, and it is reported as synchronised, or retention's survey has found since then that two
 * devices' readings agree with it (pipeline/writer_survey.c), or it was not set for an hour. That
 * hour begins at the start of the daemon too. A clock that is behind is not believed until it is
 * right.
 *
 * Retention begins a pass only after a newer pass of this kind (pipeline/writer_chores.c): after
 * the clock was corrected, messages that are accepted now must not be deleted as old first. While
 * the clock is not believed, retention deletes nothing of quarantine.
 *
 * A clock that was set forward by an hour or more was probably behind before. Messages that
 * quarantine received since the clock was last set (or since the start) have a last_received_ms
 * that is too early, and retention would delete them at once. These entries get the time of the
 * setting instead, as soon as the clock is believed: retention counts from when the clock was first
 * right. If the clock is set back before that, they keep their time. If instead the clock is ahead
 * now, the entries are only kept longer.
 */
#include "pipeline/writer_rejudge_internal.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/plural.h"
#include "base/wall.h"

#define PERIOD_MS   60000
#define PERIOD_MOST 100 /* times the length of the last pass, if that is more */
#define REST_FACTOR 3
#define JUMP_MS     1000    /* a smaller change is normal adjustment */
#define RESTAMP_MS  3600000 /* less does not matter to retention */
#define SETTLE_MS   10000   /* that long after a setting no clock is believed */
#define STEADY_MS   3600000 /* that long after the last setting, or the start, any clock is */

void writer_rejudge_init(struct writer_rejudge *rejudge)
{
    int64_t now_ms = clock_monotonic_ms();

    *rejudge = (struct writer_rejudge){.wanted = true,
                                       .done_ms = INT64_MIN / 2,
                                       .since_ms = wall_now_ms(),
                                       .set_ms = now_ms,
                                       .offset_ms = wall_now_ms() - now_ms};
}

bool writer_rejudge_believes(const struct writer_rejudge *rejudge)
{
    int64_t steady_ms = clock_monotonic_ms() - rejudge->set_ms;

    if (rejudge->was_set && steady_ms < SETTLE_MS) {
        return false;
    }
    if (wall_is_synchronised()) {
        return true;
    }
    return !wall_is_behind(NULL) &&
           (steady_ms >= STEADY_MS || rejudge->agreed_ms > rejudge->set_ms);
}

/* The clock was set by ahead_ms: which entries have a time that is too early now? */
static void note_setting(struct writer_rejudge *rejudge, int64_t now_ms, int64_t wall_ms,
                         int64_t ahead_ms)
{
    int64_t since_ms = wall_ms;

    if (ahead_ms >= RESTAMP_MS) {
        /* A second setting before the first is worked off: the earlier beginning holds. */
        rejudge->before_offset_ms =
            rejudge->restamps ? rejudge->before_offset_ms : rejudge->offset_ms;
        rejudge->from_ms = rejudge->restamps && rejudge->from_ms < rejudge->since_ms
                               ? rejudge->from_ms
                               : rejudge->since_ms;
        rejudge->to_ms = rejudge->offset_ms + now_ms;
        rejudge->restamps = true;
    } else if (rejudge->restamps && wall_ms - now_ms - rejudge->before_offset_ms < RESTAMP_MS) {
        /* Set back before that was worked off: the clock goes as it went then. */
        rejudge->restamps = false;
        since_ms = rejudge->from_ms < wall_ms ? rejudge->from_ms : wall_ms;
    }
    rejudge->offset_ms = wall_ms - now_ms;
    rejudge->since_ms = since_ms;
    rejudge->was_set = true;
    rejudge->set_ms = now_ms;
    rejudge->active = false;
    rejudge->wanted = true;
}

bool writer_rejudge_due(struct writer_rejudge *rejudge, uint64_t quarantined)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t wall_ms = wall_now_ms();
    int64_t ahead_ms = wall_ms - now_ms - rejudge->offset_ms;

    if (ahead_ms >= JUMP_MS || ahead_ms <= -JUMP_MS) {
        note_setting(rejudge, now_ms, wall_ms, ahead_ms);
    } else {
        rejudge->offset_ms += ahead_ms;
    }
    if (!writer_rejudge_believes(rejudge)) {
        rejudge->wanted |= rejudge->active;
        rejudge->active = false;
        return false;
    }
    if (rejudge->active) {
        return now_ms >= rejudge->rest_until;
    }
    return rejudge->wanted ||
           (now_ms >= rejudge->pause_until &&
            (wall_ms >= rejudge->next_due_ms || quarantined != rejudge->quarantined));
}

bool writer_rejudge_done_since(struct writer_rejudge *rejudge, int64_t since_ms)
{
    if (rejudge->done_ms >= since_ms) {
        return true;
    }
    rejudge->wanted |= !rejudge->active;
    return false;
}

static void end_pass(struct writer_rejudge *rejudge)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t took_ms = now_ms - rejudge->begun_ms;

    if (rejudge->pass.moved > 0) {
        log_notice("%" PRId64 " message%s of quarantine, whose time lay in the future when %s in "
                   "%s: the clock has moved on",
                   rejudge->pass.moved, plural_s(rejudge->pass.moved),
                   plural(rejudge->pass.moved, "it came, is", "they came, are"),
                   plural(rejudge->pass.moved, "its table", "their tables"));
    }
    rejudge->active = false;
    rejudge->done_ms = rejudge->begun_ms;
    rejudge->next_due_ms = rejudge->pass.next_due_ms;
    rejudge->pause_until =
        now_ms + (took_ms * PERIOD_MOST > PERIOD_MS ? took_ms * PERIOD_MOST : PERIOD_MS);
    rejudge->wanted = false;
}

static int judge_some(struct writer_rejudge *rejudge, struct store *store,
                      const struct writer_limits *limits, bool *done)
{
    struct store_rejudge *pass = &rejudge->pass;
    int64_t moved = pass->moved;
    int result;

    pass->fields = limits->fields;
    pass->max_future_ms = limits->max_future_ms;
    pass->now_ms = wall_now_ms();
    result = store_rejudge(store, pass, done);
    rejudge->moved_all += (uint64_t)(pass->moved - moved);
    return result;
}

int writer_rejudge_chunk(struct writer_rejudge *rejudge, struct store *store,
                         const struct writer_limits *limits, uint64_t quarantined)
{
    int64_t begun_ms = clock_monotonic_ms();
    bool done = false;
    int result;

    if (!rejudge->active) {
        rejudge->active = true;
        rejudge->begun_ms = begun_ms;
        rejudge->quarantined = quarantined;
        rejudge->pass = (struct store_rejudge){.next_due_ms = INT64_MAX};
    }
    if (rejudge->restamps) {
        result = store_restamp(store, rejudge->from_ms, rejudge->to_ms, wall_now_ms(), &done);
        rejudge->restamps = result != STORE_OK || !done;
        done = false;
    } else {
        result = judge_some(rejudge, store, limits, &done);
    }
    if (result != STORE_OK) {
        rejudge->active = false;
        rejudge->wanted = false;
        rejudge->next_due_ms = INT64_MIN;
        rejudge->pause_until = clock_monotonic_ms() + PERIOD_MS;
    } else if (done) {
        end_pass(rejudge);
    } else {
        rejudge->rest_until =
            clock_monotonic_ms() + REST_FACTOR * (clock_monotonic_ms() - begun_ms);
    }
    return result;
}
