/*
 * Paho's acknowledgements, several in one TLS record: see mqtt/paho/cork.c. Only mqtt/client.c and
 * what else links Paho include this.
 */
#ifndef MQTT_PAHO_CORK_INTERNAL_H
#define MQTT_PAHO_CORK_INTERNAL_H

#include <stdbool.h>

#include "mqtt/mqtt.h"

/* Upper bound on acknowledgements written in one SSL_write(). A lower bound would split a large
 * window into small commits. */
#define PAHO_CORK_ACKS 256

/*
 * From now on tell `relay`, which lives until there is another, or NULL: while none of Paho's
 * threads runs. Weak as the next one.
 */
void paho_cork_set_relay(const struct paho_relay *relay) __attribute__((weak));

/*
 * Write the kept acknowledgements. On the thread that made them, which is Paho's receive thread; on
 * others it does nothing. Weak: NULL in a program that is linked with the shared library, where
 * nothing waits.
 */
void paho_cork_flush(void) __attribute__((weak));

/* Note that the calling thread closes a connection. Weak too. */
void paho_cork_note_close(void) __attribute__((weak));

/*
 * Returns false while Paho's receive thread has closed a connection and has not waited since. Any
 * thread. Weak too.
 *
 * When MQTTAsync_cycle() has closed a connection for an error, it returns that error with the
 * number of the socket. MQTTAsync_receiveThread() then closes the connection of the client that has
 * this socket, and has released its lock in between: a connection that is made at once may have got
 * the same number, and would be closed in place of the old one ("socket error").
 */
bool paho_cork_settled(void) __attribute__((weak));

#endif
