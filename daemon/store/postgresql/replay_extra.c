/*
 * Fills columns of stored rows from `extra`: a value without a name in [fields] when its message
 * arrived is in `extra`. If a mapping names its path now, the value moves from extra to the column,
 * as if the message arrived today. Only columns that are NULL are filled; a stored value is never
 * replaced. Each row is a transaction of its own.
 */
#include <math.h>
#include <string.h>

#include "store/postgresql/replay_internal.h"

#define PAGE 100

static const struct table {
    const char *what;
    int source;
    bool battery;
    const char *read;  /* $1, $2: the key of the last row */
    const char *write; /* $1, $2: the key; $3: extra as it was read */
} tables[] = {
    {"battery", STORE_REPLAY_BATTERY, true,
     "SELECT device, time_ms, extra, voltage_v, level_pct FROM battery"
     " WHERE (device, time_ms) > ($1::int8, $2::int8) AND extra IS NOT NULL"
     " AND (voltage_v IS NULL OR level_pct IS NULL)"
     " ORDER BY device, time_ms LIMIT " PG_REPLAY_PAGE,
     "UPDATE battery SET extra = $4::json, voltage_v = $5::float8, level_pct = $6::float8"
     " WHERE device = $1::int8 AND time_ms = $2::int8 AND extra::text = $3::text"},
    {"temperature", STORE_REPLAY_TEMPERATURE, false,
     "SELECT device, time_ms, extra, celsius FROM temperature"
     " WHERE (device, time_ms) > ($1::int8, $2::int8) AND extra IS NOT NULL"
     " AND celsius IS NULL ORDER BY device, time_ms LIMIT " PG_REPLAY_PAGE,
     "UPDATE temperature SET extra = $4::json, celsius = $5::float8"
     " WHERE device = $1::int8 AND time_ms = $2::int8 AND extra::text = $3::text"},
};

static double column(const PGresult *rows, int row, int index)
{
    return PQgetisnull(rows, row, index) ? NAN : pg_real(rows, row, index);
}

/* Returns true when a column that was NULL is filled now. */
static bool gained(const struct foxtrackr_message *before, const struct foxtrackr_message *after)
{
    return (isnan(before->voltage_v) && !isnan(after->voltage_v)) ||
           (isnan(before->level_pct) && !isnan(after->level_pct)) ||
           (isnan(before->celsius) && !isnan(after->celsius));
}

static int write_row(struct store *store, const struct table *table, const PGresult *rows, int row,
                     const struct foxtrackr_message *mapped, int64_t *moved)
{
    struct pg_args args = {.count = 0};
    PGresult *answer = NULL;
    int result;

    pg_arg_int8(&args, pg_int8(rows, row, 0));
    pg_arg_int8(&args, pg_int8(rows, row, 1));
    pg_arg_text(&args, PQgetvalue(rows, row, 2));
    if (table->battery) {
        pg_arg_text(&args, mapped->battery_extra);
        pg_arg_real(&args, mapped->voltage_v);
        pg_arg_real(&args, mapped->level_pct);
    } else {
        pg_arg_text(&args, mapped->temperature_extra);
        pg_arg_real(&args, mapped->celsius);
    }
    result = pg_own_begin(store);
    if (result == STORE_OK) {
        result = pg_query(store, table->write, "fill columns of a reading", &args, &answer);
    }
    if (result == STORE_OK) {
        result = pg_own_commit(store);
    } else {
        pg_own_undo(store);
    }
    *moved += result == STORE_OK ? pg_touched(answer) : 0;
    PQclear(answer);
    return result;
}

/* Maps a row, and writes it if that fills a column. */
static int map_row(struct store *store, struct store_replay *replay, const struct table *table,
                   const PGresult *rows, int row)
{
    struct store_replay_counts *counts = &replay->counts[table->source];
    struct foxtrackr_message before = {.has_battery = table->battery,
                                       .has_temperature = !table->battery,
                                       .voltage_v = NAN,
                                       .level_pct = NAN,
                                       .celsius = NAN};
    struct foxtrackr_message mapped;
    struct foxtrackr_problem problem;
    int result = STORE_OK;
    int code;

    if (table->battery) {
        before.voltage_v = column(rows, row, 3);
        before.level_pct = column(rows, row, 4);
        before.battery_extra = PQgetvalue(rows, row, 2);
    } else {
        before.celsius = column(rows, row, 3);
        before.temperature_extra = PQgetvalue(rows, row, 2);
    }
    mapped = before;
    code = foxtrackr_extra_map(replay->fields, &mapped, &problem);
    if (code < 0) {
        return pg_replay_no_memory(store);
    }
    counts->examined++;
    if (code != 0 || !gained(&before, &mapped)) {
        counts->kept++; /* also an extra that is no JSON any more */
    } else if (replay->dry_run) {
        counts->moved++;
    } else {
        result = write_row(store, table, rows, row, &mapped, &counts->moved);
    }
    if (code == 0) {
        foxtrackr_message_clear(&mapped);
    }
    return result;
}

static int walk_table(struct store *store, struct store_replay *replay, const struct table *table,
                      const struct store_watcher *watcher)
{
    int64_t device = INT64_MIN;
    int64_t time_ms = INT64_MIN;
    int64_t done = 0;
    bool end = false;
    int result = STORE_OK;

    while (result == STORE_OK && !end) {
        struct pg_args args = {.count = 0};
        PGresult *rows = NULL;

        if (!pg_replay_go_on(store, watcher, table->what, done, 0)) {
            return STORE_E_STOPPED;
        }
        pg_arg_int8(&args, device);
        pg_arg_int8(&args, time_ms);
        result = pg_query(store, table->read, "read readings", &args, &rows);
        end = result != STORE_OK || PQntuples(rows) < PAGE;
        for (int row = 0; result == STORE_OK && row < PQntuples(rows); row++) {
            device = pg_int8(rows, row, 0);
            time_ms = pg_int8(rows, row, 1);
            result = map_row(store, replay, table, rows, row);
            done++;
        }
        PQclear(rows);
    }
    return result;
}

int pg_replay_extras(struct store *store, struct store_replay *replay,
                     const struct store_watcher *watcher)
{
    int result = STORE_OK;

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && result == STORE_OK; i++) {
        result = walk_table(store, replay, &tables[i], watcher);
    }
    return result;
}
