/* Goal: migrations bring every database to the present schema, and the schema documents itself. */
#include "store_fixture.h"

#include "migrations.h"
#include "store/tools.h"

static const char *const steps[] = {
    "CREATE TABLE first (x) STRICT;",
    "CREATE TABLE first (x INTEGER) STRICT; INSERT INTO first VALUES (1);",
    "CREATE TABLE second (y INTEGER) STRICT; INSERT INTO second SELECT x FROM first;",
    "CREATE TABLE third (z INTEGER) STRICT; INSERT INTO nowhere VALUES (1);",
};

/* Returns a store with only a connection. */
static struct store *connect(const struct fixture *fixture)
{
    struct store *store = calloc(1, sizeof(*store));

    assert_non_null(store);
    store->lock_fd = -1;
    store->path = strdup(fixture->path);
    assert_int_equal(sqlite3_open(fixture->path, &store->db), SQLITE_OK);
    sqlite3_extended_result_codes(store->db, 1);
    return store;
}

static void test_a_new_database_gets_every_migration(void **state)
{
    struct fixture *fixture = *state;
    char version[16];

    assert_true(sqlite_migration_count >= 1);
    snprintf(version, sizeof(version), "%d", sqlite_migration_count);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_schema_version(fixture->store), sqlite_migration_count);
    assert_look(fixture, "PRAGMA user_version", version);
    assert_look(fixture,
                "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema"
                " WHERE type = 'table' ORDER BY name)",
                "battery battery_days battery_trends calendar day_offsets device_groups "
                "device_habits devices"
                " expired fleet_days gaps group_days inbox inbox_position limits messages "
                "quarantine rollup_dirty"
                " rollup_state runs sessions subscriptions temperature temperature_days"
                " typed_views");
    assert_look(
        fixture,
        "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema"
        " WHERE type = 'view' ORDER BY name)",
        "battery_daily battery_latest battery_pieces battery_trend coverage_daily days fleet"
        " fleet_daily group_daily quarantine_summary reporting_gaps silent_devices"
        " temperature_daily temperature_excursions temperature_latest temperature_pieces"
        " usual_intervals");
    assert_look(fixture,
                "SELECT group_concat(name, ' ') FROM pragma_table_list"
                " WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'",
                "");
    assert_look(fixture,
                "SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_table_list"
                " WHERE wr ORDER BY name)",
                "battery battery_days device_habits expired group_days rollup_dirty temperature"
                " temperature_days typed_views");
}

static void test_opening_again_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    char before[16384];

    assert_int_equal(fixture_open(fixture), STORE_OK);
    fixture_close(fixture);
    snprintf(before, sizeof(before), "%s", look(fixture, "PRAGMA schema_version"));
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_look(fixture, "PRAGMA schema_version", before);
    assert_int_equal(store_migrate(fixture->store, sqlite_migrations, sqlite_migration_count),
                     STORE_OK);
    assert_look(fixture, "PRAGMA schema_version", before);
}

static void test_migrations_continue_where_the_database_is(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);

    assert_int_equal(store_migrate(store, steps + 1, 1), STORE_OK);
    assert_look(fixture, "PRAGMA user_version", "1");
    assert_look(fixture, "PRAGMA application_id", "1179605076");
    assert_int_equal(store_migrate(store, steps + 1, 2), STORE_OK);
    assert_look(fixture, "PRAGMA user_version", "2");
    assert_look(fixture, "SELECT y FROM second", "1");
    store_discard(store);
}

/* Each is a transaction of its own: what those before it did stays. */
static void test_a_failing_migration_leaves_no_trace(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);

    assert_int_equal(store_migrate(store, steps + 1, 1), STORE_OK);
    assert_int_equal(store_migrate(store, steps + 1, 3), STORE_FATAL);
    assert_non_null(
        strstr(sqlite_error(store), "cannot apply migration 3: no such table: nowhere"));
    assert_look(fixture, "PRAGMA user_version", "2");
    assert_look(fixture, "SELECT group_concat(name) FROM sqlite_schema", "first,second");
    assert_true(sqlite3_get_autocommit(store->db));

    assert_int_equal(store_migrate(store, steps, 1),
                     STORE_OK); /* it has version 1: nothing to do */
    store_discard(store);
    store = connect(fixture);
    assert_int_equal(store_migrate(store, steps + 1, 2), STORE_OK);
    store_discard(store);

    unlink(fixture->path);
    store = connect(fixture);
    assert_int_equal(store_migrate(store, steps, 1), STORE_FATAL); /* not a STRICT column */
    assert_look(fixture, "PRAGMA user_version", "0");
    assert_look(fixture, "PRAGMA application_id", "0");
    store_discard(store);
}

/* A migration that copies many rows, and announces their number by a SELECT. */
static const char *const rewrite[] = {
    ("CREATE TABLE first (x INTEGER) STRICT;"
     "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000)"
     " INSERT INTO first SELECT x FROM n;"),
    ("SELECT count(*), 1000 FROM first; CREATE TABLE second (x INTEGER) STRICT;"
     "INSERT INTO second SELECT x + 0 FROM first ORDER BY x; DROP TABLE first;"),
    "SELECT 1, 1000000000000000; CREATE TABLE third (x) STRICT;",
};

struct heard {
    int calls;
    int stop_at;
    struct store_progress first;
    struct store_progress last;
};

static bool hear(void *context, const struct store_progress *progress)
{
    struct heard *heard = context;

    assert_true(heard->calls == 0 || progress->done ||
                progress->rows_done >= heard->last.rows_done);
    if (heard->calls == 0) {
        heard->first = *progress;
    }
    heard->last = *progress;
    return ++heard->calls != heard->stop_at;
}

static void test_a_migration_tells_how_far_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);
    struct heard heard = {0};

    store->directory = strdup(fixture->directory);
    assert_int_equal(store_migrate(store, rewrite, 1), STORE_OK);
    store->progress = hear;
    store->progress_context = &heard;
    assert_int_equal(store_migrate(store, rewrite, 2), STORE_OK);
    assert_true(heard.calls >= 3); /* where it begins, before the commit, and when it is done */
    assert_int_equal(heard.first.rows, 200000);
    assert_int_equal(heard.first.rows_done, 0);
    assert_int_equal(heard.first.from, 1);
    assert_int_equal(heard.last.to, 2);
    assert_int_equal(heard.last.rows_done, 200000);
    assert_true(heard.last.done);
    assert_look(fixture, "SELECT count(*) FROM second", "200000");
    store_discard(store);
}

/* A migration that is stopped at any report but the last leaves the database as it was. */
static void test_a_migration_can_be_stopped(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);

    store->directory = strdup(fixture->directory);
    assert_int_equal(store_migrate(store, rewrite, 1), STORE_OK);
    store->progress = hear;
    for (int stop_at = 1; stop_at <= 2; stop_at++) {
        struct heard heard = {.stop_at = stop_at};

        store->progress_context = &heard;
        assert_int_equal(store_migrate(store, rewrite, 2), STORE_E_STOPPED);
        assert_non_null(strstr(sqlite_error(store), "nothing has changed"));
        assert_look(fixture, "PRAGMA user_version", "1");
        assert_look(fixture, "SELECT group_concat(name) FROM sqlite_schema", "first");
    }
    store->progress = NULL;
    assert_int_equal(store_migrate(store, rewrite, 2), STORE_OK);
    assert_look(fixture, "PRAGMA integrity_check", "ok");
    store_discard(store);
}

static void test_a_migration_without_room_is_not_begun(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);

    store->directory = strdup(fixture->directory);
    assert_int_equal(store_migrate(store, rewrite, 3), STORE_E_RETRY);
    assert_non_null(strstr(sqlite_error(store), "from version 2 to 3 needs about 953674317 MiB"));
    assert_non_null(strstr(sqlite_error(store), "make room"));
    assert_look(fixture, "PRAGMA user_version", "2");
    assert_look(fixture, "SELECT group_concat(name) FROM sqlite_schema", "second");
    store_discard(store);
}

static void test_a_migration_waits_for_other_writers(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);
    sqlite3 *other;

    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_migrate(store, steps + 1, 2), STORE_E_RETRY);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(store_migrate(store, steps + 1, 2), STORE_OK);
    store_discard(store);
}

/* `.schema` prints sqlite_schema.sql: every column must be explained there. */
/* Objects that people added to version 1 work as before, and one that did not work is no reason not
 * to start. */
static void test_views_of_others_stay(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);

    store->directory = strdup(fixture->directory);
    assert_int_equal(store_migrate(store, sqlite_migrations, 1), STORE_OK);
    look(fixture, "CREATE VIEW theirs AS SELECT m.type FROM messages AS m");
    look(fixture, "CREATE VIEW broken AS SELECT g.x FROM gone AS g");
    look(fixture, "INSERT INTO devices VALUES (1, 'foxtrackr', '1', 1)");
    look(fixture, "INSERT INTO messages VALUES (1, 'gps', 1, 'V3.0', 1, '{}', zeroblob(32), 1)");
    if (store_migrate(store, sqlite_migrations, sqlite_migration_count) != STORE_OK) {
        fail_msg("%s", sqlite_error(store));
    }
    assert_look(fixture, "SELECT type FROM theirs", "gps");
    store_discard(store);
}

/* A name that the schema needs, and that people have used: they are told, and nothing changes. */
static void test_a_name_of_others_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);

    store->directory = strdup(fixture->directory);
    assert_int_equal(store_migrate(store, sqlite_migrations, 7), STORE_OK);
    look(fixture, "CREATE VIEW silent_devices AS SELECT 1");
    look(fixture, "DROP VIEW battery_daily");
    assert_int_equal(store_migrate(store, sqlite_migrations, sqlite_migration_count), STORE_E_PATH);
    assert_non_null(strstr(sqlite_error(store), "silent_devices already exists, and version 10"));
    look(fixture, "DROP VIEW silent_devices");
    look(fixture, "CREATE TABLE battery_days_12 (x)");
    assert_int_equal(store_migrate(store, sqlite_migrations, sqlite_migration_count), STORE_E_PATH);
    assert_non_null(strstr(sqlite_error(store), "this name: battery_days_12, and version 13"));
    look(fixture, "DROP TABLE battery_days_12");
    assert_int_equal(store_migrate(store, sqlite_migrations, sqlite_migration_count), STORE_OK);
    store_discard(store);
}

/* Version 6 makes `gaps` anew: rows and views of others stay, and its text names every reason. */
static void test_gaps_keep_their_rows(void **state)
{
    static const char *const reasons[] = {"session lost", "session uncertain", "broker changed",
                                          "restored", "older database"};
    struct fixture *fixture = *state;
    struct store *store = connect(fixture);

    store->directory = strdup(fixture->directory);
    assert_int_equal(store_migrate(store, sqlite_migrations, 5), STORE_OK);
    look(fixture,
         "INSERT INTO gaps VALUES ('a', NULL, 7, 'session lost'), ('b', 1, 2, 'restored')");
    look(fixture, "CREATE VIEW theirs AS SELECT count(*) AS n FROM gaps");
    assert_int_equal(store_migrate(store, sqlite_migrations, sqlite_migration_count), STORE_OK);
    assert_look(fixture, "SELECT n FROM theirs", "2");
    assert_look(fixture,
                "SELECT json_array(client_id, last_durable_ms, resumed_ms, reason) FROM gaps"
                " WHERE client_id = 'a'",
                "[\"a\",null,7,\"session lost\"]");
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        const char *text = look(fixture, "SELECT sql FROM sqlite_schema WHERE name = 'gaps'");

        assert_non_null(strstr(text, reasons[i]));
    }
    store_discard(store);
}

/* Makes a database of an earlier version, with a row in each table that version 1 had. */
static struct store *old_database(const struct fixture *fixture, int version)
{
    struct store *store;

    unlink(fixture->path);
    store = connect(fixture);
    store->directory = strdup(fixture->directory);
    assert_int_equal(store_migrate(store, sqlite_migrations, version), STORE_OK);
    look(fixture, "INSERT INTO devices VALUES (1, 'foxtrackr', '1', 2)");
    look(fixture, "INSERT INTO device_groups VALUES ('herd', 1, 3)");
    look(fixture, "INSERT INTO battery VALUES (1, 4, 3.5, 50.0, 1, NULL, 5)");
    look(fixture, "INSERT INTO temperature VALUES (1, 4, 21.5, 2, NULL, 5)");
    look(fixture, "INSERT INTO messages VALUES (1, 'gps', 1, 'V3.0', 1, '{}', zeroblob(32), 6)");
    look(fixture, "INSERT INTO quarantine VALUES (x'01', 'a', x'02', 'json', 'no', 7, 8, 9)");
    look(fixture, "INSERT INTO gaps VALUES ('a', NULL, 10, 'session lost')");
    look(fixture, "INSERT INTO runs VALUES (1, 11, 12, '0.9', 6, 3, 2, 1)");
    if (version < 5) {
        look(fixture, "INSERT INTO sessions VALUES ('a', 13, 14, 1)");
        look(fixture, "INSERT INTO subscriptions VALUES ('a', 'fox/#', 2, 15)");
    } else {
        look(fixture,
             "INSERT INTO sessions (client_id, broker, established_ms, last_durable_ms, connecting)"
             " VALUES ('a', '', 13, 14, 1)");
        look(fixture, "INSERT INTO sessions (client_id, broker, connected_ms, connecting)"
                      " VALUES ('a', 'north:1883', 16, 0)");
        look(fixture, "INSERT INTO subscriptions VALUES ('a', '', 'fox/#', 2, 15)");
    }
    return store;
}

static void test_every_version_keeps_its_rows(void **state)
{
    struct fixture *fixture = *state;

    for (int version = 1; version < sqlite_migration_count; version++) {
        struct store *store = old_database(fixture, version);

        assert_int_equal(store_migrate(store, sqlite_migrations, sqlite_migration_count), STORE_OK);
        assert_look(fixture,
                    "SELECT json_array((SELECT json_array(device_id, first_seen_ms) FROM devices),"
                    " (SELECT json_array(group_name, first_seen_ms) FROM device_groups),"
                    " (SELECT json_array(time_ms, voltage_v, level_pct) FROM battery),"
                    " (SELECT json_array(time_ms, celsius) FROM temperature),"
                    " (SELECT json_array(type, time_ms, received_ms) FROM messages),"
                    " (SELECT json_array(hex(digest), topic, occurrences) FROM quarantine),"
                    " (SELECT json_array(client_id, last_durable_ms, resumed_ms) FROM gaps),"
                    " (SELECT json_array(run, started_ms, received, stored) FROM runs))",
                    "[[\"1\",2],[\"herd\",3],[4,3.5,50.0],[4,21.5],[\"gps\",1,6],[\"01\",\"a\",9],"
                    "[\"a\",null,10],[1,11,6,3]]");
        assert_look(fixture,
                    "SELECT json_array(client_id, broker, established_ms, last_durable_ms,"
                    " connected_ms, connecting, protocol, protocol_asked_ms) FROM sessions"
                    " WHERE broker = ''",
                    "[\"a\",\"\",13,14,null,1,null,null]");
        assert_look(fixture,
                    "SELECT json_group_array(json_array(established_ms, connected_ms, connecting))"
                    " FROM sessions WHERE broker <> ''",
                    version < 5 ? "[]" : "[[null,16,0]]");
        assert_look(fixture,
                    "SELECT json_array(client_id, broker, filter, qos, subscribed_ms)"
                    " FROM subscriptions",
                    "[\"a\",\"\",\"fox/#\",2,15]");
        assert_look(fixture, "PRAGMA integrity_check", "ok");
        assert_look(fixture, "SELECT count(*) FROM pragma_foreign_key_check", "0");
        store_discard(store);
    }
}

static void test_the_schema_explains_itself(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_look(fixture,
                "SELECT group_concat(s.name || '.' || c.name, ' ')"
                "  FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c"
                " WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite_%'"
                "   AND c.name NOT IN ('device')"
                "   AND NOT regexp_line(s.sql, c.name)",
                "");
}

static void regexp_line(sqlite3_context *context, int count, sqlite3_value **values)
{
    const char *line = (const char *)sqlite3_value_text(values[0]);
    const char *name = (const char *)sqlite3_value_text(values[1]);
    bool explained = false;

    (void)count;
    while (line != NULL && !explained) {
        size_t length = strcspn(line, "\n");
        size_t indent = strspn(line, " ");

        if (strncmp(line + indent, name, strlen(name)) == 0 && line[indent + strlen(name)] == ' ') {
            explained = memmem(line, length, " -- ", 4) != NULL;
        }
        line = line[length] == '\0' ? NULL : line + length + 1;
    }
    sqlite3_result_int(context, explained);
}

static int add_function(sqlite3 *db, char **error, const struct sqlite3_api_routines *api)
{
    (void)error;
    (void)api;
    return sqlite3_create_function(db, "regexp_line", 2, SQLITE_UTF8, NULL, regexp_line, NULL,
                                   NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_a_new_database_gets_every_migration),
        test(test_opening_again_changes_nothing),
        test(test_migrations_continue_where_the_database_is),
        test(test_a_failing_migration_leaves_no_trace),
        test(test_a_migration_tells_how_far_it_is),
        test(test_a_migration_can_be_stopped),
        test(test_a_migration_without_room_is_not_begun),
        test(test_a_migration_waits_for_other_writers),
        test(test_views_of_others_stay),
        test(test_a_name_of_others_is_told),
        test(test_gaps_keep_their_rows),
        test(test_every_version_keeps_its_rows),
        test(test_the_schema_explains_itself),
    };

    sqlite3_auto_extension((void (*)(void))add_function);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
