/*
 * Moves the boundary of the roll-ups on: a step goes over all devices, to the end of a day or to
 * the target, and takes many transactions. A device that the step has passed has the later
 * boundary.
 *
 * A step notes the earliest reading behind it, so that the next step begins there: years without a
 * reading cost one step. A reading that another transaction stores meanwhile lowers this time
 * (rollup_note_late()); after a change by another program there is no such jump.
 */
#include "store/sqlite/rollup_internal.h"

#include "base/clock.h"
#include "store/sqlite/sqlite_internal.h"

/* Begins a step over all devices: from the boundary to the end of its day, or to the target. Before
 * the first roll-up the step is empty, and only finds the first reading. */
static int begin_step(struct store *store)
{
    struct rollup *rollup = &store->rollup;
    struct rollup_state *state = &rollup->state;
    struct rollup_day day;
    int result = STORE_OK;

    rollup->work.device = 0;
    rollup->work.next_known = true;
    rollup->work.next_ms = INT64_MAX;
    rollup->work.foreign_writes = store->foreign_writes;
    if (state->from_ms != ROLLUP_NEVER_MS) {
        rollup_day_of(rollup, state->from_ms, &day);
        state->device = 0;
        state->until_ms =
            day.until_ms < rollup->work.target_ms ? day.until_ms : rollup->work.target_ms;
        result = rollup_keep_calendar(store, &day);
    }
    /* From now on a reading lowers next_ms, whatever its time. */
    rollup->watch_ms = INT64_MAX;
    return result;
}

/* Adds a table's readings of a device up, to state.until_ms. *added: all of them, or there are
 * none. */
static int add_table(struct store *store, enum rollup_table table, int64_t device,
                     int64_t deadline_us, bool *added)
{
    struct rollup *rollup = &store->rollup;
    const struct rollup_state *state = &rollup->state;
    struct rollup_part *part = &rollup->work.parts[table];
    struct rollup_day day;
    int64_t next_ms;
    int result = rollup_first(store, table, device, state->from_ms, &next_ms);

    *added = true;
    if (result == STORE_OK && next_ms < state->until_ms) {
        rollup_day_of(rollup, state->from_ms, &day);
        return rollup_add(store, table, device, &day, state->until_ms, deadline_us, added);
    }
    *part = (struct rollup_part){.next_ms = next_ms};
    return result;
}

/* Writes what is added up of a table's readings. */
static int put_table(struct store *store, enum rollup_table table, int64_t device)
{
    struct rollup_work *work = &store->rollup.work;
    const struct rollup_part *part = &work->parts[table];
    int result = STORE_OK;

    if (part->done) {
        result = rollup_put(store, table);
        if (result == STORE_OK) {
            result = rollup_unmark(store, table, device, part->day.day);
        }
    }
    if (result == STORE_OK && part->next_ms < work->next_ms) {
        work->next_ms = part->next_ms;
    }
    return result;
}

/* Rolls the readings of a device up. Both tables together, because they have one boundary. *added:
 * it is done. */
static int advance_device(struct store *store, int64_t device, int64_t deadline_us, bool *added)
{
    int result = STORE_OK;

    *added = true;
    for (int i = 0; i < ROLLUP_TABLES && result == STORE_OK && *added; i++) {
        result = add_table(store, (enum rollup_table)i, device, deadline_us, added);
    }
    for (int i = 0; i < ROLLUP_TABLES && result == STORE_OK && *added; i++) {
        result = put_table(store, (enum rollup_table)i, device);
    }
    return result;
}

/* Moves the boundary on when all devices have passed it, to the next reading if that is known. */
static int end_step(struct store *store, bool *done)
{
    struct rollup *rollup = &store->rollup;
    struct rollup_state *state = &rollup->state;
    struct rollup_work *work = &rollup->work;
    bool known = work->next_known && work->foreign_writes == store->foreign_writes;
    bool empty = known && state->until_ms == ROLLUP_NEVER_MS && work->next_ms == INT64_MAX;
    int64_t to_ms = state->until_ms;
    struct rollup_day day;

    if (known && work->next_ms >= work->target_ms && !empty) {
        to_ms = work->target_ms;
    } else if (known && !empty) {
        rollup_day_of(rollup, work->next_ms, &day);
        to_ms = day.from_ms;
    }
    work->next_known = false;
    work->device = 0;
    state->device = 0;
    state->from_ms = to_ms > state->until_ms ? to_ms : state->until_ms;
    state->until_ms = state->from_ms;
    *done = state->from_ms >= work->target_ms || empty;
    return rollup_write_state(store);
}

int rollup_advance(struct store *store, int64_t deadline_us, bool *done)
{
    struct rollup_state *state = &store->rollup.state;
    struct rollup_work *work = &store->rollup.work;
    bool first = state->from_ms == ROLLUP_NEVER_MS;
    int64_t device = 0;
    bool added = true;
    int result = STORE_OK;

    *done = !first && state->until_ms == state->from_ms && state->from_ms >= work->target_ms;
    if (*done) {
        return STORE_OK;
    }
    if (first ? !work->next_known : state->until_ms == state->from_ms) {
        result = begin_step(store);
    }
    do {
        if (result == STORE_OK) {
            result = store_next_device(store, first ? work->device : state->device, &device);
        }
        if (result == STORE_OK && device != 0) {
            result = advance_device(store, device, deadline_us, &added);
        }
        if (result != STORE_OK) {
            return result;
        }
        if (device == 0) {
            return end_step(store, done);
        }
        if (!added) {
            break;
        }
        *(first ? &work->device : &state->device) = device;
    } while (clock_monotonic_us() < deadline_us);
    return first ? STORE_OK : rollup_write_state(store);
}
