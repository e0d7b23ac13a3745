/*
 * Rows of messages that wait in the inbox.
 *
 * A message is parsed once, when it comes, and what it says is a few numbers. With these at hand
 * its turn costs no search for it in the table, which is larger than the page cache, and no second
 * parsing: half of the work of sorting in. The table is what counts all the same: what is not in
 * here (a group's message, other types, what came when this was full, everything after a restart)
 * is read from there, and so is a message whose row conflicts with another.
 *
 * The memory is taken in one piece and never grows; a lot uses it from the beginning.
 */
#include "inbox_rows.h"

#include <math.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NONE 8 /* bytes that no row uses, so that 0 is no place */

struct row {
    int64_t time_ms;
    int64_t received_ms;
    double value[2]; /* voltage and level, or degrees */
    int32_t message_type;
    unsigned battery : 1;
    unsigned extra_size : 31; /* with its NUL; 0: there is none */
    char extra[];
};

bool inbox_rows_make(struct inbox_rows *rows, uint32_t room)
{
    rows->bytes = calloc(1, room);
    if (rows->bytes == NULL) {
        return false;
    }
    memset(rows->bytes, 0xff, room);
    rows->room = room;
    inbox_rows_clear(rows);
    return true;
}

void inbox_rows_clear(struct inbox_rows *rows)
{
    rows->used = NONE;
}

void inbox_rows_free(struct inbox_rows *rows)
{
    free(rows->bytes);
    *rows = (struct inbox_rows){0};
}

static size_t size_of(size_t extra_size)
{
    size_t size = offsetof(struct row, extra) + extra_size;

    return (size + alignof(struct row) - 1) / alignof(struct row) * alignof(struct row);
}

uint32_t inbox_rows_add(struct inbox_rows *rows, const struct foxtrackr_message *message,
                        int64_t received_ms)
{
    const char *extra = message->has_battery ? message->battery_extra : message->temperature_extra;
    size_t extra_size = extra != NULL ? strlen(extra) + 1 : 0;
    size_t size = size_of(extra_size);
    uint32_t place = rows->used;
    struct row *row;

    if (message->group != NULL || message->has_battery == message->has_temperature ||
        message->message_type != (int32_t)message->message_type || size > rows->room - rows->used) {
        return 0;
    }
    row = (struct row *)(void *)(rows->bytes + place);
    *row = (struct row){
        .time_ms = message->time_ms,
        .received_ms = received_ms,
        .value = {message->has_battery ? message->voltage_v : message->celsius, message->level_pct},
        .message_type = (int32_t)message->message_type,
        .battery = message->has_battery,
        .extra_size = (unsigned)extra_size & 0x7fffffff, /* there is no room for more */
    };
    if (extra != NULL) {
        memcpy(row->extra, extra, extra_size);
    }
    rows->used += (uint32_t)size;
    return place;
}

void inbox_rows_get(const struct inbox_rows *rows, uint32_t place, struct foxtrackr_message *out,
                    int64_t *received_ms)
{
    struct row *row = (struct row *)(void *)(rows->bytes + place);
    char *extra = row->extra_size > 0 ? row->extra : NULL;

    *received_ms = row->received_ms;
    *out = (struct foxtrackr_message){
        .time_ms = row->time_ms,
        .message_type = row->message_type,
        .has_battery = row->battery,
        .has_temperature = !row->battery,
        .voltage_v = row->battery ? row->value[0] : NAN,
        .level_pct = row->value[1],
        .celsius = row->battery ? NAN : row->value[0],
        .battery_extra = row->battery ? extra : NULL,
        .temperature_extra = row->battery ? NULL : extra,
    };
}
