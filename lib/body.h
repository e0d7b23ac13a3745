/* Inside the library: the JSON body of a message, as jansson holds it. */
#ifndef FOXTRACKR_BODY_H
#define FOXTRACKR_BODY_H

#include <jansson.h>

#include "fields.h"
#include "text.h"

/* Room for foxtrackr__body_describe(). */
#define FOXTRACKR__DESCRIBE_SIZE 96

/*
 * Read a payload. Returns 0 and sets *out, for json_decref(); -ENOMEM; or FOXTRACKR_E_ENCODING or
 * FOXTRACKR_E_JSON with *problem filled in. *out may be any JSON value.
 */
int foxtrackr__body_load(const char *payload, size_t length, json_t **out,
                         struct foxtrackr_problem *problem);

/* What a value is, for a detail: `string "abc"`, `nothing` for NULL. Returns `out`. */
const char *foxtrackr__body_describe(char out[FOXTRACKR__DESCRIBE_SIZE], const json_t *value);

/* The value at a field's path, or NULL. */
json_t *foxtrackr__body_find(const json_t *body, const struct foxtrackr__field *field);

/* Remove the value at a field's path, and every object on the way that this leaves empty. */
void foxtrackr__body_remove(json_t *body, const struct foxtrackr__field *field);

/* Print the body, without its member `skip` (NULL: with all), compact and with sorted keys. */
void foxtrackr__body_print(struct foxtrackr__text *text, json_t *body, const char *skip);

#endif
