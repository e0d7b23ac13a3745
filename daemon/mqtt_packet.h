/*
 * What an MQTT 3.1.1 broker may send to a client that subscribes to one filter at a time and never
 * publishes: the packets' types and the lengths of their parts. Pure; any thread.
 */
#ifndef MQTT_PACKET_H
#define MQTT_PACKET_H

#include <stddef.h>

#define MQTT_PACKET_PROBLEM_SIZE 160

enum mqtt_packet_result {
    MQTT_PACKET_OK = 0,
    MQTT_PACKET_E_MALFORMED = 1,
};

/*
 * Judge a packet by its first byte and its remaining length (in bytes, as the broker has announced
 * it), before any of the rest is there. With MQTT_PACKET_E_MALFORMED `problem` is a sentence about
 * the broker, without a full stop; otherwise it is untouched.
 */
enum mqtt_packet_result mqtt_packet_check_header(unsigned char first, size_t remaining_length,
                                                 char problem[MQTT_PACKET_PROBLEM_SIZE]);

/*
 * Judge the rest of a packet whose header was good: `length` bytes after the remaining length, all
 * of them. The payload of a PUBLISH is not looked at. Returns as mqtt_packet_check_header() does.
 */
enum mqtt_packet_result mqtt_packet_check_body(unsigned char first, const unsigned char *body,
                                               size_t length,
                                               char problem[MQTT_PACKET_PROBLEM_SIZE]);

/* Say that the remaining length of a packet has more than four bytes. */
void mqtt_packet_endless_length(unsigned char first, char problem[MQTT_PACKET_PROBLEM_SIZE]);

#endif
