/*
 * A broker's refusal in words: every CONNACK and SUBACK return code, what it means and what an
 * operator can do. The only such table, for the daemon and for `foxtrackrctl check`. Pure; any
 * thread.
 */
#ifndef MQTT_WORDS_INTERNAL_H
#define MQTT_WORDS_INTERNAL_H

#include <stddef.h>

/* Enough for every sentence of this file. */
#define MQTT_WORDS_SIZE 384

/*
 * Write a sentence without a full stop about a CONNACK whose return code is not 0. `client_id` and
 * `keepalive_s` are those of the CONNECT. Codes from 0x80 on are those of MQTT 5.
 */
void mqtt_words_connack(int code, const char *client_id, int keepalive_s,
                        char out[MQTT_WORDS_SIZE]);

/* The same about a SUBACK for `filter` whose return code grants nothing (from 0x80 on). */
void mqtt_words_suback(int code, const char *filter, char out[MQTT_WORDS_SIZE]);

#endif
