/* How a Paho that behaves otherwise than expected ends the process: see mqtt/paho/library.c. */
#ifndef MQTT_PAHO_LIBRARY_INTERNAL_H
#define MQTT_PAHO_LIBRARY_INTERNAL_H

/*
 * Paho goes on, and acknowledges, whatever a callback makes of what it is given. When that is not
 * what Paho 1.3 gives, a message may be in it that nothing here has understood. Log `reason`, a
 * phrase, and end with EX_SOFTWARE before the acknowledgement leaves: the broker has heard nothing
 * and sends the message again. Any thread.
 */
_Noreturn void paho_unexpected(const char *reason);

/*
 * See that a failed allocation of Paho's ends the process. Returns when it does, and calls
 * paho_unexpected() otherwise. After MQTTAsync_create(): Paho's trace is silent before the first
 * client. Any thread.
 */
void paho_library_try(void);

#endif
