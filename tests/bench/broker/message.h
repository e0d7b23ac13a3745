/* The messages of the benchmark: made from a number alone, cheaply, each a new row. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAX 256 /* bytes of a whole PUBLISH packet */

struct message_plan {
    uint64_t devices; /* 1 to 1,000,000 */
    int64_t start_ms; /* device time of the first */
    int64_t step_ms;  /* from one reading of a device to its next */
};

/* Write message `number` as a PUBLISH packet (MQTT 3.1.1 §3.3) to `out`, of MESSAGE_MAX bytes.
 * Returns its length. */
size_t message_put(const struct message_plan *plan, uint64_t number, int qos, uint16_t packet_id,
                   bool duplicate, uint8_t *out);

#endif
