/*
 * The columns of an export. They are those of the table or view, in their order, and:
 *
 *   X_utc      beside each time X_ms that the schema has: ISO-8601 with milliseconds, computed from
 *              X_ms. In a view that has X_utc as text with seconds it takes that column's place.
 *              A duration has none, nor has a column in ms of somebody else's view or of a typed
 *              view, about which nothing is known. day_ms has none: its date stands beside it.
 *   family     and device_id, beside the number `device` of a table that does not have them
 */
#include "ctl/export_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The columns in ms that are moments, without the "_ms". tests/system/test_export_columns.py
 * compares them with the schema. */
static const char *const moments[] = {
    "time",
    "received",
    "from",
    "to",
    "until",
    "first",
    "last",
    "first_seen",
    "last_seen",
    "first_received",
    "last_received",
    "battery_time",
    "temperature_time",
    "empty",
    "recharged",
    "started",
    "stopped",
    "last_durable",
    "resumed",
    "before",
    "subscribed",
    "connected",
    "established",
    "protocol_asked",
    "learnt",
    "analyzed",
    "battery_gone",
    "temperature_gone",
    "level_first",
    "level_last",
    "offset_from",
    "offset_until",
};

/* The first pair whose columns are there tells when a row is or lasts. */
static const struct {
    const char *begin;
    const char *end;
} spans[] = {
    {"time_ms", "time_ms"},
    {"from_ms", "to_ms"}, /* before the day that such a row is counted to */
    {"day_ms", "day_ms"},
    {"from_ms", "until_ms"},
    {"first_ms", "last_ms"},
    {"last_seen_ms", "last_seen_ms"},
    {"first_seen_ms", "first_seen_ms"},
    {"first_received_ms", "last_received_ms"},
    {"last_durable_ms", "resumed_ms"},
    {"started_ms", "stopped_ms"},
    {"last_ms", "last_ms"},
    {"subscribed_ms", "subscribed_ms"},
    {"received_ms", "received_ms"},
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t end_length = strlen(end);

    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_moment(const char *name)
{
    size_t length = strlen(name) - strlen("_ms");

    if (!ends_with(name, "_ms")) {
        return false;
    }
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        if (strlen(moments[i]) == length && strncmp(name, moments[i], length) == 0) {
            return true;
        }
    }
    return false;
}

int export_find_column(const struct store_relation *relation, const char *name)
{
    for (int i = 0; i < relation->count; i++) {
        if (strcmp(relation->columns[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Returns the column like `name` with another end of the same length plus `more`, or -1. */
static int find_sibling(const struct store_relation *relation, const char *name, size_t end_length,
                        const char *other_end)
{
    char *sibling = NULL;
    int found = -1;

    if (asprintf(&sibling, "%.*s%s", (int)(strlen(name) - end_length), name, other_end) >= 0) {
        found = export_find_column(relation, sibling);
        free(sibling);
    }
    return found;
}

/* The name as it stands in the output: in CSV quoted, in JSON with the colon. A name that contains
 * a control character is no name of ours; JSON does not take it, so it becomes a blank. */
static char *written_name(const char *name, bool json)
{
    char *written = malloc(2 * strlen(name) + 5);
    char *at = written;
    bool quoted = json || strpbrk(name, ",\"\r\n") != NULL;

    if (written == NULL) {
        return NULL;
    }
    if (quoted) {
        *at++ = '"';
    }
    for (; *name != '\0'; name++) {
        bool special = *name == '"' || (json && *name == '\\');

        if (special) {
            *at++ = json ? '\\' : '"';
        }
        *at++ = (char)(json && (unsigned char)*name < ' ' ? ' ' : *name);
    }
    if (quoted) {
        *at++ = '"';
    }
    if (json) {
        *at++ = ':';
    }
    *at = '\0';
    return written;
}

static bool add_field(struct export *export, struct export_field field, const char *name)
{
    struct export_field *more =
        realloc(export->fields, ((size_t) export->field_count + 1) * sizeof(export->fields[0]));

    if (more == NULL) {
        return false;
    }
    export->fields = more;
    field.name = written_name(name, export->json);
    if (field.name == NULL) {
        return false;
    }
    field.name_length = strlen(field.name);
    field.date.day = INT64_MIN;
    export->fields[export->field_count++] = field;
    return true;
}

/* Adds the column of a time as text, whose name is that of the column in ms with another end. */
static bool add_moment(struct export *export, int cell, const char *name)
{
    char *utc = NULL;
    bool added = false;

    if (asprintf(&utc, "%.*s_utc", (int)(strlen(name) - strlen("_ms")), name) >= 0) {
        added = add_field(export, (struct export_field){.kind = EXPORT_MOMENT, .cell = cell}, utc);
        free(utc);
    }
    return added;
}

/* Adds what column `i` becomes. */
static bool add_column(struct export *export, int i)
{
    const struct store_relation *relation = export->relation;
    const struct store_column *column = &relation->columns[i];
    const char *name = column->name;
    int ms = ends_with(name, "_utc") ? find_sibling(relation, name, strlen("_utc"), "_ms") : -1;
    bool good;

    if (ms >= 0 && is_moment(relation->columns[ms].name)) {
        return add_field(export, (struct export_field){.kind = EXPORT_MOMENT, .cell = ms}, name);
    }
    good = add_field(export,
                     (struct export_field){.kind = EXPORT_CELL,
                                           .cell = i,
                                           .blob = strcasecmp(column->type, "BLOB") == 0},
                     name);
    if (good && is_moment(name) && find_sibling(relation, name, strlen("_ms"), "_utc") < 0) {
        good = add_moment(export, i, name);
    }
    if (good && i == export->device_cell && export->device_id_cell < 0 &&
        export_find_column(relation, "family") < 0) {
        good =
            add_field(export, (struct export_field){.kind = EXPORT_FAMILY, .cell = i}, "family") &&
            add_field(export, (struct export_field){.kind = EXPORT_DEVICE_ID, .cell = i},
                      "device_id");
    }
    return good;
}

bool export_fields_make(struct export *export)
{
    const struct store_relation *relation = export->relation;
    bool good = true;

    export->device_cell = export_find_column(relation, "device");
    export->device_id_cell = export_find_column(relation, "device_id");
    export->span = (struct export_span){-1, -1};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]) && export->span.begin < 0; i++) {
        int begin = export_find_column(relation, spans[i].begin);
        int end = export_find_column(relation, spans[i].end);

        if (begin >= 0 && end >= 0) {
            export->span = (struct export_span){begin, end};
        }
    }
    for (int i = 0; i < relation->count && good; i++) {
        good = add_column(export, i);
    }
    return good;
}

void export_fields_free(struct export *export)
{
    for (int i = 0; i < export->field_count; i++) {
        free(export->fields[i].name);
    }
    free(export->fields);
    store_query_close(export->looked_up.query);
    free(export->looked_up.family);
    free(export->looked_up.device_id);
}
