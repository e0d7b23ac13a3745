/*
 * Messages, by the cases in tests/cases: what a topic and a payload give, for every rule and every
 * reason.
 *
 *     NAME.topic     the topic and one newline, which is not part of it
 *     NAME.payload   the payload, byte for byte
 *     NAME.fields    optional: lines "column = source" for foxtrackr_fields_add(), and
 *                    "version_slash = yes"
 *     NAME.expected  the JSON of foxtrackr_message_to_json(), compared by value; or
 *                    {"reason": NAME, "detail_contains": [TEXT, ...]}
 *
 * "Now" is 2026-01-01T00:00:00Z, a message may lie one day ahead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../spelling.h"
#include "foxtrackr.h"

#define NOW_MS    INT64_C(1767225600000)
#define DAY_MS    INT64_C(86400000)
#define CASES_MIN 120
#define CASES_MAX 2000
#define BATTERY   "foxtrackr/12345/V3.0/bat"
#define ENVELOPE  "{\"messageType\":1,\"deviceId\":\"12345\",\"version\":3,\"timeMs\":1767225000000"

static char *read_file(const char *name, const char *suffix, size_t *length)
{
    char path[1024];
    char *data = NULL;
    FILE *file;

    snprintf(path, sizeof(path), "%s/tests/cases/%s%s", getenv("FOXTRACKR_ROOT"), name, suffix);
    file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *length = (size_t)ftell(file);
    rewind(file);
    data = malloc(*length + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *length, file), *length);
    data[*length] = '\0';
    fclose(file);
    return data;
}

static struct foxtrackr_fields *read_fields(const char *name)
{
    struct foxtrackr_problem problem;
    struct foxtrackr_fields *fields;
    char *state = NULL;
    size_t length;
    char *text = read_file(name, ".fields", &length);

    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    for (char *line = text ? strtok_r(text, "\n", &state) : NULL; line;
         line = strtok_r(NULL, "\n", &state)) {
        char *equals = strstr(line, " = ");

        assert_non_null(equals);
        *equals = '\0';
        if (strcmp(line, "version_slash") == 0) {
            foxtrackr_fields_set_version_slash(fields, strcmp(equals + 3, "yes") == 0);
        } else if (foxtrackr_fields_add(fields, line, equals + 3, &problem)) {
            fail_msg("%s: %s", line, problem.detail);
        }
    }
    free(text);
    return fields;
}

/* Checks the properties of every detail, whatever it quotes. */
static void check_detail(const char *detail)
{
    json_t *valid = json_string(detail); /* refuses what is not UTF-8 */

    assert_non_null(valid);
    json_decref(valid);
    assert_true(strlen(detail) > 0);
    for (const char *c = detail; *c; c++) {
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
    }
}

static void check_problem(const json_t *expected, int reason,
                          const struct foxtrackr_problem *problem)
{
    const char *name = json_string_value(json_object_get(expected, "reason"));
    json_t *texts = json_object_get(expected, "detail_contains");

    assert_int_equal(problem->reason, reason);
    check_detail(problem->detail);
    if (!name) {
        fail_msg("expected rows, got %s: %s", foxtrackr_reason_name(reason), problem->detail);
    } else {
        assert_string_equal(foxtrackr_reason_name(reason), name);
    }
    assert_true(json_is_array(texts));
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));

        if (!text || !strstr(problem->detail, text)) {
            fail_msg("\"%s\" is not in the detail: %s", text ? text : "?", problem->detail);
        }
    }
}

/* JSON by value; a number that jansson does not hold is compared as its text. */
static json_t *load(const char *text)
{
    size_t length = strlen(text);
    char *readable = spelling_readable(text, &length);
    json_error_t error;
    json_t *json;

    assert_non_null(readable);
    json = json_loadb(readable, length, JSON_REJECT_DUPLICATES, &error);
    free(readable);
    if (!json) {
        fail_msg("%s: %s", text, error.text);
    }
    return json;
}

static void check_rows(const json_t *expected, const struct foxtrackr_message *message)
{
    json_t *got;
    char *text;

    assert_true(message->has_other != (message->has_battery || message->has_temperature));
    assert_int_equal(foxtrackr_message_to_json(message, &text), 0);
    assert_null(strchr(text, '\n'));
    got = load(text);
    if (!json_equal(got, expected)) {
        char *wanted = json_dumps(expected, JSON_COMPACT);

        fail_msg("expected %s, got %s", wanted, text);
    }
    json_decref(got);
    free(text);
}

/* Both readers of JSON give the same rows, or the same sentence. */
static void check_other_spelling(const struct foxtrackr_fields *fields, const char *topic,
                                 const char *payload, size_t length, int expected_result,
                                 const struct foxtrackr_message *expected,
                                 const struct foxtrackr_problem *expected_problem)
{
    char *other = spelling_escaped(payload, &length);
    struct foxtrackr_problem problem;
    struct foxtrackr_message message;
    char *text;
    char *expected_text;

    assert_int_equal(foxtrackr_message_parse(fields, NOW_MS, DAY_MS, topic, strlen(topic), other,
                                             length, &message, &problem),
                     expected_result);
    if (expected_result) {
        assert_string_equal(problem.detail, expected_problem->detail);
    } else {
        assert_int_equal(foxtrackr_message_to_json(&message, &text), 0);
        assert_int_equal(foxtrackr_message_to_json(expected, &expected_text), 0);
        assert_string_equal(text, expected_text);
        free(expected_text);
        free(text);
        foxtrackr_message_clear(&message);
    }
    free(other);
}

static void test_case(void **state)
{
    const char *name = *state;
    struct foxtrackr_problem problem;
    struct foxtrackr_message message;
    struct foxtrackr_fields *fields = read_fields(name);
    size_t topic_length;
    size_t payload_length;
    size_t length;
    char *topic = read_file(name, ".topic", &topic_length);
    char *payload = read_file(name, ".payload", &payload_length);
    char *text = read_file(name, ".expected", &length);
    json_t *expected;
    int result;

    assert_non_null(topic);
    assert_non_null(payload);
    assert_int_equal(topic[topic_length - 1], '\n');
    expected = load(text);
    /* To the byte, so that a sanitizer sees a read beyond the end. */
    payload = realloc(payload, payload_length > 0 ? payload_length : 1);
    topic = realloc(topic, topic_length);

    result = foxtrackr_message_parse(fields, NOW_MS, DAY_MS, topic, topic_length - 1, payload,
                                     payload_length, &message, &problem);
    if (result != FOXTRACKR_E_JSON && result != FOXTRACKR_E_ENCODING &&
        result != FOXTRACKR_E_TOPIC) {
        topic[topic_length - 1] = '\0';
        check_other_spelling(fields, topic, payload, payload_length, result, &message, &problem);
    }
    /* The message lives on without what it was made of. */
    free(topic);
    free(payload);
    foxtrackr_fields_free(fields);
    if (result) {
        check_problem(expected, result, &problem);
    } else {
        check_rows(expected, &message);
        foxtrackr_message_clear(&message);
        assert_null(message.storage);
    }
    json_decref(expected);
    free(text);
}

static void parse(const char *rest, struct foxtrackr_message *out)
{
    struct foxtrackr_problem problem;
    struct foxtrackr_fields *fields;
    char payload[1024];

    snprintf(payload, sizeof(payload), "%s,%s}", ENVELOPE, rest);
    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    if (foxtrackr_message_parse(fields, NOW_MS, DAY_MS, BATTERY, strlen(BATTERY), payload,
                                strlen(payload), out, &problem)) {
        fail_msg("%s", problem.detail);
    }
    foxtrackr_fields_free(fields);
}

/* The store compares extra as text, so its text is part of the contract. */
static void test_extra_is_canonical(void **state)
{
    struct foxtrackr_message message;

    (void)state;
    parse(
        "\"z\": 1, \"battery\": {\"b\": [1, {\"y\": 1.0, \"x\": 1e2}], \"a\": 0.1, \"B\": 3.30},"
        " \"\\u00e4\": \"\\u00e9\\/\\u001F\\u007f\", \"A\": -0.0, \"big\": 1e22, \"tiny\": 1.5e-7",
        &message);
    assert_string_equal(
        message.battery_extra,
        "{\"A\":-0.0,\"battery\":{\"B\":3.3,\"a\":0.1,\"b\":[1,{\"x\":100.0,\"y\":1.0}]},"
        "\"big\":1e+22,\"tiny\":1.5e-07,\"z\":1,\"ä\":\"é/\\u001f\x7f\"}");
    foxtrackr_message_clear(&message);
}

static void test_order_of_members_does_not_matter(void **state)
{
    struct foxtrackr_message one;
    struct foxtrackr_message two;

    (void)state;
    parse("\"battery\":{\"voltage\":3.7,\"p\":1,\"q\":{\"r\":2,\"s\":3}},\"t\":4", &one);
    parse("\"t\":4,\"battery\":{\"q\":{\"s\":3,\"r\":2},\"p\":1,\"voltage\":3.7}", &two);
    assert_string_equal(one.battery_extra, two.battery_extra);
    foxtrackr_message_clear(&one);
    foxtrackr_message_clear(&two);
}

static void test_absent_numbers_are_nan(void **state)
{
    struct foxtrackr_message message;

    (void)state;
    parse("\"battery\":{\"level\":80}", &message);
    assert_true(isnan(message.voltage_v));
    assert_true(message.level_pct == 80);
    assert_true(isnan(message.celsius));
    assert_null(message.battery_extra);
    assert_null(message.temperature_extra);
    assert_null(message.group);
    foxtrackr_message_clear(&message);
}

/* Thousands of mapped values, so that a wrong factor or rounding shows somewhere. */
static void test_millivolts_are_exact(void **state)
{
    (void)state;
    for (int millivolts = 0; millivolts < 5000; millivolts += 7) {
        struct foxtrackr_message message;
        char rest[64];
        char volts[32];

        snprintf(rest, sizeof(rest), "\"battery\":{\"batMv\":%d}", millivolts);
        snprintf(volts, sizeof(volts), "%d.%03d", millivolts / 1000, millivolts % 1000);
        parse(rest, &message);
        assert_true(message.voltage_v == strtod(volts, NULL));
        foxtrackr_message_clear(&message);
    }
}

static void test_json_line(void **state)
{
    struct foxtrackr_message message;
    char *text;

    (void)state;
    parse("\"battery\":{\"batMv\":3300,\"charging\":true},\"temperature\":{},\"rssi\":-70",
          &message);
    assert_int_equal(foxtrackr_message_to_json(&message, &text), 0);
    assert_string_equal(
        text, "{\"device\":{\"family\":\"foxtrackr\",\"device_id\":\"12345\",\"group\":null},"
              "\"type\":\"bat\",\"version\":\"V3.0\",\"time_ms\":1767225000000,\"message_type\":1,"
              "\"battery\":{\"voltage_v\":3.3,\"level_pct\":null,"
              "\"extra\":{\"battery\":{\"charging\":true},\"rssi\":-70}},"
              "\"temperature\":{\"celsius\":null,\"extra\":{\"rssi\":-70,\"temperature\":{}}}}");
    free(text);
    foxtrackr_message_clear(&message);
}

/* now_ms + max_future_ms must not overflow: no limit is a limit, too. */
static void test_limits_of_the_clock(void **state)
{
    static const char payload[] = ENVELOPE ",\"battery\":1}";
    static const struct {
        int64_t now_ms;
        int64_t max_future_ms;
        int result;
    } cases[] = {
        {INT64_MAX, INT64_MAX, 0},
        {INT64_MAX, 1, 0},
        {INT64_MIN, INT64_MIN, FOXTRACKR_E_TIME},
        {INT64_MIN, INT64_MAX, FOXTRACKR_E_TIME},
        {INT64_C(1767225000000), 0, 0},
        {INT64_C(1767225000000), -1, FOXTRACKR_E_TIME},
        {0, INT64_C(1767225000000), 0},
    };
    struct foxtrackr_fields *fields;

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct foxtrackr_message message = {0};
        struct foxtrackr_problem problem;

        assert_int_equal(foxtrackr_message_parse(fields, cases[i].now_ms, cases[i].max_future_ms,
                                                 BATTERY, strlen(BATTERY), payload,
                                                 sizeof(payload) - 1, &message, &problem),
                         cases[i].result);
        foxtrackr_message_clear(&message);
    }
    foxtrackr_fields_free(fields);
}

static void test_empty_payload_may_be_null(void **state)
{
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    struct foxtrackr_fields *fields;

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    assert_int_equal(foxtrackr_message_parse(fields, NOW_MS, DAY_MS, BATTERY, strlen(BATTERY), NULL,
                                             0, &message, &problem),
                     FOXTRACKR_E_EMPTY);
    foxtrackr_fields_free(fields);
}

/* On anything but success, *out is as it was; on success, *problem is. */
static void test_outputs_are_set_only_on_their_result(void **state)
{
    static const char good[] = ENVELOPE ",\"battery\":1}";
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    struct foxtrackr_message untouched_message;
    struct foxtrackr_problem untouched_problem;
    struct foxtrackr_fields *fields;

    (void)state;
    memset(&untouched_message, 0x5A, sizeof(untouched_message));
    memset(&untouched_problem, 0x5A, sizeof(untouched_problem));
    message = untouched_message;
    problem = untouched_problem;
    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    assert_int_equal(foxtrackr_message_parse(fields, NOW_MS, DAY_MS, BATTERY, strlen(BATTERY),
                                             ENVELOPE "}", sizeof(ENVELOPE "}") - 1, &message,
                                             &problem),
                     FOXTRACKR_E_BODY);
    assert_memory_equal(&message, &untouched_message, sizeof(message));
    problem = untouched_problem;
    assert_int_equal(foxtrackr_message_parse(fields, NOW_MS, DAY_MS, BATTERY, strlen(BATTERY), good,
                                             sizeof(good) - 1, &message, &problem),
                     0);
    assert_memory_equal(&problem, &untouched_problem, sizeof(problem));
    foxtrackr_message_clear(&message);
    foxtrackr_fields_free(fields);
}

static void test_clear_accepts_nothing(void **state)
{
    struct foxtrackr_message message = {0};

    (void)state;
    foxtrackr_message_clear(NULL);
    foxtrackr_message_clear(&message);
    foxtrackr_message_clear(&message);
}

/* A locale with a decimal comma must change neither reading nor printing. */
static void test_locale_does_not_matter(void **state)
{
    struct foxtrackr_message message;
    char *text;

    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) {
        print_message("no German locale on this machine, skipping\n");
        skip();
    }
    parse("\"battery\":{\"voltage\":3.25,\"x\":1.5}", &message);
    assert_int_equal(foxtrackr_message_to_json(&message, &text), 0);
    setlocale(LC_NUMERIC, "C");
    assert_true(message.voltage_v == 3.25);
    assert_string_equal(message.battery_extra, "{\"battery\":{\"x\":1.5}}");
    assert_non_null(strstr(text, "\"voltage_v\":3.25,"));
    free(text);
    foxtrackr_message_clear(&message);
}

static int is_case(const struct dirent *entry)
{
    const char *suffix = strrchr(entry->d_name, '.');

    return suffix && strcmp(suffix, ".expected") == 0;
}

static size_t find_cases(struct CMUnitTest *tests)
{
    struct dirent **entries;
    char path[1024];
    int count;

    snprintf(path, sizeof(path), "%s/tests/cases", getenv("FOXTRACKR_ROOT"));
    count = scandir(path, &entries, is_case, alphasort);
    for (int i = 0; i < count && i < CASES_MAX; i++) {
        char *name = strdup(entries[i]->d_name);

        *strrchr(name, '.') = '\0';
        tests[i] = (struct CMUnitTest){.name = name, .test_func = test_case, .initial_state = name};
        free(entries[i]);
    }
    if (count > 0) {
        free(entries);
    }
    return count > 0 ? (size_t)count : 0;
}

int main(void)
{
    static struct CMUnitTest cases[CASES_MAX];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extra_is_canonical),
        cmocka_unit_test(test_order_of_members_does_not_matter),
        cmocka_unit_test(test_absent_numbers_are_nan),
        cmocka_unit_test(test_millivolts_are_exact),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_limits_of_the_clock),
        cmocka_unit_test(test_empty_payload_may_be_null),
        cmocka_unit_test(test_outputs_are_set_only_on_their_result),
        cmocka_unit_test(test_clear_accepts_nothing),
        cmocka_unit_test(test_locale_does_not_matter),
    };
    size_t count;
    int failed;

    if (!getenv("FOXTRACKR_ROOT")) {
        setenv("FOXTRACKR_ROOT", ".", 1);
    }
    count = find_cases(cases);
    if (count < CASES_MIN || count > CASES_MAX) {
        fprintf(stderr, "%zu cases below %s/tests/cases: expected %d to %d\n", count,
                getenv("FOXTRACKR_ROOT"), CASES_MIN, CASES_MAX);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += _cmocka_run_group_tests("cases", cases, count, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        free(cases[i].initial_state);
    }
    return failed != 0;
}
