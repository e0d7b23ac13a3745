/*
 * Goal: readings that are copied into their tables become what they become through `stage`, and a
 * row that is there already, or one that a trigger ignores, is found all the same.
 */
#include "pg_messages.h"

#include "store/postgresql/batch_internal.h"

#define DEVICES 100
#define ALWAYS  1000000 /* new rows: the direct way is taken */

static const char *name_of(int device)
{
    static char name[16];

    snprintf(name, sizeof(name), "d%d", device);
    return name;
}

/* Applies a reading of each device: volts, and every second time degrees and a value of its own. */
static void apply_fleet(struct store *store, int64_t time_ms)
{
    for (int device = DEVICES - 1; device >= 0; device--) {
        const char *data =
            device % 2 == 0 ? VOLTS("3.7") ",\"temperature\":{\"celsius\":21.5,\"x\":\"\\u00e9\"}"
                            : VOLTS("3.6");
        const struct store_packet packet = reading(name_of(device), name_of(device), time_ms, data);

        apply(store, &packet);
    }
}

static void commit_fleet(struct store *store, int64_t time_ms)
{
    memory_used = 0;
    begin(store);
    apply_fleet(store, time_ms);
    commit(store);
}

#define ROWS                                                                                       \
    "SELECT md5(string_agg(concat_ws(' ', device_id, voltage_v, level_pct, b.message_type,"        \
    " b.extra, b.received_ms, celsius, t.message_type, t.extra, t.received_ms), ',' ORDER BY"      \
    " device_id)) || count(*) || ' ' || count(celsius) FROM battery AS b JOIN devices USING"       \
    " (device) LEFT JOIN temperature AS t USING (device, time_ms) WHERE time_ms - 1780000000000 "  \
    "= "

static void test_rows_are_those_of_the_other_way(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    char staged[128];

    commit_fleet(store, 1000);
    assert_int_equal(store->batch->way, BATCH_STAGED);
    store->new_rows = ALWAYS;
    commit_fleet(store, 2000);
    assert_int_equal(store->batch->way, BATCH_DIRECT);
    assert_counts(store, 2 * DEVICES, 0, 0);
    assert_pg(fixture, RUNS, "200 200 0 0");
    snprintf(staged, sizeof(staged), "%s", pg_look(fixture->super, ROWS "1000"));
    assert_string_equal(staged + 32, "100 50");
    assert_pg(fixture, ROWS "2000", staged);
}

/* Only what was new for a while is copied directly, and what comes twice in a batch goes once. */
static void test_the_way_is_chosen(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    int staged = 0;

    for (int i = 0; i < 100 && (i == 0 || store->batch->way == BATCH_STAGED); i++, staged++) {
        commit_fleet(store, i);
    }
    assert_int_equal(staged, 1 + (10000 + 149) / 150);
    memory_used = 0;
    begin(store);
    apply_fleet(store, 5000);
    apply_fleet(store, 5000);
    commit(store);
    assert_int_equal(store->batch->way, BATCH_DIRECT);
    assert_counts(store, DEVICES * ((uint64_t)staged + 1), DEVICES, 0);
    /* A message of another type, or a device that was not known: in a statement, or a transaction
     * that is open already. */
    memory_used = 0;
    begin(store);
    apply_fleet(store, 6000);
    apply(store, &(struct store_packet){.topic = "foxtrackr/d1/V3.0/gps",
                                        .topic_length = 21,
                                        .payload = keep("{\"messageType\":2,\"deviceId\":\"d1\","
                                                        "\"version\":3,\"timeMs\":1780000000001}"),
                                        .payload_length = 68,
                                        .received_ms = PG_NOW_MS});
    commit(store);
    assert_int_equal(store->batch->way, BATCH_STAGED);
    memory_used = 0;
    begin(store);
    apply_fleet(store, 7000);
    apply(store, &(struct store_packet[]){reading("new", "new", 7000, VOLTS("3.5"))}[0]);
    commit(store);
    assert_int_equal(store->batch->way, BATCH_STAGED);
    assert_pg(fixture, "SELECT count(*) FROM battery WHERE time_ms >= 1780000005000", "301");
}

static void test_a_row_was_there(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_packet other;

    commit_fleet(store, 1000);
    store->new_rows = ALWAYS;
    memory_used = 0;
    other = reading("d7", "d7", 1000, VOLTS("3.9"));
    begin(store);
    apply_fleet(store, 2000);
    apply_fleet(store, 1000);
    apply(store, &other);
    commit(store);
    assert_int_equal(store->batch->way, BATCH_STAGED);
    assert_int_equal(store->new_rows, 0);
    assert_false(store->cautious);
    assert_counts(store, 2 * DEVICES, DEVICES, 1);
    assert_pg(fixture, RUNS, "301 200 100 1");
    assert_pg(fixture, "SELECT count(*) || ' ' || count(DISTINCT time_ms) FROM battery", "200 2");
    assert_pg(fixture, "SELECT reason || ' ' || occurrences FROM quarantine", "conflict 1");
    /* As is one of the second table alone, when the first was copied. */
    pg_look(fixture->super, "DELETE FROM battery WHERE time_ms = 1780000001000");
    store->new_rows = ALWAYS;
    commit_fleet(store, 1000);
    assert_int_equal(store->batch->way, BATCH_STAGED);
    assert_pg(fixture, "SELECT count(*) FROM battery", "200");
    assert_pg(fixture, "SELECT count(*) FROM temperature", "100");
    commit_fleet(store, 3000);
    assert_int_equal(store->batch->way, BATCH_STAGED);
}

static void test_a_trigger_ignores_a_row(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;

    commit_fleet(store, 1000);
    pg_look(fixture->super,
            "CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.celsius > 20 AND NEW.device % 10 = 1 THEN RETURN NULL; END IF; RETURN NEW;"
            " END $$; CREATE TRIGGER odd BEFORE INSERT ON temperature FOR EACH ROW"
            " EXECUTE FUNCTION ignore()");
    store->new_rows = ALWAYS;
    memory_used = 0;
    begin(store);
    apply_fleet(store, 2000);
    assert_int_equal(store_commit(store), STORE_E_RETRY);
    assert_non_null(strstr(store_error(store), "drop the trigger that ignores it"));
    assert_int_equal(store_rollback(store), STORE_OK);
    pg_look(fixture->super, "DROP TRIGGER odd ON temperature");
    commit_fleet(store, 2000);
    assert_counts(store, 2 * DEVICES, 0, 0);
    assert_pg(fixture, "SELECT count(*) FROM temperature", "100");
}

/* A constraint that somebody has added: the message goes to quarantine, and the others are stored.
 */
static void test_a_row_that_a_constraint_refuses(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_packet odd;

    commit_fleet(store, 1000);
    pg_look(fixture->super, "ALTER TABLE battery ADD CONSTRAINT sane CHECK (voltage_v < 4)");
    store->new_rows = ALWAYS;
    for (int i = 0; i < 2; i++) {
        memory_used = 0;
        odd = reading("d7", "d7", 2001, VOLTS("4.9"));
        begin(store);
        apply(store, &odd);
        apply_fleet(store, 2000);
        assert_int_equal(store_commit(store), i == 0 ? STORE_E_RETRY : STORE_OK);
        if (i == 0) {
            assert_true(store->cautious);
            assert_int_equal(store_rollback(store), STORE_OK);
        }
    }
    assert_counts(store, 2 * DEVICES, 0, 1);
    assert_pg(fixture, "SELECT count(*) FROM battery", "200");
}

/* The server ends the connection while rows are copied: nothing is stored, nothing is lost. */
static void test_the_connection_ends(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;

    commit_fleet(store, 1000);
    pg_look(fixture->super,
            "CREATE FUNCTION fall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;"
            " CREATE TRIGGER odd BEFORE INSERT ON battery FOR EACH ROW EXECUTE FUNCTION fall()");
    store->new_rows = ALWAYS;
    memory_used = 0;
    begin(store);
    apply_fleet(store, 2000);
    assert_int_equal(store_commit(store), STORE_E_RETRY);
    assert_int_equal(store_rollback(store), STORE_OK);
    pg_look(fixture->super, "DROP TRIGGER odd ON battery");
    commit_fleet(store, 2000);
    assert_int_equal(store->batch->way, BATCH_STAGED); /* of a new connection nothing is known */
    assert_counts(store, 2 * DEVICES, 0, 0);
    assert_pg(fixture, "SELECT count(*) FROM battery", "200");
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, pg_make_open, pg_remove)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH(test_rows_are_those_of_the_other_way),
        WITH(test_the_way_is_chosen),
        WITH(test_a_row_was_there),
        WITH(test_a_trigger_ignores_a_row),
        WITH(test_a_row_that_a_constraint_refuses),
        WITH(test_the_connection_ends),
    };

    (void)argc;
    pg_need_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
