/*
 * The memory of a body beyond its struct: more values, and room for decoded strings.
 *
 * The body owns all of it until foxtrackr__body_clear(). A failed allocation leaves the body as it
 * was.
 */
#include <stdlib.h>

#include "body.h"

#define BLOCK_VALUES 128 /* in the first block; each further one has twice as many */

struct foxtrackr__block {
    struct foxtrackr__block *next;
    size_t count;
    struct foxtrackr__value values[];
};

void foxtrackr__body_init(struct foxtrackr__body *body)
{
    body->root = NULL;
    body->blocks = NULL;
    body->long_decoded = NULL;
    body->has_unit = false;
}

struct foxtrackr__value *foxtrackr__body_more(struct foxtrackr__body *body, size_t *count)
{
    size_t more = body->blocks ? 2 * body->blocks->count : BLOCK_VALUES;
    struct foxtrackr__block *block = malloc(sizeof(*block) + more * sizeof(block->values[0]));

    if (!block) {
        return NULL;
    }
    block->next = body->blocks;
    block->count = more;
    body->blocks = block;
    *count = more;
    return block->values;
}

char *foxtrackr__body_room(struct foxtrackr__body *body, size_t length)
{
    body->long_decoded = malloc(length);
    return body->long_decoded;
}

void foxtrackr__body_clear(struct foxtrackr__body *body)
{
    while (body->blocks) {
        struct foxtrackr__block *next = body->blocks->next;

        free(body->blocks);
        body->blocks = next;
    }
    free(body->long_decoded);
    body->long_decoded = NULL;
}
