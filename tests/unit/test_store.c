/* The store's rows: every outcome of a message, and what stays after a rollback. */
#include "store_fixture.h"

#include "base/digest.h"

static void test_a_reading_becomes_a_typed_row(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("1BBCE", 1000, 3.71);

    message.battery_extra = "{\"rssi\":-70}";
    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    assert_counts(fixture, 1, 0, 0);
    assert_look(fixture, "SELECT count(*) FROM battery", "0"); /* not before the commit */
    commit(fixture);
    assert_look(fixture,
                "SELECT group_concat(quote(c), ' ') FROM (SELECT device AS c FROM battery)", "1");
    assert_look(fixture,
                "SELECT json_array(device, time_ms, voltage_v, level_pct, message_type,"
                " extra ->> '$.rssi', received_ms) FROM battery",
                "[1,1000,3.71,null,5,-70,1700000000000]");
    assert_look(fixture, "SELECT json_array(family, device_id, first_seen_ms) FROM devices",
                "[\"foxtrackr\",\"1BBCE\",1700000000000]");
    assert_look(fixture, "SELECT count(*) FROM device_groups", "0");
}

static void test_a_duplicate_is_counted_and_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);
    struct store_packet later = packet("{}");
    enum store_outcome outcome;

    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    assert_int_equal(put(fixture, &message), STORE_DUPLICATE);
    commit(fixture);
    begin(fixture);
    message.group = "herd"; /* the same reading on the group's topic, later */
    later.received_ms = NOW_MS + 5;
    assert_int_equal(store_message(fixture->store, &message, &later, &outcome), STORE_OK);
    assert_int_equal(outcome, STORE_DUPLICATE);
    commit(fixture);
    assert_counts(fixture, 1, 2, 0);
    assert_look(fixture, "SELECT received_ms FROM battery", "1700000000000");
    assert_look(fixture, "SELECT json_array(group_name, device, first_seen_ms) FROM device_groups",
                "[\"herd\",1,1700000000005]");
}

/* One column differs at a time; the detail names it with both values, and tells of the other row.
 */
static const struct {
    double voltage_v, level_pct, celsius;
    const char *battery_extra, *temperature_extra;
    const char *detail;
} conflicts[] = {
    {3.6, 50, 21, "{}", NULL,
     "battery.voltage_v is 3.7 for this device and time, the message says 3.6; its temperature"
     " is stored"},
    {NAN, 50, 21, "{}", NULL,
     "battery.voltage_v is 3.7 for this device and time, the message says absent; its"
     " temperature is stored"},
    {3.7, 49, 21, "{}", NULL,
     "battery.level_pct is 50 for this device and time, the message says 49; its temperature"
     " is stored"},
    {3.7, 50, 21, NULL, NULL,
     "battery.extra is {} for this device and time, the message says absent; its temperature"
     " is stored"},
    {3.7, 50, 21, "{\"a\":1}", NULL,
     "battery.extra is {} for this device and time, the message says {\"a\":1}; its"
     " temperature is stored"},
    {3.7, 50, 22, "{}", NULL,
     "temperature.celsius is 21 for this device and time, the message says 22; its battery is"
     " stored"},
    {3.7, 50, 21, "{}", "{}",
     "temperature.extra is absent for this device and time, the message says {}; its battery"
     " is stored"},
    {3.6, 50, 22, "{}", NULL,
     "battery.voltage_v is 3.7 for this device and time, the message says 3.6; its temperature"
     " differs too"},
};

static void test_a_conflict_goes_to_quarantine(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);

    message.has_temperature = true;
    message.level_pct = 50;
    message.celsius = 21;
    message.battery_extra = "{}";
    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    commit(fixture);

    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        message.voltage_v = conflicts[i].voltage_v;
        message.level_pct = conflicts[i].level_pct;
        message.celsius = conflicts[i].celsius;
        message.battery_extra = conflicts[i].battery_extra;
        message.temperature_extra = conflicts[i].temperature_extra;
        begin(fixture);
        assert_int_equal(put(fixture, &message), STORE_QUARANTINED);
        commit(fixture);
        assert_look(fixture, "SELECT detail FROM quarantine", conflicts[i].detail);
        assert_look(fixture, "SELECT reason FROM quarantine", "conflict");
    }
    assert_counts(fixture, 1, 0, sizeof(conflicts) / sizeof(conflicts[0]));
    assert_look(fixture,
                "SELECT json_array(voltage_v, level_pct, message_type, extra) FROM battery",
                "[3.7,50.0,5,\"{}\"]");
    assert_look(fixture, "SELECT json_array(occurrences, CAST(payload AS TEXT)) FROM quarantine",
                "[8,\"{\\\"as\\\":\\\"it came\\\"}\"]");
}

static void test_each_row_is_judged_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);

    message.has_battery = false;
    message.has_temperature = true;
    message.celsius = 20;
    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    message.has_battery = true; /* its row is new */
    message.celsius = 30;       /* this one conflicts */
    assert_int_equal(put(fixture, &message), STORE_QUARANTINED);
    assert_int_equal(put(fixture, &message), STORE_QUARANTINED); /* as often as it comes */
    commit(fixture);
    assert_look(fixture, "SELECT voltage_v FROM battery", "3.7");
    assert_look(fixture, "SELECT celsius FROM temperature", "20.0");
    assert_look(fixture, "SELECT json_array(detail, occurrences) FROM quarantine",
                "[\"temperature.celsius is 20 for this device and time, the message says 30; its"
                " battery is stored\",2]");

    /* A row that is new beside one that is there makes the message stored. */
    begin(fixture);
    message.time_ms = 2000;
    message.has_battery = false;
    assert_int_equal(put(fixture, &message), STORE_STORED);
    message.has_battery = true;
    assert_int_equal(put(fixture, &message), STORE_STORED);
    assert_int_equal(put(fixture, &message), STORE_DUPLICATE);
    commit(fixture);
    assert_look(fixture, "SELECT count(*) FROM battery", "2");
    assert_counts(fixture, 3, 1, 2);
}

/* One reading, written differently or in a message of another type. */
static void test_what_says_the_same_is_a_duplicate(void **state)
{
    static const char *const extras[] = {
        "{\"battery\":{\"a\":[1,2],\"b\":\"\\u00e4\"},\"hdop\":1.0}",
        "{\"battery\":{\"a\":[1,2],\"b\":\"\xc3\xa4\"},\"hdop\":1}",
        "{\"hdop\":10e-1,\"battery\":{\"b\":\"\xc3\xa4\",\"a\":[1.0,2]}}",
    };
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);

    begin(fixture);
    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
        message.battery_extra = extras[i];
        message.message_type = (int64_t)i;
        assert_int_equal(put(fixture, &message), i == 0 ? STORE_STORED : STORE_DUPLICATE);
    }
    /* On the way through the inbox too. */
    for (int i = 0; i < 3; i++) {
        struct store_reading reading = {1, NOW_MS, message};
        bool done = false;

        reading.message.battery_extra = extras[i];
        reading.message.message_type = 100 + i;
        assert_int_equal(store_put_reading(fixture->store, &reading, &done), STORE_OK);
        assert_true(done);
    }
    message.battery_extra = "{\"battery\":{\"a\":[2,1],\"b\":\"\xc3\xa4\"},\"hdop\":1}";
    assert_int_equal(put(fixture, &message), STORE_QUARANTINED);
    commit(fixture);
    assert_counts(fixture, 1, 2 + 3, 1);
    assert_look(fixture, "SELECT message_type FROM battery",
                "0"); /* of the message that came first */
}

static void test_long_values_are_cut_between_characters(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);
    char extra[400];

    for (size_t i = 0; i < sizeof(extra); i++) {
        extra[i] = "\xc3\xa4"[i % 2];
    }
    extra[sizeof(extra) - 2] = '\0';
    message.battery_extra = extra;
    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    extra[1] = 'x'; /* one byte and one character less: the cut falls elsewhere */
    message.battery_extra = extra + 1;
    assert_int_equal(put(fixture, &message), STORE_QUARANTINED);
    commit(fixture);
    assert_look(fixture, "SELECT length(CAST(detail AS BLOB)) < 256 FROM quarantine", "1");
    /* Both values end with a whole character. */
    assert_look(fixture,
                "SELECT detail LIKE '%\xc3\xa4... for %' AND detail LIKE '%\xc3\xa4...'"
                " FROM quarantine",
                "1");
}

static void test_other_types_stay_whole(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, NAN);
    struct store_packet body = packet("{\"gps\":{\"lat\":47.5}}");
    enum store_outcome outcome;
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];

    message.has_battery = false;
    message.has_other = true;
    message.type = "gps";
    begin(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_message(fixture->store, &message, &body, &outcome), STORE_OK);
        assert_int_equal(outcome, i == 0 ? STORE_STORED : STORE_DUPLICATE);
    }
    body = packet("{\"gps\":{\"lat\":48.5}}"); /* the same time, another body: another row */
    assert_int_equal(store_message(fixture->store, &message, &body, &outcome), STORE_OK);
    assert_int_equal(outcome, STORE_STORED);
    commit(fixture);
    assert_look(fixture, "SELECT json_group_array(body ->> '$.gps.lat') FROM messages",
                "[47.5,48.5]");
    assert_look(fixture, "SELECT json_array(type, time_ms, version, message_type) FROM messages",
                "[\"gps\",1000,\"V3.0\",5]");
    assert_int_equal(digest_sha256(body.payload, body.payload_length, NULL, 0, digest), 0);
    digest_hex(digest, hex);
    assert_look(fixture, "SELECT lower(hex(digest)) FROM messages WHERE body LIKE '%48.5%'", hex);
}

static void test_quarantine_keeps_every_byte(void **state)
{
    static const struct {
        const char *topic;
        size_t length;
        const char *type;
    } cases[] = {
        {"a/b", 3, "text"},
        {"\xc3\xa4/\xf0\x9f\xa6\x8a", 7, "text"},
        {"", 0, "text"},
        {"a\0b", 3, "blob"},
        {"\xff/b", 3, "blob"},
        {"\xc0\xaf", 2, "blob"}, /* overlong */
        {"\xed\xa0\x80", 3, "blob"},
        {"\xe2\x82", 2, "blob"},         /* surrogate, cut short */
        {"\xf4\x90\x80\x80", 4, "blob"}, /* beyond U+10FFFF */
    };
    const struct foxtrackr_problem problem = {FOXTRACKR_E_JSON, "line 1: '}' expected"};
    struct fixture *fixture = *state;
    char expected[64];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct store_packet whole = {
            cases[i].topic, cases[i].length, "\0\xff{", 3, NOW_MS, NULL, NULL};
        char sql[160];

        begin(fixture);
        assert_int_equal(store_quarantine(fixture->store, &problem, &whole), STORE_OK);
        commit(fixture);
        snprintf(sql, sizeof(sql),
                 "SELECT typeof(topic) || hex(CAST(topic AS BLOB)) || ' ' || hex(payload)"
                 " FROM quarantine ORDER BY rowid LIMIT 1 OFFSET %zu",
                 i);
        snprintf(expected, sizeof(expected), "%s", cases[i].type);
        for (size_t j = 0; j < cases[i].length; j++) {
            snprintf(expected + strlen(expected), 3, "%02X", (unsigned char)cases[i].topic[j]);
        }
        strcat(expected, " 00FF7B");
        assert_look(fixture, sql, expected);
    }
    assert_look(fixture, "SELECT json_array(reason, detail) FROM quarantine",
                "[\"json\",\"line 1: '}' expected\"]");
    assert_counts(fixture, 0, 0, sizeof(cases) / sizeof(cases[0]));
}

static void test_quarantine_counts_occurrences(void **state)
{
    struct foxtrackr_problem problem = {FOXTRACKR_E_BODY, "first"};
    struct store_packet empty = {"t",    1,    NULL, 0,
                                 NOW_MS, NULL, NULL}; /* a retained message being cleared */
    struct fixture *fixture = *state;

    begin(fixture);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(store_quarantine(fixture->store, &problem, &empty), STORE_OK);
        empty.received_ms += 10;
        strcpy(problem.detail, "later");
    }
    commit(fixture);
    assert_look(fixture,
                "SELECT json_array(count(*), occurrences, first_received_ms, last_received_ms,"
                " detail, length(payload)) FROM quarantine",
                "[1,3,1700000000000,1700000000020,\"later\",0]");
    /* SHA-256 of 00 00 00 00 00 00 00 01 74, from another implementation. */
    assert_look(fixture, "SELECT hex(digest) FROM quarantine",
                "69A32884556AEB7798F2CF45FC5D772C96E126572C22E6B45BFEB9F0BD4AE478");

    /* The boundary between topic and payload makes a difference. */
    begin(fixture);
    empty = (struct store_packet){"ab", 2, "c", 1, NOW_MS, NULL, NULL};
    assert_int_equal(store_quarantine(fixture->store, &problem, &empty), STORE_OK);
    empty = (struct store_packet){"a", 1, "bc", 2, NOW_MS, NULL, NULL};
    assert_int_equal(store_quarantine(fixture->store, &problem, &empty), STORE_OK);
    commit(fixture);
    assert_look(fixture, "SELECT count(*) FROM quarantine", "3");
    assert_counts(fixture, 0, 0, 5);
}

static void test_rollback_undoes_rows_counts_and_caches(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("kept", 1000, 3.7);

    message.group = "herd";
    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    commit(fixture);

    begin(fixture);
    message = battery("undone", 1000, 3.7);
    message.group = "other";
    assert_int_equal(put(fixture, &message), STORE_STORED);
    assert_counts(fixture, 2, 0, 0);
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    assert_counts(fixture, 1, 0, 0);
    assert_look(fixture, "SELECT group_concat(device_id) FROM devices", "kept");

    /* The number that "undone" had is given to another device: a cache that still held it would
     * put this reading there. */
    begin(fixture);
    message = battery("third", 1000, 3.0);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    message = battery("undone", 1000, 3.7);
    message.group = "other";
    assert_int_equal(put(fixture, &message), STORE_STORED);
    commit(fixture);
    assert_look(fixture,
                "SELECT group_concat(device_id || voltage_v, ' ') FROM battery JOIN devices"
                " USING (device)",
                "kept3.7 third3.0 undone3.7");
    assert_look(fixture,
                "SELECT device_id FROM device_groups JOIN devices USING (device)"
                " WHERE group_name = 'other'",
                "undone");
    assert_int_equal(store_rollback(fixture->store), STORE_OK); /* with no batch open: harmless */
    assert_counts(fixture, 3, 0, 0);
}

static void test_accounting_over_runs(void **state)
{
    const struct foxtrackr_problem problem = {FOXTRACKR_E_TOPIC, "x"};
    const struct store_packet junk = packet("junk");
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);

    begin(fixture);
    put(fixture, &message);
    put(fixture, &message);
    assert_int_equal(store_quarantine(fixture->store, &problem, &junk), STORE_OK);
    commit(fixture);
    assert_int_equal(store_run_end(fixture->store, NOW_MS + 1), STORE_OK);
    fixture_close(fixture);

    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "u", NOW_MS + 2), STORE_OK);
    assert_counts(fixture, 0, 0, 0);
    begin(fixture);
    put(fixture, &message);
    commit(fixture);
    assert_int_equal(store_run_begin(fixture->store, "v", NOW_MS + 3), STORE_OK);
    assert_counts(fixture, 0, 0, 0);
    begin(fixture);
    commit(fixture);
    assert_look(fixture,
                "SELECT json_group_array(json_array(run, started_ms, stopped_ms, version, received,"
                " stored, duplicate, quarantined)) FROM runs",
                "[[1,1700000000000,1700000000001,\"t\",3,1,1,1],"
                "[2,1700000000002,null,\"u\",1,0,1,0],"
                "[3,1700000000003,null,\"v\",0,0,0,0]]");
    /* The clock was set back meanwhile: no run ends before it has begun. */
    assert_int_equal(store_run_end(fixture->store, NOW_MS - 1000), STORE_OK);
    assert_look(fixture, "SELECT stopped_ms - started_ms FROM runs WHERE run = 3", "0");
}

static void test_devices_beyond_the_cache(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message;
    char id[128];
    char rows[64];
    char groups[16];
    const int devices = STORE_CACHE_SLOTS + 500;

    begin(fixture);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < devices; i++) {
            snprintf(id, sizeof(id), i % 2 == 0 ? "%d" : "%0100d", i);
            message = battery(id, 1000 + round, i);
            message.group = i % 3 == 0 ? "thirds" : NULL;
            assert_int_equal(put(fixture, &message), STORE_STORED);
        }
    }
    commit(fixture);
    snprintf(rows, sizeof(rows), "[%d,%d,%d]", 2 * devices, 2 * devices, devices);
    snprintf(groups, sizeof(groups), "%d", (devices + 2) / 3);
    assert_look(fixture,
                "SELECT json_array(count(*), sum(CAST(device_id AS INTEGER) = voltage_v),"
                " count(DISTINCT device)) FROM battery JOIN devices USING (device)",
                rows);
    assert_look(fixture, "SELECT count(*) FROM device_groups", groups);
}

/* Returns a random reading of few devices, times and values, so that duplicates and conflicts
 * occur.
 */
static struct store_reading some_reading(uint32_t *random, bool is_temperature)
{
    struct store_reading reading = {.received_ms = NOW_MS};
    uint32_t value;

    *random = *random * 1664525 + 1013904223; /* W. H. Press et al., Numerical Recipes, 1992 */
    value = *random >> 8;
    reading.device = 1 + value % 2;
    reading.message = battery(value % 2 == 0 ? "a" : "b", 1000 + (value >> 1) % 200, 3.7);
    if ((value >> 12) % 16 == 0) {
        reading.message.voltage_v = 3.8;
    }
    reading.message.battery_extra = (value >> 4) % 2 == 0 ? "{}" : NULL;
    if (is_temperature) {
        reading.message.has_battery = false;
        reading.message.has_temperature = true;
        reading.message.celsius = reading.message.voltage_v;
        reading.message.temperature_extra = reading.message.battery_extra;
    }
    return reading;
}

/* Stores a reading by the number of its device, as the inbox does. One that conflicts is not
 * counted before it is stored as a message.
 */
static void store_by_number(struct fixture *fixture, const struct store_reading *reading)
{
    struct store_counts before;
    struct store_counts after;
    bool done;

    store_counts(fixture->store, &before);
    assert_int_equal(store_put_reading(fixture->store, reading, &done), STORE_OK);
    store_counts(fixture->store, &after);
    assert_int_equal(after.received - before.received, done);
    assert_int_equal(after.quarantined, before.quarantined);
    assert_true(done || put(fixture, &reading->message) == STORE_QUARANTINED);
}

/* Stores the same as a whole message, of another device. */
static void store_by_name(struct fixture *fixture, const struct store_reading *reading)
{
    struct foxtrackr_message message = reading->message;

    message.device_id = reading->device == 1 ? "c" : "d";
    put(fixture, &message);
}

static void add_since(const struct fixture *fixture, const struct store_counts *before,
                      struct store_counts *sum)
{
    struct store_counts counts;

    store_counts(fixture->store, &counts);
    sum->received += counts.received - before->received;
    sum->stored += counts.stored - before->stored;
    sum->duplicate += counts.duplicate - before->duplicate;
    sum->quarantined += counts.quarantined - before->quarantined;
}

/* New readings, duplicates and conflicts. */
static void test_readings_by_number_are_what_they_are_by_name(void **state)
{
    static const char *const same =
        "SELECT json_array(count(*), sum(device < 3) * 2,"
        " count(DISTINCT reading) * 2) FROM"
        " (SELECT device, json_array((device - 1) % 2, time_ms, value, extra) AS reading FROM"
        " (SELECT device, time_ms, voltage_v AS value, extra FROM battery"
        " UNION ALL SELECT device, -time_ms, celsius, extra FROM temperature)"
        " WHERE time_ms <> 1)";
    struct fixture *fixture = *state;
    const char *const devices[] = {"a", "b", "c", "d"};
    struct store_counts by_number = {0};
    struct store_counts by_name = {0};
    uint32_t random = 1;
    unsigned rows;
    char expected[64];

    begin(fixture);
    for (int i = 0; i < 4; i++) {
        const struct foxtrackr_message first = battery(devices[i], 1, 3.7);

        assert_int_equal(put(fixture, &first), STORE_STORED);
    }
    for (unsigned round = 0; round < 1200; round++) {
        const struct store_reading reading = some_reading(&random, round % 2 == 1);
        struct store_counts before;

        store_counts(fixture->store, &before);
        store_by_number(fixture, &reading);
        add_since(fixture, &before, &by_number);
        store_counts(fixture->store, &before);
        store_by_name(fixture, &reading);
        add_since(fixture, &before, &by_name);
        assert_memory_equal(&by_number, &by_name, sizeof(by_name));
    }
    commit(fixture);
    rows = (unsigned)by_name.stored;
    assert_in_range(rows, 100, 800);
    assert_in_range(by_name.duplicate, 100, 1600);
    assert_in_range(by_name.quarantined, 20, 400);
    snprintf(expected, sizeof(expected), "[%u,%u,%u]", 2 * rows, 2 * rows, 2 * rows);
    assert_look(fixture, same, expected);
}

static int check_integrity(void **state)
{
    struct fixture *fixture = *state;

    assert_look(fixture, "PRAGMA integrity_check", "ok");
    assert_look(fixture, "PRAGMA foreign_key_check", "");
    return fixture_remove(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, check_integrity)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_a_reading_becomes_a_typed_row),
        test(test_a_duplicate_is_counted_and_changes_nothing),
        test(test_a_conflict_goes_to_quarantine),
        test(test_each_row_is_judged_by_itself),
        test(test_what_says_the_same_is_a_duplicate),
        test(test_long_values_are_cut_between_characters),
        test(test_other_types_stay_whole),
        test(test_quarantine_keeps_every_byte),
        test(test_quarantine_counts_occurrences),
        test(test_rollback_undoes_rows_counts_and_caches),
        test(test_accounting_over_runs),
        test(test_devices_beyond_the_cache),
        test(test_readings_by_number_are_what_they_are_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
