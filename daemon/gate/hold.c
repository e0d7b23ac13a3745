/*
 * The queue of bytes that wait for a commit. Bytes are contiguous, so that one send() takes many;
 * the marks say for which message each stretch of bytes waits. See gate/hold_internal.h.
 */
#include "gate/hold_internal.h"

#include <string.h>

void hold_reset(struct hold *hold)
{
    hold->start = 0;
    hold->end = 0;
    hold->position = 0;
    hold->mark_first = 0;
    hold->mark_count = 0;
}

size_t hold_length(const struct hold *hold)
{
    return hold->end - hold->start;
}

uint8_t *hold_space(struct hold *hold, size_t *room)
{
    if (hold->start > 0 && hold->end == HOLD_CAPACITY) {
        memmove(hold->bytes, hold->bytes + hold->start, hold_length(hold));
        hold->end -= hold->start;
        hold->start = 0;
    }
    *room = HOLD_CAPACITY - hold->end;
    return hold->bytes + hold->end;
}

void hold_append(struct hold *hold, size_t length, uint64_t need)
{
    unsigned last = (hold->mark_first + hold->mark_count - 1) % HOLD_MARKS;

    hold->end += length;
    if (hold->mark_count > 0 &&
        (hold->marks[last].need == need || hold->mark_count == HOLD_MARKS)) {
        /* No mark is free: the older bytes wait for the newer bytes' message, which is never too
         * early. */
        hold->marks[last].need = need;
    } else {
        last = (hold->mark_first + hold->mark_count) % HOLD_MARKS;
        hold->mark_count++;
        hold->marks[last].need = need;
    }
    hold->marks[last].end = hold->position + hold_length(hold);
}

/*
 * Returns the bytes that may be sent: the only place that decides whether a byte may go to the
 * broker.
 *
 * A byte was written by Paho after the messages that it can acknowledge were numbered, and `need`
 * is the last number given when the gate had read it. So once everything up to `need` is on disk,
 * no acknowledgement among these bytes is early. The gate cannot read the bytes themselves: they
 * are TLS.
 */
const uint8_t *hold_until_durable(const struct hold *hold, uint64_t durable, size_t *length)
{
    uint64_t free_until = hold->position;

    for (unsigned i = 0; i < hold->mark_count; i++) {
        unsigned mark = (hold->mark_first + i) % HOLD_MARKS;

        if (hold->marks[mark].need > durable) {
            break;
        }
        free_until = hold->marks[mark].end;
    }
    *length = (size_t)(free_until - hold->position);
    return hold->bytes + hold->start;
}

void hold_consume(struct hold *hold, size_t length)
{
    hold->start += length;
    hold->position += length;
    while (hold->mark_count > 0 && hold->marks[hold->mark_first].end <= hold->position) {
        hold->mark_first = (hold->mark_first + 1) % HOLD_MARKS;
        hold->mark_count--;
    }
    if (hold->start == hold->end) {
        hold->start = 0;
        hold->end = 0;
    }
}
