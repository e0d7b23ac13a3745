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
    uint32_t used;
    uint32_t room;
    int64_t base_ms; /* received_ms of the first */
    bool full;       /* one had no room */
};

/* Take the memory, and touch it. False when there is none. */
bool inbox_rows_make(struct inbox_rows *rows, uint32_t room);

/* All of them are done with. */
void inbox_rows_clear(struct inbox_rows *rows);

void inbox_rows_free(struct inbox_rows *rows);

/*
 * Keep what a message says, if that is one row of battery or temperature of the device that its
 * topic names, and there is room. Returns where it is in `bytes`, or 0.
 */
uint32_t inbox_rows_add(struct inbox_rows *rows, const struct foxtrackr_message *message,
                        int64_t received_ms);

/* How many bytes a row takes. */
size_t inbox_row_size(const uint8_t *row);

/* What a row says, which was added to rows with this base_ms: *out has no names, and its text is
 * the row's. */
void inbox_row_read(const uint8_t *row, int64_t base_ms, struct foxtrackr_message *out,
                    int64_t *received_ms);

#endif
