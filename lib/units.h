/* Units of measure, as messages name them. Private to the library; any thread. */
#ifndef FOXTRACKR_UNITS_H
#define FOXTRACKR_UNITS_H

#include <stdbool.h>
#include <stddef.h>

#include "fields.h"

/* Returns the unit that a text names ("mV", "°F", "degrees Celsius"), or FOXTRACKR__UNIT_UNKNOWN.
 */
enum foxtrackr__unit foxtrackr__unit_read(const char *text, size_t length);

/* Returns the column that a known unit measures. */
enum foxtrackr__column foxtrackr__unit_column(enum foxtrackr__unit unit);

/* Converts a number from a known unit to the unit of its column. */
double foxtrackr__unit_convert(enum foxtrackr__unit unit, double number);

#endif
