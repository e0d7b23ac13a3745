/*
 * Prints bodies, compact and with sorted keys, because the output is compared later (text.c).
 */
#include <string.h>

#include "body.h"

/* Compares two names as strcmp() would; no name contains NUL. */
static bool goes_first(const struct foxtrackr__value *left, const struct foxtrackr__value *right)
{
    size_t common = left->name_length < right->name_length ? left->name_length : right->name_length;
    int difference = memcmp(left->name, right->name, common);

    return difference < 0 || (difference == 0 && left->name_length < right->name_length);
}

static struct foxtrackr__value *merge(struct foxtrackr__value *left, struct foxtrackr__value *right)
{
    struct foxtrackr__value *first = NULL;
    struct foxtrackr__value **link = &first;

    while (left && right) {
        struct foxtrackr__value **from = goes_first(left, right) ? &left : &right;

        *link = *from;
        link = &(*from)->next;
        *from = *link;
    }
    *link = left ? left : right;
    return first;
}

/* Sorts the first `count` members of a list and returns them; sets *rest to the others. */
static struct foxtrackr__value *sort(struct foxtrackr__value *first, size_t count,
                                     struct foxtrackr__value **rest)
{
    struct foxtrackr__value *middle;

    if (count < 2) {
        *rest = first ? first->next : NULL;
        if (first) {
            first->next = NULL;
        }
        return first;
    }
    first = sort(first, count / 2, &middle);
    middle = sort(middle, count - count / 2, rest);
    return merge(first, middle);
}

void foxtrackr__body_sort(struct foxtrackr__value *object)
{
    struct foxtrackr__value *rest;

    object->first = sort(object->first, object->count, &rest);
}

static void print_value(struct foxtrackr__text *text, struct foxtrackr__value *value);

/* Prints a list of values. The recursion is bounded by the depth of a body. */
static void print_list(struct foxtrackr__text *text, struct foxtrackr__value *list,
                       const struct foxtrackr__value *skip)
{
    const char *comma = "";

    for (struct foxtrackr__value *value = list->first; value; value = value->next) {
        if (value == skip) {
            continue;
        }
        foxtrackr__text_add_string(text, comma);
        if (value->name) {
            foxtrackr__text_add_quoted(text, value->name, value->name_length);
            foxtrackr__text_add(text, ":", 1);
        }
        print_value(text, value);
        comma = ",";
    }
}

static void print_object(struct foxtrackr__text *text, struct foxtrackr__value *object,
                         const char *skip)
{
    foxtrackr__body_sort(object);
    foxtrackr__text_add(text, "{", 1);
    print_list(text, object, skip ? foxtrackr__body_member(object, skip) : NULL);
    foxtrackr__text_add(text, "}", 1);
}

static void print_value(struct foxtrackr__text *text, struct foxtrackr__value *value)
{
    switch (value->kind) {
    case FOXTRACKR__OBJECT:
        print_object(text, value, NULL);
        break;
    case FOXTRACKR__ARRAY:
        foxtrackr__text_add(text, "[", 1);
        print_list(text, value, NULL);
        foxtrackr__text_add(text, "]", 1);
        break;
    case FOXTRACKR__STRING:
        foxtrackr__text_add_quoted(text, value->string, value->length);
        break;
    case FOXTRACKR__INTEGER:
        foxtrackr__text_add_integer(text, value->integer);
        break;
    case FOXTRACKR__DECIMAL:
        foxtrackr__text_add(text, value->string, value->length);
        break;
    case FOXTRACKR__REAL:
        foxtrackr__text_add_real(text, value->real);
        break;
    case FOXTRACKR__TRUE:
        foxtrackr__text_add_string(text, "true");
        break;
    case FOXTRACKR__FALSE:
        foxtrackr__text_add_string(text, "false");
        break;
    case FOXTRACKR__NULL:
    case FOXTRACKR__OVERFLOW:
        foxtrackr__text_add_string(text, "null");
        break;
    }
}

void foxtrackr__body_print(struct foxtrackr__text *text, struct foxtrackr__value *object,
                           const char *skip)
{
    print_object(text, object, skip);
}
