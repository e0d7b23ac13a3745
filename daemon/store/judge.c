/*
 * Judges messages by the rows that are stored for their keys.
 *
 * A broker sends a message again, and a device that is in a group is published twice: an equal row
 * is a duplicate. A row with other values for the same device and time is a conflict: the stored
 * row stays, and the message goes to quarantine with a sentence that names the column and both
 * values.
 *
 * Only measured data are compared: the columns with values, and the content of `extra`, as JSON
 * when its bytes differ. message_type and received_ms describe the delivery and are not compared.
 */
#include "store/judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/same.h"

#define SHOWN_SIZE 80 /* of a value in a sentence */

struct judge_value judge_real(const char *column, double real)
{
    return (struct judge_value){
        .column = column, .kind = JUDGE_REAL, .null = isnan(real), .real = real};
}

struct judge_value judge_json(const char *column, const char *text, size_t length)
{
    return (struct judge_value){.column = column,
                                .kind = JUDGE_JSON,
                                .null = text == NULL,
                                .bytes = text,
                                .length = length};
}

static bool same_text(const struct judge_value *came, const struct judge_value *stored)
{
    if (came->bytes == NULL || stored->bytes == NULL) {
        return false;
    }
    return (came->length == stored->length &&
            memcmp(came->bytes, stored->bytes, came->length) == 0) ||
           store_same_json(stored->bytes, stored->length, came->bytes, came->length);
}

static bool agrees(const struct judge_value *came, const struct judge_value *stored)
{
    if (came->null || stored->null) {
        return came->null && stored->null;
    }
    switch (came->kind) {
    case JUDGE_INTEGER:
        return came->integer == stored->integer;
    case JUDGE_REAL:
        return came->real == stored->real; /* a double comes back from a database as it went in */
    case JUDGE_JSON:
        break;
    }
    return same_text(came, stored);
}

/* Copies a text for a sentence: at most `size` - 1 bytes, cut between characters. */
static void clip(char *out, size_t size, const char *text, size_t length)
{
    size_t kept = length < size ? length : size - 4;

    if (text == NULL) {
        kept = length = 0;
    }
    if (kept < length) {
        while (kept > 0 && (text[kept] & 0xc0) == 0x80) {
            kept--;
        }
    }
    snprintf(out, size, "%.*s%s", (int)kept, text == NULL ? "" : text, kept < length ? "..." : "");
}

static void describe(const struct judge_value *value, char *out, size_t size)
{
    if (value->null) {
        snprintf(out, size, "absent");
    } else if (value->kind == JUDGE_INTEGER) {
        snprintf(out, size, "%lld", (long long)value->integer);
    } else if (value->kind == JUDGE_REAL) {
        snprintf(out, size, "%.15g", value->real);
    } else {
        clip(out, size, value->bytes, value->length);
    }
}

enum judge_row judge_compare(const char *table, const struct judge_value *came,
                             const struct judge_value *stored, int count,
                             struct foxtrackr_problem *problem)
{
    char is[SHOWN_SIZE];
    char says[SHOWN_SIZE];

    for (int i = 0; i < count; i++) {
        if (!agrees(&came[i], &stored[i])) {
            describe(&stored[i], is, sizeof(is));
            describe(&came[i], says, sizeof(says));
            snprintf(problem->detail, sizeof(problem->detail),
                     "%s.%s is %s for this device and time, the message says %s", table,
                     came[i].column, is, says);
            return JUDGE_CONFLICT;
        }
    }
    return JUDGE_SAME;
}

enum judge_row judge_rows(const char *const *tables, const enum judge_row *each, int count,
                          struct foxtrackr_problem *problem)
{
    enum judge_row worst = JUDGE_SAME;
    int conflicts = 0;
    size_t length;

    for (int i = 0; i < count; i++) {
        conflicts += each[i] == JUDGE_CONFLICT;
        if (each[i] == JUDGE_CONFLICT || (each[i] == JUDGE_NEW && worst == JUDGE_SAME)) {
            worst = each[i];
        }
    }
    if (conflicts > 0 && count > 1) {
        const char *other = tables[each[0] == JUDGE_CONFLICT ? 1 : 0];

        length = strlen(problem->detail);
        snprintf(problem->detail + length, sizeof(problem->detail) - length,
                 conflicts > 1 ? "; its %s differs too" : "; its %s is stored", other);
    }
    return worst;
}
