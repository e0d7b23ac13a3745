/*
 * The tables `inbox` and `inbox_position`: messages that are on disk and not yet sorted in.
 * store/sqlite/inbox.c decides which messages go there and when they leave. Results and threads are
 * those of store/store.h. Functions that write are called in the open batch.
 */
#ifndef STORE_SQLITE_INBOX_TABLES_INTERNAL_H
#define STORE_SQLITE_INBOX_TABLES_INTERNAL_H

#include <stdint.h>

#include "store/store.h"

/* The device of a message whose topic names a group, or a device that is not known yet; sorts last.
 */
#define STORE_NO_DEVICE UINT32_MAX

/* The position up to which messages are sorted in: all before `first`; of first..last, in the order
 * of (device, n), those up to this (device, n); none after `last`. */
struct store_inbox_position {
    int64_t first;
    int64_t last;
    uint32_t device;
    int64_t n;
};

/* Read the position. */
int store_inbox_position(struct store *store, struct store_inbox_position *position);

/* Call `each` for every message in the order of n. A result of `each` other than STORE_OK ends the
 * walk and is returned. */
int store_inbox_read(struct store *store, int (*each)(void *context, int64_t n, uint32_t device),
                     void *context);

/* Set *device to the number of the device that a topic names, or of a message whose topic names a
 * device and no group; or to STORE_NO_DEVICE. */
int store_inbox_device_of_topic(struct store *store, const struct foxtrackr_topic *topic,
                                uint32_t *device);
int store_inbox_device_of_message(struct store *store, const struct foxtrackr_message *message,
                                  uint32_t *device);

/* Set *device to the largest number of a device; 0: there is none. */
int store_inbox_newest_device(struct store *store, uint32_t *device);

/* Returns how often another program was seen to have written to the database. When the result has
 * changed, a device number may belong to another device. */
uint64_t store_foreign_writes(const struct store *store);

struct store_inbox_message {
    int64_t n;
    uint32_t device;
    const char *client_id; /* of the session that brought the message */
    struct store_packet packet;
};

/* The most messages that one statement inserts. */
#define STORE_INBOX_TOGETHER 16

/* Insert up to STORE_INBOX_TOGETHER messages; exactly so many are inserted by one statement. */
int store_inbox_put(struct store *store, const struct store_inbox_message *messages, int count);

/* Read message n and hand it to `use`, whose result is returned. The arguments of `use` live until
 * it returns. */
int store_inbox_use(struct store *store, int64_t n,
                    int (*use)(void *context, const char *client_id,
                               const struct store_packet *packet),
                    void *context);

/* Write the position. */
int store_inbox_set_position(struct store *store, const struct store_inbox_position *position);

/* Delete the messages up to n. */
int store_inbox_delete(struct store *store, int64_t n);

/* Delete all messages, in a time that does not depend on their number. */
int store_inbox_clear(struct store *store);

/* Open a file without a name in the database's directory, for the caller to close. Returns -1 and
 * sets errno on failure; EOPNOTSUPP when the file system has no such files. */
int store_inbox_scratch(const struct store *store);

#endif
