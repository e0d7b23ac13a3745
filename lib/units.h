/* Inside the library: units of measure, as messages name them. */
#ifndef FOXTRACKR_UNITS_H
#define FOXTRACKR_UNITS_H

#include <stdbool.h>
#include <stddef.h>

#include "fields.h"

/* The unit that a text names ("mV", "°F", "degrees Celsius"), or FOXTRACKR__UNIT_UNKNOWN. */
enum foxtrackr__unit foxtrackr__unit_read(const char *text, size_t length);

/* The column that a known unit measures. */
enum foxtrackr__column foxtrackr__unit_column(enum foxtrackr__unit unit);

/* A number in a known unit, in the unit of its column. */
double foxtrackr__unit_convert(enum foxtrackr__unit unit, double number);

#endif
