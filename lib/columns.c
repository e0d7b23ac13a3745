/*
 * Columns: which numbers of a body become columns, and in which unit they were.
 *
 * `fields` names the members. A number becomes a column only if its meaning is certain: its unit is
 * known, a double holds it exactly, and the result lies in the column's range. Otherwise the next
 * mapping of the column is tried, and the member stays in the body, so in extra. A unit member
 * always stays there too: other numbers beside it may become columns later (foxtrackr_extra_map()).
 *
 * A unit member is one whose name is or ends in "unit", "units" or "uom". It belongs to a number
 *   - if its name is that of the number before "unit" (voltage, voltageUnit): this settles it;
 *   - not, if its name is that of another member before "unit" (rssi, rssiUnit), or that of a
 *     mapping of another column (tempUnit beside voltage);
 *   - if it names a unit that measures the number's column;
 *   - not, if it names a unit of another column, and there is a number for that column beside it;
 *   - else if it is just "unit", "units" or "uom": a unit that the column cannot have, or that is
 *     not known, and the number does not become a column.
 *
 * The members beside the number are examined first, then those beside each object that contains it.
 * Of the latter only a known unit of the column, or a matching name before "unit", counts.
 */
#include "columns.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "problem.h"
#include "units.h"

#define INTEGER_MAX (INT64_C(1) << 53) /* a double holds every integer up to here */

/* The result of an object's unit members for the unit of a number. */
enum verdict { SILENT, STATED, REFUSED };

struct judgement {
    enum verdict verdict;
    enum foxtrackr__unit unit; /* with STATED */
    bool settled;
};

struct question {
    const struct foxtrackr_fields *fields;
    struct foxtrackr__value *object; /* whose members are examined */
    enum foxtrackr__column column;
    const char *name; /* of the number, or of the object that it is in */
    size_t name_length;
    bool beside; /* the number is a member of `object` */
};

/* --- numbers --------------------------------------------------------------------------------- */

/* Sets *out to the number that `value` is or, as a string, contains. Returns false when it is
 * none. */
static bool read_number(const struct foxtrackr__value *value, struct foxtrackr__value *out)
{
    const char *at;

    if (!value) {
        return false;
    }
    *out = *value;
    if (value->kind == FOXTRACKR__STRING) {
        at = value->string;
        return foxtrackr__number_read(&at, value->string + value->length, out) &&
               at == value->string + value->length;
    }
    return value->kind == FOXTRACKR__INTEGER || value->kind == FOXTRACKR__REAL ||
           value->kind == FOXTRACKR__DECIMAL;
}

bool foxtrackr__is_number(const struct foxtrackr__value *value)
{
    struct foxtrackr__value number;

    return read_number(value, &number);
}

/* Returns the number as a double of exactly that value; NAN when there is none. */
static double exact(const struct foxtrackr__value *value)
{
    struct foxtrackr__value number;

    if (!read_number(value, &number) || number.kind == FOXTRACKR__DECIMAL) {
        return NAN;
    }
    if (number.kind == FOXTRACKR__REAL) {
        return number.real;
    }
    return number.integer <= INTEGER_MAX && number.integer >= -INTEGER_MAX ? (double)number.integer
                                                                           : NAN;
}

/* --- names ----------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == '_' || c == '-' || c == ' ';
}

/* Compares two names without case, underscores, hyphens and blanks. */
static bool alike(const char *one, size_t one_length, const char *other, size_t other_length)
{
    const char *one_end = one + one_length;
    const char *other_end = other + other_length;

    for (;;) {
        while (one < one_end && is_separator(*one)) {
            one++;
        }
        while (other < other_end && is_separator(*other)) {
            other++;
        }
        if (one == one_end || other == other_end) {
            return one == one_end && other == other_end;
        }
        if (foxtrackr__lower(*one++) != foxtrackr__lower(*other++)) {
            return false;
        }
    }
}

static bool ends_in(const struct foxtrackr__value *member, const char *word, size_t length)
{
    return member->name_length >= length &&
           alike(member->name + member->name_length - length, length, word, length);
}

/* Returns true for a unit member, and sets *prefix_length to the length of its name before
 * "unit". */
static bool is_unit_member(const struct foxtrackr__value *member, size_t *prefix_length)
{
    static const char *const words[] = {"units", "unit", "uom"};

    if (!foxtrackr__may_be_unit(member)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (ends_in(member, words[i], strlen(words[i]))) {
            *prefix_length = member->name_length - strlen(words[i]);
            return true;
        }
    }
    return false;
}

static const char *last_name(const struct foxtrackr__field *field)
{
    const char *name = field->names;

    for (size_t i = 1; i < field->depth; i++) {
        name += strlen(name) + 1;
    }
    return name;
}

/* Returns the column that a word names: that of the first mapping whose path ends with it. */
static enum foxtrackr__column column_named(const struct foxtrackr_fields *fields, const char *word,
                                           size_t length)
{
    for (size_t i = 0; i < fields->count; i++) {
        const char *name = last_name(&fields->field[i]);

        if (alike(name, strlen(name), word, length)) {
            return fields->field[i].column;
        }
    }
    return FOXTRACKR__COLUMNS;
}

static struct foxtrackr__value *member_alike(struct foxtrackr__value *object, const char *name,
                                             size_t length)
{
    struct foxtrackr__value *member = object->first;

    while (member && !alike(member->name, member->name_length, name, length)) {
        member = member->next;
    }
    return member;
}

/* --- units ----------------------------------------------------------------------------------- */

/* Returns true when the object has a number that is mapped to this column. */
static bool has_number_for(const struct question *question, enum foxtrackr__column column)
{
    for (size_t i = 0; i < question->fields->count; i++) {
        const struct foxtrackr__field *field = &question->fields->field[i];

        if (field->column == column &&
            foxtrackr__is_number(foxtrackr__body_member(question->object, last_name(field)))) {
            return true;
        }
    }
    return false;
}

static enum foxtrackr__unit unit_of(const struct foxtrackr__value *member)
{
    return member->kind == FOXTRACKR__STRING ? foxtrackr__unit_read(member->string, member->length)
                                             : FOXTRACKR__UNIT_UNKNOWN;
}

/* Judges a unit member that belongs to this number by its name. */
static struct judgement own(const struct question *question, enum foxtrackr__unit unit)
{
    bool fits = unit != FOXTRACKR__UNIT_UNKNOWN && foxtrackr__unit_column(unit) == question->column;

    return (struct judgement){fits ? STATED : REFUSED, unit, false};
}

/* Judges a unit member whose name does not tie it to a number. */
static struct judgement general(const struct question *question, enum foxtrackr__unit unit,
                                bool named)
{
    const struct judgement silent = {SILENT, unit, false};

    if (unit != FOXTRACKR__UNIT_UNKNOWN) {
        enum foxtrackr__column column = foxtrackr__unit_column(unit);

        if (column == question->column) {
            return (struct judgement){STATED, unit, false};
        }
        if (has_number_for(question, column)) {
            return silent;
        }
    }
    return named || !question->beside ? silent : own(question, FOXTRACKR__UNIT_UNKNOWN);
}

/* {"units": {"voltage": "mV"}}: a unit for each number, by its name. */
static struct judgement from_table(const struct question *question, struct foxtrackr__value *table)
{
    const struct foxtrackr__value *member =
        member_alike(table, question->name, question->name_length);
    struct judgement judgement = {SILENT, FOXTRACKR__UNIT_UNKNOWN, false};

    if (member && member->kind != FOXTRACKR__NULL) {
        judgement = own(question, unit_of(member));
        judgement.settled = true;
    }
    return judgement;
}

static struct judgement judge_member(const struct question *question,
                                     struct foxtrackr__value *member, size_t prefix_length)
{
    const char *prefix = member->name;
    struct judgement judgement = {SILENT, FOXTRACKR__UNIT_UNKNOWN, false};
    enum foxtrackr__column column;

    while (prefix_length > 0 && is_separator(prefix[prefix_length - 1])) {
        prefix_length--;
    }
    if (member->kind == FOXTRACKR__NULL) {
        return judgement;
    }
    if (prefix_length == 0) {
        return member->kind == FOXTRACKR__OBJECT ? from_table(question, member)
                                                 : general(question, unit_of(member), false);
    }
    if (alike(prefix, prefix_length, question->name, question->name_length)) {
        judgement = own(question, unit_of(member));
        judgement.settled = true;
        return judgement;
    }
    if (member_alike(question->object, prefix, prefix_length)) {
        return judgement;
    }
    column = column_named(question->fields, prefix, prefix_length);
    if (column != FOXTRACKR__COLUMNS) {
        return column == question->column ? own(question, unit_of(member)) : judgement;
    }
    return general(question, unit_of(member), true);
}

/* Combines all unit members of an object: SILENT without any, REFUSED when two differ. */
static struct judgement judge_object(const struct question *question)
{
    struct judgement all = {SILENT, FOXTRACKR__UNIT_UNKNOWN, false};

    for (struct foxtrackr__value *member = question->object->first; member; member = member->next) {
        struct judgement judgement;
        size_t prefix_length;

        if (!is_unit_member(member, &prefix_length)) {
            continue;
        }
        judgement = judge_member(question, member, prefix_length);
        if (judgement.verdict == SILENT) {
            continue;
        }
        if (judgement.settled) {
            return judgement;
        }
        if (all.verdict == STATED && judgement.unit != all.unit) {
            judgement.verdict = REFUSED;
        }
        if (all.verdict != REFUSED) {
            all = judgement;
        }
    }
    return all;
}

/* Finds the unit that the message gives for the number at a path, from the inside out. */
static struct judgement judge(const struct foxtrackr_fields *fields,
                              const struct foxtrackr__field *field, struct foxtrackr__value *object,
                              const char *name, size_t level)
{
    struct judgement judgement = {SILENT, FOXTRACKR__UNIT_UNKNOWN, false};
    size_t length = strlen(name);

    if (level < field->depth) {
        struct foxtrackr__value *inner = foxtrackr__body_member(object, name);

        judgement = judge(fields, field, inner, name + length + 1, level + 1);
    }
    if (judgement.verdict == SILENT) {
        const struct question question = {fields, object, field->column,
                                          name,   length, level == field->depth};

        judgement = judge_object(&question);
    }
    return judgement;
}

/* --- columns --------------------------------------------------------------------------------- */

/* Converts a number to its column's unit; NAN when the column does not take it. */
static double convert(const struct foxtrackr__field *field, enum foxtrackr__unit unit,
                      double number)
{
    double converted = unit == FOXTRACKR__UNIT_FACTOR ? number * field->multiplier / field->divisor
                                                      : foxtrackr__unit_convert(unit, number);

    /* A product too small for a double is not zero; 32 °F are. */
    if (unit == FOXTRACKR__UNIT_FACTOR && number != 0 && fabs(converted) < DBL_MIN) {
        return NAN;
    }
    return foxtrackr__column_takes(field->column, converted) ? converted : NAN;
}

/* Returns the value at a field's path as its column's number; NAN if it does not become a
 * column. */
static double column_of(const struct foxtrackr_fields *fields, const struct foxtrackr__field *field,
                        struct foxtrackr__body *body, const struct foxtrackr__value *value)
{
    enum foxtrackr__unit unit = field->unit;
    double number = exact(value);
    struct judgement judgement;

    if (isnan(number)) {
        return NAN;
    }
    if (body->has_unit && unit != FOXTRACKR__UNIT_FACTOR) {
        judgement = judge(fields, field, body->root, field->names, 1);
        if (judgement.verdict == REFUSED) {
            return NAN;
        }
        if (judgement.verdict == STATED) {
            if (unit != FOXTRACKR__UNIT_COLUMN && unit != judgement.unit) {
                return NAN; /* the name states another unit */
            }
            unit = judgement.unit;
        }
    }
    if (unit == FOXTRACKR__UNIT_COLUMN) {
        unit = foxtrackr__column_unit(field->column);
    }
    return convert(field, unit, number);
}

void foxtrackr__columns_map(const struct foxtrackr_fields *fields,
                            const bool present[FOXTRACKR__ROWS], struct foxtrackr__body *body,
                            double columns[FOXTRACKR__COLUMNS])
{
    const struct foxtrackr__field *used[FOXTRACKR__COLUMNS] = {NULL};
    bool wanted[FOXTRACKR__COLUMNS];
    int left = 0;

    for (int column = 0; column < FOXTRACKR__COLUMNS; column++) {
        wanted[column] = isnan(columns[column]) &&
                         present[foxtrackr__column_row((enum foxtrackr__column)column)];
        left += wanted[column];
    }
    for (size_t i = 0; fields && i < fields->count && left > 0; i++) {
        const struct foxtrackr__field *field = &fields->field[i];
        const struct foxtrackr__value *value;
        double number;

        if (!wanted[field->column]) {
            continue;
        }
        value = foxtrackr__body_find(body->root, field);
        number = value ? column_of(fields, field, body, value) : NAN;
        if (!isnan(number)) {
            columns[field->column] = number;
            used[field->column] = field;
            wanted[field->column] = false;
            left--;
        }
    }
    for (int column = 0; column < FOXTRACKR__COLUMNS; column++) {
        if (used[column]) {
            foxtrackr__body_remove(body->root, used[column]);
        }
    }
}
