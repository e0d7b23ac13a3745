/* The two halves of the probe: see mqtt/paho/probe.c, which has main() and the client, and
 * mqtt/paho/probe_broker.c. */
#ifndef MQTT_PAHO_PROBE_INTERNAL_H
#define MQTT_PAHO_PROBE_INTERNAL_H

#include <stdatomic.h>

#define PROBE_MESSAGES 2
#define PROBE_URI_SIZE 64

/* A message that is read in Paho's place: its packet identifier, the bytes of its payload, and how
 * many of them are kept. The payload of every other message is shorter. */
#define PROBE_LARGE_ID 4
#define PROBE_LARGE    40000
#define PROBE_KEPT     10000

/* How a connection to the broker ends. */
enum probe_end {
    PROBE_MALFORMED,  /* after two messages, with a malformed SUBACK */
    PROBE_DISCONNECT, /* of MQTT 5, with DISCONNECT after SUBACK */
    PROBE_OLD,        /* of MQTT 5, with a CONNACK as of MQTT 3.1.1 */
};

struct probe_script {
    int version; /* protocol level: 4 or 5 */
    enum probe_end end;
    int listener; /* of probe_listen() */
};

/* The step of the broker's script that runs now, for messages. */
extern _Atomic(const char *) probe_step;

/* Counts of the calls that Paho made in the present script so far. */
extern atomic_uint probe_stored;  /* messages that it gave to its persistence */
extern atomic_uint probe_removed; /* messages that it removed from there */
extern atomic_uint probe_arrived; /* messages that it delivered */

/* Print the reason why Paho cannot be adapted, and end with 1. Any thread. */
_Noreturn void probe_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Listen on the loopback. Returns the socket and sets the URI for Paho. */
int probe_listen(char uri[PROBE_URI_SIZE]);

/* A thread: play the script on the next connection. `argument` points to a struct probe_script,
 * which lives until the thread ends. */
void *probe_broker(void *argument);

#endif
