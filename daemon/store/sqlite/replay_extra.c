/*
 * Fills columns of stored rows from `extra`: a value without a name in [fields] when its message
 * arrived is in `extra`. If a mapping names its path now, the value moves from extra to the column,
 * as if the message arrived today. Only columns that are NULL are filled; a stored value is never
 * replaced.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/sqlite/replay_internal.h"

#define BATCH_ROWS   256
#define PROGRESS_OPS 100000

static const struct extra_table {
    const char *what;
    int source;
    enum store_statement read;
    enum store_statement write;
    bool battery;
} tables[] = {
    {"battery", STORE_REPLAY_BATTERY, STATEMENT_REPLAY_BATTERY, STATEMENT_REPLAY_BATTERY_MAPPED,
     true},
    {"temperature", STORE_REPLAY_TEMPERATURE, STATEMENT_REPLAY_TEMPERATURE,
     STATEMENT_REPLAY_TEMPERATURE_MAPPED, false},
};

struct extra_row {
    int64_t device;
    int64_t time_ms;
    char *extra;                     /* as stored */
    struct foxtrackr_message mapped; /* the new content of the row */
};

struct extra_walk {
    struct store *store;
    struct store_replay *replay;
    const struct store_watcher *watcher;
    const struct extra_table *table;
    int64_t device; /* key of the last row that was read */
    int64_t time_ms;
    struct extra_row rows[BATCH_ROWS]; /* the rows that change */
    int count;
};

static int no_memory(struct extra_walk *walk)
{
    return store_refuse(walk->store, STORE_E_RETRY, "%s: cannot go on with replay: out of memory",
                        walk->store->path);
}

static double column(sqlite3_stmt *statement, int index)
{
    return sqlite3_column_type(statement, index) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(statement, index);
}

/* Returns true when a column that was NULL is filled now. */
static bool gained(const struct foxtrackr_message *before, const struct foxtrackr_message *after)
{
    return (isnan(before->voltage_v) && !isnan(after->voltage_v)) ||
           (isnan(before->level_pct) && !isnan(after->level_pct)) ||
           (isnan(before->celsius) && !isnan(after->celsius));
}

/* Maps the statement's current row, and keeps it if that fills a column. */
static int map_row(struct extra_walk *walk, sqlite3_stmt *statement)
{
    struct extra_row *row = &walk->rows[walk->count];
    const char *extra = (const char *)sqlite3_column_text(statement, 2);
    struct foxtrackr_message before = {.has_battery = walk->table->battery,
                                       .has_temperature = !walk->table->battery,
                                       .voltage_v = NAN,
                                       .level_pct = NAN,
                                       .celsius = NAN};
    struct foxtrackr_problem problem;
    int result;

    *row = (struct extra_row){.device = walk->device, .time_ms = walk->time_ms};
    row->extra = extra == NULL ? NULL : strdup(extra);
    if (row->extra == NULL) {
        return no_memory(walk);
    }
    if (walk->table->battery) {
        before.voltage_v = column(statement, 3);
        before.level_pct = column(statement, 4);
        before.battery_extra = row->extra;
    } else {
        before.celsius = column(statement, 3);
        before.temperature_extra = row->extra;
    }
    row->mapped = before;
    result = foxtrackr_extra_map(walk->replay->fields, &row->mapped, &problem);
    walk->replay->counts[walk->table->source].examined++;
    if (result == 0 && gained(&before, &row->mapped)) {
        walk->count++;
        return STORE_OK;
    }
    walk->replay->counts[walk->table->source].kept++; /* also an extra that is no JSON any more */
    if (result == 0) {
        foxtrackr_message_clear(&row->mapped);
    }
    free(row->extra);
    return result < 0 ? no_memory(walk) : STORE_OK;
}

/* Reads rows until the batch is full; sets *end at the end of the table. */
static int read_rows(struct extra_walk *walk, bool *end)
{
    sqlite3_stmt *statement = walk->store->statements[walk->table->read];
    int result = STORE_OK;

    for (int read = 0; read < BATCH_ROWS && result == STORE_OK && !*end; read++) {
        const struct store_value values[] = {store_integer(walk->device),
                                             store_integer(walk->time_ms)};
        bool row = false;

        result = store_step(walk->store, walk->table->read, values, 2, &row);
        *end = !row;
        if (result == STORE_OK && row) {
            walk->device = sqlite3_column_int64(statement, 0);
            walk->time_ms = sqlite3_column_int64(statement, 1);
            result = map_row(walk, statement);
        }
        store_reset(walk->store, walk->table->read);
    }
    return result;
}

static int write_row(struct extra_walk *walk, const struct extra_row *row, int64_t *moved)
{
    const struct foxtrackr_message *mapped = &row->mapped;
    const struct store_value battery[] = {
        store_integer(row->device),    store_integer(row->time_ms),
        store_text(row->extra),        store_text(mapped->battery_extra),
        store_real(mapped->voltage_v), store_real(mapped->level_pct)};
    const struct store_value temperature[] = {
        store_integer(row->device), store_integer(row->time_ms), store_text(row->extra),
        store_text(mapped->temperature_extra), store_real(mapped->celsius)};
    int result = walk->table->battery
                     ? store_execute(walk->store, walk->table->write, battery, 6)
                     : store_execute(walk->store, walk->table->write, temperature, 5);

    if (result != STORE_OK || sqlite3_changes(walk->store->db) == 0) {
        return result;
    }
    ++*moved;
    return row->time_ms < walk->store->rollup.watch_ms
               ? rollup_note_late(walk->store,
                                  walk->table->battery ? ROLLUP_BATTERY : ROLLUP_TEMPERATURE,
                                  row->device, row->time_ms)
               : STORE_OK;
}

/* Writes the batch, in as many transactions as its length needs. */
static int write_rows(struct extra_walk *walk)
{
    struct store_replay_counts *counts = &walk->replay->counts[walk->table->source];
    int result = STORE_OK;
    int at = 0;

    if (walk->replay->dry_run) {
        counts->moved += walk->count;
        return STORE_OK;
    }
    while (at < walk->count && result == STORE_OK) {
        int64_t moved = 0;
        int64_t begun_ms;
        size_t bytes = 0;
        int end = walk->count < at + REPLAY_HOLD_ROWS ? walk->count : at + REPLAY_HOLD_ROWS;

        result = store_transaction_begin(walk->store);
        begun_ms = clock_monotonic_ms();
        while (result == STORE_OK && at < end && bytes < REPLAY_HOLD_BYTES &&
               clock_monotonic_ms() - begun_ms < REPLAY_HOLD_MS) {
            result = write_row(walk, &walk->rows[at], &moved);
            bytes += strlen(walk->rows[at].extra);
            at++;
        }
        if (result == STORE_OK) {
            result = replay_commit(walk->store);
        } else {
            replay_undo(walk->store);
        }
        if (result == STORE_OK) {
            counts->moved += moved;
        }
    }
    return result;
}

static void clear_rows(struct extra_walk *walk)
{
    for (int i = 0; i < walk->count; i++) {
        foxtrackr_message_clear(&walk->rows[i].mapped);
        free(walk->rows[i].extra);
    }
    walk->count = 0;
}

/* A progress handler: one step may read a whole table without such rows, and a stop must end
 * that. */
static int watch(void *context)
{
    struct extra_walk *walk = context;

    return !replay_go_on(walk->store, walk->watcher, walk->table->what, 0, 0);
}

static int walk_table(struct extra_walk *walk)
{
    bool end = false;
    int result = STORE_OK;

    walk->device = INT64_MIN;
    walk->time_ms = INT64_MIN;
    while (result == STORE_OK && !end) {
        if (watch(walk)) {
            return STORE_E_STOPPED;
        }
        sqlite3_progress_handler(walk->store->db, PROGRESS_OPS, watch, walk);
        result = read_rows(walk, &end);
        sqlite3_progress_handler(walk->store->db, 0, NULL, NULL);
        if (result == STORE_E_STOPPED) {
            store_refuse(walk->store, result, "stopped; run it again to go on");
        } else if (result == STORE_OK) {
            result = write_rows(walk);
        }
        clear_rows(walk);
    }
    return result;
}

int replay_extras(struct store *store, struct store_replay *replay,
                  const struct store_watcher *watcher)
{
    struct extra_walk *walk = calloc(1, sizeof(*walk));
    int result = STORE_OK;

    if (walk == NULL) {
        return store_refuse(store, STORE_E_RETRY, "%s: cannot go on with replay: out of memory",
                            store->path);
    }
    walk->store = store;
    walk->replay = replay;
    walk->watcher = watcher;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && result == STORE_OK; i++) {
        walk->table = &tables[i];
        result = walk_table(walk);
    }
    free(walk);
    return result;
}
