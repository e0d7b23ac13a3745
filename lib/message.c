/*
 * Messages: a topic and a payload in, typed rows or a reason out.
 *
 * The checks run in one order, and the first that fails gives the reason: topic, payload as text,
 * as JSON, the envelope, the version it names, its time, and last the object that the topic
 * announces. So a message with two faults always has the same reason, and a check may rely on the
 * earlier ones.
 *
 * Then the rows. `fields` says which numbers become columns; those members and the envelope are
 * taken out of the body, and what is left is printed as `extra`, once for each row and without the
 * other row's object. Everything a message says is therefore in a column or in extra, and nothing
 * is in both.
 *
 * All strings of a message live in one block, in the order in which they were added.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "columns.h"
#include "problem.h"

/* The rows by the last topic level that announces them and by their member of the body. */
static const struct {
    const char *type;
    const char *member;
} rows[FOXTRACKR__ROWS] = {
    [FOXTRACKR__BATTERY] = {"bat", "battery"},
    [FOXTRACKR__TEMPERATURE] = {"temp", "temperature"},
};

static const char *const envelope_members[] = {"messageType", "deviceId", "version", "timeMs"};

struct envelope {
    int64_t message_type;
    const char *device_id; /* in the body, or in device_number; not NUL-terminated */
    size_t device_id_length;
    char device_number[24];
    int64_t version;
    int64_t time_ms;
};

/* The offset in the block of a string that is absent. Offsets, because the block moves when it
 * grows. */
#define ABSENT SIZE_MAX

struct strings {
    struct foxtrackr__text text;
    size_t family;
    size_t group;
    size_t type;
    size_t version;
    size_t device_id;
    size_t extra[FOXTRACKR__ROWS];
};

static int expected(struct foxtrackr_problem *problem, int reason, const char *member,
                    const char *what, const struct foxtrackr__value *found)
{
    char description[FOXTRACKR__DESCRIBE_SIZE];

    return foxtrackr__problem(problem, reason, "$.%s: expected %s, found %s", member, what,
                              foxtrackr__body_describe(description, found));
}

static bool is_kind(const struct foxtrackr__value *value, enum foxtrackr__kind kind)
{
    return value && value->kind == kind;
}

/* Gets an integer, or a real without a fraction: some encoders write every number as a real. */
static bool get_whole(const struct foxtrackr__value *value, int64_t *out)
{
    double real;

    if (is_kind(value, FOXTRACKR__INTEGER)) {
        *out = value->integer;
        return true;
    }
    real = is_kind(value, FOXTRACKR__REAL) ? value->real : NAN;
    /* -2^63 and 2^63 are exact doubles; INT64_MAX is not. */
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0) || real != trunc(real)) {
        return false;
    }
    *out = (int64_t)real;
    return true;
}

/* Returns true for an integer beyond 64 bits, such as the EUI of a radio, which may be a device id.
 */
static bool is_integer_text(const struct foxtrackr__value *decimal)
{
    for (size_t i = 0; i < decimal->length; i++) {
        if (decimal->string[i] != '-' && (decimal->string[i] < '0' || decimal->string[i] > '9')) {
            return false;
        }
    }
    return true;
}

static int read_envelope(struct foxtrackr__value *root, struct envelope *out,
                         struct foxtrackr_problem *problem)
{
    char description[FOXTRACKR__DESCRIBE_SIZE];
    const struct foxtrackr__value *type;
    const struct foxtrackr__value *device;
    const struct foxtrackr__value *version;
    const struct foxtrackr__value *time;

    if (root->kind != FOXTRACKR__OBJECT) {
        return foxtrackr__problem(problem, FOXTRACKR_E_ENVELOPE, "$: expected an object, found %s",
                                  foxtrackr__body_describe(description, root));
    }
    type = foxtrackr__body_member(root, "messageType");
    device = foxtrackr__body_member(root, "deviceId");
    version = foxtrackr__body_member(root, "version");
    time = foxtrackr__body_member(root, "timeMs");
    if (!get_whole(type, &out->message_type)) {
        return expected(problem, FOXTRACKR_E_ENVELOPE, "messageType", "an integer", type);
    }
    if (is_kind(device, FOXTRACKR__INTEGER)) {
        out->device_id_length = (size_t)snprintf(out->device_number, sizeof(out->device_number),
                                                 "%" PRId64, device->integer);
        out->device_id = out->device_number;
    } else if ((is_kind(device, FOXTRACKR__STRING) && device->length > 0) ||
               (is_kind(device, FOXTRACKR__DECIMAL) && is_integer_text(device))) {
        out->device_id = device->string;
        out->device_id_length = device->length;
    } else {
        return expected(problem, FOXTRACKR_E_ENVELOPE, "deviceId",
                        "a string that is not empty, or an integer", device);
    }
    if (!get_whole(version, &out->version)) {
        return expected(problem, FOXTRACKR_E_ENVELOPE, "version", "an integer", version);
    }
    if (!get_whole(time, &out->time_ms)) {
        return expected(problem, FOXTRACKR_E_ENVELOPE, "timeMs",
                        "whole milliseconds since the epoch", time);
    }
    return 0;
}

#define TIME_TEXT_SIZE 40

/* Writes a time in ISO 8601 if the year has at most four digits, else as the number. */
static const char *time_text(char out[TIME_TEXT_SIZE], int64_t time_ms)
{
    int64_t seconds = time_ms / 1000 - (time_ms % 1000 < 0);
    time_t clock = (time_t)seconds;
    char second[24];
    struct tm tm;

    if (seconds < INT64_C(-62135596800) || seconds >= INT64_C(253402300800) ||
        !gmtime_r(&clock, &tm)) {
        snprintf(out, TIME_TEXT_SIZE, "%" PRId64 " ms", time_ms);
    } else {
        strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(out, TIME_TEXT_SIZE, "%s.%03dZ", second, (int)(time_ms - seconds * 1000));
    }
    return out;
}

static int check_time(int64_t time_ms, int64_t now_ms, int64_t max_future_ms,
                      struct foxtrackr_problem *problem)
{
    char text[TIME_TEXT_SIZE];
    char limit_text[TIME_TEXT_SIZE];
    int64_t limit_ms;

    if (__builtin_add_overflow(now_ms, max_future_ms, &limit_ms)) {
        limit_ms = max_future_ms > 0 ? INT64_MAX : INT64_MIN;
    }
    if (time_ms < FOXTRACKR_TIME_MIN_MS) {
        bool seconds = time_ms >= FOXTRACKR_TIME_MIN_MS / 1000 && time_ms <= limit_ms / 1000;

        return foxtrackr__problem(
            problem, FOXTRACKR_E_TIME, "$.timeMs: %" PRId64 " (%s) is before %s%s", time_ms,
            time_text(text, time_ms), time_text(limit_text, FOXTRACKR_TIME_MIN_MS),
            seconds ? ": seconds, not milliseconds?" : "");
    }
    if (time_ms > limit_ms) {
        return foxtrackr__problem(problem, FOXTRACKR_E_TIME,
                                  "$.timeMs: %s is in the future, the latest accepted is %s",
                                  time_text(text, time_ms), time_text(limit_text, limit_ms));
    }
    return 0;
}

static bool type_is(const struct foxtrackr_topic *topic, const char *type)
{
    return topic->type_length == strlen(type) &&
           foxtrackr__same_letters(topic->type, type, topic->type_length);
}

/* Finds the rows of the message: none for a type without columns. */
static int find_rows(const struct foxtrackr_topic *topic, struct foxtrackr__value *root,
                     bool present[FOXTRACKR__ROWS], struct foxtrackr_problem *problem)
{
    bool known = false;

    for (int row = 0; row < FOXTRACKR__ROWS; row++) {
        const struct foxtrackr__value *value = foxtrackr__body_member(root, rows[row].member);

        present[row] = is_kind(value, FOXTRACKR__OBJECT) || foxtrackr__is_number(value);
        if (type_is(topic, rows[row].type)) {
            known = true;
            if (!present[row]) {
                char what[64];

                snprintf(what, sizeof(what), "an object or a number (the topic says type %s)",
                         rows[row].type);
                return expected(problem, FOXTRACKR_E_BODY, rows[row].member, what, value);
            }
        }
    }
    if (!known) {
        memset(present, 0, FOXTRACKR__ROWS * sizeof(*present));
    }
    return 0;
}

static size_t add_string(struct strings *strings, const char *string, size_t length)
{
    size_t start = strings->text.length;

    foxtrackr__text_add(&strings->text, string, length);
    foxtrackr__text_add(&strings->text, "", 1);
    return start;
}

/* Adds a string in lower case: family and type match without case, so one spelling is stored. */
static size_t add_lower(struct strings *strings, const char *string, size_t length)
{
    size_t start = add_string(strings, string, length);

    if (!strings->text.failed) {
        char *text = strings->text.data + start;

        for (size_t i = 0; i < length; i++) {
            text[i] = foxtrackr__lower(text[i]);
        }
    }
    return start;
}

static void skip_zeros(const char **text, size_t *length)
{
    while (*length > 1 && **text == '0') {
        (*text)++;
        (*length)--;
    }
}

/* Returns true when the topic's second level is the device id, without case and leading zeros. */
static bool names_device(const struct foxtrackr_topic *topic, const struct envelope *envelope)
{
    const char *level = topic->device_or_group;
    const char *id = envelope->device_id;
    size_t level_length = topic->device_or_group_length;
    size_t id_length = envelope->device_id_length;

    skip_zeros(&level, &level_length);
    skip_zeros(&id, &id_length);
    return level_length == id_length && foxtrackr__same_letters(level, id, id_length);
}

static void add_names(struct strings *strings, const struct foxtrackr_topic *topic,
                      const struct envelope *envelope)
{
    size_t id_length = envelope->device_id_length;

    strings->family = add_lower(strings, topic->family, topic->family_length);
    strings->group = ABSENT;
    if (!names_device(topic, envelope)) {
        strings->group = add_string(strings, topic->device_or_group, topic->device_or_group_length);
    }
    strings->type = add_lower(strings, topic->type, topic->type_length);
    strings->version = add_string(strings, topic->version, topic->version_length);
    strings->device_id = add_string(strings, envelope->device_id, id_length);
}

/* Prints the rest of the body as the extra of each row. */
static void add_extras(struct strings *strings, const bool present[FOXTRACKR__ROWS],
                       struct foxtrackr__value *root)
{
    for (int row = 0; row < FOXTRACKR__ROWS; row++) {
        int other = FOXTRACKR__ROWS - 1 - row;
        const char *skip = present[other] ? rows[other].member : NULL;
        size_t left = root->count;

        if (skip && foxtrackr__body_member(root, skip)) {
            left--;
        }
        strings->extra[row] = ABSENT;
        if (present[row] && left > 0) {
            strings->extra[row] = strings->text.length;
            foxtrackr__body_print(&strings->text, root, skip);
            foxtrackr__text_add(&strings->text, "", 1);
        }
    }
}

static const char *string_at(const struct strings *strings, size_t start)
{
    return start == ABSENT ? NULL : strings->text.data + start;
}

static int build(const struct foxtrackr_fields *fields, const struct foxtrackr_topic *topic,
                 const struct envelope *envelope, const bool present[FOXTRACKR__ROWS],
                 struct foxtrackr__body *body, size_t size_hint, struct foxtrackr_message *out)
{
    struct foxtrackr__value *root = body->root;
    double columns[FOXTRACKR__COLUMNS] = {NAN, NAN, NAN};
    struct strings strings = {.text = {0}};
    bool any = present[FOXTRACKR__BATTERY] || present[FOXTRACKR__TEMPERATURE];

    foxtrackr__text_reserve(&strings.text, size_hint);
    add_names(&strings, topic, envelope); /* before the envelope is removed, because device_id
                                           * points into it */
    if (any) {
        foxtrackr__columns_map(fields, present, body, columns);
        for (size_t i = 0; i < sizeof(envelope_members) / sizeof(envelope_members[0]); i++) {
            foxtrackr__body_remove_member(root, envelope_members[i]);
        }
    }
    add_extras(&strings, present, root);
    if (strings.text.failed) {
        free(strings.text.data);
        return -ENOMEM;
    }
    *out = (struct foxtrackr_message){
        .family = string_at(&strings, strings.family),
        .device_id = string_at(&strings, strings.device_id),
        .group = string_at(&strings, strings.group),
        .type = string_at(&strings, strings.type),
        .version = string_at(&strings, strings.version),
        .time_ms = envelope->time_ms,
        .message_type = envelope->message_type,
        .has_battery = present[FOXTRACKR__BATTERY],
        .voltage_v = columns[FOXTRACKR__VOLTAGE_V],
        .level_pct = columns[FOXTRACKR__LEVEL_PCT],
        .battery_extra = string_at(&strings, strings.extra[FOXTRACKR__BATTERY]),
        .has_temperature = present[FOXTRACKR__TEMPERATURE],
        .celsius = columns[FOXTRACKR__CELSIUS],
        .temperature_extra = string_at(&strings, strings.extra[FOXTRACKR__TEMPERATURE]),
        .has_other = !any,
        .storage = strings.text.data,
    };
    return 0;
}

int foxtrackr_message_parse(const struct foxtrackr_fields *fields, int64_t now_ms,
                            int64_t max_future_ms, const char *topic, size_t topic_length,
                            const void *payload, size_t payload_length,
                            struct foxtrackr_message *out, struct foxtrackr_problem *problem)
{
    struct foxtrackr_topic levels;
    struct envelope envelope = {.device_id = ""};
    bool present[FOXTRACKR__ROWS] = {false};
    struct foxtrackr__body body;
    int result;

    result = fields && fields->version_slash
                 ? foxtrackr_topic_parse_slashes(topic, topic_length, &levels, problem)
                 : foxtrackr_topic_parse(topic, topic_length, &levels, problem);
    if (result) {
        return result;
    }
    result = foxtrackr__body_read(&body, payload, payload_length, problem);
    if (result) {
        return result;
    }
    result = read_envelope(body.root, &envelope, problem);
    if (!result && envelope.version != 3) {
        result = foxtrackr__problem(problem, FOXTRACKR_E_VERSION,
                                    "$.version: expected 3, found %" PRId64, envelope.version);
    }
    if (!result) {
        result = check_time(envelope.time_ms, now_ms, max_future_ms, problem);
    }
    if (!result) {
        result = find_rows(&levels, body.root, present, problem);
    }
    if (!result) {
        /* Room for the names and about the size of the message: usually the only allocation. */
        result = build(fields, &levels, &envelope, present, &body,
                       topic_length + payload_length + 64, out);
    }
    foxtrackr__body_clear(&body);
    return result;
}

/* Sets the row's columns and the rest of its extra, which the row owns from now on. Returns 0 or
 * -ENOMEM. */
static int rebuild_row(struct foxtrackr_message *row, struct foxtrackr__value *root,
                       const double columns[FOXTRACKR__COLUMNS], size_t size_hint)
{
    struct foxtrackr__text text = {0};
    bool any = root->count > 0;

    if (any) {
        foxtrackr__text_reserve(&text, size_hint);
        foxtrackr__body_print(&text, root, NULL);
        foxtrackr__text_add(&text, "", 1);
    }
    if (text.failed) {
        free(text.data);
        return -ENOMEM;
    }
    row->voltage_v = columns[FOXTRACKR__VOLTAGE_V];
    row->level_pct = columns[FOXTRACKR__LEVEL_PCT];
    row->celsius = columns[FOXTRACKR__CELSIUS];
    if (row->has_battery) {
        row->battery_extra = text.data;
    } else {
        row->temperature_extra = text.data;
    }
    row->storage = text.data;
    return 0;
}

int foxtrackr_extra_map(const struct foxtrackr_fields *fields, struct foxtrackr_message *row,
                        struct foxtrackr_problem *problem)
{
    const char *extra = !row               ? NULL
                        : row->has_battery ? row->battery_extra
                                           : row->temperature_extra;
    struct foxtrackr__body body;
    int result;

    if (!extra) {
        return 0;
    }
    result = foxtrackr__body_read(&body, extra, strlen(extra), problem);
    if (!result) {
        const bool present[FOXTRACKR__ROWS] = {row->has_battery, !row->has_battery};
        double columns[FOXTRACKR__COLUMNS] = {row->voltage_v, row->level_pct, row->celsius};

        foxtrackr__columns_map(fields, present, &body, columns);
        result = rebuild_row(row, body.root, columns, strlen(extra) + 1);
        foxtrackr__body_clear(&body);
    }
    return result;
}

void foxtrackr_message_clear(struct foxtrackr_message *message)
{
    if (message) {
        free(message->storage);
        memset(message, 0, sizeof(*message));
    }
}
