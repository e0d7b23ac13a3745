/*
 * Goal: any topic and any payload are rows that keep the promises of foxtrackr.h, or a reason with
 * a sentence; the same message gives the same rows, however its JSON is spelled; and SQLite can
 * read whatever JSON is stored.
 *
 * The input is the topic, a newline, and the payload.
 */
#include <math.h>
#include <sqlite3.h>

#include "../spelling.h"
#include "foxtrackr.h"
#include "fuzz.h"

#define NOW_MS INT64_C(1767225600000) /* as in tests/unit/test_message.c, for the same seeds */
#define DAY_MS INT64_C(86400000)

struct input {
    const char *topic;
    size_t topic_length;
    const char *payload;
    size_t payload_length;
};

/* The built-in table, and one with mappings that reach out of range, deep and across the rows. */
static const struct foxtrackr_fields *tables[2];

static void make_tables(void)
{
    static const char *const added[][2] = {
        {"battery.voltage_v", "battery.batMv * -1e305"}, {"battery.voltage_v", "temperature.v"},
        {"battery.level_pct", "a.b.c * 1e-300"},         {"battery.level_pct", "timeMs"},
        {"temperature.celsius", "battery.t * 0.1"},
    };
    struct foxtrackr_fields *builtin;
    struct foxtrackr_fields *longer;
    struct foxtrackr_problem problem;

    FUZZ_CHECK(foxtrackr_fields_new(&builtin) == 0);
    FUZZ_CHECK(foxtrackr_fields_new(&longer) == 0);
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
        FUZZ_CHECK(foxtrackr_fields_add(longer, added[i][0], added[i][1], &problem) == 0);
    }
    tables[0] = builtin;
    tables[1] = longer;
}

/* By SQLite's judgement: an analyst's `->>` fails for the whole query where this is false. */
static void check_stored(const char *json, size_t length)
{
    static sqlite3_stmt *statement;
    sqlite3 *database;

    if (!statement) {
        FUZZ_CHECK(sqlite3_open(":memory:", &database) == SQLITE_OK);
        FUZZ_CHECK(sqlite3_prepare_v2(database, "SELECT json_valid(?)", -1, &statement, NULL) ==
                   SQLITE_OK);
    }
    FUZZ_CHECK(sqlite3_bind_text(statement, 1, json, (int)length, SQLITE_STATIC) == SQLITE_OK);
    FUZZ_CHECK(sqlite3_step(statement) == SQLITE_ROW);
    FUZZ_CHECK(sqlite3_column_int(statement, 0) == 1);
    FUZZ_CHECK(sqlite3_reset(statement) == SQLITE_OK);
}

static void check_problem(int result, const struct foxtrackr_problem *problem)
{
    FUZZ_CHECK(result > 0); /* there is memory enough, so -ENOMEM would be a wrong judgement */
    FUZZ_CHECK(result != FOXTRACKR_E_CONFLICT && result != FOXTRACKR_E_OVERSIZE &&
               result != FOXTRACKR_E_FIELD);
    FUZZ_CHECK(problem->reason == result);
    FUZZ_CHECK(foxtrackr_reason_from_name(foxtrackr_reason_name(result)) == result);
    FUZZ_CHECK(problem->detail[0] != '\0' && fuzz_is_one_line(problem->detail));
}

/* A NAN says that there is none; else a column is in its documented range. */
static void check_number(double number, double least, double most, bool allowed)
{
    FUZZ_CHECK(isnan(number) || (allowed && number >= least && number <= most));
}

/* An object by jansson's judgement, but for numbers that it does not hold. */
static json_t *load_object(const char *text)
{
    size_t length = strlen(text);
    char *readable = spelling_readable(text, &length);
    json_t *json;

    FUZZ_CHECK(readable);
    json = json_loadb(readable, length, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(json_is_object(json));
    free(readable);
    return json;
}

static void check_extra(const char *extra, bool allowed)
{
    json_t *json;

    if (!extra) {
        return;
    }
    FUZZ_CHECK(allowed);
    FUZZ_CHECK(fuzz_is_one_line(extra) || strchr(extra, 0x7F));
    json = load_object(extra);
    FUZZ_CHECK(json_object_size(json) > 0);
    json_decref(json);
    check_stored(extra, strlen(extra));
}

static void check_rows(const struct input *input, const struct foxtrackr_message *message)
{
    FUZZ_CHECK(message->has_other != (message->has_battery || message->has_temperature));
    FUZZ_CHECK(message->family[0] != '\0' && strlen(message->family) < input->topic_length);
    FUZZ_CHECK(message->device_id[0] != '\0');
    FUZZ_CHECK(message->type[0] != '\0' && message->version[0] != '\0');
    FUZZ_CHECK(!message->group || strcmp(message->group, message->device_id) != 0);
    FUZZ_CHECK(message->time_ms >= FOXTRACKR_TIME_MIN_MS && message->time_ms <= NOW_MS + DAY_MS);
    check_number(message->voltage_v, 0, 1000, message->has_battery);
    check_number(message->level_pct, 0, 100, message->has_battery);
    check_number(message->celsius, -273.15, 3000, message->has_temperature);
    check_extra(message->battery_extra, message->has_battery);
    check_extra(message->temperature_extra, message->has_temperature);
    if (message->has_other) {
        check_stored(input->payload, input->payload_length);
    }
}

/* The rows as text, or NULL if there are none. The result is foxtrackr_message_parse()'s. */
static char *parse(const struct foxtrackr_fields *fields, const struct input *input, int *result)
{
    struct foxtrackr_message message = {0};
    struct foxtrackr_problem problem;
    char *text = NULL;

    *result = foxtrackr_message_parse(fields, NOW_MS, DAY_MS, input->topic, input->topic_length,
                                      input->payload, input->payload_length, &message, &problem);
    if (*result != 0) {
        check_problem(*result, &problem);
        return NULL;
    }
    check_rows(input, &message);
    FUZZ_CHECK(foxtrackr_message_to_json(&message, &text) == 0);
    foxtrackr_message_clear(&message);
    FUZZ_CHECK(!message.storage);
    FUZZ_CHECK(!strchr(text, '\n'));
    json_decref(load_object(text));
    return text;
}

/* Owns `spelled`. */
static void check_spelled(const struct foxtrackr_fields *fields, const struct input *input,
                          char *spelled, size_t length, const char *expected)
{
    struct input other = *input;
    char *text;
    int result;

    FUZZ_CHECK(spelled);
    other.payload = spelled;
    other.payload_length = length;
    text = parse(fields, &other, &result);
    FUZZ_CHECK(result == 0 && strcmp(text, expected) == 0);
    free(text);
    free(spelled);
}

/* The same JSON with its members sorted, spaces, and every character beyond ASCII escaped, where
 * jansson can write its numbers; and with escapes in all names. */
static void check_spelling(const struct foxtrackr_fields *fields, const struct input *input,
                           const char *expected)
{
    size_t length = input->payload_length;
    char *readable = spelling_readable(input->payload, &length);
    bool has_text_numbers = length > input->payload_length;
    json_t *body = json_loadb(readable, length, JSON_REJECT_DUPLICATES, NULL);
    char *sorted = json_dumps(body, JSON_SORT_KEYS | JSON_INDENT(1) | JSON_ENSURE_ASCII);
    char *escaped;

    FUZZ_CHECK(sorted);
    json_decref(body);
    free(readable);
    if (has_text_numbers) {
        free(sorted);
    } else {
        check_spelled(fields, input, sorted, strlen(sorted), expected);
    }
    length = input->payload_length;
    escaped = spelling_escaped(input->payload, &length);
    check_spelled(fields, input, escaped, length, expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t topic_length = newline ? (size_t)(newline - data) : size;
    size_t skipped = newline ? topic_length + 1 : size;
    char *topic = fuzz_copy(data, topic_length);
    char *payload = fuzz_copy(data + skipped, size - skipped);
    const struct input input = {topic, topic_length, payload, size - skipped};

    if (!tables[0]) {
        make_tables();
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        int result;
        int again;
        char *text = parse(tables[i], &input, &result);
        char *same = parse(tables[i], &input, &again);

        FUZZ_CHECK(result == again);
        if (text) {
            FUZZ_CHECK(strcmp(text, same) == 0);
            check_spelling(tables[i], &input, text);
        }
        free(same);
        free(text);
    }
    free(payload);
    free(topic);
    return 0;
}
