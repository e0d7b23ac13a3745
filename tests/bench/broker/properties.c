/*
 * Walks a block of MQTT 5 properties. The benchmark's broker wants one of them, Receive Maximum; of
 * the others it needs the size, to find what follows them. Nothing is read behind the end of the
 * packet.
 */
#include "properties.h"

#define RECEIVE_MAXIMUM 0x21

/* How a property's value is written (MQTT 5 §2.2.2.2). */
enum kind { UNKNOWN, BYTE, TWO_BYTES, FOUR_BYTES, VARIABLE, TEXT, TEXT_PAIR };

/* Of those that a client may put into CONNECT, SUBSCRIBE, UNSUBSCRIBE or DISCONNECT. */
static enum kind kind_of(uint8_t property)
{
    switch (property) {
    case 0x17: /* Request Problem Information */
    case 0x19: /* Request Response Information */
        return BYTE;
    case RECEIVE_MAXIMUM:
    case 0x22: /* Topic Alias Maximum */
        return TWO_BYTES;
    case 0x11: /* Session Expiry Interval */
    case 0x27: /* Maximum Packet Size */
        return FOUR_BYTES;
    case 0x0b: /* Subscription Identifier */
        return VARIABLE;
    case 0x15: /* Authentication Method */
    case 0x16: /* Authentication Data */
    case 0x1f: /* Reason String */
        return TEXT;
    case 0x26: /* User Property */
        return TEXT_PAIR;
    default:
        return UNKNOWN;
    }
}

/* Bytes of a Variable Byte Integer, at most 4 (§1.5.5); 0: it does not end within `length`. */
static size_t read_variable(const uint8_t *at, size_t length, size_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length && i < 4; i++) {
        *value |= (size_t)(at[i] & 0x7f) << 7 * i;
        if ((at[i] & 0x80) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Bytes of a text or of binary data with its length in front; 0: it does not end within `length`.
 */
static size_t text_size(const uint8_t *at, size_t length)
{
    size_t size = length >= 2 ? 2 + ((size_t)at[0] << 8 | at[1]) : length + 1;

    return size <= length ? size : 0;
}

/* Bytes of a value; 0: unknown, or longer than `length`. */
static size_t value_size(enum kind kind, const uint8_t *at, size_t length)
{
    size_t first;
    size_t second;

    switch (kind) {
    case BYTE:
        return length >= 1 ? 1 : 0;
    case TWO_BYTES:
        return length >= 2 ? 2 : 0;
    case FOUR_BYTES:
        return length >= 4 ? 4 : 0;
    case VARIABLE:
        return read_variable(at, length, &first);
    case TEXT:
        return text_size(at, length);
    case TEXT_PAIR:
        first = text_size(at, length);
        second = first > 0 ? text_size(at + first, length - first) : 0;
        return second > 0 ? first + second : 0;
    default:
        return 0;
    }
}

bool properties_read(const uint8_t *at, size_t length, size_t *size, unsigned *receive_maximum)
{
    size_t block;
    size_t header = read_variable(at, length, &block);

    *receive_maximum = 0;
    if (header == 0 || block > length - header) {
        return false;
    }
    *size = header + block;
    for (size_t next = header; next < *size;) {
        const uint8_t *value = at + next + 1;
        size_t taken = value_size(kind_of(at[next]), value, *size - next - 1);

        if (taken == 0) {
            return false;
        }
        if (at[next] == RECEIVE_MAXIMUM) {
            *receive_maximum = (unsigned)value[0] << 8 | value[1];
            if (*receive_maximum == 0) {
                return false;
            }
        }
        next += 1 + taken;
    }
    return true;
}
