/* What messages in the inbox say, kept in memory until it is their turn; see inbox_rows.c. */
#ifndef INBOX_ROWS_H
#define INBOX_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"

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
 * topic names, and there is room. Returns where it is, or 0.
 */
uint32_t inbox_rows_add(struct inbox_rows *rows, const struct foxtrackr_message *message,
                        int64_t received_ms);

/* What is at such a place: *out has no names, and its texts live as long as the rows. */
void inbox_rows_get(const struct inbox_rows *rows, uint32_t place, struct foxtrackr_message *out,
                    int64_t *received_ms);

#endif
