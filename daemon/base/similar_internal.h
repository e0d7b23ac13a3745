/* The measure behind base/similar.h, for base/similar.c and its test. */
#ifndef BASE_SIMILAR_INTERNAL_H
#define BASE_SIMILAR_INTERNAL_H

/*
 * Count the slips between two words: a character too many, missing or wrong, or two neighbours that
 * changed places. Upper and lower case are the same, and so are - and _. Returns UINT_MAX for a
 * word longer than 40 characters.
 */
unsigned similar_slips(const char *one, const char *other);

#endif
