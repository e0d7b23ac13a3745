/*
 * Roll-ups: the daemon adds up the readings of each device and day, so that a view of many days
 * reads one row in place of hundreds.
 *
 * The idea. Two boundaries in time, in the table rollup_state: everything before is rolled up, in
 * battery_days and temperature_days; everything after is read from the readings themselves. The
 * views join the two (schema/sqlite/0011_sums_of_days.sql), and nobody can tell them from views of
 * the readings alone. There are two boundaries because a step to a later one takes many
 * transactions: the devices up to rollup_state.device have the later one already.
 *
 * A reading that comes before the boundary changes a day that is rolled up. The transaction that
 * stores it deletes the roll-up of its device and day, and notes both in rollup_dirty: the views
 * then read this day from the readings, until the daemon has made it anew. So the views are right
 * at every moment, whatever the clock says and whoever is killed; only how fast they are depends on
 * the boundary and on the marks.
 *
 * Who stores readings: the daemon, from messages, from the inbox and from quarantine; and
 * foxtrackrctl replay beside it. All come through rows.c and replay_extra.c, which call
 * rollup_note_late() for a reading earlier than rollup.watch_ms: one comparison for the others.
 * Only the daemon moves the boundary, in transactions of its own; a tool reads it in each
 * transaction.
 *
 * Invariants: a device and day with a row in rollup_dirty has no roll-up. A roll-up has all
 * readings of its day before the device's boundary. A day with a roll-up is in the calendar. The
 * boundary is never before a day whose readings are gone (rollup_expire.c). A complete row of
 * fleet_days is the sum of the day's roll-ups, and the day has no row in rollup_dirty.
 *
 * Days are those of database.time_zone. The table day_offsets says how far local time is from UTC,
 * so that neither views nor tools need the zone's data.
 *
 * This file has the state, the marks and the days. rollup_make.c adds readings up;
 * rollup_advance.c moves the boundary; rollup_work.c decides what is done in idle time, and does it
 * in short transactions; rollup_sum.c adds up the roll-ups of a day; rollup_habits.c learns how
 * often devices report, and rollup_trend.c how their batteries discharge; rollup_expire.c follows
 * retention, and rollup_zone.c a change of the zone.
 */
#include "store/sqlite/rollup_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/sqlite/sqlite_internal.h"

#define DAY_MS INT64_C(86400000)

/* --- the state ------------------------------------------------------------------------------- */

static void forget_marks(struct rollup *rollup)
{
    for (int i = 0; i < ROLLUP_TABLES; i++) {
        rollup->marked[i].until_ms = INT64_MIN;
    }
}

void rollup_forget(struct rollup *rollup)
{
    rollup->known = false;
    rollup->watch_ms = INT64_MAX;
    forget_marks(rollup);
    for (int i = 0; i < ROLLUP_TABLES; i++) {
        rollup->work.parts[i].begun = false;
    }
}

void rollup_free(struct rollup *rollup)
{
    free(rollup->offsets);
    rollup->offsets = NULL;
    rollup->offset_count = 0;
}

static void set_watch(struct rollup *rollup)
{
    const struct rollup_work *work = &rollup->work;

    rollup->watch_ms = rollup->state.until_ms > rollup->state.from_ms ? rollup->state.until_ms
                                                                      : rollup->state.from_ms;
    if (work->next_known && work->next_ms > rollup->watch_ms) {
        rollup->watch_ms = work->next_ms;
    }
}

static int state_gone(struct store *store)
{
    store->broken = true;
    return store_refuse(store, STORE_FATAL,
                        "%s: the row of rollup_state, or of day_offsets, is gone: somebody deleted "
                        "it; restore a backup",
                        store->path);
}

static int read_state(struct store *store)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ROLLUP_STATE];
    struct rollup_state *state = &store->rollup.state;
    bool row = false;
    int result = store_step(store, STATEMENT_ROLLUP_STATE, NULL, 0, &row);

    if (result == STORE_OK && row) {
        state->device = sqlite3_column_int64(statement, 0);
        state->from_ms = sqlite3_column_int64(statement, 1);
        state->until_ms = sqlite3_column_int64(statement, 2);
        state->gone_ms[ROLLUP_BATTERY] = sqlite3_column_int64(statement, 3);
        state->gone_ms[ROLLUP_TEMPERATURE] = sqlite3_column_int64(statement, 4);
        state->analyzed_ms = sqlite3_column_int64(statement, 5);
    }
    store_reset(store, STATEMENT_ROLLUP_STATE);
    return result == STORE_OK && !row ? state_gone(store) : result;
}

static int read_offsets(struct store *store)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ROLLUP_OFFSETS];
    struct rollup *rollup = &store->rollup;
    bool row = false;
    int result = store_step(store, STATEMENT_ROLLUP_OFFSETS, NULL, 0, &row);

    rollup_free(rollup);
    while (result == STORE_OK && row) {
        size_t count = (size_t)rollup->offset_count + 1;
        struct zone_offset *more = realloc(rollup->offsets, count * sizeof(*more));

        if (more == NULL) {
            result = store_refuse(store, STORE_E_RETRY, "out of memory");
            break;
        }
        more[count - 1] = (struct zone_offset){sqlite3_column_int64(statement, 0),
                                               sqlite3_column_int64(statement, 1),
                                               sqlite3_column_int64(statement, 2)};
        rollup->offsets = more;
        rollup->offset_count++;
        result = store_step(store, STATEMENT_ROLLUP_OFFSETS, NULL, 0, &row);
    }
    store_reset(store, STATEMENT_ROLLUP_OFFSETS);
    return result == STORE_OK && rollup->offset_count == 0 ? state_gone(store) : result;
}

int rollup_load(struct store *store)
{
    int result = STORE_OK;

    if (store->rollup.known) {
        set_watch(&store->rollup);
        return STORE_OK;
    }
    result = read_state(store);
    if (result == STORE_OK) {
        result = read_offsets(store);
    }
    if (result == STORE_OK) {
        store->rollup.known = true;
        set_watch(&store->rollup);
    }
    return result;
}

static int64_t day_number(const struct rollup *rollup, int64_t time_ms)
{
    return zone_day_of(rollup->offsets, rollup->offset_count, time_ms);
}

/* Returns the row of day_offsets in which a time is. */
static const struct zone_offset *offset_at(const struct rollup *rollup, int64_t time_ms)
{
    int i = rollup->offset_count - 1;

    while (i > 0 && rollup->offsets[i].from_ms > time_ms) {
        i--;
    }
    return &rollup->offsets[i];
}

int rollup_write_state(struct store *store)
{
    const struct rollup *rollup = &store->rollup;
    const struct rollup_state *state = &rollup->state;
    const struct zone_offset *offset = offset_at(rollup, state->from_ms);
    const struct store_value values[] = {
        store_integer(state->device),
        store_integer(state->from_ms),
        store_integer(day_number(rollup, state->from_ms)),
        store_integer(state->until_ms),
        store_integer(day_number(rollup, state->until_ms)),
        store_integer(offset->from_ms),
        store_integer(offset->until_ms),
        store_integer(offset->offset_ms),
        store_integer(state->gone_ms[ROLLUP_BATTERY]),
        store_integer(state->gone_ms[ROLLUP_TEMPERATURE]),
        store_integer(state->analyzed_ms),
    };
    int result = store_execute(store, STATEMENT_ROLLUP_SET_STATE, values,
                               (int)(sizeof(values) / sizeof(values[0])));

    set_watch(&store->rollup);
    return result == STORE_OK && sqlite3_changes(store->db) != 1 ? state_gone(store) : result;
}

int64_t rollup_boundary(const struct rollup *rollup, int64_t device)
{
    return device <= rollup->state.device ? rollup->state.until_ms : rollup->state.from_ms;
}

/* --- days ------------------------------------------------------------------------------------ */

static int64_t begin_of(const struct rollup *rollup, int64_t day)
{
    return zone_day_begin(rollup->offsets, rollup->offset_count, day);
}

void rollup_day_of(const struct rollup *rollup, int64_t time_ms, struct rollup_day *out)
{
    out->day = day_number(rollup, time_ms);
    out->from_ms = begin_of(rollup, out->day);
    out->until_ms = begin_of(rollup, out->day + 1);
}

/* Writes the date of `days` since 1970-01-01. */
static void write_date(int64_t days, char date[16])
{
    time_t seconds = (time_t)(days * (DAY_MS / 1000));
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL || strftime(date, 16, "%Y-%m-%d", &parts) == 0) {
        date[0] = '\0';
    }
}

static int add_to_calendar(struct store *store, int64_t day)
{
    const struct rollup *rollup = &store->rollup;
    int64_t from_ms = begin_of(rollup, day);
    char date[16];
    char utc[16];

    write_date(day, date);
    write_date((from_ms - (from_ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS, utc);
    {
        const struct store_value values[] = {
            store_integer(day), store_text(date), store_integer(from_ms),
            store_integer(begin_of(rollup, day + 1)), store_text(utc)};

        return store_execute(store, STATEMENT_ROLLUP_DAY_ADD, values, 5);
    }
}

int rollup_keep_calendar(struct store *store, const struct rollup_day *day)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ROLLUP_DAYS];
    int64_t first = day->day;
    int64_t last = first;
    bool row = false;
    int result = store_step(store, STATEMENT_ROLLUP_DAYS, NULL, 0, &row);

    if (result == STORE_OK && row && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        int64_t lowest = sqlite3_column_int64(statement, 0);
        int64_t highest = sqlite3_column_int64(statement, 1);

        first = day->day > highest ? highest + 1 : day->day;
        last = day->day < lowest ? lowest - 1 : day->day > highest ? day->day : first - 1;
    }
    store_reset(store, STATEMENT_ROLLUP_DAYS);
    for (int64_t i = first; i <= last && result == STORE_OK; i++) {
        result = add_to_calendar(store, i);
    }
    return result;
}

/* --- marks ----------------------------------------------------------------------------------- */

static const char *const types[ROLLUP_TABLES] = {"bat", "temp"};

enum rollup_table rollup_table_of(const char *type)
{
    return type != NULL && strcmp(type, types[ROLLUP_TEMPERATURE]) == 0 ? ROLLUP_TEMPERATURE
                                                                        : ROLLUP_BATTERY;
}

int rollup_mark(struct store *store, enum rollup_table table, int64_t device,
                const struct rollup_day *day)
{
    static const enum store_statement forget[ROLLUP_TABLES] = {STATEMENT_BATTERY_DAY_DELETE,
                                                               STATEMENT_TEMPERATURE_DAY_DELETE};
    const struct store_value values[] = {store_text(types[table]), store_integer(device),
                                         store_integer(day->day), store_integer(day->from_ms),
                                         store_integer(day->until_ms)};
    int result = store_execute(store, STATEMENT_ROLLUP_MARK, values, 5);

    if (result != STORE_OK || sqlite3_changes(store->db) == 0) {
        return result; /* marked before: it has no roll-up */
    }
    result = store_execute(store, forget[table], values + 1, 2);
    return result == STORE_OK ? rollup_forget_sum(store, day->day) : result;
}

int rollup_unmark(struct store *store, enum rollup_table table, int64_t device, int64_t day)
{
    const struct store_value values[] = {store_text(types[table]), store_integer(device),
                                         store_integer(day)};

    forget_marks(&store->rollup);
    return store_execute(store, STATEMENT_ROLLUP_UNMARK, values, 3);
}

int rollup_is_marked(struct store *store, enum rollup_table table, int64_t device, int64_t day,
                     bool *marked)
{
    const struct store_value values[] = {store_text(types[table]), store_integer(device),
                                         store_integer(day)};
    int result = store_step(store, STATEMENT_ROLLUP_MARKED, values, 3, marked);

    store_reset(store, STATEMENT_ROLLUP_MARKED);
    return result;
}

int rollup_note_late(struct store *store, enum rollup_table table, int64_t device, int64_t time_ms)
{
    struct rollup *rollup = &store->rollup;
    struct rollup_day day;
    int result = rollup_load(store);

    if (result != STORE_OK) {
        return result;
    }
    if (time_ms < rollup->work.next_ms) {
        rollup->work.next_ms = time_ms;
    }
    rollup_forget_part(rollup, table, device, time_ms);
    if (time_ms >= rollup_boundary(rollup, device) ||
        (device == rollup->marked[table].device && time_ms >= rollup->marked[table].from_ms &&
         time_ms < rollup->marked[table].until_ms)) {
        return STORE_OK;
    }
    rollup_day_of(rollup, time_ms, &day);
    if (day.from_ms < rollup->state.gone_ms[table]) {
        return STORE_OK;
    }
    result = rollup_mark(store, table, device, &day);
    if (result == STORE_OK) {
        rollup->marked[table].device = device;
        rollup->marked[table].from_ms = day.from_ms;
        rollup->marked[table].until_ms = day.until_ms;
    }
    return result;
}
