/*
 * Goal: what a tool puts in the place of views for questions about all devices has the rows of
 * these views, is gone afterwards, and is left out where the database has another view; and two
 * readers see one state.
 */
#include "rollup_fixture.h"

#include <time.h>

#include "base/clock.h"
#include "store/answers.h"
#include "store/sqlite/answers_internal.h"

#define TEXT_SIZE (1 << 18)

static const char *const names[] = {"usual_intervals",       "silent_devices", "battery_trend",
                                    "reporting_gaps",        "battery_daily",  "temperature_daily",
                                    "temperature_excursions"};

#define NAMES (sizeof(names) / sizeof(names[0]))

static struct store *open_reader(struct fixture *fixture)
{
    const struct store_options options = {
        .path = fixture->path, .busy_timeout_ms = 20, .read_only = true};
    struct store *reader = NULL;

    if (store_open(&options, &reader, fixture->problem, sizeof(fixture->problem)) != STORE_OK)
        fail_msg("%s", fixture->problem);
    return reader;
}

static size_t put_cell(char *text, size_t size, const struct store_cell *cell)
{
    switch (cell->kind) {
    case STORE_INTEGER:
        return (size_t)snprintf(text, size, "%lld|", (long long)cell->integer);
    case STORE_REAL:
        return (size_t)snprintf(text, size, "%.15g|", cell->real);
    case STORE_NULL:
        return (size_t)snprintf(text, size, "-|");
    default:
        return (size_t)snprintf(text, size, "%.*s|", (int)cell->length, cell->bytes);
    }
}

/* All rows of a view, every column, in an order in which no two rows have the same place. */
static void read_rows(struct store *reader, const char *name, char text[TEXT_SIZE])
{
    static const char *const orders[NAMES][6] = {{"device", "type"},
                                                 {"device"},
                                                 {"device"},
                                                 {"device", "type", "from_ms"},
                                                 {"device", "day_ms"},
                                                 {"device", "day_ms"},
                                                 {"device", "limit_id", "side", "from_ms"}};
    struct store_select select = {.from = name};
    struct store_query *query = NULL;
    const struct store_cell *row = NULL;
    size_t length = 0;

    for (size_t i = 0; i < NAMES; i++) {
        if (strcmp(names[i], name) == 0)
            select.order = orders[i];
    }
    text[0] = '\0';
    assert_int_equal(store_query_select(reader, &select, &query), STORE_OK);
    for (;;) {
        assert_int_equal(store_query_next(query, &row), STORE_OK);
        if (row == NULL)
            break;
        for (int i = 0; i < store_query_count(query); i++) {
            length += put_cell(text + length, TEXT_SIZE - length, &row[i]);
            assert_true(length < TEXT_SIZE);
        }
        text[length++] = '\n';
        text[length] = '\0';
    }
    store_query_close(query);
}

/* By the clock of SQLite's unixepoch(): that of time() may be some milliseconds behind. */
static int64_t second_now(void)
{
    return clock_wall_ms() / 1000;
}

/* Views count milliseconds until now: both are read again until the second was the same. */
static void assert_same_rows(struct store *plain, struct store *prepared, const char *name)
{
    static char one[TEXT_SIZE];
    static char other[TEXT_SIZE];

    for (int i = 0; i < 100; i++) {
        int64_t second = second_now();

        read_rows(plain, name, one);
        read_rows(prepared, name, other);
        if (second == second_now())
            break;
    }
    assert_string_equal(one, other);
    assert_true(strchr(one, '\n') != NULL);
}

static void put_celsius_at(struct store *store, const char *name, int64_t time_ms, double celsius)
{
    struct foxtrackr_message message = battery(name, time_ms, NAN);
    struct store_packet whole = packet("{}");
    enum store_outcome outcome;

    message.has_battery = false;
    message.has_temperature = true;
    message.celsius = celsius;
    assert_int_equal(store_message(store, &message, &whole, &outcome), STORE_OK);
}

/* Three devices that report every hour, with holes, on six days of which four are rolled up; one of
 * these is to be made anew. A fourth device discharges now. */
static void fill(struct fixture *fixture)
{
    int64_t now_ms = (int64_t)time(NULL) * 1000;

    begin(fixture);
    for (int i = 0; i < 6 * 24; i++) {
        put_at(fixture->store, "a", FIRST_MS + i * HOUR_MS);
        if (i % 50 < 40)
            put_at(fixture->store, "b", FIRST_MS + i * HOUR_MS + 1);
        if (i % 70 < 60)
            put_celsius_at(fixture->store, "c", FIRST_MS + i * HOUR_MS + 2, 20 + i % 7);
    }
    commit(fixture);
    roll_up_to(fixture->store, FIRST_MS + 4 * DAY_MS + 5 * HOUR_MS);
    begin(fixture);
    put_at(fixture->store, "b", FIRST_MS + DAY_MS + 7);
    commit(fixture);
    look(fixture, "INSERT INTO devices (device, family, device_id, first_seen_ms)"
                  " VALUES (99, 'foxtrackr', 'd', 1)");
    look(fixture,
         "INSERT INTO device_groups (group_name, device, first_seen_ms) SELECT 'herd', device, 1"
         " FROM devices WHERE device_id = 'c'");
    look(fixture, "INSERT INTO limits (group_name, device_id, celsius_min, celsius_max) VALUES"
                  " (NULL, NULL, NULL, 25), ('herd', NULL, 21, NULL), ('nobody', NULL, 21, NULL),"
                  " (NULL, 'c', NULL, 24), (NULL, 'a', NULL, 24)");
    for (int i = 0; i < 200; i++) {
        char sql[256];

        snprintf(sql, sizeof(sql),
                 "INSERT INTO battery (device, time_ms, level_pct, message_type, received_ms)"
                 " VALUES (99, %lld, %d, 1, 1)",
                 (long long)(now_ms - (200 - i) * HOUR_MS), 100 - i / 4);
        look(fixture, sql);
    }
}

static void copies_have_the_rows_of_the_views(void **state)
{
    struct fixture *fixture = *state;
    struct store *plain;
    struct store *prepared;

    fill(fixture);
    assert_look(fixture, "SELECT count(*) > 0 FROM rollup_dirty", "1");
    plain = open_reader(fixture);
    prepared = open_reader(fixture);
    assert_int_equal(store_read_begin(prepared), STORE_OK);
    store_read_of_all(prepared);
    for (size_t i = 0; i < NAMES; i++) {
        assert_same_rows(plain, prepared, names[i]);
        assert_string_equal(answers_schema_of(prepared, names[i]), "temp");
    }
    assert_string_equal(answers_schema_of(prepared, "fleet"), "main");
    assert_int_equal(store_read_end(prepared), STORE_OK);
    for (size_t i = 0; i < NAMES; i++) {
        assert_string_equal(answers_schema_of(prepared, names[i]), "main");
        assert_same_rows(plain, prepared, names[i]);
    }
    assert_int_equal(store_read_begin(prepared), STORE_OK); /* again */
    store_read_of_all(prepared);
    assert_string_equal(answers_schema_of(prepared, "reporting_gaps"), "temp");
    store_close(prepared);
    store_close(plain);
}

/* The order of joins is changed where the views say them: a view that is written in another way
 * would be copied as it is, and be slow. */
static void the_copies_begin_with_the_days(void **state)
{
    struct fixture *fixture = *state;
    static const char sql[] =
        "SELECT group_concat(name || ' ' || found) FROM (SELECT name, (length(sql)"
        " - length(replace(sql, 'FROM calendar AS c CROSS', ''))) / 24 + (length(sql)"
        " - length(replace(sql, 'JOIN calendar AS c CROSS', ''))) / 24 + (length(sql)"
        " - length(replace(sql, 'JOIN members AS d', ''))) / 17 AS found"
        " FROM temp.sqlite_schema WHERE type = 'view' ORDER BY name)";
    struct store *reader = open_reader(fixture);
    sqlite3_stmt *statement = NULL;

    assert_int_equal(store_read_begin(reader), STORE_OK);
    store_read_of_all(reader);
    for (size_t i = 0; i < NAMES; i++)
        assert_string_equal(answers_schema_of(reader, names[i]), "temp");
    assert_int_equal(sqlite3_prepare_v2(reader->db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(statement, 0),
                        "battery_daily 1,battery_trend 0,reporting_gaps 2,temperature_daily 1,"
                        "temperature_excursions 1");
    sqlite3_finalize(statement);
    store_close(reader);
}

static void views_of_an_analyst_stay(void **state)
{
    struct fixture *fixture = *state;
    static char text[TEXT_SIZE];
    struct store *reader;

    look(fixture, "DROP VIEW battery_daily");
    look(fixture, "CREATE VIEW battery_daily (device, day_ms) AS SELECT 7, 8");
    look(fixture, "DROP VIEW battery_trend");
    look(fixture, "DROP VIEW silent_devices");
    look(fixture, "CREATE VIEW silent_devices AS SELECT 5 AS device");
    reader = open_reader(fixture);
    assert_int_equal(store_read_begin(reader), STORE_OK);
    store_read_of_all(reader);
    read_rows(reader, "battery_daily", text);
    assert_string_equal(text, "7|8|\n");
    read_rows(reader, "silent_devices", text);
    assert_string_equal(text, "5|\n");
    assert_string_equal(answers_schema_of(reader, "battery_trend"), "main");
    store_close(reader);
}

static void two_readers_see_one_state(void **state)
{
    struct fixture *fixture = *state;
    static char one[TEXT_SIZE];
    static char other[TEXT_SIZE];
    struct store *first;
    struct store *second;
    bool same = false;

    fill(fixture);
    first = open_reader(fixture);
    second = open_reader(fixture);
    assert_int_equal(store_read_begin_both(first, second, &same), STORE_OK);
    assert_true(same);
    look(fixture, "DELETE FROM battery WHERE device = 99");
    read_rows(first, "battery_daily", one);
    read_rows(second, "battery_daily", other);
    assert_string_equal(one, other);
    assert_non_null(strstr(one, "99|"));
    assert_int_equal(store_read_end(first), STORE_OK);
    assert_int_equal(store_read_end(second), STORE_OK);
    read_rows(second, "battery_daily", other);
    assert_null(strstr(other, "99|"));
    store_close(second);
    store_close(first);
}

/* Another program commits between the two, `commits` times. */
static const struct fixture *writer;
static int commits;

int __real_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
                        void *context, char **problem);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
                        void *context, char **problem);

int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
                        void *context, char **problem)
{
    if (strstr(sql, "BEGIN") != NULL && commits > 0) {
        commits--;
        look(writer, "INSERT INTO limits (celsius_max) VALUES (1)");
    }
    return __real_sqlite3_exec(db, sql, each, context, problem);
}

static void a_commit_between_the_two_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct store *first = open_reader(fixture);
    struct store *second = open_reader(fixture);
    bool same = false;

    writer = fixture;
    commits = 6;
    assert_int_equal(store_read_begin_both(first, second, &same), STORE_OK);
    assert_true(same && commits == 0);
    commits = INT32_MAX;
    assert_int_equal(store_read_begin_both(first, second, &same), STORE_OK);
    commits = 0;
    assert_false(same);
    assert_false(sqlite3_get_autocommit(first->db));
    assert_true(sqlite3_get_autocommit(second->db));
    store_close(second);
    store_close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copies_have_the_rows_of_the_views, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(the_copies_begin_with_the_days, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(views_of_an_analyst_stay, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(two_readers_see_one_state, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(a_commit_between_the_two_is_noticed, fixture_make_open,
                                        fixture_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
