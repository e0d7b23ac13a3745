/* Declarations shared by the files of replay; its opening is in replay.c. */
#ifndef STORE_POSTGRESQL_REPLAY_INTERNAL_H
#define STORE_POSTGRESQL_REPLAY_INTERNAL_H

#include "store/judge.h"
#include "store/postgresql/postgresql_internal.h"
#include "store/tools.h"

/* --- replay_item.c: one message -------------------------------------------------------------- */

/* The decision about a message that was parsed again. */
enum pg_verdict {
    PG_KEEP, /* nothing changes */
    PG_MOVE, /* it is understood now: its rows are written, and it leaves its old place */
    PG_NOTE, /* it stays in quarantine, for another reason */
};

struct pg_item {
    int source; /* index of store_replay.counts */
    uint8_t digest[DIGEST_SIZE];
    int64_t device; /* with the next two the key in messages */
    int64_t time_ms;
    const char *type;
    char *topic;                /* of a row of messages; owned */
    struct store_packet packet; /* borrowed from the result that was read, but for that topic */
    enum pg_verdict verdict;
    struct foxtrackr_message message; /* with PG_MOVE */
    struct foxtrackr_problem problem; /* with PG_NOTE: the new reason why it stays */
};

/* The columns that pg_item_quarantined() reads. */
#define PG_QUARANTINE_COLUMNS                                                                      \
    "digest, coalesce(convert_to(topic, 'UTF8'), topic_bytes), payload, reason, detail,"           \
    " first_received_ms"

/* Read a row of quarantine, or of messages, into *item, which is zeroed, parse it, and decide.
 * `rows` outlives the item. pg_item_clear() frees what it holds, also after a failure. */
int pg_item_quarantined(struct store *store, const struct store_replay *replay,
                        const PGresult *rows, int row, struct pg_item *item);
int pg_item_message(struct store *store, const struct store_replay *replay, const PGresult *rows,
                    int row, struct pg_item *item);

/* Carry out the decision in a transaction of its own, if the message is still where it was read,
 * and count the result in `replay`. */
int pg_item_write(struct store *store, const struct pg_item *item, struct store_replay *replay);

void pg_item_clear(struct pg_item *item);

/* Return STORE_E_RETRY, with the sentence set. */
int pg_replay_no_memory(struct store *store);

/* --- replay_put.c ---------------------------------------------------------------------------- */

/* In the open transaction: store the rows of a message that are not there yet. *outcome is that of
 * the message; with a conflict *problem says which. `dry`: only find out. */
int pg_put(struct store *store, const struct foxtrackr_message *message,
           const struct store_packet *packet, bool dry, enum judge_row *outcome,
           struct foxtrackr_problem *problem);

/* --- replay.c, replay_extra.c ---------------------------------------------------------------- */

#define PG_REPLAY_PAGE "100" /* rows of one statement */

/* Report progress to the watcher. Returns false, with the sentence set, when it ends the work. */
bool pg_replay_go_on(struct store *store, const struct store_watcher *watcher, const char *what,
                     int64_t done, int64_t total);

/* Give the rows of battery and temperature the columns that [fields] now finds in their extra. */
int pg_replay_extras(struct store *store, struct store_replay *replay,
                     const struct store_watcher *watcher);

#endif
