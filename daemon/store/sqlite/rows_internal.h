/* The rows of messages; see store/sqlite/rows.c. In the open transaction. */
#ifndef STORE_SQLITE_ROWS_INTERNAL_H
#define STORE_SQLITE_ROWS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"
#include "store/store.h"

/* What became of one message: every message is exactly one of the three. */
enum store_outcome {
    STORE_STORED,      /* at least one new row */
    STORE_DUPLICATE,   /* every row was there already, with the same values */
    STORE_QUARANTINED, /* kept byte for byte in quarantine; one of two rows may be new */
};

/*
 * Put a parsed message into its rows, in the open transaction, and count it. A row that exists with
 * other values stays as it is, and the whole message goes to quarantine with the reason "conflict";
 * the message's other row, if it has one, is judged by itself and stored. Sets *outcome.
 */
int store_message(struct store *store, const struct foxtrackr_message *message,
                  const struct store_packet *packet, enum store_outcome *outcome);

/* So many rows of a table take one statement, and with it a third less time for each. */
#define STORE_READINGS 16

/* A message that gives one row of battery or temperature, of a device that is known, and is no
 * group's: its names are not looked at. */
struct store_reading {
    int64_t device;
    int64_t received_ms;
    struct foxtrackr_message message;
};

/* The same for 1 to STORE_READINGS such messages, all for one table, in this order. done[i] is
 * false, and nothing of readings[i] has changed or been counted, where its row conflicts: then the
 * message is for store_message(). */
int store_readings(struct store *store, const struct store_reading *readings, int count,
                   bool *done);

/*
 * The rows of a message without the accounting, and without quarantine: STORE_QUARANTINED means
 * that at least one row conflicts, and *conflict says which, and with what; the other row is there.
 */
int store_put(struct store *store, const struct foxtrackr_message *message,
              const struct store_packet *packet, enum store_outcome *outcome,
              struct foxtrackr_problem *conflict);

/* What store_put() would give, without changing anything. */
int store_would_put(struct store *store, const struct foxtrackr_message *message,
                    const struct store_packet *packet, enum store_outcome *outcome,
                    struct foxtrackr_problem *conflict);

#endif
