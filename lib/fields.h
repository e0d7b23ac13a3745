/* The mapping table, as columns.c walks it. Private to the library. */
#ifndef FOXTRACKR_FIELDS_H
#define FOXTRACKR_FIELDS_H

#include <stddef.h>

#include "foxtrackr.h"

enum foxtrackr__row { FOXTRACKR__BATTERY, FOXTRACKR__TEMPERATURE, FOXTRACKR__ROWS };

enum foxtrackr__column {
    FOXTRACKR__VOLTAGE_V,
    FOXTRACKR__LEVEL_PCT,
    FOXTRACKR__CELSIUS,
    FOXTRACKR__COLUMNS
};

/* The unit of a number: one of units.c, or how it is stated. */
enum foxtrackr__unit {
    FOXTRACKR__UNIT_V,
    FOXTRACKR__UNIT_MV,
    FOXTRACKR__UNIT_PCT,
    FOXTRACKR__UNIT_RATIO,
    FOXTRACKR__UNIT_PERMILLE,
    FOXTRACKR__UNIT_C,
    FOXTRACKR__UNIT_MC,
    FOXTRACKR__UNIT_F,
    FOXTRACKR__UNIT_K,
    FOXTRACKR__UNITS,        /* the number of known units */
    FOXTRACKR__UNIT_COLUMN,  /* not stated: the column's, unless the message says otherwise */
    FOXTRACKR__UNIT_FACTOR,  /* stated by a factor in a mapping, whatever the message says */
    FOXTRACKR__UNIT_UNKNOWN, /* stated, and not known */
};

/* One mapping: the number at a path becomes the column; it has that unit. */
struct foxtrackr__field {
    enum foxtrackr__column column;
    size_t depth; /* member names in the path, at least 1 */
    char *names;  /* the names, each with its NUL, one after the other */
    size_t names_size;
    enum foxtrackr__unit unit; /* a known one, _COLUMN or _FACTOR */
    double multiplier;         /* with _FACTOR the column is number * multiplier / divisor; */
    double divisor;            /* else both are 1 */
};

/* The mappings, in the order of preference: of a column's mappings the first counts whose path has
 * a number that the column takes. No path occurs twice. */
struct foxtrackr_fields {
    struct foxtrackr__field *field;
    size_t count;
    bool version_slash; /* foxtrackr_topic_parse_slashes() splits the topics */
};

/* Returns the row that a column belongs to. */
enum foxtrackr__row foxtrackr__column_row(enum foxtrackr__column column);

/* Returns the unit of a column. */
enum foxtrackr__unit foxtrackr__column_unit(enum foxtrackr__column column);

/* Returns true when a number lies in the documented range of a column. */
bool foxtrackr__column_takes(enum foxtrackr__column column, double number);

#endif
