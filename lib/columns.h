/* Finds the numbers of a body that become columns. Private to the library; any thread. */
#ifndef FOXTRACKR_COLUMNS_H
#define FOXTRACKR_COLUMNS_H

#include "body.h"
#include "problem.h"

/* A quick test for unit members: returns true when the name ends in "it", "ts" or "om". */
static inline bool foxtrackr__may_be_unit(const struct foxtrackr__value *member)
{
    const char *end = member->name + member->name_length;

    if (member->name_length < 3) {
        return false;
    }
    switch (foxtrackr__lower(end[-1])) {
    case 't':
        return foxtrackr__lower(end[-2]) == 'i';
    case 's':
        return foxtrackr__lower(end[-2]) == 't';
    case 'm':
        return foxtrackr__lower(end[-2]) == 'o';
    default:
        return false;
    }
}

/* Returns true for a JSON number, and for a string that contains exactly one. */
bool foxtrackr__is_number(const struct foxtrackr__value *value);

/*
 * Fill the columns that are NAN, of the rows that are present, and remove the members that filled
 * them from the body. `fields` may be NULL: no column is filled.
 */
void foxtrackr__columns_map(const struct foxtrackr_fields *fields,
                            const bool present[FOXTRACKR__ROWS], struct foxtrackr__body *body,
                            double columns[FOXTRACKR__COLUMNS]);

#endif
