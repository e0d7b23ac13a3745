/*
 * A queue of bytes towards the broker, each with the number of the message that must be durable
 * before it may leave. Not thread-safe: the gate's thread owns it.
 */
#ifndef GATE_HOLD_INTERNAL_H
#define GATE_HOLD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLD_CAPACITY ((size_t)512 * 1024)
#define HOLD_MARKS    128U

struct hold {
    uint8_t bytes[HOLD_CAPACITY];
    size_t start; /* bytes[start .. end) are held */
    size_t end;
    uint64_t position; /* of bytes[start] since the link was opened */
    struct {
        uint64_t end;  /* position after the last byte of this mark */
        uint64_t need; /* number of the message that must be durable first */
    } marks[HOLD_MARKS];
    unsigned mark_first;
    unsigned mark_count;
};

/* Empty the queue, for a new link. A zeroed struct hold is empty too. */
void hold_reset(struct hold *hold);

/* Returns where to read more bytes into, and in *room how many fit; 0 when the queue is full. */
uint8_t *hold_space(struct hold *hold, size_t *room);

/* Append `length` bytes that were read into hold_space(); they wait for message `need`, which never
 * decreases. */
void hold_append(struct hold *hold, size_t length, uint64_t need);

/* The bytes that may leave when every message up to `durable` is on disk: *length of them. */
const uint8_t *hold_until_durable(const struct hold *hold, uint64_t durable, size_t *length);

/* Remove the first `length` bytes, which were sent. */
void hold_consume(struct hold *hold, size_t length);

/* Returns the number of bytes in the queue. */
size_t hold_length(const struct hold *hold);

#endif
