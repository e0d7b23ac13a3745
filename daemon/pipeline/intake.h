/*
 * The intake: a bounded ring between Paho's receive thread and the writer.
 *
 * intake_put() runs on Paho's threads, intake_next(), intake_release() and intake_rewind() on the
 * writer's, the others anywhere. An item's memory belongs to the ring until it is released, so the
 * writer can apply a batch again after a rollback.
 */
#ifndef PIPELINE_INTAKE_H
#define PIPELINE_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "gate/watermark.h"

enum intake_kind {
    INTAKE_MESSAGE,      /* topic and payload of a PUBLISH */
    INTAKE_CONNECTING,   /* a CONNECT is about to leave: what the broker does with it is unknown */
    INTAKE_REFUSED,      /* the broker refused that CONNECT, or never got it */
    INTAKE_SETTLED,      /* the broker has a session: CONNACK had session present; with a `gap`, it
                            may not be the one of before */
    INTAKE_ESTABLISHED,  /* the broker made a new session; `gap` tells what was lost */
    INTAKE_SUBSCRIBED,   /* topic is a filter that the broker granted with `qos` */
    INTAKE_UNSUBSCRIBED, /* topic is a filter that the broker dropped */
};

/*
 * An item. Session events travel with the messages, so they become durable in order: the gate lets
 * a SUBSCRIBE out only after the gap that made it necessary is on record.
 */
struct intake_item {
    enum intake_kind kind;
    unsigned session;    /* index into the configuration's sessions */
    int qos;             /* as delivered or granted */
    int gap;             /* enum store_gap, with INTAKE_SETTLED and INTAKE_ESTABLISHED */
    uint64_t in_flight;  /* QoS 2 messages of the session in flight, this one included */
    int64_t received_ms; /* wall clock */
    const char *topic;   /* any bytes, not NUL-terminated */
    size_t topic_length;
    const void *payload; /* the first payload_length of full_length bytes */
    size_t payload_length;
    size_t full_length;
    uint8_t digest[DIGEST_SIZE]; /* of the full payload, set only when it was cut */
};

enum intake_result {
    INTAKE_OK = 0,
    INTAKE_E_REFUSED = 1, /* put: closed or stalled; the item was not taken */
    INTAKE_E_EMPTY = 2,   /* next: nothing came in time */
    INTAKE_E_CLOSED = 3,  /* next: closed and empty */
};

struct intake;

/*
 * A ring of at least `capacity` bytes for items whose payload is kept up to max_payload bytes; it
 * is made large enough that the largest item always fits. `watermark` outlives the intake. Returns
 * 0 and sets *out, for intake_free(); or -ENOMEM.
 */
int intake_new(struct intake **out, size_t capacity, size_t max_payload,
               struct watermark *watermark);

/* NULL is allowed. No thread may be in any other function. */
void intake_free(struct intake *intake);

/*
 * Copy an item in and give it the next number. The caller sets full_length to the payload's length
 * and payload_length is ignored: what exceeds max_payload is cut here and its digest taken. Blocks
 * while the ring is full (TCP then pushes back on the broker). INTAKE_OK, or INTAKE_E_REFUSED when
 * the intake is closed or stalled: the caller must then make sure that no acknowledgement of this
 * message leaves (gate_sever()).
 */
int intake_put(struct intake *intake, const struct intake_item *item);

/*
 * The next item not yet read, waiting up to timeout_us (µs) for one. *out points into the ring.
 * INTAKE_OK, INTAKE_E_EMPTY or INTAKE_E_CLOSED.
 */
int intake_next(struct intake *intake, struct intake_item *out, int64_t timeout_us);

/* Give back the memory of every item read so far; returns the number of the last of them. Called
 * when they are durable. */
uint64_t intake_release(struct intake *intake);

/* Read the items that were not released again. */
void intake_rewind(struct intake *intake);

/* While stalled, intake_put() refuses instead of blocking: the disk does not take messages, and
 * Paho's thread must stay free. What is in the ring stays. */
void intake_set_stalled(struct intake *intake, bool stalled);

/* Change how much of a payload is kept; the ring grows if it has to, with no item lost. One thread
 * at a time. Returns 0; or -ENOMEM, and then the limit is as before. */
int intake_set_max_payload(struct intake *intake, size_t max_payload);

/* Refuse further items; intake_next() ends with INTAKE_E_CLOSED once all were read. */
void intake_close(struct intake *intake);

/* Wait up to timeout_ms for intake_close(), whatever is in the ring; true when it was called. The
 * thread that reads. */
bool intake_wait_closed(struct intake *intake, int timeout_ms);

/* Items put and not yet released, and their bytes. */
void intake_pending(struct intake *intake, uint64_t *items, size_t *bytes);

#endif
