/*
 * Every packet is checked before Paho parses it: see paho_check.c. Only paho.c includes this. The
 * functions are weak: NULL in a program that is linked with the shared library, where nothing is
 * checked.
 */
#ifndef PAHO_CHECK_H
#define PAHO_CHECK_H

#include <stdbool.h>

#include "mqtt_packet.h"

/* The connection that the calling thread has read a packet of last, for comparison only; NULL:
 * none. Within a callback of Paho's receive thread this is the connection that the callback is
 * about. */
const void *paho_check_connection(void) __attribute__((weak));

/* Take what was wrong with a packet of this connection, once. False: nothing. Any thread. */
bool paho_check_take(const void *connection, char problem[MQTT_PACKET_PROBLEM_SIZE])
    __attribute__((weak));

#endif
