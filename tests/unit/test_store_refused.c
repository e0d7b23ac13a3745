/* Rows that somebody's trigger or index does not let into a table: no message counts as stored. */
#include "store_fixture.h"

#include "store/sqlite/inbox_tables_internal.h"

/* A message with a battery, a temperature, or neither. */
static struct foxtrackr_message message_of(const char *type, int64_t time_ms)
{
    struct foxtrackr_message message = battery("d", time_ms, 3.5);

    message.type = type;
    message.has_battery = strcmp(type, "bat") == 0;
    message.has_temperature = strcmp(type, "temp") == 0;
    message.has_other = !message.has_battery && !message.has_temperature;
    if (message.has_temperature) {
        message.celsius = 4.5;
    }
    return message;
}

static int put_one(struct fixture *fixture, const char *type, int64_t time_ms,
                   enum store_outcome *outcome)
{
    const struct foxtrackr_message message = message_of(type, time_ms);
    const struct store_packet whole = packet("{\"a\":1}");

    return store_message(fixture->store, &message, &whole, outcome);
}

/* The next message of the type is not stored, and the sentence has `said`; without `sql` the same
 * message is. */
static void refused(struct fixture *fixture, const char *sql, const char *undo, const char *type,
                    const char *said)
{
    enum store_outcome outcome = STORE_STORED;

    look(fixture, sql);
    begin(fixture);
    assert_int_equal(put_one(fixture, type, 2000, &outcome), STORE_E_RETRY);
    if (strstr(store_error(fixture->store), said) == NULL) {
        fail_msg("\"%s\" does not have \"%s\"", store_error(fixture->store), said);
    }
    store_rollback(fixture->store);
    assert_counts(fixture, 0, 0, 0);
    look(fixture, undo);
    begin(fixture);
    assert_int_equal(put_one(fixture, type, 2000, &outcome), STORE_OK);
    assert_int_equal(outcome, STORE_STORED);
    store_rollback(fixture->store);
}

static void a_trigger_ignores_rows(void **state)
{
    static const struct {
        const char *table;
        const char *type;
    } cases[] = {
        {"battery", "bat"}, {"temperature", "temp"}, {"messages", "gps"}, {"devices", "bat"}};
    struct fixture *fixture = *state;
    char sql[160];
    char said[64];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(sql, sizeof(sql),
                 "CREATE TRIGGER mine BEFORE INSERT ON %s BEGIN SELECT RAISE(IGNORE); END",
                 cases[i].table);
        snprintf(said, sizeof(said), "put into the table %s and is not there", cases[i].table);
        refused(fixture, sql, "DROP TRIGGER mine", cases[i].type, said);
    }
}

static void a_trigger_ignores_quarantine(void **state)
{
    const struct foxtrackr_problem problem = {FOXTRACKR_E_JSON, "line 1: '}' expected"};
    const struct store_packet whole = packet("{");
    struct fixture *fixture = *state;

    look(fixture,
         "CREATE TRIGGER mine BEFORE INSERT ON quarantine BEGIN SELECT RAISE(IGNORE); END");
    begin(fixture);
    assert_int_equal(store_quarantine(fixture->store, &problem, &whole), STORE_E_RETRY);
    store_rollback(fixture->store);
    look(fixture, "DROP TRIGGER mine");
    begin(fixture);
    for (int i = 0; i < 2; i++) { /* the second time it counts the occurrence */
        assert_int_equal(store_quarantine(fixture->store, &problem, &whole), STORE_OK);
    }
    commit(fixture);
}

static void a_trigger_ignores_the_inbox(void **state)
{
    const struct store_inbox_message message = {
        .n = 1, .device = STORE_NO_DEVICE, .client_id = "id-a-01", .packet = packet("{\"a\":1}")};
    struct fixture *fixture = *state;

    look(fixture, "CREATE TRIGGER mine BEFORE INSERT ON inbox WHEN new.n = 1"
                  " BEGIN SELECT RAISE(IGNORE); END");
    begin(fixture);
    assert_int_equal(store_inbox_put(fixture->store, &message, 1), STORE_E_RETRY);
    store_rollback(fixture->store);
    look(fixture, "DROP TRIGGER mine");
    begin(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_inbox_put(fixture->store, &message, 1), STORE_OK);
    }
    store_rollback(fixture->store);
}

/* Another index than the key of the table is no reason to call a reading a duplicate. */
static void an_index_refuses_rows(void **state)
{
    struct fixture *fixture = *state;
    enum store_outcome outcome;

    begin(fixture);
    assert_int_equal(put_one(fixture, "bat", 1000, &outcome), STORE_OK);
    commit(fixture);
    look(fixture, "CREATE UNIQUE INDEX mine ON battery (voltage_v)");
    begin(fixture);
    assert_int_equal(put_one(fixture, "bat", 2000, &outcome), STORE_E_RETRY);
    assert_non_null(strstr(store_error(fixture->store), "UNIQUE constraint failed"));
    assert_non_null(strstr(store_error(fixture->store), "drop the index or the trigger"));
    store_rollback(fixture->store);
    begin(fixture);
    assert_int_equal(put_one(fixture, "bat", 1000, &outcome), STORE_OK);
    assert_int_equal(outcome, STORE_DUPLICATE);
    commit(fixture);
    assert_counts(fixture, 1, 1, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_trigger_ignores_rows),
        test(a_trigger_ignores_quarantine),
        test(a_trigger_ignores_the_inbox),
        test(an_index_refuses_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
