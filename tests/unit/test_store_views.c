/*
 * Goal: the typed views of the database are those of the configuration, and nothing that somebody
 * else made is touched.
 */
#include "store_fixture.h"

#include "config/config_internal.h"
#include "config_fixture.h"
#include "migrations.h"
#include "store/tools.h"
#include "store/views.h"

#define GPS                                                                                        \
    "[view position]\ntype = gps\nlatitude = gps.lat\nlongitude = gps.lon\nheight_m = gps.alt * "  \
    "0.001\n"
#define PLAN_SIZE 1024

/* --- what is told -------------------------------------------------------------------------- */

static char told[1024]; /* "position=made door=taken(table) " */

static void note(void *context, enum store_view_state state, const char *name, const char *kind)
{
    static const char *const names[] = {
        [STORE_VIEW_STANDS] = "stands",     [STORE_VIEW_MADE] = "made",
        [STORE_VIEW_REPLACED] = "replaced", [STORE_VIEW_REMOVED] = "removed",
        [STORE_VIEW_TAKEN] = "taken",       [STORE_VIEW_LEFT] = "left"};
    size_t used = strlen(told);

    (void)context;
    snprintf(told + used, sizeof(told) - used, "%s=%s", name, names[state]);
    used = strlen(told);
    if (state == STORE_VIEW_TAKEN) {
        snprintf(told + used, sizeof(told) - used, "(%s)", kind);
    }
    strcat(told, " ");
}

static struct config_views *views_of(const char *sections)
{
    char text[4096];
    struct config *config;
    struct config_views *views;

    snprintf(text, sizeof(text), "%s%s", BROKER SESSION, sections);
    config = load(text);
    views = config->views;
    config->views = NULL;
    config_free(config);
    return views;
}

/* Sets the views as these sections say, and compares what is told. */
static void set(struct fixture *fixture, const char *sections, const char *expected)
{
    struct config_views *views = views_of(sections);

    told[0] = '\0';
    if (store_set_views(fixture->store, views, note, NULL) != STORE_OK) {
        fail_msg("%s", store_error(fixture->store));
    }
    assert_string_equal(told, expected);
    config_views_free(views);
}

static void put_message(struct fixture *fixture, const char *device_id, const char *type,
                        int64_t time_ms, const char *body)
{
    const struct foxtrackr_message message = {.family = "foxtrackr",
                                              .device_id = device_id,
                                              .type = type,
                                              .version = "V3.0",
                                              .time_ms = time_ms,
                                              .message_type = 9,
                                              .has_other = true,
                                              .voltage_v = NAN,
                                              .level_pct = NAN,
                                              .celsius = NAN};
    struct store_packet whole = packet(body);
    enum store_outcome outcome = STORE_QUARANTINED;

    begin(fixture);
    assert_int_equal(store_message(fixture->store, &message, &whole, &outcome), STORE_OK);
    assert_int_equal(outcome, STORE_STORED);
    commit(fixture);
}

/* --- made, replaced, removed --------------------------------------------------------------- */

static void a_view_has_its_columns_in_their_order(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, GPS, "position=made ");
    assert_look(fixture, "SELECT group_concat(name, ' ') FROM pragma_table_info('position')",
                "device family device_id time_ms time_utc latitude longitude height_m received_ms");
    assert_look(fixture, "SELECT count(*) FROM position", "0");
}

/* The row was stored before the view was made. */
static void rows_of_before_are_in_it(void **state)
{
    struct fixture *fixture = *state;

    put_message(fixture, "f1", "gps", NOW_MS, "{\"gps\":{\"lat\":47.5,\"lon\":8,\"alt\":431500}}");
    put_message(fixture, "f1", "door", NOW_MS, "{\"gps\":{\"lat\":1}}");
    set(fixture, GPS, "position=made ");
    put_message(fixture, "f2", "gps", NOW_MS + 1000, "{\"gps\":{\"lat\":-1}}");
    assert_look(fixture,
                "SELECT json_group_array(json_array(device, family, device_id, time_ms, time_utc,"
                " latitude, longitude, height_m, received_ms)) FROM position",
                "[[1,\"foxtrackr\",\"f1\",1700000000000,\"2023-11-14 22:13:20\",47.5,8,431.5,"
                "1700000000000],[2,\"foxtrackr\",\"f2\",1700000001000,\"2023-11-14 22:13:21\",-1,"
                "null,null,1700000000000]]");
}

static void values_have_the_type_of_the_body(void **state)
{
    static const struct {
        const char *body; /* of the member v */
        const char *plain;
        const char *by_factor;
    } cases[] = {
        {"3300", "integer 3300", "real 3.3"},
        {"-1.5e1", "real -15.0", "real -0.015"},
        {"9007199254740993", "integer 9007199254740993", "real 9007199254740.99"},
        {"\"3300\"", "text 3300", "real 3.3"},
        {"\"volts\"", "text volts", "null "},
        {"\"\"", "text ", "null "},
        {"\"o'clock \\u00e9\"", "text o'clock \xc3\xa9", "null "},
        {"\"true\"", "text true", "null "},
        {"\"[1]\"", "text [1]", "null "},
        {"true", "integer 1", "null "},
        {"false", "integer 0", "null "},
        {"null", "null ", "null "},
        {"{\"a\": [1]}", "text {\"a\":[1]}", "null "},
        {"[1, 2]", "text [1,2]", "null "},
    };
    struct fixture *fixture = *state;
    char body[128];
    char sql[256];

    set(fixture,
        "[view v]\ntype = x\nplain = a b.v\nscaled = a b.v * 0.001\nmissing = a b.v.w\nnone = c * "
        "2\n",
        "v=made ");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(body, sizeof(body), "{\"a b\":{\"v\":%s}}", cases[i].body);
        put_message(fixture, "f1", "x", NOW_MS + (int64_t)i, body);
        for (int scaled = 0; scaled < 2; scaled++) {
            const char *column = scaled ? "scaled" : "plain";

            snprintf(sql, sizeof(sql),
                     "SELECT typeof(%s) || ' ' || ifnull(%s, '') FROM v WHERE time_ms = %lld",
                     column, column, (long long)(NOW_MS + (int64_t)i));
            assert_look(fixture, sql, scaled ? cases[i].by_factor : cases[i].plain);
        }
    }
    assert_look(fixture, "SELECT count(missing) + count(none) FROM v", "0");
}

/* Members that only look like something else to SQL or to SQLite's JSON. */
static void names_of_members_are_taken_literally(void **state)
{
    struct fixture *fixture = *state;

    put_message(
        fixture, "f1", "x", NOW_MS,
        "{\"it's\":1,\"a[0]\":2,\"%w %s\":3,\"f\xc3\xb6n\":4,\"#-1\":5,\"a b\":{\"c:d\":6}}");
    set(fixture,
        "[view v]\ntype = x\na = it's\nb = a[0]\nc = %w %s\nd = f\xc3\xb6n\ne = \\#-1\nf = a "
        "b.c:d\n",
        "v=made ");
    assert_look(fixture, "SELECT json_array(a, b, c, d, e, f) FROM v", "[1,2,3,4,5,6]");
}

static void a_view_follows_its_section(void **state)
{
    struct fixture *fixture = *state;
    char before[16384];

    put_message(fixture, "f1", "gps", NOW_MS, "{\"gps\":{\"lat\":47.5,\"lon\":8}}");
    set(fixture, GPS "[view door]\ntype = door\nopen = open\n", "position=made door=made ");
    snprintf(before, sizeof(before), "%s", look(fixture, "PRAGMA schema_version"));
    set(fixture, "[view door]\ntype = door\nopen = open\n" GPS, "door=stands position=stands ");
    assert_look(fixture, "PRAGMA schema_version", before);

    set(fixture, "[view position]\ntype = gps\nlat = gps.lat\n", "door=removed position=replaced ");
    assert_look(fixture, "SELECT group_concat(name) FROM pragma_table_info('position')",
                "device,family,device_id,time_ms,time_utc,lat,received_ms");
    assert_look(fixture, "SELECT lat FROM position", "47.5");
    assert_look(fixture, "SELECT group_concat(name) FROM typed_views", "position");

    set(fixture, "[view POSITION]\ntype = gps\nlat = gps.lat\n", "POSITION=replaced ");
    assert_look(fixture, "SELECT group_concat(name) FROM typed_views", "POSITION");
    set(fixture, "", "POSITION=removed ");
    assert_look(fixture,
                "SELECT count(*) FROM sqlite_schema WHERE name = 'position' COLLATE NOCASE", "0");
    assert_look(fixture, "SELECT count(*) FROM typed_views", "0");
    assert_look(fixture, "SELECT count(*) FROM messages", "1");
    set(fixture, "", "");
}

/* Two sections change their names: each view gets the other's columns. */
static void names_can_be_exchanged(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, "[view a]\ntype = x\nc = x\n[view b]\ntype = y\nd = y\n", "a=made b=made ");
    set(fixture, "[view b]\ntype = x\nc = x\n[view a]\ntype = y\nd = y\n",
        "b=replaced a=replaced ");
    assert_look(fixture, "SELECT group_concat(name) FROM pragma_table_info('b')",
                "device,family,device_id,time_ms,time_utc,c,received_ms");
}

static void a_dropped_view_is_made_again(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, GPS, "position=made ");
    look(fixture, "DROP VIEW position");
    set(fixture, GPS, "position=made ");
    look(fixture, "DROP VIEW position");
    set(fixture, "", "position=removed ");
}

/* --- what others made ---------------------------------------------------------------------- */

static void what_is_not_ours_stays(void **state)
{
    static const char *const made[][2] = {
        {"CREATE VIEW position AS SELECT 42 AS mine", "position=taken(view) "},
        {"CREATE TABLE Position (mine)", "position=taken(table) "},
        {"CREATE INDEX position ON gaps (reason)", "position=taken(index) "},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        char sql[64];

        look(fixture, made[i][0]);
        set(fixture, GPS, made[i][1]);
        set(fixture, GPS, made[i][1]);
        set(fixture, "", "");
        assert_look(fixture, "SELECT sql FROM sqlite_schema WHERE name = 'position' COLLATE NOCASE",
                    made[i][0]);
        assert_look(fixture, "SELECT count(*) FROM typed_views", "0");
        snprintf(sql, sizeof(sql), "DROP %.5s position", made[i][0] + strlen("CREATE "));
        look(fixture, sql);
    }
    /* A trigger has a name of its own. */
    look(fixture, "CREATE TRIGGER position AFTER DELETE ON gaps BEGIN SELECT 1; END");
    set(fixture, GPS, "position=made ");
    set(fixture, "", "position=removed ");
    assert_look(fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'position'", "1");
}

/* The configuration refuses the names of tables and views; here as if it had not. */
static void the_schema_of_the_daemon_stays(void **state)
{
    static const char *const names[] = {"battery", "FLEET", "typed_views", "quarantine_by_time"};
    static const char all[] = "SELECT group_concat(sql, ';') FROM sqlite_schema";
    struct fixture *fixture = *state;
    struct config_views *views = views_of("[view a]\ntype = x\na = a\n[view b]\ntype = x\na = a\n"
                                          "[view c]\ntype = x\na = a\n[view d]\ntype = x\na = a\n");
    char before[16384];

    for (size_t i = 0; i < views->count; i++) {
        free(views->list[i].name);
        views->list[i].name = strdup(names[i]);
        assert_non_null(views->list[i].name);
    }
    snprintf(before, sizeof(before), "%s", look(fixture, all));
    told[0] = '\0';
    assert_int_equal(store_set_views(fixture->store, views, note, NULL), STORE_OK);
    config_views_free(views);
    assert_string_equal(told, "battery=taken(table) FLEET=taken(view) typed_views=taken(table) "
                              "quarantine_by_time=taken(index) ");
    assert_look(fixture, all, before);
}

/* A table or view that a migration makes is in the configuration's list (config/views.c). */
static void names_of_the_schema_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char names[4096];
    char *rest = NULL;
    int count = 0;

    snprintf(names, sizeof(names), "%s",
             look(fixture, "SELECT group_concat(name, ' ') FROM sqlite_schema"
                           " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"));
    for (char *name = strtok_r(names, " ", &rest); name != NULL;
         name = strtok_r(NULL, " ", &rest)) {
        if (!config_views_own(name)) {
            fail_msg("%s is not in the list of config_views_own()", name);
        }
        count++;
    }
    assert_true(count > 30);
}

/* Somebody drops the view and makes one of that name: from then on it is theirs. */
static void a_changed_view_is_not_ours(void **state)
{
    struct fixture *fixture = *state;

    set(fixture, GPS, "position=made ");
    look(fixture, "DROP VIEW position");
    look(fixture, "CREATE VIEW position AS SELECT 42 AS mine");
    set(fixture, GPS, "position=taken(view) ");
    set(fixture, "", "");
    assert_look(fixture, "SELECT mine FROM position", "42");

    look(fixture, "DROP VIEW position");
    set(fixture, GPS, "position=made ");
    look(fixture, "DROP VIEW position");
    look(fixture, "CREATE VIEW position AS SELECT 42 AS mine");
    set(fixture, "", "position=left ");
    assert_look(fixture, "SELECT mine FROM position", "42");
    assert_look(fixture, "SELECT count(*) FROM typed_views", "0");
}

/* Names and paths that the configuration refuses, as if it had not. */
static void nothing_leaves_its_quotes(void **state)
{
    char name[] = "x\" AS SELECT 1; DROP TABLE battery; --";
    char type[] = "gps' OR '1' = '1";
    char column[] = "c\" FROM devices; DROP TABLE battery; --";
    char column_path[] = "a'), 1 FROM devices; DROP TABLE battery; --";
    struct config_column columns[] = {{.name = column, .path = column_path, .divisor = 1}};
    struct config_views *views = calloc(1, sizeof(*views));
    struct fixture *fixture = *state;

    assert_non_null(views);
    views->list[0] =
        (struct config_view){.name = name, .type = type, .columns = columns, .column_count = 1};
    views->count = 1;
    put_message(fixture, "f1", "gps", NOW_MS,
                "{\"a'), 1 FROM devices; DROP TABLE battery; --\":7}");
    told[0] = '\0';
    assert_int_equal(store_set_views(fixture->store, views, note, NULL), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM battery", "0");
    assert_look(fixture, "SELECT count(*) FROM \"x\"\" AS SELECT 1; DROP TABLE battery; --\"", "0");
    assert_look(fixture,
                "SELECT group_concat(name) FROM pragma_table_info('x\" AS SELECT 1; DROP"
                " TABLE battery; --')",
                "device,family,device_id,time_ms,time_utc,c\" FROM devices; DROP TABLE battery; --,"
                "received_ms");
    snprintf(type, sizeof(type), "gps");
    assert_int_equal(store_set_views(fixture->store, views, note, NULL), STORE_OK);
    assert_look(fixture,
                "SELECT \"c\"\" FROM devices; DROP TABLE battery; --\""
                " FROM \"x\"\" AS SELECT 1; DROP TABLE battery; --\"",
                "7");
    views->count = 0;
    assert_int_equal(store_set_views(fixture->store, views, note, NULL), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'x%'", "0");
    free(views);
}

/* --- queries ------------------------------------------------------------------------------- */

/* The steps of a query's plan, joined by "; ". */
static void explain(const struct fixture *fixture, const char *sql, char plan[PLAN_SIZE])
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    char text[512];

    plan[0] = '\0';
    snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        snprintf(plan + strlen(plan), PLAN_SIZE - strlen(plan), "%s; ",
                 (const char *)sqlite3_column_text(statement, 3));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void a_range_of_a_device_is_sought(void **state)
{
    static const struct {
        const char *where;
        const char *plan;
    } cases[] = {
        {"device = 7 AND time_ms >= 100 AND time_ms < 200",
         "SEARCH d USING INTEGER PRIMARY KEY (rowid=?); SEARCH m USING INDEX "
         "sqlite_autoindex_messages_1 (device=? AND time_ms>? AND time_ms<?); "},
        {"device_id = 'f1' AND time_ms >= 100",
         "SEARCH d USING INDEX devices_by_id (device_id=?); SEARCH m USING INDEX "
         "sqlite_autoindex_messages_1 (device=? AND time_ms>?); "},
        {"family = 'foxtrackr' AND device_id = 'f1' AND time_ms >= 100",
         "SEARCH d USING INDEX sqlite_autoindex_devices_1 (family=? AND device_id=?); SEARCH m "
         "USING INDEX sqlite_autoindex_messages_1 (device=? AND time_ms>?); "},
        {"time_ms >= 100",
         "SCAN d; SEARCH m USING INDEX sqlite_autoindex_messages_1 (device=? AND time_ms>?); "},
    };
    struct fixture *fixture = *state;
    char sql[256];
    char plan[PLAN_SIZE];

    set(fixture, GPS, "position=made ");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *cover;

        snprintf(sql, sizeof(sql), "SELECT latitude FROM position WHERE %s", cases[i].where);
        explain(fixture, sql, plan);
        /* An index with every column that is asked for is as good. */
        while ((cover = strstr(plan, "COVERING ")) != NULL) {
            memmove(cover, cover + 9, strlen(cover + 9) + 1);
        }
        cover = strncmp(plan, "SCAN d USING INDEX ", 19) == 0 ? strchr(plan, ';') : NULL;
        if (cover != NULL) {
            memmove(plan + 6, cover, strlen(cover) + 1);
        }
        assert_string_equal(plan, cases[i].plan);
    }
}

/* --- the rest ------------------------------------------------------------------------------ */

static void another_writer_is_waited_for_by_the_caller(void **state)
{
    struct fixture *fixture = *state;
    struct config_views *views = views_of(GPS);
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    told[0] = '\0';
    assert_int_equal(store_set_views(fixture->store, views, note, NULL), STORE_E_RETRY);
    assert_string_equal(told, "");
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_set_views(fixture->store, views, note, NULL), STORE_OK);
    assert_string_equal(told, "position=made ");
    config_views_free(views);
    put_message(fixture, "f1", "gps", NOW_MS, "{\"gps\":{\"lat\":1}}");
    assert_counts(fixture, 1, 0, 0);
}

static void looking_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct config_views *views = views_of(GPS);

    told[0] = '\0';
    assert_int_equal(store_look_at_views(fixture->store, views, note, NULL), STORE_OK);
    assert_string_equal(told, "position=made ");
    assert_look(fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'position'", "0");
    config_views_free(views);
    set(fixture, GPS, "position=made ");
    views = views_of("[view door]\ntype = door\nopen = open\n");
    told[0] = '\0';
    assert_int_equal(store_look_at_views(fixture->store, views, note, NULL), STORE_OK);
    assert_string_equal(told, "position=removed door=made ");
    assert_look(fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'position'", "1");
    config_views_free(views);
}

/* A later version of the schema may have something of the name of a view that is ours; then the
 * view makes way. */
static void a_migration_finds_the_names_free(void **state)
{
    struct fixture *fixture = *state;
    const char **list = calloc((size_t)sqlite_migration_count + 2, sizeof(*list));

    assert_non_null(list);
    memcpy(list, sqlite_migrations, (size_t)sqlite_migration_count * sizeof(*list));
    list[sqlite_migration_count] = "CREATE TABLE position (x INTEGER) STRICT;";
    list[sqlite_migration_count + 1] = "CREATE TABLE later (x INTEGER) STRICT;";
    look(fixture, "CREATE VIEW mine AS SELECT 42 AS x");
    set(fixture, GPS "[view door]\ntype = door\nopen = open\n", "position=made door=made ");
    assert_int_equal(store_migrate(fixture->store, list, sqlite_migration_count + 1), STORE_OK);
    set(fixture, GPS "[view door]\ntype = door\nopen = open\n", "position=taken(table) door=made ");
    assert_int_equal(store_migrate(fixture->store, list, sqlite_migration_count + 2), STORE_OK);
    set(fixture, GPS "[view door]\ntype = door\nopen = open\n", "position=taken(table) door=made ");
    assert_look(fixture, "SELECT x FROM mine", "42");
    free(list);
}

static int bad_findings;
static char views_found[256];

static void find(void *context, const char *check, bool good, const char *detail)
{
    (void)context;
    if (!good) {
        print_error("%s: %s\n", check, detail);
    }
    bad_findings += !good;
    if (strcmp(check, "view position") == 0) {
        snprintf(views_found, sizeof(views_found), "%s", detail);
    }
}

static bool go_on(void *context, const char *what, enum store_unit unit, int64_t done,
                  int64_t total)
{
    (void)context;
    (void)what;
    (void)unit;
    (void)done;
    (void)total;
    return true;
}

static void verify_runs_it(void **state)
{
    static const struct store_watcher watcher = {.progress = go_on};
    struct fixture *fixture = *state;
    const struct store_options options = {.path = fixture->path, .read_only = true};
    struct store *reader = NULL;

    set(fixture, GPS, "position=made ");
    put_message(fixture, "f1", "gps", NOW_MS, "{\"gps\":{\"lat\":1}}");
    assert_int_equal(store_open(&options, &reader, fixture->problem, sizeof(fixture->problem)),
                     STORE_OK);
    bad_findings = 0;
    assert_int_equal(store_verify(reader, &watcher, find, NULL), STORE_OK);
    assert_int_equal(bad_findings, 0);
    assert_string_equal(views_found, "answers");
    store_close(reader);
}

/* A name that SQLite's parser does not take without quotes is refused by the configuration, and no
 * other word is. */
static void reserved_words_are_those_of_sqlite(void **state)
{
    sqlite3 *db = NULL;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (int i = 0; i < sqlite3_keyword_count(); i++) {
        sqlite3_stmt *statement = NULL;
        const char *keyword = NULL;
        char word[32];
        char sql[256];
        int length = 0;
        bool works;

        sqlite3_keyword_name(i, &keyword, &length);
        snprintf(word, sizeof(word), "%.*s", length, keyword);
        snprintf(sql, sizeof(sql), "CREATE VIEW \"%s\" AS SELECT 42 AS \"%s\"", word, word);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        snprintf(sql, sizeof(sql), "SELECT %s FROM %s WHERE %s = 42 ORDER BY %s", word, word, word,
                 word);
        works = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 42;
        sqlite3_finalize(statement);
        if (config_views_reserved(word) == works) {
            fail_msg("%s %s without quotes", word, works ? "works" : "does not work");
        }
    }
    sqlite3_close(db);
}

#define ON_A_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_STORE(a_view_has_its_columns_in_their_order),
        ON_A_STORE(rows_of_before_are_in_it),
        ON_A_STORE(values_have_the_type_of_the_body),
        ON_A_STORE(names_of_members_are_taken_literally),
        ON_A_STORE(a_view_follows_its_section),
        ON_A_STORE(names_can_be_exchanged),
        ON_A_STORE(a_dropped_view_is_made_again),
        ON_A_STORE(what_is_not_ours_stays),
        ON_A_STORE(the_schema_of_the_daemon_stays),
        ON_A_STORE(names_of_the_schema_are_refused),
        ON_A_STORE(a_changed_view_is_not_ours),
        ON_A_STORE(nothing_leaves_its_quotes),
        ON_A_STORE(a_range_of_a_device_is_sought),
        ON_A_STORE(another_writer_is_waited_for_by_the_caller),
        ON_A_STORE(looking_changes_nothing),
        ON_A_STORE(a_migration_finds_the_names_free),
        ON_A_STORE(verify_runs_it),
        cmocka_unit_test(reserved_words_are_those_of_sqlite),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
