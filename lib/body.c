/*
 * Bodies: jansson's reader with our reasons, and a printer that never changes its mind.
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

int foxtrackr__body_load(const char *payload, size_t length, json_t **out,
                         struct foxtrackr_problem *problem)
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

/* A value whose kind says it all; NULL for the others. */
static const char *kind_name(const json_t *value)
{
    if (!value) {
        return "nothing";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) == 0 ? "an empty object" : "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    case JSON_STRING:
    case JSON_INTEGER:
    case JSON_REAL:
    default:
        return NULL;
    }
}

const char *foxtrackr__body_describe(char out[FOXTRACKR__DESCRIBE_SIZE], const json_t *value)
{
    char quoted[FOXTRACKR__QUOTE_SIZE];
    struct foxtrackr__text number = {.data = quoted, .capacity = sizeof(quoted) - 1};
    const char *kind = kind_name(value);

    if (kind) {
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "%s", kind);
    } else if (json_is_string(value)) {
        foxtrackr__quote(quoted, json_string_value(value), json_string_length(value));
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "string %s", quoted);
    } else if (json_is_integer(value)) {
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "integer %" PRId64,
                 (int64_t)json_integer_value(value));
    } else {
        foxtrackr__text_add_real(&number, json_real_value(value)); /* fits, so it never grows */
        quoted[number.length] = '\0';
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "real %s", quoted);
    }
    return out;
}

json_t *foxtrackr__body_find(const json_t *body, const struct foxtrackr__field *field)
{
    const char *name = field->names;
    json_t *value = json_object_get(body, name);

    for (size_t i = 1; value && i < field->depth; i++) {
        name += strlen(name) + 1;
        value = json_object_get(value, name);
    }
    return value;
}

static void remove_member(json_t *object, const char *name, size_t depth)
{
    json_t *child;

    if (depth > 1) {
        child = json_object_get(object, name);
        remove_member(child, name + strlen(name) + 1, depth - 1);
        if (json_object_size(child) > 0) {
            return;
        }
    }
    json_object_del(object, name);
}

void foxtrackr__body_remove(json_t *body, const struct foxtrackr__field *field)
{
    remove_member(body, field->names, field->depth);
}

struct member {
    const char *name;
    json_t *value;
};

/* A stack of members: each object sorts its own on top and takes them off again. */
struct printer {
    struct foxtrackr__text *text;
    struct member *member;
    size_t count;
    size_t capacity;
};

static int compare_members(const void *left, const void *right)
{
    return strcmp(((const struct member *)left)->name, ((const struct member *)right)->name);
}

static bool push_members(struct printer *printer, json_t *object, const char *skip)
{
    size_t needed = printer->count + json_object_size(object);
    const char *name;
    json_t *value;

    if (!printer->member || needed > printer->capacity) {
        size_t capacity = needed * 2 + 16;
        struct member *grown = realloc(printer->member, capacity * sizeof(*grown));

        if (!grown) {
            printer->text->failed = true;
            return false;
        }
        printer->member = grown;
        printer->capacity = capacity;
    }
    json_object_foreach(object, name, value)
    {
        if (!skip || strcmp(name, skip) != 0) {
            printer->member[printer->count++] = (struct member){name, value};
        }
    }
    return true;
}

static void print_value(struct printer *printer, json_t *value);

/* Recursion ends: a body has DEPTH_MAX levels at most. */
static void print_object(struct printer *printer, json_t *object, const char *skip)
{
    size_t base = printer->count;
    size_t end;

    if (!push_members(printer, object, skip)) {
        return;
    }
    end = printer->count;
    if (end - base > 1) {
        qsort(printer->member + base, end - base, sizeof(*printer->member), compare_members);
    }
    foxtrackr__text_add(printer->text, "{", 1);
    for (size_t i = base; i < end; i++) {
        struct member member = printer->member[i]; /* the stack may move below */

        foxtrackr__text_add_quoted(printer->text, member.name, strlen(member.name));
        foxtrackr__text_add(printer->text, ":", 1);
        print_value(printer, member.value);
        if (i + 1 < end) {
            foxtrackr__text_add(printer->text, ",", 1);
        }
    }
    foxtrackr__text_add(printer->text, "}", 1);
    printer->count = base;
}

static void print_value(struct printer *printer, json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        print_object(printer, value, NULL);
        break;
    case JSON_ARRAY:
        foxtrackr__text_add(printer->text, "[", 1);
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i > 0) {
                foxtrackr__text_add(printer->text, ",", 1);
            }
            print_value(printer, json_array_get(value, i));
        }
        foxtrackr__text_add(printer->text, "]", 1);
        break;
    case JSON_STRING:
        foxtrackr__text_add_quoted(printer->text, json_string_value(value),
                                   json_string_length(value));
        break;
    case JSON_INTEGER:
        foxtrackr__text_add_integer(printer->text, json_integer_value(value));
        break;
    case JSON_REAL:
        foxtrackr__text_add_real(printer->text, json_real_value(value));
        break;
    case JSON_TRUE:
        foxtrackr__text_add_string(printer->text, "true");
        break;
    case JSON_FALSE:
        foxtrackr__text_add_string(printer->text, "false");
        break;
    case JSON_NULL:
        foxtrackr__text_add_string(printer->text, "null");
        break;
    }
}

void foxtrackr__body_print(struct foxtrackr__text *text, json_t *body, const char *skip)
{
    struct printer printer = {.text = text};

    print_object(&printer, body, skip);
    free(printer.member);
}
