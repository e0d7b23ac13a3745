/* The parsed readings of the inbox's messages, in memory until they are sorted in; see
 * store/sqlite/inbox_rows.c. */
#ifndef STORE_SQLITE_INBOX_ROWS_INTERNAL_H
#define STORE_SQLITE_INBOX_ROWS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "foxtrackr.h"

#define INBOX_ROW_EXTRA_MOST 4096 /* bytes, with the NUL */
#define INBOX_ROW_MOST       (1 + 3 * 10 + 2 * 10 + INBOX_ROW_EXTRA_MOST)

struct inbox_rows {
    uint8_t *bytes;
    uint32_t used;   /* bytes */
    uint32_t room;   /* bytes */
    int64_t base_ms; /* received_ms of the first row */
    bool full;       /* a row did not fit */
};

/* Allocate `room` bytes and touch them. Returns false when out of memory. */
bool inbox_rows_make(struct inbox_rows *rows, uint32_t room);

/* Forget all rows; the memory stays. */
void inbox_rows_clear(struct inbox_rows *rows);

/* Free the memory; a zeroed argument is allowed. */
void inbox_rows_free(struct inbox_rows *rows);

/*
 * Add the row of a message that has exactly one reading, of battery or temperature, and whose topic
 * names its device. Returns the row's place in `bytes`; or 0 for any other message, for one whose
 * extra is too long, and when there is no room.
 */
uint32_t inbox_rows_add(struct inbox_rows *rows, const struct foxtrackr_message *message,
                        int64_t received_ms);

/* Returns how many bytes a row takes. */
size_t inbox_row_size(const uint8_t *row);

/* Unpack a row; `base_ms` is that of the rows to which it was added. *out has no family, device id
 * or group, and its extra points into the row. */
void inbox_row_read(const uint8_t *row, int64_t base_ms, struct foxtrackr_message *out,
                    int64_t *received_ms);

#endif
