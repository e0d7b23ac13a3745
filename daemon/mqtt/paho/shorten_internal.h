/*
 * A large PUBLISH is read in Paho's place, and Paho gets a small one that stands for it: see
 * mqtt/paho/shorten.c. For mqtt/paho/check.c; paho_limit_payload() of mqtt/mqtt.h sets the limit.
 */
#ifndef MQTT_PAHO_SHORTEN_INTERNAL_H
#define MQTT_PAHO_SHORTEN_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "mqtt/paho/cut_internal.h"

#define PAHO_SHORTEN_HEADER   2  /* bytes of a stand-in's header */
#define PAHO_SHORTEN_STAND_IN 38 /* and behind it, at most */

/* A packet that is read in Paho's place on one connection. All zero: none. */
struct paho_shorten {
    struct mqtt_cut *cut;                      /* NULL: nothing */
    bool is_whole;                             /* `message` is set */
    unsigned char header[PAHO_SHORTEN_HEADER]; /* of the stand-in */
    size_t stand_in_length;
    char stand_in[PAHO_SHORTEN_STAND_IN]; /* behind its header */
    struct mqtt_cut_message message;
};

enum paho_shorten_result {
    PAHO_SHORTEN_PART,   /* Paho must come again */
    PAHO_SHORTEN_WHOLE,  /* the stand-in is for Paho, and the message is there */
    PAHO_SHORTEN_FAILED, /* the connection must be closed; `problem` is "" or a sentence */
};

/* From now on a PUBLISH with a remaining length of more than `bytes` is shortened to so much of
 * its payload. Before the first call none is. Any thread. */
void paho_shorten_limit(size_t bytes) __attribute__((weak));

/* Returns true when a packet with a good header must be shortened. */
bool paho_shorten_applies(unsigned char first, size_t length);

/*
 * Begin a PUBLISH by its first byte and its remaining length. Paho must get shorten->header in the
 * place of its header, whenever it begins to read it. For paho_shorten_end(). Ends the process when
 * there is no memory.
 */
void paho_shorten_begin(struct paho_shorten *shorten, enum mqtt_version version,
                        unsigned char first, size_t length);

/* Read on from Paho's connection, and count what was read in *pieces. After WHOLE the message and
 * the stand-in are there until paho_shorten_end(). */
enum paho_shorten_result paho_shorten_read(struct paho_shorten *shorten, void *net,
                                           atomic_uint *pieces,
                                           char problem[MQTT_PACKET_PROBLEM_SIZE]);

/* Free what there is; all zero afterwards. */
void paho_shorten_end(struct paho_shorten *shorten);

/* Returns true when this is the topic of a stand-in. */
bool paho_shorten_is_stand_in(const char *topic, size_t length);

#endif
