/*
 * Goal: the same messages leave the same rows, counts and reasons in SQLite and in PostgreSQL, and
 * retention counts and deletes the same of them.
 */
#include "pg_messages.h"

#include "base/clock.h"
#include "store/measures.h"
#include "store/postgresql/batch_internal.h"
#include "store/retention.h"

#define ALWAYS 1000000 /* new rows: the direct way is taken */

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

static struct store_packet any_message(unsigned *seed, int64_t later_ms)
{
    static const char *const data[] = {VOLTS("3.7"),
                                       VOLTS("3.6"),
                                       VOLTS("3.70"),
                                       "\"battery\":{\"level\":50,\"x\":1}",
                                       "\"battery\":{\"x\":1.0,\"level\":50}",
                                       "\"temperature\":{\"celsius\":21}",
                                       VOLTS("3.7") ",\"temperature\":{\"celsius\":20}",
                                       VOLTS("3.7") ",\"temperature\":{\"celsius\":21}",
                                       VOLTS("3.5") ",\"temperature\":{\"celsius\":22}",
                                       "\"gps\":{\"x\": 1}",
                                       "\"gps\":{\"x\":1}",
                                       "\"battery\":7"};
    static const char *const names[] = {"d1", "d2", "d3", "herd", "flock"};
    static const char *const types[] = {"bat", "temp", "gps", "bat"};
    char device[8];
    char topic[64];
    char body[256];

    if (next_random(seed) % 20 == 0) {
        return make("foxtrackr/d1/V3.0/bat", next_random(seed) % 2 ? "{oops" : "[]",
                    PG_NOW_MS + (int64_t)next_random(seed) % 100);
    }
    snprintf(device, sizeof(device), "d%u", next_random(seed) % 4);
    snprintf(topic, sizeof(topic), "foxtrackr/%s/V3.0/%s", names[next_random(seed) % 5],
             types[next_random(seed) % 4]);
    snprintf(body, sizeof(body), BODY, device,
             (long long)(BASE + 1000 + later_ms + next_random(seed) % 30),
             data[next_random(seed) % 12]);
    return make(topic, body, PG_NOW_MS + (int64_t)next_random(seed) % 100);
}

/* The same without messages of other types, which are never copied into their table. */
static struct store_packet any_reading(unsigned *seed, int64_t later_ms)
{
    struct store_packet packet;

    do {
        packet = any_message(seed, later_ms);
    } while (strstr(packet.payload, "gps") != NULL || strstr(packet.topic, "gps") != NULL);
    return packet;
}

/*
 * SQLite's engine opens its inbox when the batches come fast. The inbox sorts messages of group
 * topics in after those of the devices' own, so another one of two contradicting messages would be
 * the first. After a batch without messages it is closed.
 */
static void close_inbox(struct store *lite)
{
    begin(lite);
    commit(lite);
    assert_int_equal(store_waiting(lite), 0);
}

static void assert_same_counts(const struct store *one, const struct store *other)
{
    struct store_counts a;
    struct store_counts b;

    store_counts(one, &a);
    store_counts(other, &b);
    assert_memory_equal(&a, &b, sizeof(a));
}

/* The rows of a query of each database, as one text. */
static void assert_same_rows(struct pg_fixture *fixture, const char *path, const char *sql)
{
    static char lite[1 << 20];
    char command[512];
    FILE *stream;
    size_t length;
    PGresult *found = PQexec(fixture->super, sql);

    if (PQresultStatus(found) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(fixture->super));
    }
    snprintf(command, sizeof(command), "sqlite3 %s \"%s\"", path, sql);
    stream = popen(command, "r");
    assert_non_null(stream);
    length = fread(lite, 1, sizeof(lite) - 1, stream);
    lite[length] = '\0';
    pclose(stream);
    for (int row = 0, at = 0; row < PQntuples(found); row++) {
        const char *value = PQgetvalue(found, row, 0);
        size_t size = strlen(value);

        if (strncmp(lite + at, value, size) != 0 || lite[(size_t)at + size] != '\n') {
            fail_msg("%s: row %d: \"%s\" is \"%.80s\" in SQLite", sql, row, value, lite + at);
        }
        at += (int)size + 1;
        if (row + 1 == PQntuples(found)) {
            assert_int_equal(at, length);
        }
    }
    assert_true(PQntuples(found) > 0);
    PQclear(found);
}

/* --- and as it deletes ------------------------------------------------------------------------ */

static const int64_t cutoffs[STORE_TABLES] = {BASE + 1015, BASE + 1010, BASE + 1020,
                                              PG_NOW_MS + 50};

/* SQLite's engine leaves a long WAL alone while messages come. */
static const struct store_chunk chunk = {.budget_us = 10000,
                                         .limit_pages = 4,
                                         .now_ms = PG_NOW_MS,
                                         .nobody_waits = true,
                                         .clock_us = clock_monotonic_us};

static struct store_tally tally(struct store *store, enum store_table table)
{
    struct store_tally out = {.table = table, .cutoff_ms = cutoffs[table]};

    for (int i = 0; i < 1000 && !out.done; i++) {
        assert_int_equal(store_survey_count(store, &out, &chunk), STORE_OK);
    }
    return out;
}

static void expire(struct store *store, uint64_t rows[STORE_TABLES])
{
    struct store_expiry pass = {.keep_free_percent = 25};
    struct store_expired out = {.done = false};

    memcpy(pass.cutoff_ms, cutoffs, sizeof(cutoffs));
    for (int i = 0; i < 1000 && !out.done; i++) {
        assert_int_equal(store_expire(store, &pass, &chunk, &out), STORE_OK);
        for (int table = 0; table < STORE_TABLES; table++) {
            rows[table] += out.rows[table];
        }
    }
    if (!out.done) {
        fail_msg("%s: table %d, later %d", store_error(store), pass.table, out.later);
    }
}

static void assert_same_retention(struct pg_fixture *fixture, struct store *lite, const char *path)
{
    uint64_t rows[2][STORE_TABLES] = {{0}};

    for (int table = 0; table < STORE_TABLES; table++) {
        struct store_tally one = tally(fixture->store, (enum store_table)table);
        struct store_tally other = tally(lite, (enum store_table)table);

        assert_true(one.done && other.done && one.old_rows > 0);
        assert_int_equal(one.old_rows, other.old_rows);
        assert_int_equal(one.kept_rows >= one.old_rows, other.kept_rows >= other.old_rows);
    }
    expire(fixture->store, rows[0]);
    expire(lite, rows[1]);
    assert_memory_equal(rows[0], rows[1], sizeof(rows[0]));
    assert_same_rows(fixture, path,
                     "SELECT table_name || ' ' || row_count || ' ' || before_ms || ' ' || last_ms"
                     " FROM expired ORDER BY table_name");
    assert_same_rows(fixture, path,
                     "SELECT (SELECT count(*) FROM battery) || ' ' || (SELECT count(*) FROM"
                     " temperature) || ' ' || (SELECT count(*) FROM messages) || ' ' ||"
                     " (SELECT min(time_ms) FROM battery) || ' ' ||"
                     " (SELECT min(last_received_ms) FROM quarantine)");
    assert_int_equal(store_quarantine_entries(fixture->store), store_quarantine_entries(lite));
}

static void test_the_same_as_sqlite(void **state)
{
    struct pg_fixture *fixture = *state;
    struct pg_fixture of_lite = {.fields = fixture->fields};
    const struct store_handler handler = {.parse = pg_parse,
                                          .understood = pg_understood,
                                          .quarantined = pg_quarantined,
                                          .context = &of_lite};
    char directory[] = "/tmp/foxtrackr-pg.XXXXXX";
    char path[64];
    char command[128];
    struct store_options options = {.path = path, .busy_timeout_ms = 1000};
    struct store *lite = NULL;
    unsigned seed = 23;
    int copied = 0;
    int went_back = 0; /* because a row was there */

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/a.db", directory);
    assert_int_equal(store_open(&options, &lite, of_lite.problem, sizeof(of_lite.problem)), 0);
    assert_int_equal(store_run_begin(lite, "t", PG_NOW_MS), STORE_OK);
    assert_int_equal(store_attach(lite, &handler), STORE_OK);
    for (int batch = 0; batch < 60; batch++) {
        bool direct = batch % 2 == 1; /* then rows are copied into their tables, or would be */
        /* Every other time all of them are new. */
        int64_t later_ms = batch % 4 == 1 ? 1000 * batch : 0;
        unsigned size = direct ? 150 : next_random(&seed) % 60;

        memory_used = 0;
        fixture->store->new_rows = direct ? ALWAYS : 0;
        begin(fixture->store);
        begin(lite);
        for (unsigned i = 0; i < size; i++) {
            const struct store_packet packet =
                direct ? any_reading(&seed, later_ms) : any_message(&seed, 0);

            apply(fixture->store, &packet);
            apply(lite, &packet);
            if (!direct && next_random(&seed) % 25 == 0) {
                assert_int_equal(store_flush(fixture->store), STORE_OK);
            }
        }
        commit(fixture->store);
        commit(lite);
        close_inbox(lite);
        copied += fixture->store->batch->way == BATCH_DIRECT;
        went_back += direct && fixture->store->new_rows == 0;
        assert_same_counts(fixture->store, lite);
        assert_int_equal(fixture->understood, of_lite.understood);
        assert_int_equal(fixture->quarantined, of_lite.quarantined);
    }
    assert_true(copied > 10 && went_back > 10);
    assert_same_rows(
        fixture, path,
        "SELECT device_id || ' ' || time_ms || ' ' || CAST(coalesce(voltage_v, -1) * 1000 AS "
        "integer) || ' ' ||"
        " CAST(coalesce(level_pct, -1) AS integer) || ' ' || message_type || coalesce(CAST(extra "
        "AS text), '-') || ' '"
        " || received_ms FROM battery JOIN devices USING (device)"
        " ORDER BY device_id, time_ms");
    assert_same_rows(
        fixture, path,
        "SELECT device_id || ' ' || time_ms || ' ' || coalesce(CAST(extra AS text), '-') || ' ' ||"
        " received_ms FROM temperature JOIN devices USING (device)"
        " ORDER BY device_id, time_ms");
    assert_same_rows(fixture, path,
                     "SELECT device_id || ' ' || time_ms || ' ' || type || ' ' || version || "
                     "CAST(body AS text) ||"
                     " received_ms FROM messages JOIN devices USING (device)"
                     " ORDER BY device_id, time_ms, type, CAST(body AS text)");
    assert_same_rows(fixture, path,
                     "SELECT group_name || ' ' || device_id FROM device_groups"
                     " JOIN devices USING (device) ORDER BY group_name, device_id");
    assert_same_rows(fixture, path,
                     "SELECT topic || ' ' || reason || ' ' || detail || ' ' || first_received_ms ||"
                     " ' ' || last_received_ms || ' ' || occurrences FROM quarantine"
                     " ORDER BY digest");
    assert_same_retention(fixture, lite, path);
    store_close(lite);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_as_sqlite, pg_make_open, pg_remove),
    };

    (void)argc;
    pg_need_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
