/*
 * Fields: maps JSON members to columns.
 *
 * The envelope of a message is documented. The members of `battery` and `temperature` were
 * described on a page that can no longer be reached, and trackers of different ages may differ. So
 * their names are data, not code: one table of paths, in the order of preference, with names that
 * say what they mean. A further name is one line here, or one line in the configuration. Other
 * names are not guessed: the member stays in the row's `extra`, and can become a column later, when
 * the message is parsed again.
 *
 * A number whose name states a unit (batMv) has that unit. Any other number (voltage) has the unit
 * that the message gives beside it (columns.c) and, without one, that of the column; if this is
 * wrong for a fleet, a mapping with a factor in the configuration takes precedence over this table.
 * A number outside the plausible range of its column stays in extra: 255 % is a sentinel, and
 * 3712 V are millivolts.
 *
 * Invariant: no path occurs twice, so a member becomes one column at most. If a path is added
 * again, the earlier mapping is removed.
 */
#include "fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "source.h"

/* The ranges are documented in libfoxtrackr(3) and schema/README.md. */
static const struct {
    const char *name;
    enum foxtrackr__row row;
    enum foxtrackr__unit unit;
    double least;
    double most;
} columns[FOXTRACKR__COLUMNS] = {
    [FOXTRACKR__VOLTAGE_V] = {"battery.voltage_v", FOXTRACKR__BATTERY, FOXTRACKR__UNIT_V, 0, 1000},
    [FOXTRACKR__LEVEL_PCT] = {"battery.level_pct", FOXTRACKR__BATTERY, FOXTRACKR__UNIT_PCT, 0, 100},
    [FOXTRACKR__CELSIUS] = {"temperature.celsius", FOXTRACKR__TEMPERATURE, FOXTRACKR__UNIT_C,
                            -273.15, 3000},
};

static const struct {
    enum foxtrackr__column column;
    const char *path;
    enum foxtrackr__unit unit; /* stated by the name */
} builtin[] = {
    {FOXTRACKR__VOLTAGE_V, "battery.voltage", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__VOLTAGE_V, "battery.voltageV", FOXTRACKR__UNIT_V},
    {FOXTRACKR__VOLTAGE_V, "battery.voltage_v", FOXTRACKR__UNIT_V},
    {FOXTRACKR__VOLTAGE_V, "battery.batV", FOXTRACKR__UNIT_V},
    {FOXTRACKR__VOLTAGE_V, "battery.bat_v", FOXTRACKR__UNIT_V},
    {FOXTRACKR__VOLTAGE_V, "battery.vbat", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__VOLTAGE_V, "battery.vBat", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__VOLTAGE_V, "battery.batteryVoltage", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__VOLTAGE_V, "battery.volts", FOXTRACKR__UNIT_V},
    {FOXTRACKR__VOLTAGE_V, "battery.volt", FOXTRACKR__UNIT_V},
    {FOXTRACKR__VOLTAGE_V, "battery.voltageMv", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.voltage_mv", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.batMv", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.bat_mv", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.vbatMv", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.vbat_mv", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.millivolts", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.mv", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery.mV", FOXTRACKR__UNIT_MV},
    {FOXTRACKR__VOLTAGE_V, "battery", FOXTRACKR__UNIT_COLUMN}, /* a bare number */

    {FOXTRACKR__LEVEL_PCT, "battery.level", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__LEVEL_PCT, "battery.levelPct", FOXTRACKR__UNIT_PCT},
    {FOXTRACKR__LEVEL_PCT, "battery.level_pct", FOXTRACKR__UNIT_PCT},
    {FOXTRACKR__LEVEL_PCT, "battery.percent", FOXTRACKR__UNIT_PCT},
    {FOXTRACKR__LEVEL_PCT, "battery.percentage", FOXTRACKR__UNIT_PCT},
    {FOXTRACKR__LEVEL_PCT, "battery.pct", FOXTRACKR__UNIT_PCT},
    {FOXTRACKR__LEVEL_PCT, "battery.batPct", FOXTRACKR__UNIT_PCT},
    {FOXTRACKR__LEVEL_PCT, "battery.bat_pct", FOXTRACKR__UNIT_PCT},
    {FOXTRACKR__LEVEL_PCT, "battery.batteryLevel", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__LEVEL_PCT, "battery.soc", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__LEVEL_PCT, "battery.stateOfCharge", FOXTRACKR__UNIT_COLUMN},

    {FOXTRACKR__CELSIUS, "temperature.celsius", FOXTRACKR__UNIT_C},
    {FOXTRACKR__CELSIUS, "temperature.temperature", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__CELSIUS, "temperature.temperatureC", FOXTRACKR__UNIT_C},
    {FOXTRACKR__CELSIUS, "temperature.temperature_c", FOXTRACKR__UNIT_C},
    {FOXTRACKR__CELSIUS, "temperature.tempC", FOXTRACKR__UNIT_C},
    {FOXTRACKR__CELSIUS, "temperature.temp_c", FOXTRACKR__UNIT_C},
    {FOXTRACKR__CELSIUS, "temperature.temp", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__CELSIUS, "temperature.degC", FOXTRACKR__UNIT_C},
    {FOXTRACKR__CELSIUS, "temperature.value", FOXTRACKR__UNIT_COLUMN},
    {FOXTRACKR__CELSIUS, "temperature.milliCelsius", FOXTRACKR__UNIT_MC},
    {FOXTRACKR__CELSIUS, "temperature.tempMilliC", FOXTRACKR__UNIT_MC},
    {FOXTRACKR__CELSIUS, "temperature", FOXTRACKR__UNIT_COLUMN}, /* a bare number */
};

#define BUILTIN_COUNT (sizeof(builtin) / sizeof(builtin[0]))

enum foxtrackr__row foxtrackr__column_row(enum foxtrackr__column column)
{
    return columns[column].row;
}

enum foxtrackr__unit foxtrackr__column_unit(enum foxtrackr__column column)
{
    return columns[column].unit;
}

bool foxtrackr__column_takes(enum foxtrackr__column column, double number)
{
    return number >= columns[column].least && number <= columns[column].most;
}

/* Splits a path of `length` bytes, which was checked, into *field. Returns 0 or -ENOMEM. */
static int field_init(struct foxtrackr__field *field, enum foxtrackr__column column,
                      const char *path, size_t length, enum foxtrackr__unit unit)
{
    field->column = column;
    field->unit = unit;
    field->multiplier = 1;
    field->divisor = 1;
    field->depth = 1;
    field->names_size = length + 1;
    field->names = malloc(length + 1);
    if (!field->names) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < length; i++) {
        field->names[i] = path[i];
        if (path[i] == '.') {
            field->names[i] = '\0';
            field->depth++;
        }
    }
    field->names[length] = '\0';
    return 0;
}

int foxtrackr_fields_new(struct foxtrackr_fields **out)
{
    struct foxtrackr_fields *fields = calloc(1, sizeof(*fields));

    if (!fields) {
        return -ENOMEM;
    }
    fields->field = calloc(BUILTIN_COUNT, sizeof(*fields->field));
    if (!fields->field) {
        free(fields);
        return -ENOMEM;
    }
    for (; fields->count < BUILTIN_COUNT; fields->count++) {
        size_t i = fields->count;

        if (field_init(&fields->field[i], builtin[i].column, builtin[i].path,
                       strlen(builtin[i].path), builtin[i].unit)) {
            foxtrackr_fields_free(fields);
            return -ENOMEM;
        }
    }
    *out = fields;
    return 0;
}

void foxtrackr_fields_set_version_slash(struct foxtrackr_fields *fields, bool yes)
{
    fields->version_slash = yes;
}

void foxtrackr_fields_free(struct foxtrackr_fields *fields)
{
    if (!fields) {
        return;
    }
    for (size_t i = 0; i < fields->count; i++) {
        free(fields->field[i].names);
    }
    free(fields->field);
    free(fields);
}

/* Returns the column of that name, or FOXTRACKR__COLUMNS. */
static enum foxtrackr__column find_column(const char *name)
{
    int column = 0;

    while (column < FOXTRACKR__COLUMNS && strcmp(name, columns[column].name) != 0) {
        column++;
    }
    return (enum foxtrackr__column)column;
}

static int unknown_column(const char *name, struct foxtrackr_problem *problem)
{
    char quoted[FOXTRACKR__QUOTE_SIZE];

    return foxtrackr__problem(
        problem, FOXTRACKR_E_FIELD, "unknown column %s: expected %s, %s or %s",
        foxtrackr__quote(quoted, name, strlen(name)), columns[FOXTRACKR__VOLTAGE_V].name,
        columns[FOXTRACKR__LEVEL_PCT].name, columns[FOXTRACKR__CELSIUS].name);
}

/* Puts *field first, and removes an earlier mapping of the same path. Returns 0, or -ENOMEM with
 * nothing changed. */
static int put_first(struct foxtrackr_fields *fields, const struct foxtrackr__field *field)
{
    size_t same = 0;

    while (same < fields->count &&
           (fields->field[same].names_size != field->names_size ||
            memcmp(fields->field[same].names, field->names, field->names_size) != 0)) {
        same++;
    }
    if (same < fields->count) {
        free(fields->field[same].names);
    } else {
        struct foxtrackr__field *grown =
            realloc(fields->field, (fields->count + 1) * sizeof(*grown));

        if (!grown) {
            return -ENOMEM;
        }
        fields->field = grown;
        fields->count++;
    }
    memmove(fields->field + 1, fields->field, same * sizeof(*field));
    fields->field[0] = *field;
    return 0;
}

int foxtrackr_fields_add(struct foxtrackr_fields *fields, const char *column, const char *source,
                         struct foxtrackr_problem *problem)
{
    struct foxtrackr__source parsed;
    struct foxtrackr__field field;
    enum foxtrackr__column which = find_column(column);
    int result;

    if (which == FOXTRACKR__COLUMNS) {
        return unknown_column(column, problem);
    }
    result = foxtrackr__source_parse(source, &parsed, problem);
    if (result) {
        return result;
    }
    result = field_init(&field, which, parsed.path, parsed.path_length, FOXTRACKR__UNIT_COLUMN);
    if (result) {
        return result;
    }
    if (parsed.factor) {
        field.unit = FOXTRACKR__UNIT_FACTOR;
        field.multiplier = parsed.multiplier;
        field.divisor = parsed.divisor;
    }
    result = put_first(fields, &field);
    if (result) {
        free(field.names);
    }
    return result;
}
