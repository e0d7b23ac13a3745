/*
 * The reasons, their names, and the sentences that describe a problem.
 *
 * A detail is shown in logs, in the database and on terminals, but the text that it quotes may have
 * been written by anybody. So every detail passes tidy(), which cuts it at a character, replaces
 * control characters and makes it valid UTF-8. Callers may therefore quote any bytes.
 */
#include "problem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

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
        while (length > 0 && foxtrackr__utf8_continues(text[length])) {
            length--;
        }
    }
    snprintf(out, FOXTRACKR__QUOTE_SIZE, "\"%.*s%s\"", (int)length, text, dots);
    return out;
}

/* Returns true for control characters (C0, DEL, C1), and for the two separators that some programs
 * take for a newline. */
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
    size_t cut = 0; /* the last offset at which "..." still fits */

    while (left > 0) {
        size_t sequence = foxtrackr__utf8_length(text, left);
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
    /* Larger than the detail, because tidy() replaces some sequences of bytes by a single one. */
    char text[2 * FOXTRACKR_DETAIL_SIZE] = "";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    problem->reason = reason;
    tidy(problem->detail, text);
    return reason;
}
