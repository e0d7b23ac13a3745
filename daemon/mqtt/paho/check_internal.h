/*
 * Every packet is checked before Paho parses it: see mqtt/paho/check.c. Only mqtt/client.c includes
 * this. The functions are weak: NULL in a program that is linked with the shared library, where
 * nothing is checked.
 */
#ifndef MQTT_PAHO_CHECK_INTERNAL_H
#define MQTT_PAHO_CHECK_INTERNAL_H

#include <stdbool.h>

#include "mqtt/paho/packet_internal.h"

/* The connection that the calling thread has read a packet of last, for comparison only; NULL:
 * none. Within a callback of Paho's receive thread this is the connection that the callback is
 * about. */
const void *paho_check_connection(void) __attribute__((weak));

/* Take the problem of a refused packet of this connection, once. Returns false when there is none.
 * Any thread. */
bool paho_check_take(const void *connection, char problem[MQTT_PACKET_PROBLEM_SIZE])
    __attribute__((weak));

#endif
