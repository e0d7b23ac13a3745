/*
 * The tables `inbox` and `inbox_position`: messages that are on disk and not yet sorted in.
 * store/sqlite/inbox.c decides which go there and when they leave. Results and threads are those of
 * store/store.h; everything but reading belongs to the open batch.
 */
#ifndef STORE_SQLITE_INBOX_TABLES_INTERNAL_H
#define STORE_SQLITE_INBOX_TABLES_INTERNAL_H

#include <stdint.h>

#include "store/store.h"

/* Sorts last: what the topic names is no device that is known yet, or a group. */
#define STORE_NO_DEVICE UINT32_MAX

/* Of the messages first..last, taken in the order of (device, n), those up to (device, n) are
 * sorted in; before `first` all are, after `last` none is. */
struct store_inbox_position {
    int64_t first;
    int64_t last;
    uint32_t device;
    int64_t n;
};

/* Read the position. */
int store_inbox_position(struct store *store, struct store_inbox_position *position);

/* Call `each` for every message in the order of n. A result of `each` other than STORE_OK ends it
 * and is returned. */
int store_inbox_read(struct store *store, int (*each)(void *context, int64_t n, uint32_t device),
                     void *context);

/* The number of the device that a topic names, or STORE_NO_DEVICE. `level` are the bytes of the
 * second topic level. */
int store_inbox_device(struct store *store, const char *family, const char *level,
                       uint32_t *device);

/* The largest number of a device; 0: there is none. */
int store_inbox_newest_device(struct store *store, uint32_t *device);

/* How often another program was found to have written to the database meanwhile: after such a time
 * the number of a device may be another's. */
uint64_t store_foreign_writes(const struct store *store);

struct store_inbox_message {
    int64_t n;
    uint32_t device;
    const char *client_id; /* the session's */
    struct store_packet packet;
};

/* As many as one statement puts in. */
#define STORE_INBOX_TOGETHER 16

/* Put messages in, up to STORE_INBOX_TOGETHER of them; so many together are faster than one by one.
 */
int store_inbox_put(struct store *store, const struct store_inbox_message *messages, int count);

/* Hand message n to `use`, whose result is returned; what it gets lives until it returns. */
int store_inbox_use(struct store *store, int64_t n,
                    int (*use)(void *context, const char *client_id,
                               const struct store_packet *packet),
                    void *context);

int store_inbox_set_position(struct store *store, const struct store_inbox_position *position);

/* Delete the messages up to n. */
int store_inbox_delete(struct store *store, int64_t n);

/* Delete all of them, which takes no time for each. */
int store_inbox_clear(struct store *store);

/* A file without a name beside the database, which the caller closes; -1 and errno. Where the file
 * system has no such files, that is EOPNOTSUPP. */
int store_inbox_scratch(const struct store *store);

#endif
