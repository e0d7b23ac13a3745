/*
 * The meaning of a broker's codes, in words: those of CONNACK, SUBACK and DISCONNECT, and what an
 * operator can do. The only such table, for the daemon and for `foxtrackrctl check`. Pure; any
 * thread.
 */
#ifndef MQTT_WORDS_INTERNAL_H
#define MQTT_WORDS_INTERNAL_H

#include <stddef.h>

#include "mqtt/mqtt.h"

/* Enough for every sentence of this file. */
#define MQTT_WORDS_SIZE 384

/*
 * Write a sentence without a full stop about a CONNACK whose code is not 0. `options` are those of
 * the CONNECT. Codes from 0x80 on are those of MQTT 5. `reason` is the Reason String, as the broker
 * sent it, or "": the sentence quotes as much of it as fits, and escapes it.
 */
void mqtt_words_connack(int code, const char *reason, const struct paho_options *options,
                        char out[MQTT_WORDS_SIZE]);

/* The same about a SUBACK for `filter` whose return code grants nothing (from 0x80 on). */
void mqtt_words_suback(int code, const char *filter, char out[MQTT_WORDS_SIZE]);

/* The same about a DISCONNECT of the broker's (MQTT 5 §3.14.2.1). `server` is the Server Reference,
 * as the broker sent it, or "". */
void mqtt_words_disconnect(int code, const char *reason, const char *server,
                           char out[MQTT_WORDS_SIZE]);

#endif
