/*
 * Recognises UTF-8 (RFC 3629), for all of the programs: refuses overlong forms, surrogates, and
 * code points beyond U+10FFFF.
 */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

size_t foxtrackr__utf8_length(const char *text, size_t length)
{
    const uint8_t *byte = (const uint8_t *)text;

    if (length == 0) {
        return 0;
    }
    if (byte[0] < 0x80) {
        return 1;
    }
    /* C0 and C1 begin only overlong forms. */
    if (byte[0] >= 0xC2 && byte[0] <= 0xDF) {
        return length >= 2 && foxtrackr__utf8_continues(text[1]) ? 2 : 0;
    }
    if (byte[0] >= 0xE0 && byte[0] <= 0xEF) {
        /* E0 80..9F is overlong, ED A0..BF are the surrogates. */
        return length >= 3 && foxtrackr__utf8_continues(text[1]) &&
                       foxtrackr__utf8_continues(text[2]) && !(byte[0] == 0xE0 && byte[1] < 0xA0) &&
                       !(byte[0] == 0xED && byte[1] > 0x9F)
                   ? 3
                   : 0;
    }
    if (byte[0] >= 0xF0 && byte[0] <= 0xF4) {
        /* F0 80..8F is overlong, F4 90 and up lie beyond U+10FFFF. */
        return length >= 4 && foxtrackr__utf8_continues(text[1]) &&
                       foxtrackr__utf8_continues(text[2]) && foxtrackr__utf8_continues(text[3]) &&
                       !(byte[0] == 0xF0 && byte[1] < 0x90) && !(byte[0] == 0xF4 && byte[1] > 0x8F)
                   ? 4
                   : 0;
    }
    return 0;
}

/* Returns true when all eight bytes are ASCII and none is NUL, as in nearly all of a message. */
static bool is_plain_word(const char *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof(word));
    /* Below 0x80, only a NUL borrows. */
    return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

size_t foxtrackr__utf8_span(const char *text, size_t length)
{
    size_t offset = 0;

    while (offset < length) {
        if (length - offset >= sizeof(uint64_t) && is_plain_word(text + offset)) {
            offset += sizeof(uint64_t);
            continue;
        }
        unsigned char byte = (unsigned char)text[offset];
        size_t sequence =
            byte >= 0x80 ? foxtrackr__utf8_length(text + offset, length - offset) : byte != 0;

        if (sequence == 0) {
            break;
        }
        offset += sequence;
    }
    return offset;
}
