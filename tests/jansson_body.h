/*
 * A second opinion on bodies: jansson's, with the library's rules around it. For tests of
 * lib/body_reader.c.
 *
 * The two differ in numbers only: jansson refuses an integer beyond 64 bits, and rounds a real
 * below the smallest normal double; the library keeps the text of both.
 */
#ifndef FOXTRACKR_TESTS_JANSSON_BODY_H
#define FOXTRACKR_TESTS_JANSSON_BODY_H

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "problem.h"
#include "spelling.h"
#include "utf8.h"

/* Verdict where jansson stops at a number, so that nothing is known about the rest. */
#define JANSSON_NUMBER (-1000)

/* The deepest level that is opened, brackets in strings apart. */
static inline size_t jansson_depth(const char *json, size_t length)
{
    size_t depth = 0;
    size_t deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < length; i++) {
        if (in_string && json[i] == '\\') {
            i++;
        } else if (json[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && strchr("[{", json[i])) {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if (!in_string && strchr("]}", json[i]) && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

/* Returns the result that foxtrackr__body_read() should have, or JANSSON_NUMBER. */
static inline int jansson_verdict(const char *payload, size_t length)
{
    json_error_t error;
    json_t *json;

    if (length == 0) {
        return FOXTRACKR_E_EMPTY;
    }
    if ((length >= 3 && memcmp(payload, "\xEF\xBB\xBF", 3) == 0) ||
        foxtrackr__utf8_span(payload, length) < length) {
        return FOXTRACKR_E_ENCODING;
    }
    if (jansson_depth(payload, length) > FOXTRACKR__DEPTH_MAX) {
        return FOXTRACKR_E_JSON;
    }
    json = json_loadb(payload, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json) {
        json_decref(json);
        return 0;
    }
    if (strstr(error.text, "real number overflow")) {
        return FOXTRACKR_E_JSON;
    }
    switch (json_error_code(&error)) {
    case json_error_numeric_overflow:
        return JANSSON_NUMBER;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return FOXTRACKR_E_ENCODING;
    default:
        return FOXTRACKR_E_JSON;
    }
}

static inline bool jansson_same_decimal(const struct foxtrackr__value *value, json_t *json)
{
    const char *text = json_string_value(json); /* see spelling_readable() */

    if (json_is_real(json)) {
        return fabs(json_real_value(json)) < DBL_MIN;
    }
    return text && strlen(text) == value->length + 1 && text[0] == '#' &&
           memcmp(text + 1, value->string, value->length) == 0;
}

static inline bool jansson_same_real(double real, json_t *json)
{
    const char *text = json_string_value(json);
    double other = json_is_real(json) ? json_real_value(json) : text ? strtod(text + 1, NULL) : NAN;

    return memcmp(&real, &other, sizeof(real)) == 0;
}

static inline bool jansson_same(const struct foxtrackr__value *value, json_t *json);

static inline bool jansson_same_members(const struct foxtrackr__value *value, json_t *json)
{
    const struct foxtrackr__value *child = value->first;
    size_t count = 0;

    for (; child; child = child->next, count++) {
        json_t *other = value->kind == FOXTRACKR__ARRAY
                            ? json_array_get(json, count)
                            : json_object_getn(json, child->name, child->name_length);

        if (!other || !jansson_same(child, other)) {
            return false;
        }
    }
    return count == value->count &&
           count == (json_is_array(json) ? json_array_size(json) : json_object_size(json));
}

/* Returns true when a body equals the value that jansson has read. */
static inline bool jansson_same(const struct foxtrackr__value *value, json_t *json)
{
    switch (value->kind) {
    case FOXTRACKR__OBJECT:
        return json_is_object(json) && jansson_same_members(value, json);
    case FOXTRACKR__ARRAY:
        return json_is_array(json) && jansson_same_members(value, json);
    case FOXTRACKR__STRING:
        return json_is_string(json) && json_string_length(json) == value->length &&
               memcmp(json_string_value(json), value->string, value->length) == 0;
    case FOXTRACKR__INTEGER:
        return json_is_integer(json) && json_integer_value(json) == value->integer;
    case FOXTRACKR__REAL:
        return jansson_same_real(value->real, json);
    case FOXTRACKR__DECIMAL:
        return jansson_same_decimal(value, json);
    case FOXTRACKR__TRUE:
        return json_is_true(json);
    case FOXTRACKR__FALSE:
        return json_is_false(json);
    case FOXTRACKR__NULL:
        return json_is_null(json);
    case FOXTRACKR__OVERFLOW:
        break;
    }
    return false;
}

/* The readers' disagreement about a payload in words, or NULL where they agree. */
static inline const char *jansson_disagrees(const char *payload, size_t length)
{
    struct foxtrackr_problem problem;
    struct foxtrackr__body body;
    int theirs = jansson_verdict(payload, length);
    int ours = foxtrackr__body_read(&body, payload, length, &problem);
    size_t readable_length = length;
    const char *answer = NULL;
    char *readable;
    json_t *json;

    if (ours != 0) {
        bool either =
            theirs == JANSSON_NUMBER && (ours == FOXTRACKR_E_JSON || ours == FOXTRACKR_E_ENCODING);

        return ours == theirs || either ? NULL : "another reason";
    }
    readable = spelling_readable(payload, &readable_length);
    json = json_loadb(readable, readable_length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (theirs != 0 && theirs != JANSSON_NUMBER) {
        answer = "only jansson refuses it";
    } else if (!json || !jansson_same(body.root, json)) {
        answer = "another value";
    }
    json_decref(json);
    free(readable);
    foxtrackr__body_clear(&body);
    return answer;
}

#endif
