/*
 * What is faster where a question is about all devices: for the queries of one read transaction,
 * temporary tables and views stand in the place of views of the database.
 *
 * Computed once. The view usual_intervals is part of silent_devices and battery_trend and, seven
 * times, of reporting_gaps, and SQLite evaluates it wherever its name stands. So its rows, and
 * those of silent_devices, are put into temporary tables of their names. Views that read them are
 * copied to temporary views: SQLite looks a name in such a view up among the temporary tables
 * first, and one in a view of "main" never.
 *
 * Days first. The views join devices, days and roll-ups in the order in which a WHERE on the device
 * seeks its days: of all devices that is a search for each of them and each day. The copies begin
 * with the days, so that the roll-ups, whose key is (day, device), are read from one end to the
 * other. It is the same join, so the rows are the same.
 *
 * A copy has the text that its view has in the schema. Where an analyst has put a view of another
 * text in its place, that is copied; where one was dropped nothing is copied, and the views answer.
 *
 * Measured with 10 million readings of 10,000 devices in 32 days: battery_daily and
 * temperature_daily take half the time, reporting_gaps and a report as a whole two thirds.
 */
#include "store/sqlite/answers_internal.h"

#include <string.h>

#define DEVICES_FIRST(rollups)                                                                     \
    "CROSS JOIN devices AS d\n     CROSS JOIN calendar AS c\n"                                     \
    "     CROSS JOIN " rollups " AS r ON r.day = c.day AND r.device = d.device"
#define DAYS_FIRST(rollups)                                                                        \
    "CROSS JOIN calendar AS c CROSS JOIN " rollups " AS r ON r.day = c.day"                        \
    " CROSS JOIN devices AS d ON d.device = r.device"
#define HABITS_FIRST(rollups)                                                                      \
    "FROM usual_intervals AS u\n         CROSS JOIN calendar AS c\n"                               \
    "         CROSS JOIN " rollups " AS r\n            ON r.day = c.day AND r.device = u.device"
#define HABITS_LAST(rollups)                                                                       \
    "FROM calendar AS c CROSS JOIN " rollups " AS r ON r.day = c.day"                              \
    " CROSS JOIN usual_intervals AS u ON u.device = r.device"

/* In this order: a copy reads those before it. */
static const struct {
    const char *name;
    const char *kind;                 /* a table is computed once, a view is only another order */
    const char *found[2], *placed[2]; /* a part of the view's text, and what is in its place */
} copies[] = {
    {.name = "usual_intervals", .kind = "TABLE"},
    {.name = "silent_devices", .kind = "TABLE"},
    {.name = "battery_trend", .kind = "VIEW"},
    {.name = "reporting_gaps",
     .kind = "VIEW",
     .found = {HABITS_FIRST("battery_days"), HABITS_FIRST("temperature_days")},
     .placed = {HABITS_LAST("battery_days"), HABITS_LAST("temperature_days")}},
    {.name = "battery_daily",
     .kind = "VIEW",
     .found = {DEVICES_FIRST("battery_days")},
     .placed = {DAYS_FIRST("battery_days")}},
    {.name = "temperature_daily",
     .kind = "VIEW",
     .found = {DEVICES_FIRST("temperature_days")},
     .placed = {DAYS_FIRST("temperature_days")}},
};

#define COPIES (sizeof(copies) / sizeof(copies[0]))
_Static_assert(COPIES == ANSWERS_COPIES, "one place each in struct store");

static bool bind(sqlite3_stmt *statement, int parameter, const char *text)
{
    return sqlite3_bind_text(statement, parameter, text != NULL ? text : "", -1, SQLITE_STATIC) ==
           SQLITE_OK;
}

/* Returns the statement that makes a copy, for sqlite3_free(); NULL: there is no such view. */
static char *text_of(struct store *store, size_t copy)
{
    sqlite3_stmt *statement = NULL;
    char *text = NULL;

    if (sqlite3_prepare_v2(
            store->db,
            "SELECT 'CREATE TEMP ' || ?2"
            " || substr(replace(replace(sql, ?3, ?4), ?5, ?6), length('CREATE VIEW '))"
            " FROM main.sqlite_schema"
            " WHERE type = 'view' AND name = ?1 AND sql LIKE 'CREATE VIEW ' || ?1 || ' AS%'",
            -1, &statement, NULL) == SQLITE_OK &&
        bind(statement, 1, copies[copy].name) && bind(statement, 2, copies[copy].kind) &&
        bind(statement, 3, copies[copy].found[0]) && bind(statement, 4, copies[copy].placed[0]) &&
        bind(statement, 5, copies[copy].found[1]) && bind(statement, 6, copies[copy].placed[1]) &&
        sqlite3_step(statement) == SQLITE_ROW) {
        text = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return text;
}

static bool run(struct store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

void sqlite_read_of_all(struct store *store)
{
    /* The upper pages of the readings' trees stay in it. */
    run(store, "PRAGMA main.cache_size = -8192");
    for (size_t i = 0; i < COPIES; i++) {
        char *text = text_of(store, i);

        store->copied[i] = text != NULL && run(store, text);
        sqlite3_free(text);
    }
    run(store, "CREATE INDEX temp.foxtrackr_usual ON usual_intervals (device, type, usual_ms)");
}

void answers_forget_copies(struct store *store)
{
    memset(store->copied, 0, sizeof(store->copied));
}

const char *answers_schema_of(const struct store *store, const char *name)
{
    for (size_t i = 0; i < COPIES; i++) {
        if (store->copied[i] && strcmp(name, copies[i].name) == 0) {
            return "temp";
        }
    }
    return "main";
}
