/* The two halves of the probe: see mqtt/paho/probe.c, which has main() and the client, and
 * mqtt/paho/probe_broker.c. */
#ifndef MQTT_PAHO_PROBE_INTERNAL_H
#define MQTT_PAHO_PROBE_INTERNAL_H

#include <stdatomic.h>

#define PROBE_MESSAGES 2
#define PROBE_URI_SIZE 64

/* The step of the broker's script that runs now, for messages. */
extern _Atomic(const char *) probe_step;

/* Messages that Paho gave to its persistence so far. */
extern atomic_uint probe_stored;

/* Print the reason why Paho cannot be adapted, and end with 1. Any thread. */
_Noreturn void probe_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Listen on the loopback. Returns the socket and sets the URI for Paho. */
int probe_listen(char uri[PROBE_URI_SIZE]);

/* A thread: play the script on the first connection. `argument` points to the listening socket. */
void *probe_broker(void *argument);

#endif
