/* Inside the library: the JSON body of a message, as a tree of values. */
#ifndef FOXTRACKR_BODY_H
#define FOXTRACKR_BODY_H

#include <jansson.h>

#include "fields.h"
#include "text.h"

/* Room for foxtrackr__body_describe(). */
#define FOXTRACKR__DESCRIBE_SIZE 96

/* Values of a body that needs no memory but its struct's: more than a tracker sends. */
#define FOXTRACKR__BODY_VALUES 32

enum foxtrackr__kind {
    FOXTRACKR__OBJECT,
    FOXTRACKR__ARRAY,
    FOXTRACKR__STRING,
    FOXTRACKR__INTEGER,
    FOXTRACKR__REAL,
    FOXTRACKR__TRUE,
    FOXTRACKR__FALSE,
    FOXTRACKR__NULL
};

/* No text in here ends in NUL, or holds one. */
struct foxtrackr__value {
    enum foxtrackr__kind kind;
    const char *name; /* of a member; NULL of what is none */
    size_t name_length;
    struct foxtrackr__value *next; /* of the same object or array */
    union {
        struct {
            struct foxtrackr__value *first;
            size_t count;
        }; /* object, array */
        struct {
            const char *string;
            size_t length;
        };
        int64_t integer;
        double real;
    };
};

/* Not to be copied: values point to each other, and into the payload. */
struct foxtrackr__body {
    struct foxtrackr__value *root; /* any JSON value */
    struct foxtrackr__value *more; /* where there are too many for `values` */
    json_t *json;                  /* whose texts these are, or NULL: the payload's */
    size_t count;
    struct foxtrackr__value values[FOXTRACKR__BODY_VALUES];
};

/*
 * Read a payload, which is borrowed. Returns 0, and the body is for foxtrackr__body_clear(); or
 * -ENOMEM, FOXTRACKR_E_ENCODING or FOXTRACKR_E_JSON with *problem filled in, and nothing is there.
 */
int foxtrackr__body_read(struct foxtrackr__body *body, const char *payload, size_t length,
                         struct foxtrackr_problem *problem);

/* The same for a payload that is plain (body_plain.c). False where it is not, or is no JSON. */
bool foxtrackr__body_read_plain(struct foxtrackr__body *body, const char *payload, size_t length);

void foxtrackr__body_clear(struct foxtrackr__body *body);

/* What a value is, for a detail: `string "abc"`, `nothing` for NULL. Returns `out`. */
const char *foxtrackr__body_describe(char out[FOXTRACKR__DESCRIBE_SIZE],
                                     const struct foxtrackr__value *value);

/* A member of an object; NULL where there is none, or no object. */
struct foxtrackr__value *foxtrackr__body_member(struct foxtrackr__value *object, const char *name);

/* The value at a field's path, or NULL. */
struct foxtrackr__value *foxtrackr__body_find(struct foxtrackr__value *root,
                                              const struct foxtrackr__field *field);

/* Remove a member, where it is one. */
void foxtrackr__body_remove_member(struct foxtrackr__value *object, const char *name);

/* Remove the value at a field's path, and every object on the way that this leaves empty. */
void foxtrackr__body_remove(struct foxtrackr__value *root, const struct foxtrackr__field *field);

/* Print an object, without its member `skip` (NULL: with all), compact and with sorted keys. */
void foxtrackr__body_print(struct foxtrackr__text *text, struct foxtrackr__value *object,
                           const char *skip);

#endif
