/*
 * Goal: any two strings as a mapping are refused and change nothing, or are in front of the table
 * and take their number from where they say.
 *
 * The input is lines of "column = source", as in the configuration's section [fields].
 */
#include <math.h>

#include "body.h"
#include "fields.h"
#include "foxtrackr.h"
#include "fuzz.h"

#define LINES_MAX 64

static bool same_path(const struct foxtrackr__field *one, const struct foxtrackr__field *other)
{
    return one->names_size == other->names_size &&
           memcmp(one->names, other->names, one->names_size) == 0;
}

static void check_table(const struct foxtrackr_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct foxtrackr__field *field = &fields->field[i];
        size_t names = 0;

        for (size_t at = 0; at < field->names_size; at += strlen(field->names + at) + 1) {
            FUZZ_CHECK(field->names[at] != '\0');
            names++;
        }
        FUZZ_CHECK(names == field->depth && names > 0);
        FUZZ_CHECK(field->names[field->names_size - 1] == '\0');
        FUZZ_CHECK(isfinite(field->multiplier) && field->multiplier != 0);
        FUZZ_CHECK(isfinite(field->divisor) && field->divisor != 0);
        for (size_t j = 0; j < i; j++) {
            FUZZ_CHECK(!same_path(field, &fields->field[j]));
        }
    }
}

/* A body that holds a number at the field's path and nothing else. For free(). */
static char *make_body(const struct foxtrackr__field *field)
{
    json_t *root = json_object();
    json_t *object = root;
    const char *name = field->names;
    char *text;

    for (size_t i = 1; i < field->depth; i++) {
        json_t *inner = json_object();

        FUZZ_CHECK(json_object_set_new(object, name, inner) == 0);
        object = inner;
        name += strlen(name) + 1;
    }
    FUZZ_CHECK(json_object_set_new(object, name, json_integer(3300)) == 0);
    text = json_dumps(root, JSON_COMPACT);
    FUZZ_CHECK(text);
    json_decref(root);
    return text;
}

/* The number is found there, and removed. */
static void check_path(const struct foxtrackr__field *field)
{
    char *text = make_body(field);
    struct foxtrackr_problem problem;
    struct foxtrackr__body body;
    const struct foxtrackr__value *value;
    int result = foxtrackr__body_read(&body, text, strlen(text), &problem);

    if (result != 0) { /* a path may be deeper than a body */
        FUZZ_CHECK(result == FOXTRACKR_E_JSON && strstr(problem.detail, "depth"));
        free(text);
        return;
    }
    value = foxtrackr__body_find(body.root, field);
    FUZZ_CHECK(value && value->kind == FOXTRACKR__INTEGER && value->integer == 3300);
    FUZZ_CHECK(field->unit == FOXTRACKR__UNIT_COLUMN || field->unit == FOXTRACKR__UNIT_FACTOR);
    foxtrackr__body_remove(body.root, field);
    FUZZ_CHECK(body.root->count == 0);
    foxtrackr__body_clear(&body);
    free(text);
}

static void add(struct foxtrackr_fields *fields, const char *column, const char *source)
{
    size_t count = fields->count;
    struct foxtrackr__field first = fields->field[0];
    struct foxtrackr_problem problem;
    int result = foxtrackr_fields_add(fields, column, source, &problem);

    if (result == 0) {
        FUZZ_CHECK(fields->count == count || fields->count == count + 1);
        check_path(&fields->field[0]);
    } else {
        FUZZ_CHECK(result == FOXTRACKR_E_FIELD && problem.reason == result);
        FUZZ_CHECK(problem.detail[0] != '\0' && fuzz_is_one_line(problem.detail));
        FUZZ_CHECK(fields->count == count);
        FUZZ_CHECK(memcmp(&fields->field[0], &first, sizeof(first)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *state = NULL;
    struct foxtrackr_fields *fields;
    int lines = 0;

    FUZZ_CHECK(text);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    FUZZ_CHECK(foxtrackr_fields_new(&fields) == 0);
    for (char *line = strtok_r(text, "\n", &state); line && lines < LINES_MAX;
         line = strtok_r(NULL, "\n", &state)) {
        char *equals = strstr(line, " = ");

        if (equals) {
            char *source = fuzz_copy(equals + 3, strlen(equals + 3) + 1);

            *equals = '\0';
            add(fields, line, source);
            free(source);
        }
        lines++;
    }
    check_table(fields);
    foxtrackr_fields_free(fields);
    free(text);
    return 0;
}
