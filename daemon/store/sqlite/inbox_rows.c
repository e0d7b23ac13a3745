/*
 * The parsed readings of messages in the inbox, packed in memory.
 *
 * A message is parsed when it arrives, and a reading is a few numbers. With these in memory,
 * sorting the message in needs no look-up in the table `inbox`, which is larger than the page
 * cache, and no second parsing: that is half of the work of sorting in. The table stays the
 * authority. A message without a row here (of a group, of another type, arrived when the memory was
 * full, or before a restart) is read from the table, and so is a message whose row conflicts with a
 * stored one.
 *
 * The memory is allocated in one piece and never grows; every lot fills it from the beginning. More
 * rows in it make larger sorted runs, so a plain reading is packed into 12 to 16 bytes:
 *
 *     flags         one byte
 *     message_type  \
 *     time_ms        } integers, see below; times are relative to base_ms,
 *     received_ms   /  which is received_ms of the first row
 *     values        voltage and level, or degrees: an integer of thousandths where
 *                   that restores the same double, else the double; nothing for NULL
 *     extra         with its NUL
 *
 * An integer takes as many bytes as it needs, with seven bits in each, the lowest bits first.
 *
 * A row whose extra is longer than INBOX_ROW_EXTRA_MOST is not kept, so that rows have an upper
 * bound.
 */
#include "store/sqlite/inbox_rows_internal.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NONE       8 /* unused bytes at the beginning, so that no row has the place 0 */
#define THOUSAND   1000
#define MOST_UNITS 1e15 /* upper bound of thousandths: a double represents them exactly */

enum {
    HAS_EXTRA = 1 << 0,
    BATTERY = 1 << 1,
    /* How the first value is packed; neither flag: it is NULL. */
    IS_THOUSANDTHS = 1 << 2,
    IS_DOUBLE = 1 << 3,
    SECOND_SHIFT = 2, /* shifts the two flags above to those of the second value */
};

/* A packed row without its extra: flags, three integers and at most two values. */
struct packed {
    uint8_t bytes[1 + 3 * 10 + 2 * 10];
    size_t size;
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
    rows->full = false;
}

void inbox_rows_free(struct inbox_rows *rows)
{
    free(rows->bytes);
    *rows = (struct inbox_rows){0};
}

/* --- packing --------------------------------------------------------------------------------- */

static void pack_integer(struct packed *row, int64_t value)
{
    /* Zigzag, which makes small numbers of either sign short: 0, -1, 1, -2, ... become 0, 1, 2, 3.
     */
    uint64_t rest = ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);

    for (; rest > 0x7f; rest >>= 7) {
        row->bytes[row->size++] = (uint8_t)(rest | 0x80);
    }
    row->bytes[row->size++] = (uint8_t)rest;
}

static int64_t unpack_integer(const uint8_t **at)
{
    uint64_t value = 0;
    uint64_t byte;
    unsigned shift = 0;

    do {
        byte = *(*at)++;
        value |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte > 0x7f);
    return (int64_t)((value >> 1) ^ (value & 1 ? UINT64_MAX : 0));
}

/* Subtracts modulo 2^64, which sum() undoes. */
static int64_t difference(int64_t value, int64_t base)
{
    return (int64_t)((uint64_t)value - (uint64_t)base);
}

static int64_t sum(int64_t value, int64_t base)
{
    return (int64_t)((uint64_t)value + (uint64_t)base);
}

/* Returns true when unpack_value() would restore `value` from these thousandths, the sign of -0.0
 * included. */
static bool is_thousandths(double value, int64_t units)
{
    double again = (double)units / THOUSAND;

    return again == value && signbit(again) == signbit(value);
}

/* Appends a value, NaN for NULL, to the row. Returns the flags that say how it is packed. */
static unsigned pack_value(struct packed *row, double value)
{
    double units = nearbyint(value * THOUSAND);

    if (isnan(value)) {
        return 0;
    }
    if (fabs(units) < MOST_UNITS && is_thousandths(value, (int64_t)units)) {
        pack_integer(row, (int64_t)units);
        return IS_THOUSANDTHS;
    }
    memcpy(row->bytes + row->size, &value, sizeof(value));
    row->size += sizeof(value);
    return IS_DOUBLE;
}

static double unpack_value(const uint8_t **at, unsigned flags)
{
    double value = NAN;

    if (flags & IS_THOUSANDTHS) {
        return (double)unpack_integer(at) / THOUSAND;
    }
    if (flags & IS_DOUBLE) {
        memcpy(&value, *at, sizeof(value));
        *at += sizeof(value);
    }
    return value;
}

/* --- rows ------------------------------------------------------------------------------------- */

uint32_t inbox_rows_add(struct inbox_rows *rows, const struct foxtrackr_message *message,
                        int64_t received_ms)
{
    const char *extra = message->has_battery ? message->battery_extra : message->temperature_extra;
    size_t extra_size = extra != NULL ? strnlen(extra, INBOX_ROW_EXTRA_MOST) + 1 : 0;
    unsigned flags = extra != NULL ? HAS_EXTRA : 0;
    struct packed row = {.size = 1};
    uint32_t place = rows->used;

    if (message->group != NULL || message->has_battery == message->has_temperature ||
        extra_size > INBOX_ROW_EXTRA_MOST) {
        return 0;
    }
    if (rows->used == NONE) {
        rows->base_ms = received_ms;
    }
    pack_integer(&row, message->message_type);
    pack_integer(&row, difference(message->time_ms, rows->base_ms));
    pack_integer(&row, difference(received_ms, rows->base_ms));
    if (message->has_battery) {
        flags |= BATTERY | pack_value(&row, message->voltage_v);
        flags |= pack_value(&row, message->level_pct) << SECOND_SHIFT;
    } else {
        flags |= pack_value(&row, message->celsius);
    }
    row.bytes[0] = (uint8_t)flags;
    if (row.size + extra_size > rows->room - rows->used) {
        rows->full = true;
        return 0;
    }
    memcpy(rows->bytes + place, row.bytes, row.size);
    if (extra != NULL) {
        memcpy(rows->bytes + place + row.size, extra, extra_size);
    }
    rows->used += (uint32_t)(row.size + extra_size);
    return place;
}

/* Returns the address behind a packed integer. */
static const uint8_t *skip_integer(const uint8_t *at)
{
    while (*at > 0x7f) {
        at++;
    }
    return at + 1;
}

/* Returns the address behind a packed value. */
static const uint8_t *skip_value(const uint8_t *at, unsigned flags)
{
    if (flags & IS_THOUSANDTHS) {
        return skip_integer(at);
    }
    return flags & IS_DOUBLE ? at + sizeof(double) : at;
}

size_t inbox_row_size(const uint8_t *row)
{
    unsigned flags = row[0];
    const uint8_t *at = skip_integer(skip_integer(skip_integer(row + 1)));

    at = skip_value(at, flags);
    if (flags & BATTERY) {
        at = skip_value(at, flags >> SECOND_SHIFT);
    }
    if (flags & HAS_EXTRA) {
        at += strlen((const char *)at) + 1;
    }
    return (size_t)(at - row);
}

void inbox_row_read(const uint8_t *row, int64_t base_ms, struct foxtrackr_message *out,
                    int64_t *received_ms)
{
    const uint8_t *at = row;
    unsigned flags = *at++;
    const char *extra;

    *out = (struct foxtrackr_message){.voltage_v = NAN, .level_pct = NAN, .celsius = NAN};
    out->message_type = unpack_integer(&at);
    out->time_ms = sum(unpack_integer(&at), base_ms);
    *received_ms = sum(unpack_integer(&at), base_ms);
    if (flags & BATTERY) {
        out->has_battery = true;
        out->voltage_v = unpack_value(&at, flags);
        out->level_pct = unpack_value(&at, flags >> SECOND_SHIFT);
    } else {
        out->has_temperature = true;
        out->celsius = unpack_value(&at, flags);
    }
    extra = flags & HAS_EXTRA ? (const char *)at : NULL;
    out->battery_extra = out->has_battery ? extra : NULL;
    out->temperature_extra = out->has_battery ? NULL : extra;
}
