/* Compares two JSON texts by their content; see store/same.c. Only the engines include this. */
#ifndef STORE_SAME_H
#define STORE_SAME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Compare two JSON texts by their content: numbers by value (1, 1.0 and 10e-1 are one number),
 * strings by their characters, objects without the order of their members, arrays with the order of
 * their elements. Texts that are no JSON, or nested deeper than a message can be, are not the same.
 * Borrows both, allocates nothing. Any thread.
 */
bool store_same_json(const char *first, size_t first_length, const char *second,
                     size_t second_length);

#endif
