/*
 * Bodies: reads a JSON body, with our reasons for a wrong one, and gives access to its values.
 *
 * A payload with several faults gives one reason: first that it is not text (a byte order mark,
 * NUL, invalid UTF-8), then that it is nested too deep, then the first fault in the order of the
 * text. The reader finds only the last kind; the others are searched for after it has failed, so
 * that a good payload is read once.
 */
#include "body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "problem.h"
#include "utf8.h"

/* Offset of the bracket that opens a level too many; `length` if none does. */
static size_t depth_span(const char *payload, size_t length)
{
    size_t depth = 0;
    bool in_string = false;

    if (length <= FOXTRACKR__DEPTH_MAX) {
        return length; /* nearly every message ends here */
    }
    for (size_t i = 0; i < length; i++) {
        char c = payload[i];

        if (in_string) {
            i += c == '\\'; /* skips an escaped character, which may be a quotation mark */
            in_string = c != '"';
        } else if (c == '[' || c == '{') {
            if (++depth > FOXTRACKR__DEPTH_MAX) {
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

/* Computes line and column, both from 1; a column is a character. */
static void locate(const char *payload, const char *at, int *line, int *column)
{
    *line = 1;
    *column = 1;
    for (const char *c = payload; c < at; c++) {
        if (*c == '\n') {
            (*line)++;
            *column = 1;
        } else if (((unsigned char)*c & 0xC0) != 0x80) {
            (*column)++;
        }
    }
}

static int explain_fault(const struct foxtrackr__fault *fault, const char *payload, size_t length,
                         struct foxtrackr_problem *problem)
{
    char quoted[FOXTRACKR__QUOTE_SIZE];
    size_t left = length - (size_t)(fault->at - payload);
    size_t shown = 0; /* to the end of the line */
    int line;
    int column;

    while (shown < left && shown < 20 && (unsigned char)fault->at[shown] >= ' ') {
        shown++;
    }
    locate(payload, fault->at, &line, &column);
    if (fault->unit) {
        return foxtrackr__problem(problem, fault->result,
                                  "payload line %d, column %d: \\u%04X is %s", line, column,
                                  (unsigned)fault->unit, fault->text);
    }
    if (fault->result == FOXTRACKR_E_ENCODING || left == 0) {
        return foxtrackr__problem(problem, fault->result, "payload line %d, column %d: %s%s", line,
                                  column, fault->text, left == 0 ? ", found the end" : "");
    }
    return foxtrackr__problem(problem, fault->result, "payload line %d, column %d: %s at %s", line,
                              column, fault->text,
                              foxtrackr__quote(quoted, fault->at, shown > 0 ? shown : 1));
}

/* Finds the reason for a payload that the reader has refused. */
static int explain(const struct foxtrackr__fault *fault, const char *payload, size_t length,
                   struct foxtrackr_problem *problem)
{
    size_t valid;
    size_t deep;

    if (fault->result < 0) {
        return fault->result;
    }
    if (length >= 3 && memcmp(payload, "\xEF\xBB\xBF", 3) == 0) {
        return foxtrackr__problem(problem, FOXTRACKR_E_ENCODING, "payload byte 0: byte order mark");
    }
    valid = foxtrackr__utf8_span(payload, length);
    if (valid < length) {
        return foxtrackr__text_problem(problem, "payload", payload, valid);
    }
    deep = depth_span(payload, length);
    if (deep < length) {
        return foxtrackr__problem(problem, FOXTRACKR_E_JSON,
                                  "payload byte %zu: more than the maximum depth of %d levels",
                                  deep, FOXTRACKR__DEPTH_MAX);
    }
    return explain_fault(fault, payload, length, problem);
}

int foxtrackr__body_read(struct foxtrackr__body *body, const char *payload, size_t length,
                         struct foxtrackr_problem *problem)
{
    struct foxtrackr__fault fault;

    if (length == 0) {
        return foxtrackr__problem(problem, FOXTRACKR_E_EMPTY,
                                  "the payload is empty, as of a retained message that is cleared");
    }
    if (foxtrackr__body_scan(body, payload, length, &fault)) {
        return 0;
    }
    foxtrackr__body_clear(body);
    return explain(&fault, payload, length, problem);
}

/* --- the values ---------------------------------------------------------------------------- */

/* Returns the text of a value that is fully described by its kind; NULL for other values. */
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
    case FOXTRACKR__DECIMAL:
    case FOXTRACKR__OVERFLOW:
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
    } else if (value->kind == FOXTRACKR__DECIMAL) {
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "number %.*s%s",
                 value->length > 40 ? 40 : (int)value->length, value->string,
                 value->length > 40 ? "..." : "");
    } else if (value->kind == FOXTRACKR__INTEGER) {
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "integer %" PRId64, value->integer);
    } else {
        foxtrackr__text_add_real(&number, value->real); /* fits, so it never grows */
        quoted[number.length] = '\0';
        snprintf(out, FOXTRACKR__DESCRIBE_SIZE, "real %s", quoted);
    }
    return out;
}

/* Returns the pointer that links to a member of an object, or NULL. */
static struct foxtrackr__value **find_link(struct foxtrackr__value *object, const char *name)
{
    size_t length = strlen(name);

    if (!object || object->kind != FOXTRACKR__OBJECT) {
        return NULL;
    }
    for (struct foxtrackr__value **link = &object->first; *link; link = &(*link)->next) {
        const struct foxtrackr__value *member = *link;

        if (member->name_length == length && (length == 0 || member->name[0] == name[0]) &&
            memcmp(member->name, name, length) == 0) {
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
