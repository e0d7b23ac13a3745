/* The rows of messages; see store/sqlite/rows.c. All functions work in the open transaction.
 * Results are those of store/store.h. */
#ifndef STORE_SQLITE_ROWS_INTERNAL_H
#define STORE_SQLITE_ROWS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"
#include "store/store.h"

/* The result for one message; every message has exactly one of the three. */
enum store_outcome {
    STORE_STORED,      /* at least one new row */
    STORE_DUPLICATE,   /* every row was there already, with the same values */
    STORE_QUARANTINED, /* kept byte for byte in quarantine; one of two rows may be new */
};

/*
 * Store the rows of a parsed message, and count it in the run. If a row exists with other values,
 * that row stays, and the whole message goes to quarantine with the reason "conflict"; the
 * message's other row, if it has one, is judged by itself and stored. Sets *outcome.
 */
int store_message(struct store *store, const struct foxtrackr_message *message,
                  const struct store_packet *packet, enum store_outcome *outcome);

/* A message with one row of battery or temperature, of a known device and without a group: the
 * names in `message` are not used. */
struct store_reading {
    int64_t device;
    int64_t received_ms;
    struct foxtrackr_message message;
};

/* Store and count a message of this kind. Sets *done to false when its row conflicts: nothing was
 * stored or counted, and the caller passes the message to store_message(). */
int store_put_reading(struct store *store, const struct store_reading *reading, bool *done);

/*
 * Store the rows of a message, without counting it and without quarantine. *outcome becomes
 * STORE_QUARANTINED when a row conflicts: *conflict describes it, and the other row is stored.
 */
int store_put(struct store *store, const struct foxtrackr_message *message,
              const struct store_packet *packet, enum store_outcome *outcome,
              struct foxtrackr_problem *conflict);

/* Set the results that store_put() would set, without changing anything. */
int store_would_put(struct store *store, const struct foxtrackr_message *message,
                    const struct store_packet *packet, enum store_outcome *outcome,
                    struct foxtrackr_problem *conflict);

#endif
