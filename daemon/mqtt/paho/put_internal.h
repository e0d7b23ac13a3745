/*
 * The data that Paho passes to its persistence: see mqtt/paho/put.c. Pure; any thread.
 */
#ifndef MQTT_PAHO_PUT_INTERNAL_H
#define MQTT_PAHO_PUT_INTERNAL_H

#include <stddef.h>

enum paho_put_kind {
    PAHO_PUT_MESSAGE,    /* a QoS 2 PUBLISH of the broker's */
    PAHO_PUT_NOTHING,    /* not on the way of a message: a command of ours, a copy for a callback */
    PAHO_PUT_UNEXPECTED, /* no version that this program was made for does so */
};

/* A QoS 2 PUBLISH, as slices of the buffers. */
struct paho_put {
    unsigned id; /* packet identifier, 1 to 65535 */
    const char *topic;
    size_t topic_length;
    const char *payload;
    size_t payload_length;
};

/* Read one call of the plugin's pput(). Sets *out on PAHO_PUT_MESSAGE, and *reason, a phrase that
 * lives for ever, on PAHO_PUT_UNEXPECTED. */
enum paho_put_kind paho_put_read(const char *key, int count, char *const buffers[],
                                 const int lengths[], struct paho_put *out, const char **reason);

/*
 * Read one call of the plugin's premove(). Returns the packet identifier of the QoS 2 PUBLISH that
 * is removed, because its PUBREL has come; 0: the call is about something else. Paho removes such a
 * packet under the keys of both versions of MQTT; one of the two calls counts.
 */
unsigned paho_put_removed(const char *key);

#endif
