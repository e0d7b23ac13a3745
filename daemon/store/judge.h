/*
 * Judges a message by the rows that are stored for its keys: is it new, a duplicate or a conflict?
 * Every engine asks here, so that all of them give the same result and the same sentence. Only the
 * engines include this. Pure; any thread.
 */
#ifndef STORE_JUDGE_H
#define STORE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "foxtrackr.h"

/* A column that is compared. */
struct judge_value {
    const char *column; /* its name, for a sentence */
    enum { JUDGE_INTEGER, JUDGE_REAL, JUDGE_JSON } kind;
    bool null;
    int64_t integer;
    double real;
    const char
        *bytes; /* of JSON: `length` bytes, borrowed; NULL: memory was out, equal to nothing */
    size_t length;
};

struct judge_value judge_real(const char *column, double real); /* NAN becomes NULL */
struct judge_value judge_json(const char *column, const char *text, size_t length);

/* The result for a row, and for a message. */
enum judge_row {
    JUDGE_NEW,
    JUDGE_SAME, /* stored already, with the same values */
    JUDGE_CONFLICT,
};

/*
 * Compare the `count` values of a message's row with the stored ones, column by column: numbers
 * exactly, JSON by its content. Returns JUDGE_SAME, or JUDGE_CONFLICT and a sentence about the
 * first column that differs in problem->detail.
 */
enum judge_row judge_compare(const char *table, const struct judge_value *came,
                             const struct judge_value *stored, int count,
                             struct foxtrackr_problem *problem);

/*
 * Derive the result of a message from those of its `count` rows, one or two: a conflict if one
 * conflicts, else new if one is new. problem->detail describes the first conflict; the other row's
 * state is appended, but not whether that row is new, so that a replay of the message gives the
 * same text.
 */
enum judge_row judge_rows(const char *const *tables, const enum judge_row *each, int count,
                          struct foxtrackr_problem *problem);

#endif
