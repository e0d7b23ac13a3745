/*
 * libfoxtrackr: Foxtrackr messages, bytes in, typed rows or a reason out.
 *
 * The library does no I/O, reads no clock (the caller passes now_ms), keeps no globals and writes
 * no log. Every function may be called from any thread; two threads must not use the same
 * struct foxtrackr_message at once. A struct foxtrackr_fields may be shared by any number of
 * threads once no foxtrackr_fields_add() is in progress.
 *
 * Results have two signs: 0 is success, a negative value is -ENOMEM (the only fatal condition),
 * and a positive value is one of enum foxtrackr_reason: the message, or the mapping, cannot be
 * understood, and struct foxtrackr_problem says why. Out-parameters are set only on success,
 * struct foxtrackr_problem only when the result is positive.
 *
 * Times are milliseconds since the Unix epoch, UTC.
 */
#ifndef FOXTRACKR_H
#define FOXTRACKR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header and of the library that it came with. */
#define FOXTRACKR_VERSION "1.0.0"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Why a message is not turned into rows. The numbers and names are stable: the names are what the
 * daemon writes in quarantine.reason.
 */
enum foxtrackr_reason {
    FOXTRACKR_OK = 0,
    FOXTRACKR_E_TOPIC = 1,    /* not family/device-or-group/version/type */
    FOXTRACKR_E_VERSION = 2,  /* topic or body is not version 3.x */
    FOXTRACKR_E_ENCODING = 3, /* NUL, a byte order mark, or not UTF-8 */
    FOXTRACKR_E_JSON = 4,     /* not JSON (RFC 8259), a name twice in an object, over 512 levels,
                                 a real beyond the largest double */
    FOXTRACKR_E_ENVELOPE = 5, /* messageType, deviceId, version or timeMs missing or mistyped */
    FOXTRACKR_E_BODY = 6,     /* the object that the topic announces is missing or not an object */
    FOXTRACKR_E_TIME = 7,     /* timeMs before 2010, or too far in the future */
    FOXTRACKR_E_CONFLICT = 8, /* same device and time as a stored row, other values (the store) */
    FOXTRACKR_E_OVERSIZE = 9, /* payload over the limit (the store keeps its beginning) */
    FOXTRACKR_E_EMPTY = 10,   /* no payload: a retained message was cleared */
    FOXTRACKR_E_FIELD = 11,   /* a mapping for foxtrackr_fields_add() is wrong; never a message */
};

/* 2010-01-01T00:00:00Z: no tracker is older, so an earlier time is a clock that was never set. */
#define FOXTRACKR_TIME_MIN_MS INT64_C(1262304000000)

#define FOXTRACKR_DETAIL_SIZE 256

/* A problem for people: the JSON path or the topic level, and what was found there. */
struct foxtrackr_problem {
    int reason;                         /* enum foxtrackr_reason */
    char detail[FOXTRACKR_DETAIL_SIZE]; /* valid UTF-8, NUL-terminated, one line */
};

/* The stable lower-case name of a reason ("topic", ...), "ok" for 0, or NULL for another number. */
const char *foxtrackr_reason_name(int reason);

/* The reason of that name, or -1. Only reasons that a message can have, so not "ok" or "field". */
int foxtrackr_reason_from_name(const char *name);

/* A topic's levels, as slices of the caller's string (not NUL-terminated). */
struct foxtrackr_topic {
    const char *family;
    size_t family_length;
    const char *device_or_group;
    size_t device_or_group_length;
    const char *version; /* as written, e.g. "V3.0" */
    size_t version_length;
    const char *type; /* e.g. "bat" */
    size_t type_length;
};

/*
 * Split a topic of `length` bytes into its four levels and check them.
 *
 * Returns 0 and sets *out, whose slices live as long as `topic`; or FOXTRACKR_E_ENCODING (NUL or
 * invalid UTF-8, MQTT 3.1.1 §1.5.3), FOXTRACKR_E_TOPIC (not exactly four non-empty levels, or a
 * wildcard, MQTT 3.1.1 §4.7.1) or FOXTRACKR_E_VERSION (not v3 or v3.x, in either case) with
 * *problem filled in.
 */
int foxtrackr_topic_parse(const char *topic, size_t length, struct foxtrackr_topic *out,
                          struct foxtrackr_problem *problem);

/*
 * The same, but a dot of the version may be a slash: f/d/V3/0/t has the version "V3/0". RabbitMQ
 * keeps slashes as dots, and makes a slash of every dot. Nothing is changed in a topic of four
 * levels.
 */
int foxtrackr_topic_parse_slashes(const char *topic, size_t length, struct foxtrackr_topic *out,
                                  struct foxtrackr_problem *problem);

/* How messages are read: which JSON members become which columns, by what factor, and which topics
 * are understood. Opaque; see fields.c. */
struct foxtrackr_fields;

/*
 * A table that holds the built-in aliases. Returns 0 and sets *out, which the caller frees with
 * foxtrackr_fields_free(); or -ENOMEM.
 */
int foxtrackr_fields_new(struct foxtrackr_fields **out);

/*
 * Add one mapping in front of what is there, so that it wins.
 *
 * `column` is "table.column" as in the schema: battery.voltage_v, battery.level_pct or
 * temperature.celsius. `source` is the path of a number in the body, member names joined by dots,
 * with an optional factor: "battery.akkuMv * 0.001". With a factor, a unit that the message gives
 * beside the number does not count; without one it does. Both strings are copied.
 *
 * Returns 0, -ENOMEM, or FOXTRACKR_E_FIELD with *problem naming what is wrong; the table is then
 * unchanged.
 */
int foxtrackr_fields_add(struct foxtrackr_fields *fields, const char *column, const char *source,
                         struct foxtrackr_problem *problem);

/* Let foxtrackr_message_parse() split topics as foxtrackr_topic_parse_slashes() does, or not; a new
 * table does not. */
void foxtrackr_fields_set_version_slash(struct foxtrackr_fields *fields, bool yes);

/* Free a table. NULL is allowed. */
void foxtrackr_fields_free(struct foxtrackr_fields *fields);

/*
 * A message as typed rows. Absent numbers are NAN (JSON has none, so it cannot be data). All
 * strings are NUL-terminated UTF-8 and owned by the message until foxtrackr_message_clear().
 */
struct foxtrackr_message {
    const char *family;    /* in lower case: family matches without case */
    const char *device_id; /* deviceId of the body, an integer as its decimal text */
    const char *group;     /* second topic level where it is not device_id, whatever the case of
                              letters and the leading zeros; else NULL */
    const char *type;      /* last topic level, in lower case: type matches without case */
    const char *version;   /* third topic level, as sent */
    int64_t time_ms;
    int64_t message_type;

    bool has_battery;
    double voltage_v;
    double level_pct;
    const char *battery_extra; /* what is not mapped, see below; NULL if nothing */

    bool has_temperature;
    double celsius;
    const char *temperature_extra;

    bool has_other; /* a type this library has no columns for: keep the body whole */

    void *storage; /* private */
};

/*
 * Parse one message. `fields` may be NULL: no number becomes a column. A number becomes one only if
 * the column can say the same: libfoxtrackr(3) has the ranges and the units.
 *
 * The extra of a row is the body, as compact JSON with sorted keys, less everything that became a
 * column: messageType, deviceId, version, timeMs, the members mapped by `fields`, and the other
 * row's object. Members keep their place, so a path in extra is the path that fields would name.
 * The same content gives the same text, whatever the order of members or the locale.
 *
 * Exactly one of these holds on success: has_other, or at least one of has_battery and
 * has_temperature. `max_future_ms` bounds timeMs by now_ms + max_future_ms.
 *
 * Returns 0 and fills *out, which the caller passes to foxtrackr_message_clear(); -ENOMEM; or a
 * positive reason other than FOXTRACKR_E_CONFLICT, _OVERSIZE and _FIELD, with *problem filled in.
 */
int foxtrackr_message_parse(const struct foxtrackr_fields *fields, int64_t now_ms,
                            int64_t max_future_ms, const char *topic, size_t topic_length,
                            const void *payload, size_t payload_length,
                            struct foxtrackr_message *out, struct foxtrackr_problem *problem);

/*
 * Give a row that was stored the columns that `fields` finds in its extra by now: a mapping was
 * added since the message came.
 *
 * `row` is a message of which only these are set: has_battery or has_temperature, one of them; its
 * columns, NAN where NULL; and its extra, a string of the caller's. Columns that are NAN are
 * filled, no other is touched, and `storage` is NULL. Where `row` or its extra is NULL there is
 * nothing to map: 0, and the row is unchanged. `fields` may be NULL.
 *
 * Returns 0: columns and extra are then as they would be stored (extra NULL if nothing is left),
 * and the caller passes the row to foxtrackr_message_clear(). Or -ENOMEM, FOXTRACKR_E_ENCODING or
 * FOXTRACKR_E_JSON with *problem filled in: the extra cannot be read, and the row is unchanged.
 */
int foxtrackr_extra_map(const struct foxtrackr_fields *fields, struct foxtrackr_message *row,
                        struct foxtrackr_problem *problem);

/* Free what a parsed message owns and zero it. NULL and a zeroed message are allowed. */
void foxtrackr_message_clear(struct foxtrackr_message *message);

/*
 * The rows of a message as one line of JSON: {"device":{...},"battery":{...},...}. The form is
 * documented in libfoxtrackr(3) and stable. Returns 0 and sets *out, which the caller frees with
 * free(); or -ENOMEM.
 */
int foxtrackr_message_to_json(const struct foxtrackr_message *message, char **out);

#ifdef __cplusplus
}
#endif

#endif
