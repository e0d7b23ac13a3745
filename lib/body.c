/*
 * Bodies: jansson's reader with our reasons, for those that are not plain (body_plain.c), and what
 * can be asked of a body whoever has read it.
 *
 * jansson reports running out of memory as an error without a text, with one exception: when it
 * cannot copy a string, the token counts as invalid and a syntax error follows. No other invalid
 * token ends in a quotation mark, so load_failed() can tell. What it cannot tell is a failed growth
 * of jansson's token buffer, which jansson does not look at.
 */
#include "body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"

/* SQLite's functions read 1000 levels (older releases 2000), and one row beyond that makes an error
 * of every query that looks into its column. jansson's own limit is 2048. */
#define DEPTH_MAX 512

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int load_failed(const json_error_t *error, const char *payload,
                       struct foxtrackr_problem *problem)
{
    enum json_error_code code = json_error_code(error);
    bool token = starts_with(error->text, "invalid token") ||
                 starts_with(error->text, "string or '}' expected");

    if (error->text[0] == '\0' ||
        (token && error->position > 0 && payload[error->position - 1] == '"')) {
        return -ENOMEM;
    }
    if (code == json_error_null_character || code == json_error_null_byte_in_key) {
        return foxtrackr__problem(problem, FOXTRACKR_E_ENCODING,
                                  "payload line %d, column %d: a string holds NUL (\\u0000)",
                                  error->line, error->column);
    }
    return foxtrackr__problem(problem, FOXTRACKR_E_JSON, "payload line %d, column %d: %s",
                              error->line, error->column, error->text);
}

/* Offset of the bracket that opens a level too many; `length` if none does. */
static size_t depth_span(const char *payload, size_t length)
{
    size_t depth = 0;
    bool in_string = false;

    if (length <= DEPTH_MAX) {
        return length; /* as nearly every message */
    }
    for (size_t i = 0; i < length; i++) {
        char c = payload[i];

        if (in_string) {
            i += c == '\\'; /* whatever it escapes is no quotation mark to us */
            in_string = c != '"';
        } else if (c == '[' || c == '{') {
            if (++depth > DEPTH_MAX) {
                return i;
            }
        } else if (c == ']' || c == '}') {
            depth -= depth > 0;
        } else {
            in_string = c == '"';
        }
    }
    return length;
}

static int load(const char *payload, size_t length, json_t **out, struct foxtrackr_problem *problem)
{
    size_t valid = foxtrackr__text_span(payload, length);
    size_t deep;
    json_error_t error;
    json_t *body;

    if (length >= 3 && memcmp(payload, "\xEF\xBB\xBF", 3) == 0) {
        return foxtrackr__problem(problem, FOXTRACKR_E_ENCODING, "payload byte 0: byte order mark");
    }
    if (valid < length) {
        return foxtrackr__text_problem(problem, "payload", payload, valid);
    }
    if (length == 0) {
        return foxtrackr__problem(problem, FOXTRACKR_E_JSON, "empty payload");
    }
    deep = depth_span(payload, length);
    if (deep < length) {
        return foxtrackr__problem(problem, FOXTRACKR_E_JSON,
                                  "payload byte %zu: more than the maximum depth of %d levels",
                                  deep, DEPTH_MAX);
    }
    /* Any value: `5` is JSON, if no message. */
    body = json_loadb(payload, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!body) {
        return load_failed(&error, payload, problem);
    }
    *out = body;
    return 0;
}

/* --- jansson's values, as ours --------------------------------------------------------------- */

/* Recursion ends, here and below: a body has DEPTH_MAX levels at most. */
static size_t count_values(json_t *json)
{
    size_t count = 1;
    const char *name;
    json_t *child;

    if (json_is_object(json)) {
        json_object_foreach(json, name, child)
        {
            count += count_values(child);
        }
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        count += count_values(json_array_get(json, i));
    }
    return count;
}

static struct foxtrackr__value *take_value(struct foxtrackr__value **free_value, json_t *json);

/* Put the child at the end of the list. Returns where the next one goes. */
static struct foxtrackr__value **append(struct foxtrackr__value **link,
                                        struct foxtrackr__value *child, const char *name)
{
    if (name) {
        child->name = name;
        child->name_length = strlen(name);
    }
    *link = child;
    return &child->next;
}

static void take_children(struct foxtrackr__value **free_value, json_t *json,
                          struct foxtrackr__value *out)
{
    struct foxtrackr__value **link = &out->first;
    const char *name;
    json_t *child;

    if (json_is_object(json)) {
        json_object_foreach(json, name, child)
        {
            link = append(link, take_value(free_value, child), name);
            out->count++;
        }
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        link = append(link, take_value(free_value, json_array_get(json, i)), NULL);
        out->count++;
    }
}

/* A value and all that is in it; there is memory for it. */
static struct foxtrackr__value *take_value(struct foxtrackr__value **free_value, json_t *json)
{
    static const enum foxtrackr__kind kinds[] = {
        [JSON_OBJECT] = FOXTRACKR__OBJECT,   [JSON_ARRAY] = FOXTRACKR__ARRAY,
        [JSON_STRING] = FOXTRACKR__STRING,   [JSON_REAL] = FOXTRACKR__REAL,
        [JSON_INTEGER] = FOXTRACKR__INTEGER, [JSON_TRUE] = FOXTRACKR__TRUE,
        [JSON_FALSE] = FOXTRACKR__FALSE,     [JSON_NULL] = FOXTRACKR__NULL,
    };
    struct foxtrackr__value *out = (*free_value)++;

    *out = (struct foxtrackr__value){.kind = kinds[json_typeof(json)]};
    if (json_is_string(json)) {
        out->string = json_string_value(json);
        out->length = json_string_length(json);
    } else if (json_is_integer(json)) {
        out->integer = json_integer_value(json);
    } else if (json_is_real(json)) {
        out->real = json_real_value(json);
    } else {
        take_children(free_value, json, out);
    }
    return out;
}

int foxtrackr__body_read(struct foxtrackr__body *body, const char *payload, size_t length,
                         struct foxtrackr_problem *problem)
{
    struct foxtrackr__value *free_value;
    int result;

    if (foxtrackr__body_read_plain(body, payload, length)) {
        return 0;
    }
    result = load(payload, length, &body->json, problem);
    if (result) {
        return result;
    }
    body->count = count_values(body->json);
    body->more = calloc(body->count, sizeof(*body->more));
    if (!body->more) {
        json_decref(body->json);
        return -ENOMEM;
    }
    free_value = body->more;
    body->root = take_value(&free_value, body->json);
    return 0;
}

void foxtrackr__body_clear(struct foxtrackr__body *body)
{
    free(body->more);
    json_decref(body->json);
}

/* --- what is in it ---------------------------------------------------------------------------- */

/* A value whose kind says it all; NULL for the others. */
static const char *kind_name(const struct foxtrackr__value *value)
{
    if (!value) {
        return "nothing";
    }
    switch (value->kind) {
    case FOXTRACKR__OBJECT:
        return value->count == 0 ? "an empty object" : "an object";
    case FOXTRACKR__ARRAY:
        return "an array";
    case FOXTRACKR__TRUE:
        return "true";
    case FOXTRACKR__FALSE:
        return "false";
    case FOXTRACKR__NULL:
        return "null";
    case FOXTRACKR__STRING:
    case FOXTRACKR__INTEGER:
    case FOXTRACKR__REAL:
        break;
    }
    return NULL;
}

const char *foxtrackr__body_describe(char out[FOXTRACKR__DESCRIBE_SIZE],
                                     const struct foxtrackr__value *value)
{
    char quoted[FOXTRACKR__QUOTE_SIZE];
    struct foxtrackr__text number = {.data = quoted, .capacity = sizeof(quoted) - 1};
    const char *kind = kind_name(value);

    if (kind) {
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "%s", kind);
    } else if (value->kind == FOXTRACKR__STRING) {
        foxtrackr__quote(quoted, value->string, value->length);
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "string %s", quoted);
    } else if (value->kind == FOXTRACKR__INTEGER) {
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "integer %" PRId64, value->integer);
    } else {
        foxtrackr__text_add_real(&number, value->real); /* fits, so it never grows */
        quoted[number.length] = '\0';
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "real %s", quoted);
    }
    return out;
}

/* The link to a member of an object, or NULL. */
static struct foxtrackr__value **find_link(struct foxtrackr__value *object, const char *name)
{
    size_t length = strlen(name);

    if (!object || object->kind != FOXTRACKR__OBJECT) {
        return NULL;
    }
    for (struct foxtrackr__value **link = &object->first; *link; link = &(*link)->next) {
        if ((*link)->name_length == length && memcmp((*link)->name, name, length) == 0) {
            return link;
        }
    }
    return NULL;
}

struct foxtrackr__value *foxtrackr__body_member(struct foxtrackr__value *object, const char *name)
{
    struct foxtrackr__value **link = find_link(object, name);

    return link ? *link : NULL;
}

struct foxtrackr__value *foxtrackr__body_find(struct foxtrackr__value *root,
                                              const struct foxtrackr__field *field)
{
    const char *name = field->names;
    struct foxtrackr__value *value = foxtrackr__body_member(root, name);

    for (size_t i = 1; value && i < field->depth; i++) {
        name += strlen(name) + 1;
        value = foxtrackr__body_member(value, name);
    }
    return value;
}

void foxtrackr__body_remove_member(struct foxtrackr__value *object, const char *name)
{
    struct foxtrackr__value **link = find_link(object, name);

    if (link) {
        *link = (*link)->next;
        object->count--;
    }
}

static void remove_path(struct foxtrackr__value *object, const char *name, size_t depth)
{
    if (depth > 1) {
        struct foxtrackr__value *child = foxtrackr__body_member(object, name);

        remove_path(child, name + strlen(name) + 1, depth - 1);
        if (child && child->count > 0) {
            return;
        }
    }
    foxtrackr__body_remove_member(object, name);
}

void foxtrackr__body_remove(struct foxtrackr__value *root, const struct foxtrackr__field *field)
{
    remove_path(root, field->names, field->depth);
}
