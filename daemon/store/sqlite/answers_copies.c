/*
 * Copies of views for questions about all devices, which they answer faster: for the queries of one
 * read transaction temporary tables and views stand in the place of views of the database.
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
 * Limits. temperature_excursions asks for each day anew which devices each limit is for; its copy
 * asks once.
 *
 * A copy is made when a query asks for it first, and has the text that its view has in the schema.
 * Where an analyst has put a view of another text in its place, that is copied; where one was
 * dropped nothing is copied, and the views answer.
 *
 * Measured with 10 million readings of 10,000 devices in 32 days: battery_daily and
 * temperature_daily take less than half the time, reporting_gaps two thirds, and
 * temperature_excursions five sixths.
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

#define DEVICES_OF_LIMIT                                                                           \
    "CROSS JOIN devices AS d\n"                                                                    \
    "            ON (k.for_device IS NULL OR d.device_id = k.for_device)\n"                        \
    "           AND (k.for_group IS NULL\n"                                                        \
    "                OR EXISTS (SELECT 1 FROM device_groups"                                       \
    " WHERE group_name = k.for_group AND device = d.device))\n"                                    \
    "         CROSS JOIN temperature_days AS r"
#define MEMBERS_OF_LIMIT                                                                           \
    "CROSS JOIN members AS d ON d.limit_id = k.limit_id CROSS JOIN temperature_days AS r"
#define WITH_MEMBERS                                                                               \
    "WITH members AS MATERIALIZED (SELECT l.limit_id, d.device, d.family, d.device_id"             \
    " FROM limits AS l CROSS JOIN devices AS d"                                                    \
    " ON (l.device_id IS NULL OR d.device_id = l.device_id) AND (l.group_name IS NULL OR EXISTS"   \
    " (SELECT 1 FROM device_groups WHERE group_name = l.group_name AND device = d.device))"        \
    "), checks AS ("

/* In this order: a copy reads those before it that it needs. */
static const struct {
    const char *name;
    const char *kind;                 /* a table is computed once, a view is only another text */
    const char *found[2], *placed[2]; /* a part of the view's text, and what is in its place */
    const char *then;                 /* done behind it; NULL: nothing */
    unsigned needs;                   /* a bit for each copy that it reads */
} copies[] = {
    {.name = "usual_intervals",
     .kind = "TABLE",
     .then = "CREATE INDEX temp.foxtrackr_usual ON usual_intervals (device, type, usual_ms)"},
    {.name = "silent_devices", .kind = "TABLE", .needs = 1},
    {.name = "battery_trend", .kind = "VIEW", .needs = 3},
    {.name = "reporting_gaps",
     .kind = "VIEW",
     .found = {HABITS_FIRST("battery_days"), HABITS_FIRST("temperature_days")},
     .placed = {HABITS_LAST("battery_days"), HABITS_LAST("temperature_days")},
     .needs = 1},
    {.name = "battery_daily",
     .kind = "VIEW",
     .found = {DEVICES_FIRST("battery_days")},
     .placed = {DAYS_FIRST("battery_days")}},
    {.name = "temperature_daily",
     .kind = "VIEW",
     .found = {DEVICES_FIRST("temperature_days")},
     .placed = {DAYS_FIRST("temperature_days")}},
    {.name = "temperature_excursions",
     .kind = "VIEW",
     .found = {DEVICES_OF_LIMIT, "WITH checks AS ("},
     .placed = {MEMBERS_OF_LIMIT, WITH_MEMBERS}},
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
    store->of_all = true;
}

/* Makes a copy, unless that was tried before. */
static void make(struct store *store, size_t copy)
{
    char *text;

    if (store->tried[copy]) {
        return;
    }
    store->tried[copy] = true;
    text = text_of(store, copy);
    store->copied[copy] = text != NULL && run(store, text);
    sqlite3_free(text);
    if (store->copied[copy] && copies[copy].then != NULL) {
        run(store, copies[copy].then);
    }
}

const char *answers_schema_of(struct store *store, const char *name)
{
    size_t found = 0;

    while (found < COPIES && strcmp(name, copies[found].name) != 0) {
        found++;
    }
    if (!store->of_all || found == COPIES) {
        return "main";
    }
    for (size_t i = 0; i <= found; i++) {
        if (i == found || (copies[found].needs & 1U << i) != 0) {
            make(store, i);
        }
    }
    return store->copied[found] ? "temp" : "main";
}

void answers_forget_copies(struct store *store)
{
    store->of_all = false;
    memset(store->tried, 0, sizeof(store->tried));
    memset(store->copied, 0, sizeof(store->copied));
}
