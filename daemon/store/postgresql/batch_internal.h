/* The open batch in memory; batch.c has the design. One thread, as store/store.h. */
#ifndef STORE_POSTGRESQL_BATCH_INTERNAL_H
#define STORE_POSTGRESQL_BATCH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "foxtrackr.h"
#include "store/judge.h"
#include "store/postgresql/arrays_internal.h"
#include "store/store.h"

#define BATCH_VALUES 3 /* compared values of a row, at most */
#define BATCH_PARTS  2 /* rows of a message, at most */
#define BATCH_NONE   UINT32_MAX

enum batch_kind { BATCH_BATTERY, BATCH_TEMPERATURE, BATCH_MESSAGES, BATCH_KINDS };

/* A distinct key of the batch. Its index is the column k of `stage`. */
struct batch_key {
    enum batch_kind kind;
    bool was_there; /* the database had it; `stored` has its values */
    int64_t device;
    int64_t time_ms;
    const char *type; /* of messages */
    uint8_t digest[DIGEST_SIZE];
    uint32_t message; /* whose row is stored, unless it was there; and which of its parts */
    int part;
    struct judge_value stored[BATCH_VALUES];
};

/* A row of a message. */
struct batch_part {
    uint32_t key;
    enum batch_kind kind;
    int count;
    struct judge_value values[BATCH_VALUES];
};

struct batch_message {
    struct store_packet packet; /* the bytes are the caller's until the end of the batch */
    int64_t time_ms;
    int64_t message_type;
    int64_t device; /* 0: not known yet, then: */
    const char *family;
    const char *device_id;
    const char *group; /* NULL: none */
    const char *type;  /* of messages, like the next two */
    const char *version;
    uint8_t digest[DIGEST_SIZE];
    struct batch_part parts[BATCH_PARTS];
    int part_count;
    bool again; /* `runs` has counted it: it is applied again */
};

/* An entry for quarantine. */
struct batch_entry {
    uint8_t digest[DIGEST_SIZE];
    struct store_packet packet;
    uint32_t order; /* of its arrival, among entries with its key */
    int reason;
    const char *detail;
    bool again;
};

/* How the rows of a round are stored. */
enum batch_way {
    BATCH_STAGED, /* through `stage`: batch_stage.c */
    BATCH_FEW,    /* through `stage`, as arrays of the statement: batch_few.c */
    BATCH_DIRECT, /* into the tables: batch_direct.c */
};

/* Memory that is given back all at once. */
struct batch_block;

struct pg_batch {
    struct batch_message *messages;
    uint32_t message_count, message_size;
    uint32_t judged; /* messages whose result is known */
    uint32_t placed; /* messages whose keys are known */
    struct batch_key *keys;
    uint32_t key_count, key_size;
    uint32_t sent[BATCH_KINDS]; /* rows of this round */
    uint32_t round;             /* first key of this round */
    uint32_t *slots;            /* hash: index of a key + 1 */
    uint32_t slot_count;
    struct batch_entry *entries;
    uint32_t entry_count, entry_size;
    struct batch_block *blocks;
    size_t block_used;
    size_t held;        /* bytes in blocks */
    enum batch_way way; /* of this round */
    struct pg_array arrays[12];
};

struct pg_batch *batch_new(void);
void batch_free(struct pg_batch *batch); /* NULL is allowed */

/* Forget everything; keeps some memory for the next batch. */
void batch_reset(struct pg_batch *batch);

/* Copies bytes, and a NUL behind them; they live until batch_reset(). NULL: out of memory. */
const char *batch_copy(struct pg_batch *batch, const char *bytes, size_t length);

/* Add a message, zeroed. Returns NULL when memory is out. */
struct batch_message *batch_add(struct pg_batch *batch);

/* Find the key of a part of the message, or add it. Returns its index, and sets *is_new; or
 * BATCH_NONE when memory is out. The message's device is known. */
uint32_t batch_find(struct pg_batch *batch, const struct batch_message *message,
                    enum batch_kind kind, bool *is_new);

/* Add an entry. Returns NULL when memory is out. */
struct batch_entry *batch_add_entry(struct pg_batch *batch);

/* Returns true when the database can work with the JSON of the message, and index its names; else
 * sets *problem. */
bool batch_can_store(const struct foxtrackr_message *message, const struct store_packet *packet,
                     struct foxtrackr_problem *problem);

/* Take the last message out, and the keys from key_count on, which are its own. */
void batch_forget_last(struct pg_batch *batch, uint32_t key_count);

/* --- batch_judge.c, batch_devices.c, batch_quarantine.c, batch_place.c ---------------------- */

struct store;

/* Begin the batch's transaction, unless it has begun. */
int batch_transaction(struct store *store);

/* Number the devices of messages that have none yet, and add memberships of groups. */
int batch_number_devices(struct store *store);

/* Find the keys of the messages that are not placed yet, and choose how their rows are stored. */
int batch_place(struct store *store);

/* Write the rows of this round into `stage`. */
int batch_stage_rows(struct store *store);

/* Returns true when the rows of this round may go directly into their tables. */
bool batch_is_direct(const struct store *store);

/* Store the rows of this round directly. Where a row was there already the transaction is undone,
 * and the rows are in `stage` instead: `way` says what happened. */
int batch_store_direct(struct store *store);

/* Note how many rows of a round were sent, and how many of them were new. */
void batch_note_new(struct store *store, const int64_t inserted[BATCH_KINDS]);

/* Returns true when the rows of this round are few enough for batch_few_send(). */
bool batch_is_few(const struct pg_batch *batch);

/* In an open pipeline: send BEGIN, unless it has begun, and the rows; and take the answers. */
int batch_few_send(struct store *store);
int batch_few_expect(struct store *store);

/* Store what is in `stage`, and derive the result of every message. */
int batch_judge(struct store *store);

/* Store the last message by itself; one that the server refuses goes to quarantine. */
int batch_alone(struct store *store);

/* Refuse to go on because rows of `table` that were stored are not there. */
int batch_refuse_missing(struct store *store, const char *table);

/* Put a message into quarantine when the batch is committed. */
int batch_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                     const struct store_packet *packet, bool again);
int batch_send_quarantine(struct store *store);

#endif
