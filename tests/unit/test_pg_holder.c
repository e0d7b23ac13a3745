/*
 * Goal: a daemon that has the sessions keeps them while it lives, gives up at once when another one
 * has them, and trusts no server that does not keep what it commits.
 */
#include "pg_messages.h"

#include "base/clock.h"
#include "store/measures.h"

static int measure(struct store *store, struct store_measures *out)
{
    store->spoke_ms = store->measured_ms = store->dialled_ms = 0; /* all is due */
    return store_measure(store, out);
}

/* While no message comes, too. */
static void test_an_idle_daemon_takes_its_sessions_again(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_measures measures;
    struct store *other = NULL;

    assert_int_equal(measure(fixture->store, &measures), STORE_OK);
    assert_true(measures.database_bytes > 1000000);
    end_backend(fixture);
    assert_int_equal(measure(fixture->store, &measures), STORE_OK); /* notices it */
    assert_int_equal(fixture->store->link, PG_CLOSED);
    assert_int_equal(measure(fixture->store, &measures), STORE_OK);
    assert_int_equal(fixture->store->link, PG_HOLDER);
    assert_int_equal(pg_open_as(fixture, "id-a-01", false, &other), STORE_E_LOCKED);
    assert_non_null(strstr(fixture->problem, "has the client id id-a-01: stop that daemon, or set "
                                             "standby = yes in both, or another session.number"));
    /* A server that cannot be asked is no reason to end. */
    pg_look(fixture->super, "ALTER ROLE foxtrackrd CONNECTION LIMIT 0");
    end_backend(fixture);
    assert_int_equal(measure(fixture->store, &measures), STORE_OK);
    assert_int_equal(measure(fixture->store, &measures), STORE_OK);
    pg_look(fixture->super, "ALTER ROLE foxtrackrd CONNECTION LIMIT -1");
    /* Another one is quicker. */
    assert_int_equal(pg_open_as(fixture, "id-a-01", false, &other), STORE_OK);
    assert_int_equal(measure(fixture->store, &measures), STORE_E_LOST);
    assert_non_null(strstr(store_error(fixture->store), "has the client ids of this daemon now"));
    assert_non_null(strstr(store_error(fixture->store), "cut off from the server for too long; "
                                                        "stop one of them"));
    store_close(other);
}

/* A cut that the server has not noticed leaves a connection that holds the locks. */
static void test_its_own_earlier_connection_is_no_other_daemon(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *again = NULL;
    struct store_holder holder;
    int result = STORE_E_WAIT;

    assert_int_equal(pg_open_as(fixture, "id-a-02", true, &again), STORE_OK);
    again->lock_keys[0] = fixture->store->lock_keys[0];
    snprintf(again->token, sizeof(again->token), "%s", fixture->store->token);
    assert_int_equal(store_take(again, &holder), STORE_E_WAIT);
    assert_non_null(strstr(store_error(again), "its earlier connection"));
    for (int i = 0; i < 1000 && result == STORE_E_WAIT; i++) {
        usleep(10000);
        result = store_take(again, &holder);
    }
    assert_int_equal(result, STORE_OK);
    store_close(again);
}

static void set_server(struct pg_fixture *fixture, const char *name, const char *value)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "ALTER SYSTEM SET %s = %s", name, value);
    pg_look(fixture->super, sql);
    pg_look(fixture->super, "SELECT pg_reload_conf()");
}

/* The server's processes read it between two statements, each when it is told. */
static void assert_distrusted(struct pg_fixture *fixture, const char *name)
{
    struct store *store = fixture->store;
    struct store_measures measures;
    char sentence[64];

    begin(store);
    commit(store);
    set_server(fixture, name, "off");
    for (int i = 0; i < 1000 && store->link == PG_HOLDER; i++) {
        usleep(10000);
        assert_int_equal(measure(store, &measures), STORE_OK);
        store->dialled_ms = clock_monotonic_ms();
    }
    snprintf(sentence, sizeof(sentence), " has %s = off", name);
    assert_int_equal(store_begin(store), STORE_E_RETRY);
    assert_non_null(strstr(store_error(store), sentence));
    assert_int_equal(store_rollback(store), STORE_OK);
    set_server(fixture, name, "DEFAULT");
    for (int i = 0; i < 1000 && store_begin(store) != STORE_OK; i++) {
        usleep(10000);
    }
    commit(store);
}

static void test_a_server_that_keeps_nothing_any_more(void **state)
{
    assert_distrusted(*state, "fsync");
    assert_distrusted(*state, "synchronous_commit");
}

static bool stops(void)
{
    return true;
}

/* SIGTERM while the server does not answer a COMMIT. */
static void test_a_stop_ends_a_long_wait(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct store_packet packet = reading("d", "d", 1000, VOLTS("3.7"));

    begin(store);
    apply(store, &packet);
    assert_int_equal(store_flush(store), STORE_OK);
    pg_look(fixture->super, "BEGIN; SELECT * FROM runs FOR UPDATE"); /* the COMMIT's UPDATE waits */
    store->stopped = stops;
    store->stop_ms = clock_monotonic_ms() - 2500;
    assert_int_equal(store_commit(store), STORE_E_RETRY);
    assert_true(clock_monotonic_ms() - store->stop_ms < 15000); /* of 20 s */
    assert_non_null(strstr(store_error(store), "stopped before the server answered"));
    assert_int_equal(store_rollback(store), STORE_OK);
    pg_look(fixture->super, "COMMIT");
}

/* SIGTERM while a tool's COMMIT is on its way: what it has changed has to be in its summary. */
static void test_a_stop_waits_for_the_commit_of_a_tool(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    PGresult *answer = NULL;

    pg_look(fixture->super,
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';"
            "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON limits DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION slow()");
    store->run = 0;
    assert_int_equal(pg_own_begin(store), STORE_OK);
    assert_int_equal(pg_simple(store, "INSERT INTO limits (celsius_max) VALUES (1) RETURNING 1",
                               "test", &answer),
                     STORE_OK);
    PQclear(answer);
    store->stopped = stops;
    assert_int_equal(pg_own_commit(store), STORE_OK);
    store->stopped = NULL;
    assert_string_equal(pg_look(fixture->super, "SELECT count(*) FROM limits"), "1");
}

static void test_a_database_with_another_encoding(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = NULL;
    char sql[256];
    char name[64];

    snprintf(name, sizeof(name), "%s_latin", fixture->database);
    snprintf(sql, sizeof(sql),
             "CREATE DATABASE %s OWNER foxtrackrd ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
             " TEMPLATE template0",
             name);
    pg_look(fixture->super, sql);
    pg_uri("foxtrackrd", name, fixture->uri, sizeof(fixture->uri));
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "its encoding is LATIN1: create the database with"));
}

/* A server that refuses the connection says why, and what to do about it. */
static void test_connections_that_are_refused(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = NULL;
    char uri[sizeof(fixture->uri)];

    snprintf(uri, sizeof(uri), "%s", fixture->uri);
    pg_uri("foxtrackrd", "nowhere", fixture->uri, sizeof(fixture->uri));
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "FATAL:  database \"nowhere\" does not exist (3D000);"
                                             " create the database"));
    pg_uri("stranger", fixture->database, fixture->uri, sizeof(fixture->uri));
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "does not exist (28000); check the user"));
    snprintf(fixture->uri, sizeof(fixture->uri), "%s", uri);
    pg_look(fixture->super, "ALTER ROLE foxtrackrd CONNECTION LIMIT 0");
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_E_WAIT);
    assert_non_null(strstr(fixture->problem, "(53300); raise max_connections"));
    pg_look(fixture->super, "ALTER ROLE foxtrackrd CONNECTION LIMIT -1");
    assert_int_equal(pg_open_as(fixture, "a", false, &store), STORE_OK);
    store_close(store);
}

/* Waits until the store notices a change of another program since *before, and takes the new
 * version for the present one. */
static void wait_noticed(struct pg_fixture *fixture, int64_t *before)
{
    int64_t after = *before;

    for (int i = 0; i < 1000 && after == *before; i++) {
        usleep(10000);
        pg_look(fixture->super, "SELECT pg_stat_force_next_flush()");
        fixture->store->others_ms = 0;
        assert_int_equal(store_version_of_others(fixture->store, &after), STORE_OK);
    }
    assert_int_not_equal(after, *before);
    *before = after;
}

/* Another program empties quarantine, or people set limits: the summary is read again, and the
 * devices are counted again. Without the table of limits the rest is still noticed. */
static void test_changes_of_others_are_noticed(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct store_packet packet = make("foxtrackr/d2/V3.0/bat", "{oops", PG_NOW_MS);
    struct store_summary summary;
    int64_t version = 0;

    begin(store);
    apply(store, &packet);
    commit(store);
    assert_int_equal(store_summary(store, &summary), STORE_OK);
    assert_int_equal(summary.quarantine_entries, 1);
    assert_int_equal(store_version_of_others(store, &version), STORE_OK);
    pg_look(fixture->super, "INSERT INTO limits (celsius_max) VALUES (8)");
    wait_noticed(fixture, &version);
    pg_look(fixture->super, "DROP TABLE limits CASCADE");
    wait_noticed(fixture, &version);
    pg_look(fixture->super, "DELETE FROM quarantine");
    wait_noticed(fixture, &version);
    assert_int_equal(store_summary(store, &summary), STORE_OK);
    assert_int_equal(summary.quarantine_entries, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, pg_make_open, pg_remove)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH(test_an_idle_daemon_takes_its_sessions_again),
        WITH(test_its_own_earlier_connection_is_no_other_daemon),
        WITH(test_a_server_that_keeps_nothing_any_more),
        WITH(test_a_stop_ends_a_long_wait),
        WITH(test_a_stop_waits_for_the_commit_of_a_tool),
        WITH(test_changes_of_others_are_noticed),
        cmocka_unit_test_setup_teardown(test_connections_that_are_refused, pg_make, pg_remove),
        cmocka_unit_test_setup_teardown(test_a_database_with_another_encoding, pg_make, pg_remove),
    };

    (void)argc;
    pg_need_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
