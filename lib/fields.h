/* Inside the library: the mapping table, as message.c walks it. */
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

/* One mapping: the number at a path, times `multiplier`, over `divisor`, is the column. */
struct foxtrackr__field {
    enum foxtrackr__column column;
    size_t depth; /* member names in the path, at least 1 */
    char *names;  /* the names, each with its NUL, one after the other */
    size_t names_size;
    double multiplier;
    double divisor;
};

/* The first mapping whose path holds a number wins its column. No path occurs twice. */
struct foxtrackr_fields {
    struct foxtrackr__field *field;
    size_t count;
};

/* The row that a column belongs to. */
enum foxtrackr__row foxtrackr__column_row(enum foxtrackr__column column);

#endif
