/* The source of a column: a path in the body of a message, and a factor. For the library and the
 * daemon's configuration; not installed. */
#ifndef FOXTRACKR_SOURCE_H
#define FOXTRACKR_SOURCE_H

#include <stddef.h>

#include "foxtrackr.h"

/* A parsed source. Its texts are slices of the text that was parsed, not NUL-terminated. */
struct foxtrackr__source {
    const char *path; /* member names joined by dots; valid UTF-8, and no name is empty */
    size_t path_length;
    const char *factor; /* a decimal number with optional sign and exponent; NULL: none */
    size_t factor_length;
    double multiplier; /* the column is number * multiplier / divisor; one of them is 1 */
    double divisor;    /* a whole number */
};

/* Parse a source such as "battery.akkuMv * 0.001". Returns 0 and sets *out; -ENOMEM; or
 * FOXTRACKR_E_FIELD with *problem filled in. Any thread. */
int foxtrackr__source_parse(const char *text, struct foxtrackr__source *out,
                            struct foxtrackr_problem *problem);

#endif
