/*
 * Reasons, and the sentences that go with them.
 *
 * A detail ends in logs, in the database and on terminals, but what it quotes came from a stranger.
 * So every one passes through tidy(): cut at a character, no control characters, valid UTF-8. The
 * callers may then quote whatever they found.
 */
#include "problem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const reason_names[] = {
    [FOXTRACKR_OK] = "ok",
    [FOXTRACKR_E_TOPIC] = "topic",
    [FOXTRACKR_E_VERSION] = "version",
    [FOXTRACKR_E_ENCODING] = "encoding",
    [FOXTRACKR_E_JSON] = "json",
    [FOXTRACKR_E_ENVELOPE] = "envelope",
    [FOXTRACKR_E_BODY] = "body",
    [FOXTRACKR_E_TIME] = "time",
    [FOXTRACKR_E_CONFLICT] = "conflict",
    [FOXTRACKR_E_OVERSIZE] = "oversize",
    [FOXTRACKR_E_EMPTY] = "empty",
    [FOXTRACKR_E_FIELD] = "field",
};

#define REASON_COUNT ((int)(sizeof(reason_names) / sizeof(reason_names[0])))

const char *foxtrackr_reason_name(int reason)
{
    return reason >= 0 && reason < REASON_COUNT ? reason_names[reason] : NULL;
}

int foxtrackr_reason_from_name(const char *name)
{
    for (int reason = FOXTRACKR_E_TOPIC; name && reason < FOXTRACKR_E_FIELD; reason++) {
        if (strcmp(name, reason_names[reason]) == 0) {
            return reason;
        }
    }
    return -1;
}

bool foxtrackr__same_letters(const char *one, const char *other, size_t length)
{
    if (memcmp(one, other, length) == 0) {
        return true;
    }
    for (size_t i = 0; i < length; i++) {
        if (foxtrackr__lower(one[i]) != foxtrackr__lower(other[i])) {
            return false;
        }
    }
    return true;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

size_t foxtrackr__utf8_sequence(const char *text, size_t length)
{
    const uint8_t *byte = (const uint8_t *)text;

    if (length == 0) {
        return 0;
    }
    if (byte[0] < 0x80) {
        return 1;
    }
    /* C0 and C1 could only begin what a shorter sequence says. */
    if (byte[0] >= 0xC2 && byte[0] <= 0xDF) {
        return length >= 2 && is_continuation(byte[1]) ? 2 : 0;
    }
    if (byte[0] >= 0xE0 && byte[0] <= 0xEF) {
        /* E0 80..9F is overlong, ED A0..BF are the surrogates. */
        return length >= 3 && is_continuation(byte[1]) && is_continuation(byte[2]) &&
                       !(byte[0] == 0xE0 && byte[1] < 0xA0) && !(byte[0] == 0xED && byte[1] > 0x9F)
                   ? 3
                   : 0;
    }
    if (byte[0] >= 0xF0 && byte[0] <= 0xF4) {
        /* F0 80..8F is overlong, F4 90 and up lie beyond U+10FFFF. */
        return length >= 4 && is_continuation(byte[1]) && is_continuation(byte[2]) &&
                       is_continuation(byte[3]) && !(byte[0] == 0xF0 && byte[1] < 0x90) &&
                       !(byte[0] == 0xF4 && byte[1] > 0x8F)
                   ? 4
                   : 0;
    }
    return 0;
}

/* Are these eight bytes all ASCII, and none of them NUL? Nearly all of a message is. */
static bool is_plain_word(const char *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof(word));
    /* Below 0x80, only a NUL borrows. */
    return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

size_t foxtrackr__text_span(const char *text, size_t length)
{
    size_t offset = 0;

    while (offset < length) {
        if (length - offset >= sizeof(uint64_t) && is_plain_word(text + offset)) {
            offset += sizeof(uint64_t);
            continue;
        }
        unsigned char byte = (unsigned char)text[offset];
        size_t sequence =
            byte >= 0x80 ? foxtrackr__utf8_sequence(text + offset, length - offset) : byte != 0;

        if (sequence == 0) {
            break;
        }
        offset += sequence;
    }
    return offset;
}

int foxtrackr__text_problem(struct foxtrackr_problem *problem, const char *what, const char *text,
                            size_t offset)
{
    if (text[offset] == '\0') {
        return foxtrackr__problem(problem, FOXTRACKR_E_ENCODING, "%s byte %zu: NUL", what, offset);
    }
    return foxtrackr__problem(problem, FOXTRACKR_E_ENCODING, "%s byte %zu: 0x%02X is not UTF-8",
                              what, offset, (unsigned)(unsigned char)text[offset]);
}

const char *foxtrackr__quote(char out[FOXTRACKR__QUOTE_SIZE], const char *text, size_t length)
{
    const size_t room = FOXTRACKR__QUOTE_SIZE - sizeof("\"...\"");
    const char *dots = "";

    if (length > room) {
        dots = "...";
        length = room;
        while (length > 0 && is_continuation((uint8_t)text[length])) {
            length--;
        }
    }
    snprintf(out, FOXTRACKR__QUOTE_SIZE, "\"%.*s%s\"", (int)length, text, dots);
    return out;
}

/* Control characters (C0, DEL, C1) and the two separators that some programs take for a newline. */
static bool breaks_line(const char *text, size_t sequence)
{
    const uint8_t *byte = (const uint8_t *)text;

    return (sequence == 1 && (byte[0] < 0x20 || byte[0] == 0x7F)) ||
           (sequence == 2 && byte[0] == 0xC2 && byte[1] < 0xA0) ||
           (sequence == 3 && byte[0] == 0xE2 && byte[1] == 0x80 && (byte[2] & 0xFE) == 0xA8);
}

static void tidy(char out[FOXTRACKR_DETAIL_SIZE], const char *text)
{
    const size_t room = FOXTRACKR_DETAIL_SIZE - 1;
    size_t left = strlen(text);
    size_t used = 0;
    size_t cut = 0; /* where "..." still fits */

    while (left > 0) {
        size_t sequence = foxtrackr__utf8_sequence(text, left);
        bool bad = sequence == 0 || breaks_line(text, sequence);
        size_t taken = sequence == 0 ? 1 : sequence;
        size_t written = bad ? 1 : sequence;

        if (used + written > room) {
            memcpy(out + cut, "...", 3);
            used = cut + 3;
            break;
        }
        memcpy(out + used, bad ? "?" : text, written);
        used += written;
        if (used + 3 <= room) {
            cut = used;
        }
        text += taken;
        left -= taken;
    }
    out[used] = '\0';
}

int foxtrackr__problem(struct foxtrackr_problem *problem, int reason, const char *format, ...)
{
    /* Every byte becomes at least one, so what does not fit here would not fit in the end. */
    char text[2 * FOXTRACKR_DETAIL_SIZE] = "";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    problem->reason = reason;
    tidy(problem->detail, text);
    return reason;
}
