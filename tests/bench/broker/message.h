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

/* How the messages of a session are delivered. */
struct delivery {
    int qos;     /* 0 before the first SUBSCRIBE */
    bool mqtt_5; /* no properties, but their length (MQTT 5 §3.3.2.3) */
};

/* Write message `number` as a PUBLISH packet (§3.3 of MQTT 3.1.1 and 5) to `out`, of MESSAGE_MAX
 * bytes. Returns its length. */
size_t message_put(const struct message_plan *plan, uint64_t number,
                   const struct delivery *delivery, uint16_t packet_id, bool duplicate,
                   uint8_t *out);

#endif
