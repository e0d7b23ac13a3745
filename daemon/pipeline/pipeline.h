/*
 * The intake: a bounded ring between Paho's receive thread and the writer.
 *
 * intake_put() runs on Paho's threads, intake_next(), intake_release() and intake_rewind() on the
 * writer's, the others anywhere. An item's memory belongs to the ring until it is released, so the
 * writer can apply a batch again after a rollback.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/pulse.h"
#include "config/config.h"
#include "gate/gate.h"
#include "store/measures.h"
#include "store/retention.h"
#include "store/store.h"

enum intake_kind {
    INTAKE_MESSAGE,      /* topic and payload of a PUBLISH */
    INTAKE_CONNECTING,   /* a CONNECT is about to be sent; its effect at the broker is not known
                          * yet */
    INTAKE_REFUSED,      /* the broker refused that CONNECT, or never got it */
    INTAKE_SETTLED,      /* the broker has a session: CONNACK had session present; with a `gap` it
                          * may not be the earlier one */
    INTAKE_ESTABLISHED,  /* the broker made a new session; `gap` says which messages may be lost */
    INTAKE_SUBSCRIBED,   /* topic is a filter that the broker granted with `qos` */
    INTAKE_UNSUBSCRIBED, /* topic is a filter that the broker dropped */
};

/*
 * An item. Session events pass through the ring among the messages, so all become durable in order:
 * the gate sends a SUBSCRIBE only after the gap that made it necessary is on disk, and the answer
 * to CONNECT is on disk before a message of its connection is acknowledged.
 */
struct intake_item {
    enum intake_kind kind;
    unsigned session; /* index into the configuration's sessions */
    int qos;          /* as delivered or granted */
    int gap;          /* enum store_gap, with INTAKE_SETTLED and INTAKE_ESTABLISHED */
    int protocol;     /* struct store_protocol, with the same two kinds; 0: not known */
    int64_t protocol_asked_ms;
    uint64_t
        in_flight; /* the most QoS 2 messages of the session in flight of late, this one included */
    int64_t received_ms; /* wall clock */
    const char *topic;   /* any bytes, not NUL-terminated */
    size_t topic_length;
    const void *payload; /* the first payload_length of full_length bytes */
    size_t payload_length;
    size_t full_length;
    uint8_t digest[DIGEST_SIZE]; /* of the full payload, set when payload_length is less */
};

enum intake_result {
    INTAKE_OK = 0,
    INTAKE_E_REFUSED = 1, /* put: closed or stalled; the item was not taken */
    INTAKE_E_EMPTY = 2,   /* next: no item came in time */
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
 * Copy an item into the ring and give it the next number. A payload longer than max_payload is cut
 * to that, and the digest of the whole is taken here, unless the caller has already cut it. Blocks
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

/* Read again, from the first item that was not released. */
void intake_rewind(struct intake *intake);

/* While stalled, intake_put() refuses instead of blocking: nothing can be written to the disk, and
 * Paho's thread must stay free. The items in the ring stay. */
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

/* --- writer ------------------------------------------------------------------------------ */

/*
 * The writer: the thread that turns what the intake holds into committed rows. See
 * pipeline/writer.c; the rule "held until durable" stands in pipeline/writer_batch.c, in
 * writer_publish().
 */

#define WRITER_REASON_SIZE 440
#define WRITER_WAL_HELD    (INT64_C(256) * 1024 * 1024) /* a WAL of this many bytes is too long */
#define WRITER_REASONS     16                           /* more than enum foxtrackr_reason has */

enum writer_state {
    WRITER_RUNNING,
    WRITER_STALLED, /* nothing can be written now; tried again with backoff */
    WRITER_FATAL,   /* the thread has ended: exit with 74 */
    WRITER_LOST,  /* the thread has ended, because another daemon has the sessions: exit with 75 */
    WRITER_ENDED, /* the intake was closed and everything in it is durable */
    WRITER_LEFT,  /* the intake was closed while stalled: the items in it were not acknowledged,
                   * so the broker still has them */
};

/* The deletion in a table that retention has announced and delays; rows 0: none. */
struct writer_wait {
    int64_t rows;
    int64_t before_ms; /* wall clock: all of them are older */
    int64_t until_ms;  /* monotonic */
};

/* A snapshot for status, which derives the rates. */
struct writer_status {
    enum writer_state state;
    char reason[WRITER_REASON_SIZE]; /* why stalled or fatal; "" otherwise */
    int64_t retry_at_ms;             /* monotonic; when stalled */
    struct store_counts counts;      /* of this run, durable ones */
    uint64_t commits;
    uint64_t last_batch;     /* messages */
    int64_t last_commit_us;  /* how long COMMIT took */
    int64_t commits_us;      /* how long all of them took */
    int64_t last_commit_ms;  /* wall clock; 0 before the first */
    int64_t last_message_ms; /* wall clock: last commit with a message, of an earlier run too; 0:
                                none is known */
    int64_t newest_time_ms; /* device time: the newest reading of the last minute of batches, before
                               the first of them the newest in the database; 0: none is known */
    uint64_t in_inbox;      /* messages on disk that wait to be sorted in; not in `counts` */
    uint64_t quarantined[WRITER_REASONS]; /* this run, by enum foxtrackr_reason */
    uint64_t expired;                     /* rows deleted by retention */
    uint64_t expired_by_table[STORE_TABLES];
    struct writer_wait waits[STORE_TABLES];
    uint64_t rejudged;         /* messages that left quarantine because their time has come */
    int64_t expire_longest_us; /* retention's longest chunk, for which a message may have waited */
    int64_t database_bytes;
    int64_t used_bytes; /* see store_used_bytes(); 0: not known */
    int64_t wal_bytes;
    struct store_reader reader; /* keeps the WAL from being restarted, while it is too long; else
                                 * none */
    int64_t free_bytes;
    struct store_link link;
    bool summary_known; /* false until the thread has read it for the first time */
    struct store_summary summary;
    bool attention_known; /* false until the devices were counted for the first time */
    struct store_attention attention;
};

struct writer;

/* The arguments of writer_start(); all outlive the writer. */
struct writer_parts {
    struct store *store; /* the writer's alone until writer_stop() */
    struct intake *intake;
    struct gate *gate;
    struct watermark *watermark;
    const char *const *client_ids; /* by session index */
    unsigned session_count;
    int64_t last_message_ms; /* wall clock: of earlier runs, see store_newest_ms(); 0: none */
};

/* The limits that a reload can change. The writer takes ownership of `fields` and `views`. */
struct writer_limits {
    struct foxtrackr_fields *fields;
    struct config_views *views; /* to be those of the database; NULL: leave it alone */
    int64_t max_future_ms;
    int batch_max;
    int retention_days[STORE_TABLES]; /* 0: keep for ever */
    int rollup_days;                  /* how long roll-ups outlive their readings; 0: not at all */
    int min_free_mb;
};

/* Start the thread. Returns 0, sets *out, for writer_stop(), and takes over limits->fields and
 * limits->views; or only returns a negative errno. `database_path` is copied. */
int writer_start(struct writer **out, const struct writer_parts *parts,
                 const struct writer_limits *limits, const char *database_path);

/* Use new limits from the next batch on. Takes over limits->fields and limits->views. */
void writer_set_limits(struct writer *writer, const struct writer_limits *limits);

/* The thread's pulse: it beats at least once a second. Until writer_stop(). */
const struct pulse *writer_pulse(const struct writer *writer);

/* A snapshot. Any thread. */
void writer_status(struct writer *writer, struct writer_status *out);

/*
 * After intake_close(): wait up to timeout_ms for the thread to end, then free. The store is the
 * caller's again. Returns the state in which it ended, or WRITER_STALLED when it did not end in
 * time: nothing was freed then, and the process must exit without touching the store.
 */
enum writer_state writer_stop(struct writer *writer, int timeout_ms);

#endif
