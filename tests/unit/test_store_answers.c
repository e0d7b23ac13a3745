/* Goal: a tool reads tables, views and named statements beside the daemon: typed cells, names that
 * are compared with the schema, values that are bound, and no transaction longer than it must be.
 */
#include "store_fixture.h"

#include "store/answers.h"

static bool stop;

static bool stopped(void)
{
    return stop;
}

/* The fixture's store is the daemon's; `reader` is the tool's. */
static struct store *open_reader(const struct fixture *fixture)
{
    const struct store_options options = {
        .path = fixture->path, .busy_timeout_ms = 20, .read_only = true, .stopped = stopped};
    struct store *reader = NULL;
    char problem[512];

    stop = false;
    if (store_open(&options, &reader, problem, sizeof(problem)) != STORE_OK)
        fail_msg("%s", problem);
    return reader;
}

static void fill(struct fixture *fixture)
{
    look(fixture, "INSERT INTO devices VALUES (1, 'foxtrackr', 'a', 5), (2, 'foxtrackr', 'b', 6),"
                  " (3, 'other', 'b', 7)");
    look(fixture, "INSERT INTO battery VALUES (1, 10, 3.5, NULL, 5, '{}', 11),"
                  " (1, 20, 3.25, 50, 5, NULL, 21), (2, 10, NULL, 60, 5, NULL, 11),"
                  " (2, 30, 4, 70, 5, NULL, 31)");
    look(fixture, "INSERT INTO quarantine VALUES (x'00ff', 't''; DROP TABLE battery; --', x'',"
                  " 'json', '', 1, 2, 3)");
}

static struct store_query *selected(struct store *reader, const struct store_select *select)
{
    struct store_query *query = NULL;

    if (store_query_select(reader, select, &query) != STORE_OK)
        fail_msg("%s", store_error(reader));
    return query;
}

static const struct store_cell *next(struct store *reader, struct store_query *query)
{
    const struct store_cell *row = NULL;

    if (store_query_next(query, &row) != STORE_OK)
        fail_msg("%s", store_error(reader));
    return row;
}

/* Reads the rows of a select as "1 10;1 20;": its first two columns, integers. */
static const char *pairs(struct store *reader, const struct store_select *select)
{
    static char text[512];
    struct store_query *query = selected(reader, select);
    const struct store_cell *row;
    size_t length = 0;

    text[0] = '\0';
    while ((row = next(reader, query)) != NULL)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%d %d;",
                                   (int)row[0].integer, (int)row[1].integer);
    store_query_close(query);
    return text;
}

static void cells_are_typed(void **state)
{
    struct fixture *fixture = *state;
    const struct store_select all = {.from = "quarantine"};
    const struct store_select first = {.from = "battery"};
    struct store *reader;
    struct store_query *query;
    const struct store_cell *row;

    fill(fixture);
    reader = open_reader(fixture);
    query = selected(reader, &all);
    assert_int_equal(store_query_count(query), 8);
    assert_string_equal(store_query_column(query, 1), "topic");
    row = next(reader, query);
    assert_true(row[0].kind == STORE_BLOB && row[0].length == 2);
    assert_memory_equal(row[0].bytes, "\0\377", 2);
    assert_true(row[1].kind == STORE_TEXT && row[1].length == strlen(row[1].bytes));
    assert_string_equal(row[1].bytes, "t'; DROP TABLE battery; --");
    assert_true(row[2].kind == STORE_BLOB && row[2].length == 0);
    assert_true(row[4].kind == STORE_TEXT && row[4].length == 0);
    assert_string_equal(row[4].bytes, "");
    assert_true(row[7].kind == STORE_INTEGER && row[7].integer == 3);
    assert_null(next(reader, query));
    store_query_close(query);

    query = selected(reader, &first);
    row = next(reader, query);
    assert_true(row[2].kind == STORE_REAL && row[2].real == 3.5);
    assert_true(row[3].kind == STORE_NULL);
    store_query_close(query);
    store_query_close(NULL);
    assert_int_equal(store_close(reader), STORE_OK);
}

static void conditions_and_order(void **state)
{
    static const char *const columns[] = {"device", "time_ms", NULL};
    static const char *const key[] = {"device", "time_ms", NULL};
    static const char *const newest[] = {"-time_ms", "-device", NULL};
    const struct store_condition late[] = {{"time_ms", STORE_GE, store_cell_integer(20)}};
    const struct store_condition without[] = {
        {"level_pct", STORE_IS_NULL, store_cell_null()},
        {"voltage_v", STORE_NOT_NULL, store_cell_null()},
        {"extra", STORE_EQ, store_cell_text("{}")},
        {"voltage_v", STORE_LT, store_cell_real(3.6)},
    };
    const struct store_cell after[] = {store_cell_integer(1), store_cell_integer(20)};
    struct store_select select = {.from = "battery", .columns = columns, .order = key};
    struct store *reader;

    fill(*state);
    reader = open_reader(*state);
    assert_string_equal(pairs(reader, &select), "1 10;1 20;2 10;2 30;");
    select.limit = 3;
    assert_string_equal(pairs(reader, &select), "1 10;1 20;2 10;");
    select.after = after;
    assert_string_equal(pairs(reader, &select), "2 10;2 30;");
    select.conditions = late;
    select.condition_count = 1;
    assert_string_equal(pairs(reader, &select), "2 30;");
    select.after = NULL;
    select.limit = 0;
    select.order = newest;
    assert_string_equal(pairs(reader, &select), "2 30;1 20;");
    select.conditions = without;
    select.condition_count = 4;
    assert_string_equal(pairs(reader, &select), "1 10;");
    store_close(reader);
}

static void a_named_statement_binds_its_values(void **state)
{
    const struct store_cell called[] = {store_cell_text("b")};
    const struct store_cell strange[] = {store_cell_text("b' OR 'a' = 'a")};
    const struct store_cell number[] = {store_cell_integer(3)};
    const struct store_cell range[] = {store_cell_integer(2), store_cell_integer(3)};
    const struct store_cell *row;
    struct store_query *query = NULL;
    struct store *reader;

    fill(*state);
    reader = open_reader(*state);
    assert_int_equal(store_query_named(reader, STORE_NAMED_DEVICES_CALLED, called, 1, &query), 0);
    assert_int_equal(next(reader, query)->integer, 2);
    assert_int_equal(next(reader, query)->integer, 3);
    assert_null(next(reader, query));
    assert_int_equal(store_query_again(query, strange, 1), STORE_OK);
    assert_null(next(reader, query));
    store_query_close(query);

    assert_int_equal(store_query_named(reader, STORE_NAMED_DEVICE, number, 1, &query), 0);
    row = next(reader, query);
    assert_string_equal(row[0].bytes, "other");
    assert_string_equal(row[1].bytes, "b");
    store_query_close(query);

    look(*state,
         "INSERT INTO temperature VALUES (2, 15, 20.5, 6, NULL, 16), (2, 12, 20, 6, NULL, 13)");
    assert_int_equal(store_query_named(reader, STORE_NAMED_FIRST_READINGS, range, 2, &query), 0);
    row = next(reader, query);
    assert_true(row[0].integer == 2 && row[1].integer == 10 && row[2].integer == 12);
    row = next(reader, query);
    assert_true(row[0].integer == 3 && row[1].kind == STORE_NULL && row[2].kind == STORE_NULL);
    assert_null(next(reader, query));
    store_query_close(query);
    store_close(reader);
}

static void a_select_runs_again_with_other_values(void **state)
{
    static const char *const columns[] = {"device", "time_ms", NULL};
    static const char *const order[] = {"time_ms", NULL};
    const struct store_cell zero = store_cell_integer(0);
    const struct store_condition device[] = {{"device", STORE_EQ, store_cell_integer(1)}};
    const struct store_select select = {.from = "battery",
                                        .columns = columns,
                                        .conditions = device,
                                        .condition_count = 1,
                                        .order = order,
                                        .after = &zero,
                                        .limit = 5};
    const struct store_cell other[] = {store_cell_integer(2), store_cell_integer(10)};
    const struct store_cell *row;
    struct store_query *query;
    struct store *reader;

    fill(*state);
    reader = open_reader(*state);
    query = selected(reader, &select);
    assert_int_equal(next(reader, query)[1].integer, 10);
    assert_int_equal(store_query_again(query, other, 2), STORE_OK);
    row = next(reader, query);
    assert_true(row[0].integer == 2 && row[1].integer == 30);
    assert_null(next(reader, query));
    store_query_close(query);
    store_close(reader);
}

/* Names that are not in the schema are refused, among them those that SQLite would take for a
 * string, and names that would end the quotes. */
static void unknown_names_are_refused(void **state)
{
    static const char *const columns[] = {"device", "nothing", NULL};
    static const char *const order[] = {"device\" DESC; --", NULL};
    const struct store_condition condition[] = {{"\"", STORE_EQ, store_cell_integer(1)}};
    const struct {
        struct store_select select;
        const char *says;
    } cases[] = {
        {{.from = "nowhere"}, "has no table or view nowhere"},
        {{.from = "battery\" --"}, "has no table or view battery\" --"},
        {{.from = "sqlite_schema"}, "has no table or view sqlite_schema"},
        {{.from = "battery", .columns = columns}, "the table battery has no column nothing"},
        {{.from = "fleet", .order = order}, "the view fleet has no column device\" DESC; --"},
        {{.from = "battery", .conditions = condition, .condition_count = 1}, "has no column \""},
    };
    struct store_query *query = NULL;
    struct store *reader = open_reader(*state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(store_query_select(reader, &cases[i].select, &query), STORE_E_PATH);
        if (strstr(store_error(reader), cases[i].says) == NULL)
            fail_msg("%s", store_error(reader));
        assert_null(query);
    }
    store_close(reader);
}

static void names_with_quotes_can_be_read(void **state)
{
    const struct store_select select = {.from = "odd \"name\""};
    struct store_query *query;
    struct store *reader;

    look(*state, "CREATE TABLE \"odd \"\"name\"\"\" (\"a \"\"b\"\"\", c)");
    look(*state, "INSERT INTO \"odd \"\"name\"\"\" VALUES (7, 8)");
    reader = open_reader(*state);
    query = selected(reader, &select);
    assert_string_equal(store_query_column(query, 0), "a \"b\"");
    assert_int_equal(next(reader, query)[0].integer, 7);
    store_query_close(query);
    store_close(reader);
}

/* A view that an analyst made and that cannot be read is no fault of the database. */
static void a_broken_view_is_told(void **state)
{
    const struct store_select bad = {.from = "bad"};
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    struct store *reader;

    look(*state, "CREATE VIEW bad AS SELECT json('{') AS x");
    look(*state, "CREATE VIEW broken AS SELECT absent FROM battery");
    reader = open_reader(*state);
    assert_int_equal(store_query_select(reader, &(struct store_select){.from = "broken"}, &query),
                     STORE_E_PATH);
    assert_non_null(strstr(store_error(reader), "no such column: absent"));
    query = selected(reader, &bad);
    assert_int_equal(store_query_next(query, &row), STORE_E_PATH);
    assert_non_null(strstr(store_error(reader), "cannot read bad: malformed JSON"));
    store_query_close(query);
    assert_int_equal(store_close(reader), STORE_OK);
}

static void spooled_rows_keep_their_types_and_no_transaction(void **state)
{
    struct fixture *fixture = *state;
    const struct store_select all = {.from = "odd", .spooled = true};
    struct store_query *query;
    struct store_query *second;
    struct store *reader;
    const struct store_cell *row;

    look(fixture, "CREATE TABLE t (rowid_ INTEGER, rowid ANY, r ANY, b ANY, s ANY, n ANY) STRICT");
    look(fixture, "INSERT INTO t VALUES (1, '17', 3.0, x'0001', 'a', NULL), (2, 5, 1, 2, 3, 4)");
    look(fixture, "CREATE VIEW odd AS SELECT * FROM t ORDER BY rowid_");
    reader = open_reader(fixture);
    query = selected(reader, &all);
    second = selected(reader, &all);
    /* The rows are those of that moment, and the WAL can be emptied. */
    look(fixture, "DELETE FROM t");
    assert_look(fixture, "PRAGMA wal_checkpoint(TRUNCATE)", "0");
    assert_string_equal(store_query_column(query, 1), "rowid");
    row = next(reader, query);
    assert_true(row[1].kind == STORE_TEXT && row[2].kind == STORE_REAL && row[2].real == 3.0);
    assert_true(row[3].kind == STORE_BLOB && row[3].length == 2 && row[5].kind == STORE_NULL);
    assert_int_equal(store_query_rest(query), STORE_OK);
    row = next(reader, query);
    assert_true(row[1].kind == STORE_INTEGER && row[1].integer == 5);
    assert_null(next(reader, query));
    store_query_close(query);
    assert_int_equal(next(reader, second)[0].integer, 1);
    store_query_close(second);
    store_close(reader);
}

/* Another query in the middle of a spooled one would keep its transaction. */
static void a_spooled_query_can_rest(void **state)
{
    struct fixture *fixture = *state;
    const struct store_select all = {.from = "devices", .spooled = true};
    const struct store_cell one = store_cell_integer(1);
    struct store_query *query;
    struct store_query *name = NULL;
    struct store *reader;

    fill(fixture);
    reader = open_reader(fixture);
    query = selected(reader, &all);
    assert_int_equal(next(reader, query)[0].integer, 1);
    assert_int_equal(store_query_named(reader, STORE_NAMED_DEVICE, &one, 1, &name), STORE_OK);
    assert_non_null(next(reader, name));
    assert_null(next(reader, name));
    assert_int_equal(store_query_rest(query), STORE_OK);
    look(fixture, "UPDATE devices SET first_seen_ms = 9");
    assert_look(fixture, "PRAGMA wal_checkpoint(TRUNCATE)", "0");
    assert_int_equal(next(reader, query)[0].integer, 2);
    assert_int_equal(next(reader, query)[0].integer, 3);
    assert_null(next(reader, query));
    store_query_close(name);
    store_query_close(query);
    store_close(reader);
}

/* While rows are read the transaction holds the WAL; at the last row it has ended. */
static void a_transaction_ends_at_the_last_row(void **state)
{
    struct fixture *fixture = *state;
    const struct store_select all = {.from = "devices"};
    struct store_query *query;
    struct store *reader;

    fill(fixture);
    reader = open_reader(fixture);
    query = selected(reader, &all);
    assert_non_null(next(reader, query));
    look(fixture, "UPDATE devices SET first_seen_ms = 9");
    assert_look(fixture, "PRAGMA wal_checkpoint(TRUNCATE)", "1"); /* busy */
    assert_non_null(next(reader, query));
    assert_non_null(next(reader, query));
    assert_null(next(reader, query));
    assert_look(fixture, "PRAGMA wal_checkpoint(TRUNCATE)", "0");
    store_query_close(query);
    store_close(reader);
}

static void several_queries_see_one_state(void **state)
{
    struct fixture *fixture = *state;
    static const char *const columns[] = {"device", "time_ms", NULL};
    const struct store_select select = {.from = "battery", .columns = columns};
    struct store *reader;

    fill(fixture);
    reader = open_reader(fixture);
    assert_int_equal(store_read_begin(reader), STORE_OK);
    assert_string_equal(pairs(reader, &select), "1 10;1 20;2 10;2 30;");
    look(fixture, "DELETE FROM battery");
    assert_string_equal(pairs(reader, &select), "1 10;1 20;2 10;2 30;");
    assert_int_equal(store_read_end(reader), STORE_OK);
    assert_string_equal(pairs(reader, &select), "");
    assert_int_equal(store_read_end(reader), STORE_OK);
    store_close(reader);
}

static void a_long_query_ends_when_it_is_stopped(void **state)
{
    const struct store_select select = {.from = "long"};
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    struct store *reader;
    struct store_select spooled = select;

    spooled.spooled = true;
    look(*state, "CREATE VIEW long AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1"
                 " FROM n) SELECT count(*) AS x FROM n");
    reader = open_reader(*state);
    query = selected(reader, &select);
    stop = true;
    assert_int_equal(store_query_next(query, &row), STORE_E_STOPPED);
    store_query_close(query);
    assert_int_equal(store_query_select(reader, &spooled, &query), STORE_E_STOPPED);
    assert_int_equal(store_close(reader), STORE_OK);
}

static void count_relation(void *context, const char *name, bool view)
{
    char *text = context;

    if (strcmp(name, "battery") == 0 || strcmp(name, "fleet") == 0 || name[0] == 's')
        snprintf(text + strlen(text), 256 - strlen(text), "%s%s;", name, view ? " view" : "");
}

static void tables_and_views_are_listed(void **state)
{
    char text[256] = "";
    struct store *reader;

    look(*state, "ANALYZE"); /* makes sqlite_stat1 */
    reader = open_reader(*state);
    assert_int_equal(store_relations(reader, count_relation, text), STORE_OK);
    assert_string_equal(text, "battery;sessions;subscriptions;fleet view;silent_devices view;");
    store_close(reader);
}

static void a_relation_is_described(void **state)
{
    struct store_relation *relation = NULL;
    struct store *reader;

    look(*state, "CREATE TABLE mine (rowid TEXT, x INTEGER GENERATED ALWAYS AS (1))");
    reader = open_reader(*state);
    assert_int_equal(store_relation_read(reader, "battery", &relation), STORE_OK);
    assert_true(!relation->view && relation->rowid == NULL && relation->count == 7);
    assert_string_equal(relation->columns[1].name, "time_ms");
    assert_string_equal(relation->columns[1].type, "INTEGER");
    assert_true(relation->columns[0].key == 1 && relation->columns[1].key == 2);
    assert_true(relation->columns[0].required && !relation->columns[2].required);
    store_relation_free(relation);

    assert_int_equal(store_relation_read(reader, "messages", &relation), STORE_OK);
    assert_string_equal(relation->rowid, "rowid");
    store_relation_free(relation);

    assert_int_equal(store_relation_read(reader, "mine", &relation), STORE_OK);
    assert_string_equal(relation->rowid, "_rowid_");
    assert_int_equal(relation->count, 2);
    store_relation_free(relation);

    assert_int_equal(store_relation_read(reader, "fleet", &relation), STORE_OK);
    assert_true(relation->view && relation->rowid == NULL);
    assert_string_equal(relation->columns[2].name, "device_id");
    store_relation_free(relation);
    store_relation_free(NULL);

    assert_int_equal(store_relation_read(reader, "none", &relation), STORE_E_PATH);
    store_close(reader);
}

static void the_rowid_can_be_a_key(void **state)
{
    static const char *const columns[] = {"x", "_rowid_", NULL};
    static const char *const order[] = {"_rowid_", NULL};
    const struct store_cell first = store_cell_integer(1);
    const struct store_select select = {
        .from = "mine", .columns = columns, .order = order, .after = &first};
    struct store *reader;

    look(*state, "CREATE TABLE mine (rowid TEXT, x INTEGER)");
    look(*state, "INSERT INTO mine VALUES ('a', 10), ('b', 20), ('c', 30)");
    reader = open_reader(*state);
    assert_string_equal(pairs(reader, &select), "20 2;30 3;");
    store_close(reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)
    const struct CMUnitTest tests[] = {
        TEST(cells_are_typed),
        TEST(conditions_and_order),
        TEST(a_named_statement_binds_its_values),
        TEST(a_select_runs_again_with_other_values),
        TEST(unknown_names_are_refused),
        TEST(names_with_quotes_can_be_read),
        TEST(a_broken_view_is_told),
        TEST(spooled_rows_keep_their_types_and_no_transaction),
        TEST(a_spooled_query_can_rest),
        TEST(a_transaction_ends_at_the_last_row),
        TEST(several_queries_see_one_state),
        TEST(a_long_query_ends_when_it_is_stopped),
        TEST(tables_and_views_are_listed),
        TEST(a_relation_is_described),
        TEST(the_rowid_can_be_a_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
