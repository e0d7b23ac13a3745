/* Who hears of it when Paho writes and waits; see mqtt/paho/cork.c. */
#ifndef MQTT_PAHO_RELAY_INTERNAL_H
#define MQTT_PAHO_RELAY_INTERNAL_H

#include <poll.h>

struct paho_relay {
    /* Something was written to a broker, with TLS. The thread that wrote it; it may hold Paho's
     * locks. */
    void (*written)(void *context);

    /* As poll(), and never 0 before its time: Paho would sleep for 100 ms then (MQTTAsync_cycle()).
     * For Paho's receive thread, from its first acknowledgement on: called whenever that waits for
     * something to read, and before it writes acknowledgements that have waited. */
    int (*poll)(void *context, struct pollfd *fds, nfds_t count, int timeout_ms);

    void *context;
};

#endif
