/*
 * Goal: what the daemon does beside its batches works in PostgreSQL as in SQLite: typed views,
 * messages of quarantine whose time has come, the counts for attention, and the days of a zone.
 */
#include "pg_fixture.h"

#include "base/clock.h"
#include "base/wall.h"
#include "config/config_internal.h"
#include "config_fixture.h"

/* --- typed views --------------------------------------------------------------------------- */

#define GPS                                                                                        \
    "[view position]\ntype = gps\nlatitude = gps.lat\nfix = gps.fix\nheight_m = gps.alt * 0.001\n"

static char told[1024]; /* "position=made door=taken(table) " */

static void note(void *context, enum store_view_state state, const char *name, const char *kind)
{
    static const char *const names[] = {
        [STORE_VIEW_STANDS] = "stands",     [STORE_VIEW_MADE] = "made",
        [STORE_VIEW_REPLACED] = "replaced", [STORE_VIEW_REMOVED] = "removed",
        [STORE_VIEW_TAKEN] = "taken",       [STORE_VIEW_LEFT] = "left"};
    size_t used = strlen(told);

    (void)context;
    snprintf(told + used, sizeof(told) - used, state == STORE_VIEW_TAKEN ? "%s=%s(%s) " : "%s=%s ",
             name, names[state], kind);
}

/* Sets the views as these sections say, and compares what is told before and then. */
static void set(struct pg_fixture *fixture, const char *sections, const char *expected)
{
    char text[4096];
    struct config *config;

    snprintf(text, sizeof(text), "%s%s", BROKER SESSION, sections);
    config = load(text);
    told[0] = '\0';
    assert_int_equal(store_look_at_views(fixture->store, config->views, note, NULL), STORE_OK);
    assert_string_equal(told, expected);
    told[0] = '\0';
    if (store_set_views(fixture->store, config->views, note, NULL) != STORE_OK) {
        fail_msg("%s", store_error(fixture->store));
    }
    assert_string_equal(told, expected);
    config_free(config);
}

static void test_views_are_those_of_the_configuration(void **state)
{
    struct pg_fixture *fixture = *state;

    set(fixture, GPS, "position=made ");
    set(fixture, GPS, "position=stands ");
    set(fixture, GPS "speed = gps.v\n", "position=replaced ");
    set(fixture, "[view other]\ntype = gps\na = b\n", "position=removed other=made ");
}

static void test_a_changed_view_stays(void **state)
{
    struct pg_fixture *fixture = *state;

    set(fixture, GPS, "position=made ");
    pg_look(fixture->super, "DROP VIEW position; CREATE VIEW position AS SELECT 1 AS mine;"
                            " CREATE TABLE mine (a int); CREATE INDEX mine_a ON mine (a)");
    set(fixture,
        GPS "[view mine]\ntype = gps\na = b\n[view mine_a]\ntype = gps\na = b\n"
            "[view battery_2031_07]\ntype = gps\na = b\n",
        "position=taken(view) mine=taken(table) mine_a=taken(index) "
        "battery_2031_07=taken(table) ");
    assert_pg(fixture, "SELECT mine FROM position", "1");
    assert_pg(fixture, "SELECT count(*) FROM typed_views", "0");
}

static void test_a_view_that_somebody_changed_is_left(void **state)
{
    struct pg_fixture *fixture = *state;

    set(fixture, GPS, "position=made ");
    pg_look(fixture->super, "DROP VIEW position; CREATE VIEW position AS SELECT 1 AS mine");
    set(fixture, "", "position=left ");
    assert_pg(fixture, "SELECT mine FROM position", "1");
    set(fixture, "", "");
}

static void test_the_values_of_a_view(void **state)
{
    static const struct {
        const char *body, *expected;
    } cases[] = {
        {"{\"gps\":{\"lat\":51.50,\"fix\":true,\"alt\":12345}}", "51.50 1 12.345"},
        {"{\"gps\":{\"lat\":{\"a\":1},\"fix\":false,\"alt\":\"1200\"}}", "{\"a\":1} 0 1.2"},
        {"{\"gps\":{\"lat\":null,\"fix\":\"x\",\"alt\":\"1e999999\"}}", "- x -"},
        {"{\"gps\":{\"alt\":1e-400}}", "- - 0"},
        {"{\"gps\":{\"alt\":9e307}}", "- - 9e+304"},
        {"{\"gps\":{\"alt\":9e999}}", "- - -"},
        {"{\"gps\":{\"alt\":true}}", "- - -"},
        {"{\"gps\":{\"alt\":\"0x10\"}}", "- - -"},
        {"{\"gps\":[1]}", "- - -"},
        {"[]", "- - -"},
    };
    struct pg_fixture *fixture = *state;
    char sql[512];

    set(fixture, GPS, "position=made ");
    pg_look(fixture->super, "INSERT INTO devices VALUES (1, 'foxtrackr', 'd', 0)");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(sql, sizeof(sql),
                 "DELETE FROM messages; INSERT INTO messages VALUES (1, 'gps', %zu, 'V3.0', 1, "
                 "'%s', '', 0)",
                 i, cases[i].body);
        pg_look(fixture->super, sql);
        assert_pg(fixture,
                  "SELECT concat_ws(' ', coalesce(latitude, '-'), coalesce(fix, '-'),"
                  " coalesce(height_m::text, '-')) FROM position",
                  cases[i].expected);
    }
    assert_pg(fixture, "SELECT time_utc || device_id FROM position", "1970-01-01 00:00:00+00d");
}

static void test_a_reader_is_not_waited_for(void **state)
{
    struct pg_fixture *fixture = *state;
    struct config *config = load(BROKER SESSION);
    int64_t begun_ms = clock_monotonic_ms();

    set(fixture, GPS, "position=made ");
    pg_look(fixture->super, "BEGIN; SELECT * FROM position");
    assert_int_equal(store_set_views(fixture->store, config->views, note, NULL), STORE_E_RETRY);
    assert_true(clock_monotonic_ms() - begun_ms < 4000); /* busy_timeout is 5 s */
    pg_look(fixture->super, "COMMIT");
    set(fixture, "", "position=removed ");
    config_free(config);
}

/* --- quarantine ---------------------------------------------------------------------------- */

#define FUTURE "{\"messageType\":1,\"deviceId\":\"d\",\"version\":3,\"timeMs\":%lld,%s}"
#define VOLTS  "\"battery\":{\"voltage\":3.7}"

static void quarantine(struct pg_fixture *fixture, int64_t time_ms, const char *data)
{
    static char payloads[8][256];
    static unsigned next;
    char *payload = payloads[next++ % 8];
    const char *topic = "foxtrackr/herd/V3.0/bat";
    struct store_packet packet = {.topic = topic,
                                  .topic_length = strlen(topic),
                                  .payload = payload,
                                  .received_ms = PG_NOW_MS};

    packet.payload_length =
        (size_t)snprintf(payload, sizeof(payloads[0]), FUTURE, (long long)time_ms, data);
    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_apply(fixture->store, &packet), STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
}

/* A pass at this moment. Returns how many messages left quarantine. */
static int64_t rejudge(struct pg_fixture *fixture, int64_t now_ms, int64_t *next_due_ms)
{
    struct store_rejudge pass = {.fields = fixture->fields,
                                 .max_future_ms = 86400000,
                                 .now_ms = now_ms,
                                 .next_due_ms = INT64_MAX};
    bool done = false;

    for (int i = 0; i < 1000 && !done; i++) {
        if (store_rejudge(fixture->store, &pass, &done) != STORE_OK) {
            fail_msg("%s", store_error(fixture->store));
        }
    }
    assert_true(done);
    *next_due_ms = pass.next_due_ms;
    return pass.moved;
}

#define DAY INT64_C(86400000)

static void test_messages_whose_time_has_come(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_summary summary;
    int64_t due_ms = 0;

    quarantine(fixture, PG_NOW_MS + 3 * DAY, VOLTS);
    quarantine(fixture, PG_NOW_MS + 9 * DAY, VOLTS);
    quarantine(fixture, PG_NOW_MS + 3 * DAY + 1, "\"battery\":[]");
    quarantine(fixture, PG_NOW_MS, "\"battery\":[]");
    assert_int_equal(store_summary(fixture->store, &summary), STORE_OK);
    assert_int_equal(store_quarantine_entries(fixture->store), 4);
    assert_int_equal(rejudge(fixture, PG_NOW_MS, &due_ms), 0);
    assert_true(due_ms == PG_NOW_MS + 2 * DAY);
    assert_int_equal(rejudge(fixture, PG_NOW_MS + 2 * DAY + 1000, &due_ms), 1);
    assert_true(due_ms == PG_NOW_MS + 8 * DAY);
    assert_pg(fixture,
              "SELECT concat_ws(' ', device_id, voltage_v, time_ms - 1790000000000,"
              " received_ms - 1790000000000, (SELECT group_name FROM device_groups))"
              " FROM battery JOIN devices USING (device)",
              "d 3.7 259200000 0 herd");
    assert_pg(fixture, "SELECT string_agg(reason, ' ' ORDER BY reason) FROM quarantine",
              "body body time");
    assert_int_equal(store_quarantine_entries(fixture->store), 3);
    /* Entries that stay for another reason were judged anew. */
    assert_pg(fixture,
              "SELECT string_agg((last_received_ms - 1790000000000)::text, ' '"
              " ORDER BY last_received_ms) FROM quarantine WHERE reason = 'body'",
              "0 172801000");
    assert_pg(fixture, "SELECT concat_ws(' ', received, stored, quarantined) FROM runs", "4 0 4");
}

static void test_a_message_that_conflicts_by_now_stays(void **state)
{
    struct pg_fixture *fixture = *state;
    int64_t due_ms = 0;

    quarantine(fixture, PG_NOW_MS + 3 * DAY, VOLTS);
    pg_look(fixture->super,
            "INSERT INTO devices VALUES (77, 'foxtrackr', 'd', 1800000000000);"
            " SELECT foxtrackr_add_month('battery', 1790000000000);"
            " INSERT INTO battery VALUES (77, 1790259200000, 3.6, NULL, 1, NULL, 0)");
    assert_int_equal(rejudge(fixture, PG_NOW_MS + 2 * DAY + 1000, &due_ms), 0);
    assert_pg(fixture, "SELECT reason || ': ' || detail FROM quarantine",
              "conflict: battery.voltage_v is 3.6 for this device and time, the message says 3.7");
    assert_pg(fixture, "SELECT count(*) FROM battery", "1");
    assert_pg(fixture, "SELECT first_seen_ms FROM devices", "1800000000000");
}

static void test_many_are_judged_in_parts(void **state)
{
    struct pg_fixture *fixture = *state;
    int64_t due_ms = 0;

    pg_look(fixture->super,
            "INSERT INTO quarantine SELECT sha256(n::text::bytea), 'foxtrackr/d/V3.0/bat', NULL,"
            " convert_to(format('{\"messageType\":1,\"deviceId\":\"d\",\"version\":3,\"timeMs\":%s,"
            "\"battery\":{\"voltage\":3.7}}', 1790259200000 + n), 'UTF8'), 'time', 'x',"
            " 1790000000000, 1790000000000, 1 FROM generate_series(1, 250) AS n");
    assert_int_equal(rejudge(fixture, PG_NOW_MS + 2 * DAY + 1000, &due_ms), 250);
    assert_pg(fixture, "SELECT count(*) FROM battery", "250");
    assert_pg(fixture, "SELECT count(*) FROM quarantine", "0");
    assert_pg(fixture, "SELECT first_seen_ms FROM devices", "1790000000000");
}

static void test_the_time_of_arrival_is_corrected(void **state)
{
    struct pg_fixture *fixture = *state;
    bool done = false;
    int calls = 0;

    pg_look(fixture->super,
            "INSERT INTO quarantine SELECT sha256(n::text::bytea), 't', NULL, '', 'json', 'x', n,"
            " n, 1 FROM generate_series(1, 300) AS n");
    while (!done) {
        assert_int_equal(store_restamp(fixture->store, 11, 270, 5000, &done), STORE_OK);
        assert_true(++calls < 9);
    }
    assert_pg(fixture,
              "SELECT concat_ws(' ', count(*) FILTER (WHERE last_received_ms = 5000),"
              " count(*) FILTER (WHERE last_received_ms = first_received_ms)) FROM quarantine",
              "260 40");
}

/* --- attention ----------------------------------------------------------------------------- */

static void attend(struct pg_fixture *fixture, struct store_attention *pass)
{
    const struct store_chunk chunk = {.budget_us = 1, .clock_us = clock_monotonic_us};

    *pass = (struct store_attention){.now_ms = wall_now_ms()};
    for (int i = 0; i < 1000 && !pass->done; i++) {
        if (store_attention(fixture->store, pass, &chunk) != STORE_OK) {
            fail_msg("%s", store_error(fixture->store));
        }
    }
    assert_true(pass->done);
}

/* Devices that end at different times, with levels, temperatures that leave their limits, and
 * groups. */
#define RANDOM_FLEET                                                                               \
    "SELECT setseed(0.23); CREATE TEMP TABLE n AS"                                                 \
    " SELECT (extract(epoch FROM now()) * 1000)::bigint AS now_ms;"                                \
    " INSERT INTO devices SELECT d, 'foxtrackr', 'd' || d, now_ms - 90000000 FROM n,"              \
    " generate_series(1, 60) AS d;"                                                                \
    " INSERT INTO device_groups SELECT 'cold', d, 0 FROM generate_series(1, 60, 2) AS d;"          \
    " INSERT INTO battery SELECT d, now_ms - k * 3600000 - (d * d * 700000)::bigint, NULL,"        \
    " CASE WHEN random() < 0.8 THEN random() * 40 END, 1, NULL, 0 FROM n,"                         \
    " generate_series(1, 50) AS d, generate_series(0, 30) AS k;"                                   \
    " INSERT INTO temperature SELECT d, now_ms - k * 600000 - (d * 90000)::bigint,"                \
    " round((random() * 14)::numeric, 1), 1, NULL, 0 FROM n, generate_series(5, 58) AS d,"         \
    " generate_series(0, 30) AS k;"                                                                \
    " INSERT INTO limits (group_name, device_id, celsius_min, celsius_max, duration_s,"            \
    " hysteresis, level_pct_min) VALUES ('cold', NULL, 2, 8, 600, 0.5, 20),"                       \
    " (NULL, 'd7', NULL, 9.5, 0, 0, NULL), (NULL, NULL, 1, 11, 1200, 1, 12),"                      \
    " (NULL, 'd9', NULL, NULL, 0, 0, 35)"

static void test_the_counts_are_those_of_the_views(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_attention pass;
    char silent[32];
    char open[32];
    char low[32];

    pg_look(fixture->super, RANDOM_FLEET);
    attend(fixture, &pass);
    snprintf(silent, sizeof(silent), "%lld", (long long)pass.silent);
    snprintf(open, sizeof(open), "%lld", (long long)pass.excursions);
    snprintf(low, sizeof(low), "%lld", (long long)pass.low);
    assert_int_equal(pass.devices, 60);
    assert_true(pass.silent > 3 && pass.silent < 57);
    assert_true(pass.excursions > 3);
    assert_true(pass.low > 3);
    assert_pg(fixture, "SELECT count(*) FROM silent_devices", silent);
    assert_pg(fixture, "SELECT count(*) FROM temperature_excursions WHERE open = 1", open);
    assert_pg(fixture,
              "SELECT count(*) FROM devices AS d WHERE (SELECT level_pct FROM battery AS b"
              " WHERE b.device = d.device AND level_pct IS NOT NULL ORDER BY time_ms DESC LIMIT 1)"
              " < CASE WHEN device = 9 THEN 35 WHEN device % 2 = 1 THEN 20 ELSE 12 END",
              low);
}

static void test_a_missing_view_stops_no_message(void **state)
{
    struct pg_fixture *fixture = *state;
    const struct store_chunk chunk = {.budget_us = 1, .clock_us = clock_monotonic_us};
    struct store_attention pass = {.now_ms = 1};

    pg_look(fixture->super, "DROP VIEW usual_intervals CASCADE");
    assert_int_equal(store_attention(fixture->store, &pass, &chunk), STORE_E_RETRY);
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    quarantine(fixture, PG_NOW_MS, VOLTS);
    assert_pg(fixture, "SELECT count(*) FROM battery", "1");
}

/* --- the zone ------------------------------------------------------------------------------ */

#define OFFSETS                                                                                    \
    "SELECT string_agg(concat_ws(' ', nullif(from_ms, -9223372036854775808), offset_ms), ', '"     \
    " ORDER BY from_ms) FROM day_offsets"

static void test_the_days_are_those_of_the_zone(void **state)
{
    struct pg_fixture *fixture = *state;
    struct zone_offset offsets[] = {{INT64_MIN, 1000, 3600000}, {1000, INT64_MAX, 7200000}};
    struct zone zone = {.name = "Here", .offsets = offsets, .count = 2};

    fixture->zone = &zone;
    assert_int_equal(pg_open_as(fixture, "id-a-01", false, &fixture->store), STORE_OK);
    assert_pg(fixture, OFFSETS, "3600000, 1000 7200000");
    assert_pg(fixture, "SELECT zone FROM schema_version", "Here");
    offsets[1].offset_ms = 0; /* the store has a copy of its own */
    store_close(fixture->store);
    assert_int_equal(pg_open_as(fixture, "id-a-01", false, &fixture->store), STORE_OK);
    assert_pg(fixture, OFFSETS, "3600000, 1000 0");
    store_close(fixture->store);
    fixture->zone = NULL; /* the database's */
    assert_int_equal(pg_open_as(fixture, "id-a-01", false, &fixture->store), STORE_OK);
    assert_pg(fixture, OFFSETS, "3600000, 1000 0");
}

static void test_a_standby_leaves_the_days_alone(void **state)
{
    struct pg_fixture *fixture = *state;
    struct zone_offset offsets[] = {{INT64_MIN, INT64_MAX, 3600000}};
    struct zone zone = {.name = "Here", .offsets = offsets, .count = 1};
    struct store_holder holder;

    fixture->zone = &zone;
    assert_int_equal(pg_open_as(fixture, "id-a-01", true, &fixture->store), STORE_OK);
    assert_pg(fixture, OFFSETS, "0");
    assert_int_equal(store_take(fixture->store, &holder), STORE_OK);
    assert_pg(fixture, OFFSETS, "3600000");
}

#define DATABASE(test) cmocka_unit_test_setup_teardown(test, pg_make_open, pg_remove)
#define CLOSED(test)   cmocka_unit_test_setup_teardown(test, pg_make, pg_remove)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        DATABASE(test_views_are_those_of_the_configuration),
        DATABASE(test_a_changed_view_stays),
        DATABASE(test_a_view_that_somebody_changed_is_left),
        DATABASE(test_the_values_of_a_view),
        DATABASE(test_a_reader_is_not_waited_for),
        DATABASE(test_messages_whose_time_has_come),
        DATABASE(test_a_message_that_conflicts_by_now_stays),
        DATABASE(test_many_are_judged_in_parts),
        DATABASE(test_the_time_of_arrival_is_corrected),
        DATABASE(test_the_counts_are_those_of_the_views),
        DATABASE(test_a_missing_view_stops_no_message),
        CLOSED(test_the_days_are_those_of_the_zone),
        CLOSED(test_a_standby_leaves_the_days_alone),
    };

    (void)argc;
    pg_need_server(argv);
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
