/*
 * Goal: the PostgreSQL engine stores, judges and counts as SQLite's does; a COMMIT whose answer is
 * lost is neither lost nor counted twice; and a daemon without the lock commits nothing.
 */
#include "pg_messages.h"

#include <pthread.h>
#include <time.h>

static void test_readings_become_rows(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_packet packets[] = {
        reading("d1", "d1", 1000, VOLTS("3.7")),
        reading("herd", "d1", 1000, VOLTS("3.7")), /* the same, on the group's topic */
        reading("d2", "d2", 1000, VOLTS("3.5") ",\"temperature\":{\"celsius\":21.5}"),
        make("foxtrackr/d2/V3.0/gps",
             "{\"messageType\":2,\"deviceId\":\"d2\",\"version\":3,\"timeMs\":1780000001001,"
             "\"gps\":{\"x\": "
             "1}}",
             PG_NOW_MS),
        make("foxtrackr/d2/V3.0/bat", "{oops", PG_NOW_MS),
    };

    begin(store);
    for (int i = 0; i < 5; i++) {
        apply(store, &packets[i]);
    }
    assert_pg(fixture, "SELECT count(*) FROM battery", "0");
    commit(store);
    assert_counts(store, 3, 1, 1);
    assert_int_equal(fixture->understood, 4);
    assert_int_equal(fixture->quarantined, 1);
    assert_pg(fixture, RUNS, "5 3 1 1");
    assert_pg(
        fixture,
        "SELECT string_agg(concat_ws(' ', device_id, time_ms - 1780000000000, voltage_v, level_pct,"
        " message_type, received_ms - 1790000000000), ', ' ORDER BY device_id)"
        " FROM battery JOIN devices USING (device)",
        "d1 1000 3.7 1 5, d2 1000 3.5 1 5");
    assert_pg(fixture,
              "SELECT string_agg(concat_ws(' ', device_id, celsius), ', ')"
              " FROM temperature JOIN devices USING (device)",
              "d2 21.5");
    assert_pg(fixture, "SELECT body FROM messages", (const char *)packets[3].payload);
    assert_pg(fixture,
              "SELECT concat_ws(' ', group_name, device_id) FROM device_groups"
              " JOIN devices USING (device)",
              "herd d1");
    assert_pg(fixture,
              "SELECT concat_ws(' ', topic, convert_from(payload, 'UTF8'), reason,"
              " occurrences) FROM quarantine",
              "foxtrackr/d2/V3.0/bat {oops json 1");
    /* Everything again: duplicates, and the entry counts. */
    begin(store);
    for (int i = 0; i < 5; i++) {
        apply(store, &packets[i]);
    }
    commit(store);
    assert_counts(store, 3, 5, 2);
    assert_pg(fixture, "SELECT occurrences FROM quarantine", "2");
    assert_pg(fixture, "SELECT count(*) FROM battery", "2");
}

static void test_a_conflict_goes_to_quarantine(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct store_packet first = reading("d", "d", 1000, VOLTS("3.7"));
    const struct store_packet other =
        reading("d", "d", 1000, VOLTS("3.6") ",\"temperature\":{\"celsius\":21}");
    const char *detail = "battery.voltage_v is 3.7 for this device and time, the message says 3.6; "
                         "its temperature is stored";

    begin(store);
    apply(store, &first);
    apply(store, &other); /* in one batch */
    commit(store);
    assert_string_equal(fixture->last_detail, detail);
    assert_counts(store, 1, 0, 1);
    begin(store);
    apply(store, &other); /* against the stored row; its temperature is there now */
    commit(store);
    assert_string_equal(fixture->last_detail, detail);
    assert_counts(store, 1, 0, 2);
    assert_pg(fixture, "SELECT concat_ws(' ', reason, occurrences, detail) FROM quarantine",
              "conflict 2 battery.voltage_v is 3.7 for this device and time, the message says 3.6;"
              " its temperature is stored");
    assert_pg(fixture, "SELECT voltage_v FROM battery", "3.7");
    assert_pg(fixture, "SELECT celsius FROM temperature", "21");
}

static void test_what_jsonb_refuses_goes_to_quarantine(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct store_packet packets[] = {
        reading("d", "d", 1000, VOLTS("3.7") ",\"note\":1e-2000"),
        make("foxtrackr/d/V3.0/gps",
             "{\"messageType\":2,\"deviceId\":\"d\",\"version\":3,\"timeMs\":1780000000001,\"x\":-"
             "1e-2000}",
             1),
    };

    begin(store);
    apply(store, &packets[0]);
    apply(store, &packets[1]);
    commit(store);
    assert_counts(store, 0, 0, 2);
    assert_pg(fixture, "SELECT string_agg(DISTINCT reason, ' ') FROM quarantine", "json");
    assert_pg(fixture, "SELECT count(*) FROM battery", "0");
}

/* A month that is not there is made with the batch, and goes with it. */
static void test_months_are_made(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct store_packet late = reading("d", "d", PG_NOW_MS + 86000000 - BASE, VOLTS("3.7"));
    const struct store_packet old = reading("d", "d", 1262304000005 - BASE, VOLTS("3.7"));

    pg_look(fixture->super, "DO $$ DECLARE n text; BEGIN FOR n IN SELECT name FROM"
                            " foxtrackr_partitions WHERE from_ms > 1780000000000 LOOP"
                            " EXECUTE 'DROP TABLE ' || n; END LOOP; END $$");
    begin(store);
    apply(store, &late);
    apply(store, &old);
    assert_int_equal(store_flush(store), STORE_OK);
    assert_int_equal(store_rollback(store), STORE_OK);
    assert_pg(fixture, "SELECT count(*) FROM foxtrackr_partitions WHERE from_ms > 1780000000000",
              "0");
    begin(store);
    apply(store, &late);
    apply(store, &old);
    commit(store);
    assert_counts(store, 2, 0, 0);
    assert_pg(fixture,
              "SELECT string_agg(tableoid::regclass::text, ' ' ORDER BY time_ms) FROM battery",
              "battery_before battery_2026_09");
}

static void test_an_empty_batch_proves_that_the_database_commits(void **state)
{
    struct pg_fixture *fixture = *state;

    begin(fixture->store);
    commit(fixture->store);
    assert_pg(fixture, RUNS, "0 0 0 0");
    pg_look(fixture->super, "UPDATE runs SET received = 1, stored = 1"); /* another program */
    begin(fixture->store);
    assert_int_equal(store_commit(fixture->store), STORE_FATAL);
    store_rollback(fixture->store);
}

/* --- lost connections ------------------------------------------------------------------------ */

static void test_a_connection_that_is_lost_before_the_commit(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct store_packet packet = reading("d", "d", 1000, VOLTS("3.7"));

    begin(store);
    apply(store, &packet);
    assert_int_equal(store_flush(store), STORE_OK);
    end_backend(fixture);
    assert_int_equal(store_commit(store), STORE_E_RETRY);
    assert_int_equal(store_rollback(store), STORE_OK);
    assert_counts(store, 0, 0, 0);
    begin(store);
    apply(store, &packet);
    commit(store);
    assert_counts(store, 1, 0, 0);
    assert_pg(fixture, RUNS, "1 1 0 0");
    /* Lost while idle. */
    end_backend(fixture);
    begin(store); /* it is not known yet */
    apply(store, &packet);
    assert_int_equal(store_commit(store), STORE_E_RETRY);
    assert_int_equal(store_rollback(store), STORE_OK);
    begin(store);
    apply(store, &packet);
    commit(store);
    assert_counts(store, 1, 1, 0);
    assert_pg(fixture, RUNS, "2 1 1 0");
}

static void set_standby(struct pg_fixture *fixture, const char *names)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "ALTER SYSTEM SET synchronous_standby_names = '%s'", names);
    pg_look(fixture->super, "SET synchronous_commit = off");
    pg_look(fixture->super, sql);
    pg_look(fixture->super, "SELECT pg_reload_conf()");
    snprintf(sql, sizeof(sql), "SELECT current_setting('synchronous_standby_names') = '%s'", names);
    for (int i = 0; i < 1000 && strcmp(pg_look(fixture->super, sql), "t") != 0; i++) {
        usleep(10000);
    }
    usleep(300000); /* the other processes of the server read it between statements */
}

struct interruption {
    char uri[256];
    const char *function;
};

/* Waits until a COMMIT waits for the standby, and ends the wait. */
static void *interrupt(void *context)
{
    const struct interruption *interruption = context;
    PGconn *db = PQconnectdb(interruption->uri);
    char sql[256];

    snprintf(sql, sizeof(sql),
             "SELECT %s(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
             " AND usename = 'foxtrackrd' AND datname = current_database()",
             interruption->function);
    for (int i = 0; i < 2000; i++) {
        PGresult *found = PQexec(db, sql);
        int rows = PQntuples(found);

        PQclear(found);
        if (rows > 0) {
            break;
        }
        usleep(5000);
    }
    PQfinish(db);
    return NULL;
}

/* Commits a batch whose COMMIT takes effect and is not told so. */
static void lose_answer(struct pg_fixture *fixture, const char *function)
{
    struct interruption interruption = {.function = function};
    pthread_t thread;

    pg_uri("postgres", fixture->database, interruption.uri, sizeof(interruption.uri));
    set_standby(fixture, "nobody");
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &interruption), 0);
    assert_int_equal(store_commit(fixture->store), STORE_E_RETRY);
    pthread_join(thread, NULL);
    set_standby(fixture, "");
}

static void check_lost_answer(struct pg_fixture *fixture, const char *function)
{
    struct store *store = fixture->store;
    const struct store_packet packets[] = {
        reading("d", "d", 1000, VOLTS("3.7")),
        reading("d", "d", 1000, VOLTS("3.6")), /* conflict */
        make("foxtrackr/d/V3.0/bat", "{oops", PG_NOW_MS),
        reading("d", "d", 2000, VOLTS("3.7")),
    };
    struct store_measures measures;

    begin(store);
    for (int i = 0; i < 3; i++) {
        apply(store, &packets[i]);
    }
    lose_answer(fixture, function);
    assert_int_equal(store_rollback(store), STORE_OK);
    assert_pg(fixture, RUNS, "3 1 0 2"); /* it did take effect */

    /* The same messages again, and one more; a rollback in between changes nothing. */
    begin(store);
    apply(store, &packets[0]);
    assert_int_equal(store_rollback(store), STORE_OK);
    begin(store);
    apply(store, &packets[0]);
    apply(store, &packets[1]);
    commit(store); /* a smaller batch */
    assert_pg(fixture, RUNS, "3 1 0 2");
    assert_int_equal(store_measure(store, &measures), STORE_OK);
    assert_int_equal(measures.link.reconnects, 1);
    assert_int_equal(measures.link.unknown_commits, 1);
    assert_int_equal(measures.link.committed_after_all, 1);
    assert_non_null(strstr(measures.link.server, "PostgreSQL "));
    begin(store);
    apply(store, &packets[2]);
    apply(store, &packets[3]);
    commit(store);
    assert_counts(store, 2, 0, 2);
    assert_pg(fixture, RUNS, "4 2 0 2");
    assert_pg(fixture, "SELECT string_agg(occurrences::text, ' ') FROM quarantine", "1 1");
    /* From the broker again: counted, as any delivery. */
    begin(store);
    for (int i = 0; i < 3; i++) {
        apply(store, &packets[i]);
    }
    commit(store);
    assert_counts(store, 2, 1, 4);
    assert_pg(fixture, "SELECT string_agg(occurrences::text, ' ') FROM quarantine", "2 2");
}

static void test_a_commit_whose_connection_is_lost(void **state)
{
    check_lost_answer(*state, "pg_terminate_backend");
}

static void test_a_commit_that_did_not_wait_for_the_standby(void **state)
{
    check_lost_answer(*state, "pg_cancel_backend");
}

/* --- locks ----------------------------------------------------------------------------------- */

static void test_one_daemon_has_a_client_id(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_holder holder;
    struct store *other = NULL;
    struct store *waiting = NULL;

    assert_int_equal(pg_open_as(fixture, "id-a-01", false, &other), STORE_E_LOCKED);
    assert_non_null(strstr(fixture->problem, "process "));
    assert_int_equal(pg_open_as(fixture, "id-a-02", false, &other), STORE_OK);
    assert_int_equal(store_run_begin(other, "t", PG_NOW_MS), STORE_OK);
    store_close(other);
    /* All client ids or none: one that waits for the first keeps nobody from the second. */
    assert_int_equal(pg_open_as(fixture, "id-a-01", true, &waiting), STORE_OK);
    waiting->lock_keys[1] = pg_lock_key("session", "broker:8883", "id-a-03");
    waiting->client_count = 2;
    assert_int_equal(store_take(waiting, &holder), STORE_E_LOCKED);
    assert_int_equal(pg_open_as(fixture, "id-a-03", false, &other), STORE_OK);
    store_close(other);
    waiting->client_count = 1;
    assert_int_equal(store_take(waiting, &holder), STORE_E_LOCKED);
    assert_true(holder.silent_ms < 8000);
    /* The holder's connection is lost, and the standby is quicker. */
    end_backend(fixture);
    while (store_take(waiting, &holder) != STORE_OK) {
        usleep(10000); /* its own connection was ended, too */
    }
    assert_int_equal(store_run_begin(waiting, "t", PG_NOW_MS), STORE_OK);
    begin(waiting);
    commit(waiting);
    assert_int_equal(
        store_begin(fixture->store) == STORE_OK ? store_commit(fixture->store) == STORE_OK : 0, 0);
    store_rollback(fixture->store);
    assert_int_equal(store_begin(fixture->store), STORE_E_LOST);
    store_close(waiting);
}

static void test_what_is_refused(void **state)
{
    struct pg_fixture *fixture = *state;
    char sql[128];
    char uri[sizeof(fixture->uri)];
    struct store *store = NULL;

    snprintf(sql, sizeof(sql), "ALTER DATABASE %s SET synchronous_commit = off", fixture->database);
    pg_look(fixture->super, sql);
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "the connection has synchronous_commit = off"));
    snprintf(sql, sizeof(sql), "ALTER DATABASE %s RESET ALL", fixture->database);
    pg_look(fixture->super, sql);
    snprintf(uri, sizeof(uri), "%s", fixture->uri);
    snprintf(fixture->uri, sizeof(fixture->uri), "%.200s&options=-csynchronous_commit%%3Doff", uri);
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "the connection has synchronous_commit = off"));
    assert_non_null(
        strstr(fixture->problem, "set it to on; the options of database.uri, the role, "));
    snprintf(fixture->uri, sizeof(fixture->uri), "%s", uri);
    snprintf(sql, sizeof(sql), "ALTER DATABASE %s OWNER TO postgres", fixture->database);
    pg_look(fixture->super, sql);
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "OWNER TO"));
    snprintf(sql, sizeof(sql), "ALTER DATABASE %s OWNER TO foxtrackrd", fixture->database);
    pg_look(fixture->super, sql);
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_OK);
    store_close(store);
    pg_look(fixture->super, "UPDATE schema_version SET version = 99");
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_NEWER);
    snprintf(fixture->uri, sizeof(fixture->uri), "postgresql:///x?host=/nonexistent&user=x");
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_WAIT);
    fixture->store = NULL;
}

/* A daemon and a tool refuse the database with one sentence, which says this. */
static void assert_not_ours(struct pg_fixture *fixture, const char *says)
{
    const struct store_options reading = {.engine = CONFIG_POSTGRESQL,
                                          .path = fixture->database,
                                          .uri = fixture->uri,
                                          .busy_timeout_ms = 5000,
                                          .answer_timeout_ms = 20000,
                                          .read_only = true};
    char problem[PG_ERROR_SIZE];
    struct store *store = NULL;

    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, says));
    assert_non_null(strstr(fixture->problem, "name another database or schema"));
    assert_int_equal(store_postgresql.open(&reading, &store, problem, sizeof(problem)),
                     STORE_E_PATH);
    assert_string_equal(problem, fixture->problem);
}

static void test_tables_of_its_names_without_a_version(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = NULL;

    pg_look(fixture->super, "CREATE TABLE unrelated (x int); CREATE SCHEMA other;"
                            "CREATE TABLE other.runs (x int); CREATE TABLE battery (x int)");
    assert_not_ours(fixture, "its schema public has battery, which is a name of foxtrackrd's "
                             "tables, but no schema_version: ");
    pg_look(fixture->super, "DROP TABLE battery; CREATE VIEW fleet AS SELECT 1 AS x");
    assert_not_ours(fixture, "has fleet, ");
    pg_look(fixture->super, "DROP VIEW fleet");
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_OK);
    store_close(store);
    pg_look(fixture->super, "DELETE FROM schema_version");
    assert_not_ours(fixture, "but no row in schema_version: these are another program's tables, or "
                             "schema_version was emptied");
    pg_look(fixture->super, "DROP TABLE schema_version");
    assert_not_ours(fixture, "or schema_version was dropped");
    assert_pg(fixture, "SELECT count(*) FROM runs", "0");
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, pg_make_open, pg_remove)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH(test_readings_become_rows),
        WITH(test_a_conflict_goes_to_quarantine),
        WITH(test_what_jsonb_refuses_goes_to_quarantine),
        WITH(test_months_are_made),
        WITH(test_an_empty_batch_proves_that_the_database_commits),
        WITH(test_a_connection_that_is_lost_before_the_commit),
        WITH(test_a_commit_whose_connection_is_lost),
        WITH(test_a_commit_that_did_not_wait_for_the_standby),
        WITH(test_one_daemon_has_a_client_id),
        cmocka_unit_test_setup_teardown(test_what_is_refused, pg_make, pg_remove),
        cmocka_unit_test_setup_teardown(test_tables_of_its_names_without_a_version, pg_make,
                                        pg_remove),
    };

    (void)argc;
    pg_need_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
