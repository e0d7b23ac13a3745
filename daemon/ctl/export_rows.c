/*
 * Writes rows as CSV (RFC 4180) or as JSON, one object a line.
 *
 * Nothing is lost on the way, except where a format has no word for it:
 *
 *   NULL      nothing between two commas; an empty text is "" in CSV, as PostgreSQL's COPY has it.
 *             null in JSON.
 *   integer   its digits
 *   real      the shortest text that is the same double; always with a point (base/real_text.h)
 *   text      as it is, in quotes where CSV needs them. JSON that stands in a column stays a text.
 *   blob      hexadecimal digits as SQLite's hex() writes them
 *   other     a text that is not UTF-8 or contains NUL, and a blob in a column that is not declared
 *             BLOB: in CSV hexadecimal digits, in JSON an object {"hex": "..."}
 *
 * Names of devices and the like come from whoever may publish. On a terminal a row's control
 * characters are therefore shown as escapes (base/escape.h), except ends of line and tabs; a file
 * or a pipe gets every byte.
 *
 * Five million rows in six seconds leave 1.2 microseconds for a row: digits and dates are written
 * by hand, and a date is kept for the rows of the same day.
 */
#include "ctl/export_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/real_text.h"
#include "ctl/export_text_internal.h"
#include "utf8.h"

#define VALUE_SIZE (REAL_TEXT_SIZE + 16) /* of a number or a moment, with quotes and a comma */

/* Writes a text: of a column, or of a device's name. */
static char *put_text(struct export *export, char *at, const char *bytes, size_t length)
{
    if (foxtrackr__utf8_span(bytes, length) == length) {
        return export->json ? export_put_json_text(at, bytes, length)
                            : export_put_csv_text(at, bytes, length);
    }
    export->hexed++;
    at = export_put(at, "{\"hex\":\"", export->json ? 8 : 0);
    at = export_put_hex(at, bytes, length);
    return export_put(at, "\"}", export->json ? 2 : 0);
}

static char *put_blob(const struct export *export, const struct export_field *field, char *at,
                      const struct store_cell *cell)
{
    if (!export->json) {
        if (cell->length == 0) {
            return export_put(at, "\"\"", 2);
        }
        return export_put_hex(at, cell->bytes, cell->length);
    }
    at = export_put(at, "{\"hex\":", field->blob ? 0 : 7);
    *at++ = '"';
    at = export_put_hex(at, cell->bytes, cell->length);
    *at++ = '"';
    return export_put(at, "}", field->blob ? 0 : 1);
}

static char *put_null(const struct export *export, char *at)
{
    return export_put(at, "null", export->json ? 4 : 0);
}

static char *put_cell(struct export *export, const struct export_field *field, char *at,
                      const struct store_cell *cell)
{
    switch (cell->kind) {
    case STORE_INTEGER:
        return export_put_integer(at, cell->integer);
    case STORE_REAL:
        return at + real_text(cell->real, at);
    case STORE_TEXT:
        return put_text(export, at, cell->bytes, cell->length);
    case STORE_BLOB:
        return put_blob(export, field, at, cell);
    default:
        return put_null(export, at);
    }
}

static char *put_time(const struct export *export, struct export_field *field, char *at,
                      const struct store_cell *cell)
{
    const size_t quote = export->json ? 1 : 0;
    char *text = at + quote;
    char *end = text;

    if (cell->kind == STORE_INTEGER) {
        end = export_put_moment(text, &field->date, cell->integer);
    }
    if (end == text) {
        return put_null(export, at);
    }
    (void)export_put(at, "\"", quote);
    return export_put(end, "\"", quote);
}

/* Looks up the name of a device, unless it is that of the row before. */
static enum export_result look_up(struct export *export, const struct store_cell *cell)
{
    struct export_device *looked_up = &export->looked_up;
    const struct store_cell *row = NULL;
    int result;

    if (cell->kind == STORE_INTEGER && looked_up->known && looked_up->device == cell->integer) {
        return EXPORT_DONE;
    }
    free(looked_up->family);
    free(looked_up->device_id);
    looked_up->family = NULL;
    looked_up->device_id = NULL;
    looked_up->known = cell->kind == STORE_INTEGER;
    looked_up->device = cell->integer;
    if (!looked_up->known) {
        return EXPORT_DONE;
    }
    result = looked_up->query == NULL
                 ? store_query_named(export->store, STORE_NAMED_DEVICE, cell, 1, &looked_up->query)
                 : store_query_again(looked_up->query, cell, 1);
    if (result == STORE_OK) {
        result = store_query_next(looked_up->query, &row);
    }
    if (result == STORE_OK && row != NULL) {
        looked_up->family = strdup(row[0].bytes);
        looked_up->device_id = strdup(row[1].bytes);
        if (looked_up->family == NULL || looked_up->device_id == NULL) {
            snprintf(export->output.problem, sizeof(export->output.problem), "out of memory");
            return EXPORT_MEMORY;
        }
        result = store_query_next(looked_up->query, &row); /* the end: no transaction stays open */
    }
    return export_of_store(result);
}

static char *put_name(struct export *export, char *at, const char *name)
{
    return name == NULL ? put_null(export, at) : put_text(export, at, name, strlen(name));
}

static char *put_field(struct export *export, struct export_field *field, char *at,
                       const struct store_cell *row)
{
    switch (field->kind) {
    case EXPORT_MOMENT:
        return put_time(export, field, at, &row[field->cell]);
    case EXPORT_FAMILY:
        return put_name(export, at, export->looked_up.family);
    case EXPORT_DEVICE_ID:
        return put_name(export, at, export->looked_up.device_id);
    default:
        return put_cell(export, field, at, &row[field->cell]);
    }
}

/* Returns an upper bound, in bytes, of the row as text, with escapes, separators and the end of the
 * line. The device of the row was looked up before. */
static size_t bound(const struct export *export, const struct store_cell *row)
{
    size_t size = 8;

    for (int i = 0; i < export->field_count; i++) {
        const struct export_field *field = &export->fields[i];
        const struct store_cell *cell = &row[field->cell];

        size += field->name_length + VALUE_SIZE;
        if (field->kind == EXPORT_CELL && (cell->kind == STORE_TEXT || cell->kind == STORE_BLOB)) {
            size += EXPORT_GROWTH * cell->length;
        } else if (field->kind == EXPORT_FAMILY && export->looked_up.family != NULL) {
            size += EXPORT_GROWTH * strlen(export->looked_up.family);
        } else if (field->kind == EXPORT_DEVICE_ID && export->looked_up.device_id != NULL) {
            size += EXPORT_GROWTH * strlen(export->looked_up.device_id);
        }
    }
    return size;
}

/* Returns true when a row is in the range. NULL is an open end of a span; a time that is NULL is in
 * no range. */
static bool in_range(const struct export *export, const struct store_cell *row)
{
    const struct store_cell *begin = &row[export->span.begin];
    const struct store_cell *end = &row[export->span.end];

    if (begin == end && begin->kind != STORE_INTEGER) {
        return false;
    }
    return (begin->kind != STORE_INTEGER || begin->integer < export->range.until_ms) &&
           (end->kind != STORE_INTEGER || end->integer >= export->range.since_ms);
}

static bool of_device(const struct export *export, const struct store_cell *row)
{
    if (export->device_id_cell >= 0) {
        const struct store_cell *cell = &row[export->device_id_cell];

        return cell->kind == STORE_TEXT && strcmp(cell->bytes, export->device_id) == 0;
    }
    for (int i = 0; i < export->device_count; i++) {
        const struct store_cell *cell = &row[export->device_cell];

        if (cell->kind == STORE_INTEGER && cell->integer == export->devices[i]) {
            return true;
        }
    }
    return false;
}

/* Ends the line that was written from `begin` to `at`, both of the output's buffer. */
static enum export_result end_line(struct export *export, char *begin, char *at)
{
    if (export->output.terminal) {
        char *shown;
        size_t length;

        *at = '\0'; /* the caller has kept room for the end of the line */
        shown = export->json ? escape_json(begin) : escape_text(begin);
        length = shown != NULL ? strlen(shown) : 0;
        begin = ctl_output_room(&export->output, length + 2);
        if (shown == NULL || begin == NULL) {
            free(shown);
            snprintf(export->output.problem, sizeof(export->output.problem), "out of memory");
            return EXPORT_MEMORY;
        }
        at = export_put(begin, shown, length);
        free(shown);
    }
    at = export->json ? export_put(at, "\n", 1) : export_put(at, "\r\n", 2);
    export->output.length += (size_t)(at - begin);
    return EXPORT_DONE;
}

enum export_result export_head(struct export *export)
{
    size_t size = 8;
    char *begin;
    char *at;

    if (export->json) {
        return EXPORT_DONE;
    }
    for (int i = 0; i < export->field_count; i++) {
        size += export->fields[i].name_length + 1;
    }
    begin = ctl_output_room(&export->output, size);
    if (begin == NULL) {
        return EXPORT_OUTPUT;
    }
    at = begin;
    for (int i = 0; i < export->field_count; i++) {
        at = export_put(at, ",", i > 0 ? 1 : 0);
        at = export_put(at, export->fields[i].name, export->fields[i].name_length);
    }
    return end_line(export, begin, at);
}

enum export_result export_row(struct export *export, const struct store_cell *row)
{
    bool named = export->device_cell >= 0 && export->device_id_cell < 0;
    enum export_result result = EXPORT_DONE;
    char *begin;
    char *at;

    if ((export->ranged && !in_range(export, row)) ||
        (export->device_id != NULL && !of_device(export, row))) {
        return EXPORT_DONE;
    }
    if (named) {
        result = look_up(export, &row[export->device_cell]);
    }
    if (result != EXPORT_DONE) {
        return result;
    }
    begin = ctl_output_room(&export->output, bound(export, row));
    if (begin == NULL) {
        return EXPORT_OUTPUT;
    }
    at = begin;
    for (int i = 0; i < export->field_count; i++) {
        *at++ = i > 0 ? ',' : '{';
        if (export->json) {
            at = export_put(at, export->fields[i].name, export->fields[i].name_length);
        } else if (i == 0) {
            at--;
        }
        at = put_field(export, &export->fields[i], at, row);
    }
    at = export_put(at, "}", export->json ? 1 : 0);
    result = end_line(export, begin, at);
    export->rows += result == EXPORT_DONE;
    return result;
}
