/*
 * Goal: what the server refuses or loses neither ends the daemon for no reason nor holds it up for
 * ever: a message with a content that is refused goes to quarantine, an older database leaves a gap
 * and a note, and every other error is tried again with a sentence that says what to do.
 */
#include "pg_messages.h"

#include "store/sessions.h"

#define POINTS "\"gps\":{\"x\":1}"

static struct store_packet other(const char *device, int64_t time_ms)
{
    char topic[128];
    char body[512];

    snprintf(topic, sizeof(topic), "foxtrackr/%s/V3.0/gps", device);
    snprintf(body, sizeof(body), BODY, device, (long long)(BASE + time_ms), POINTS);
    return make(topic, body, PG_NOW_MS + 5);
}

/* Applies as the writer does: a batch that fails is rolled back and applied again. Returns how
 * often it failed; the last sentence is in fixture->problem. */
static int store_all(struct pg_fixture *fixture, const struct store_packet *packets, int count)
{
    struct store *store = fixture->store;

    for (int failures = 0; failures < 5; failures++) {
        int result = store_begin(store);

        for (int i = 0; i < count && result == STORE_OK; i++) {
            result = store_apply(store, &packets[i]);
        }
        result = result == STORE_OK ? store_flush(store) : result;
        result = result == STORE_OK ? store_commit(store) : result;
        if (result == STORE_OK) {
            return failures;
        }
        snprintf(fixture->problem, sizeof(fixture->problem), "%s", store_error(store));
        if (result != STORE_E_RETRY || store_rollback(store) != STORE_OK) {
            fail_msg("%d: %s", result, fixture->problem);
        }
    }
    return 5;
}

/* --- content that is refused ----------------------------------------------------------------- */

static void as_owner(struct pg_fixture *fixture, const char *sql)
{
    pg_look(fixture->super, "SET ROLE foxtrackrd");
    pg_look(fixture->super, sql);
    pg_look(fixture->super, "RESET ROLE");
}

static void test_a_message_that_is_refused_is_found(void **state)
{
    struct pg_fixture *fixture = *state;
    const struct store_packet packets[] = {
        reading("d1", "d1", 1000, VOLTS("3.7")),
        reading("herd", "d1", 1000, VOLTS("3.7")),
        reading("d2", "d2", 1000, VOLTS("4.9") ",\"temperature\":{\"celsius\":20}"), /* refused */
        other("d2", 1000),
        make("foxtrackr/d2/V3.0/bat", "{oops", PG_NOW_MS),
        reading("d2", "d2", 1000, VOLTS("3.6")), /* with the key of the one that is refused */
        reading("d1", "d1", 1000, VOLTS("3.5")), /* conflict */
        reading("d3", "d3", 1000, VOLTS("4.8")), /* refused, and of a device that is new with it */
        reading("d3", "d3", 2000, VOLTS("3.7")),
    };

    as_owner(fixture, "ALTER TABLE battery ADD CONSTRAINT mine CHECK (voltage_v < 4.5)");
    assert_int_equal(store_all(fixture, packets, 9), 1);
    assert_counts(fixture->store, 4, 1, 4);
    assert_pg(fixture, RUNS, "9 4 1 4");
    assert_pg(fixture,
              "SELECT string_agg(concat_ws(' ', device_id, time_ms - 1780000000000, voltage_v),"
              " ', ' ORDER BY device_id) FROM battery JOIN devices USING (device)",
              "d1 1000 3.7, d2 1000 3.6, d3 2000 3.7");
    assert_pg(fixture, "SELECT count(*) FROM temperature", "0");
    assert_pg(fixture, "SELECT count(*) FROM messages", "1");
    assert_pg(fixture,
              "SELECT count(*) FROM quarantine WHERE reason = 'conflict' AND detail LIKE"
              " 'PostgreSQL refuses it: new row for relation%\"mine\" (23514)'",
              "2");
    /* The next batch is stored as ever. */
    assert_false(fixture->store->cautious);
    assert_int_equal(store_all(fixture, packets, 2), 0);
    assert_counts(fixture->store, 4, 3, 4);
}

static void test_values_that_are_refused(void **state)
{
    static const char *const codes[] = {"22003", "22P02", "54000", "23505"};
    struct pg_fixture *fixture = *state;
    char sql[1024];
    int64_t time_ms = 1000;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const struct store_packet packets[] = {other("d1", time_ms + 1),
                                               reading("d1", "d1", time_ms + 2, VOLTS("3.7")),
                                               other("d2", time_ms + 3)};

        time_ms += 3;
        snprintf(sql, sizeof(sql),
                 "CREATE OR REPLACE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " RAISE EXCEPTION 'not this: %%', repeat('\xc3\xa4', 300)"
                 " USING ERRCODE = '%s'; END $$;"
                 "CREATE OR REPLACE TRIGGER mine BEFORE INSERT ON battery FOR EACH ROW"
                 " EXECUTE FUNCTION mine()",
                 codes[i]);
        as_owner(fixture, sql);
        assert_int_equal(store_all(fixture, packets, 3), 1);
        assert_counts(fixture->store, 2 * (i + 1), 0, i + 1);
        assert_non_null(strstr(fixture->last_detail, "PostgreSQL refuses it: not this: \xc3\xa4"));
    }
    assert_pg(fixture, "SELECT string_agg(DISTINCT reason, ' ' ORDER BY reason) FROM quarantine",
              "conflict json");
}

/* A device's name, a group and a type of data are of any length, up to that of a topic: keys of an
 * index are not. */
static void test_names_that_no_index_takes(void **state)
{
    static char topic[3][9100];
    static char device[9000];
    static char body[3][10000];
    struct pg_fixture *fixture = *state;
    struct store_packet packets[4];
    unsigned seed = 1;

    for (size_t i = 0; i < 8000; i++) { /* nothing that can be compressed */
        seed = seed * 1103515245 + 12345;
        device[i] = (char)('a' + (seed >> 16) % 26);
    }
    snprintf(topic[0], sizeof(topic[0]), "foxtrackr/%s/V3.0/bat", device);
    snprintf(body[0], sizeof(body[0]), BODY, device, (long long)BASE + 1, VOLTS("3.7"));
    snprintf(topic[1], sizeof(topic[1]), "foxtrackr/%s/V3.0/bat", device); /* a group */
    snprintf(body[1], sizeof(body[1]), BODY, "d1", (long long)BASE + 1, VOLTS("3.7"));
    snprintf(topic[2], sizeof(topic[2]), "foxtrackr/d1/V3.0/%s", device); /* a type */
    snprintf(body[2], sizeof(body[2]),
             "{\"messageType\":1,\"deviceId\":\"d1\",\"version\":3,"
             "\"timeMs\":1780000000001,\"%s\":{}}",
             device);
    for (int i = 0; i < 3; i++) {
        packets[i] = make(topic[i], body[i], PG_NOW_MS);
    }
    packets[3] = reading("d1", "d1", 5000, VOLTS("3.7"));
    assert_int_equal(store_all(fixture, packets, 4), 0);
    assert_counts(fixture->store, 1, 0, 3);
    assert_pg(fixture,
              "SELECT string_agg(concat_ws(' ', reason, detail), ', ' ORDER BY detail)"
              " FROM quarantine",
              "envelope PostgreSQL cannot index the deviceId: 8000 bytes, and 2000 are possible,"
              " topic PostgreSQL cannot index the group: 8000 bytes, and 2000 are possible,"
              " topic PostgreSQL cannot index the type: 8000 bytes, and 2000 are possible");
}

static void test_rows_that_a_trigger_ignores(void **state)
{
    static const char *const tables[] = {"battery", "devices", "quarantine", "messages"};
    struct pg_fixture *fixture = *state;
    const struct store_packet packets[] = {
        reading("d1", "d1", 1000, VOLTS("3.7")),
        make("foxtrackr/d2/V3.0/bat", "{oops", PG_NOW_MS),
        other("d1", 1000),
    };
    char sql[512];
    char sentence[128];

    as_owner(fixture, "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS"
                      " $$ BEGIN RETURN NULL; END $$");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        snprintf(sql, sizeof(sql),
                 "CREATE TRIGGER ignore BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION mine()",
                 tables[i]);
        as_owner(fixture, sql);
        assert_int_equal(store_all(fixture, packets, 3), 5);
        snprintf(sentence, sizeof(sentence),
                 "a row was put into the table %s and is not there; drop the trigger that ignores "
                 "it, which foxtrackrd has not made: ignore",
                 tables[i]);
        assert_non_null(strstr(fixture->problem, sentence));
        snprintf(sql, sizeof(sql), "DROP TRIGGER ignore ON %s", tables[i]);
        as_owner(fixture, sql);
    }
    assert_counts(fixture->store, 0, 0, 0);
    assert_int_equal(store_all(fixture, packets, 3), 0);
    assert_counts(fixture->store, 2, 0, 1);
}

/* --- an older database ----------------------------------------------------------------------- */

static void test_a_database_that_lacks_what_was_acknowledged(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct store_packet packets[] = {
        reading("d", "d", 1000, VOLTS("3.7")), reading("d", "d", 2000, VOLTS("3.7")),
        reading("d", "d", 3000, VOLTS("3.7")), reading("d", "d", 4000, VOLTS("3.7"))};

    begin(store);
    apply(store, &packets[0]);
    assert_int_equal(store_session_durable(store, "id-a-01", PG_NOW_MS - 500000000000), STORE_OK);
    commit(store);
    pg_look(fixture->super, "CREATE TABLE kept AS SELECT * FROM runs");
    begin(store);
    apply(store, &packets[1]);
    apply(store, &packets[2]);
    commit(store);
    assert_counts(store, 3, 0, 0);
    /* A failover to a server that has the first batch only. */
    end_backend(fixture);
    pg_look(fixture->super, "DELETE FROM battery WHERE time_ms > 1780000001000;"
                            "UPDATE runs SET (received, stored) = (SELECT received, stored FROM"
                            " kept)");
    assert_int_equal(store_all(fixture, &packets[3], 1), 2); /* lost, and then told */
    assert_non_null(strstr(fixture->problem, "it has 1 of the 3 that this run has received"));
    assert_non_null(strstr(fixture->problem, "\"older database\""));
    assert_pg(fixture, RUNS, "2 2 0 0");
    assert_counts(store, 2, 0, 0);
    assert_pg(fixture,
              "SELECT concat_ws(' ', client_id, last_durable_ms, reason, count(*) OVER (),"
              " resumed_ms > 1700000000000) FROM gaps",
              "id-a-01 1290000000000 older database 1 t");
    /* And to one that knows nothing of the run. */
    end_backend(fixture);
    pg_look(fixture->super, "DELETE FROM gaps; DELETE FROM battery; DELETE FROM runs;"
                            "DELETE FROM sessions");
    assert_int_equal(store_all(fixture, packets, 2), 2);
    assert_pg(fixture,
              "SELECT concat_ws(' ', count(*), max(run), max(received), max(version)) FROM"
              " runs",
              "1 2 2 t");
    assert_pg(fixture,
              "SELECT concat_ws(' ', client_id, coalesce(last_durable_ms, 0), reason)"
              " FROM gaps",
              "id-a-01 0 older database");
    assert_int_equal(store_run_end(store, PG_NOW_MS + 1), STORE_OK);
    assert_pg(fixture, "SELECT stopped_ms FROM runs", "1790000000001");
}

/* --- errors that pass ------------------------------------------------------------------------ */

static void test_errors_of_the_server(void **state)
{
    static const struct {
        const char *code, *words;
    } cases[] = {
        {"53100", "free space at the server"},
        {"53200", "memory is used up"},
        {"53300", "max_connections"},
        {"57P01", "57P01"},
        {"25006", "read-only"},
        {"40001", "40001"},
        {"40P01", "40P01"},
        {"55P03", "pg_locks"},
        {"57014", "57014"},
        {"42501", "the owner of the database"},
        {"P0001", "drop the trigger"},
        {"08006", "08006"},
    };
    struct pg_fixture *fixture = *state;
    char sql[1024];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct store_packet packet = reading("d", "d", 1000 + (int64_t)i, VOLTS("3.7"));

        snprintf(sql, sizeof(sql),
                 "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END $$;"
                 "CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON battery FOR EACH ROW"
                 " EXECUTE FUNCTION fail()",
                 cases[i].code);
        as_owner(fixture, sql);
        assert_int_equal(store_all(fixture, &packet, 1), 5);
        if (strstr(fixture->problem, cases[i].words) == NULL ||
            strstr(fixture->problem, "cannot store battery readings: no") == NULL) {
            fail_msg("%s: %s", cases[i].code, fixture->problem);
        }
        as_owner(fixture, "DROP TRIGGER fail ON battery");
        assert_int_equal(store_all(fixture, &packet, 1), 0);
        assert_counts(fixture->store, i + 1, 0, 0);
    }
}

static void test_damage_ends_it(void **state)
{
    static const char *const codes[] = {"XX001", "XX002", "58030"};
    struct pg_fixture *fixture = *state;
    const struct store_packet packet = reading("d", "d", 1000, VOLTS("3.7"));
    char sql[1024];

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        snprintf(sql, sizeof(sql),
                 "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END $$;"
                 "CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON battery FOR EACH ROW"
                 " EXECUTE FUNCTION fail()",
                 codes[i]);
        as_owner(fixture, sql);
        begin(fixture->store);
        apply(fixture->store, &packet);
        assert_int_equal(store_commit(fixture->store), STORE_FATAL);
        assert_int_equal(store_rollback(fixture->store), STORE_FATAL);
        assert_int_equal(store_begin(fixture->store), STORE_FATAL);
        fixture->store->fatal = false; /* a new process */
    }
}

/* The daemon ends, because what comes next would be stored in part. */
static void test_a_table_that_is_gone_is_told(void **state)
{
    struct pg_fixture *fixture = *state;
    const struct store_packet packet = reading("d", "d", 1000, VOLTS("3.7"));
    static const char *const changes[][2] = {
        {"ALTER TABLE battery RENAME TO away", "ALTER TABLE away RENAME TO battery"},
        {"ALTER TABLE battery RENAME voltage_v TO away",
         "ALTER TABLE battery RENAME away TO voltage_v"},
    };

    assert_int_equal(store_all(fixture, &packet, 1), 0); /* makes the month */
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        as_owner(fixture, changes[i][0]);
        begin(fixture->store);
        apply(fixture->store, &packet);
        assert_int_equal(store_commit(fixture->store), STORE_FATAL);
        assert_non_null(strstr(store_error(fixture->store), "the schema was changed by somebody"));
        store_rollback(fixture->store);
        fixture->store->fatal = false; /* a new process */
        as_owner(fixture, changes[i][1]);
    }
}

/* A role that may only read, where another one has made the tables, and where nobody has. */
static void test_a_role_that_may_only_read_is_told(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store *store = NULL;

    pg_look(fixture->super, "CREATE ROLE ana LOGIN");
    pg_uri("ana", fixture->database, fixture->uri, sizeof(fixture->uri));
    assert_int_equal(pg_open_as(fixture, "id-a-02", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem,
                           "the role \"ana\" may not create tables: name the role "
                           "\"foxtrackrd\" in database.uri, which owns the "
                           "tables that are there"));
    as_owner(fixture, "DROP TABLE schema_version");
    assert_int_equal(pg_open_as(fixture, "id-a-02", false, &store), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "the role \"ana\" may not create tables: make it the "
                                             "owner of the database"));
    pg_look(fixture->super, "DROP ROLE ana");
}

static void test_privileges_and_connections(void **state)
{
    struct pg_fixture *fixture = *state;
    const struct store_packet packet = reading("d", "d", 1000, VOLTS("3.7"));

    as_owner(fixture, "REVOKE INSERT ON battery FROM foxtrackrd");
    assert_int_equal(store_all(fixture, &packet, 1), 5);
    assert_non_null(strstr(fixture->problem, "permission denied for table battery (42501); make"));
    as_owner(fixture, "GRANT INSERT ON battery TO foxtrackrd");
    pg_look(fixture->super, "ALTER ROLE foxtrackrd CONNECTION LIMIT 0");
    end_backend(fixture);
    assert_int_equal(store_all(fixture, &packet, 1), 5);
    assert_non_null(strstr(fixture->problem, "too many connections for role"));
    pg_look(fixture->super, "ALTER ROLE foxtrackrd CONNECTION LIMIT -1");
    assert_int_equal(store_all(fixture, &packet, 1), 0);
    assert_counts(fixture->store, 1, 0, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, pg_make_open, pg_remove)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH(test_a_message_that_is_refused_is_found),
        WITH(test_values_that_are_refused),
        WITH(test_names_that_no_index_takes),
        WITH(test_rows_that_a_trigger_ignores),
        WITH(test_a_database_that_lacks_what_was_acknowledged),
        WITH(test_errors_of_the_server),
        WITH(test_damage_ends_it),
        WITH(test_privileges_and_connections),
        WITH(test_a_table_that_is_gone_is_told),
        WITH(test_a_role_that_may_only_read_is_told),
    };

    (void)argc;
    pg_need_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
