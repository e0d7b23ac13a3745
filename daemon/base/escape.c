/* Control characters, and bytes that are no UTF-8, become visible escapes; see base/escape.h. */
#include "base/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static uint32_t decode(const unsigned char *text, size_t length)
{
    static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t character = text[0] & lead_mask[length];

    for (size_t i = 1; i < length; i++) {
        character = character << 6 | (text[i] & 0x3fU);
    }
    return character;
}

bool escape_is_control(const char *text, size_t length)
{
    uint32_t character = decode((const unsigned char *)text, length);

    return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069) || character == 0x200e ||
           character == 0x200f || character == 0x061c;
}

size_t escape_line(char *out, size_t size, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = strlen(text);
    size_t used = 0;

    for (size_t at = 0; at < length;) {
        size_t taken = foxtrackr__utf8_length(text + at, length - at);
        bool hidden = taken == 0 || escape_is_control(text + at, taken);

        if (taken == 0) {
            taken = 1;
        }
        /* Always leave room for "..." and the terminating NUL. */
        if (used + (hidden ? 4 * taken : taken) + 4 > size) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        for (size_t i = 0; i < taken; i++) {
            unsigned char byte = (unsigned char)text[at + i];

            if (hidden) {
                out[used++] = '\\';
                out[used++] = 'x';
                out[used++] = digits[byte >> 4];
                out[used++] = digits[byte & 0xf];
            } else {
                out[used++] = (char)byte;
            }
        }
        at += taken;
    }
    out[used] = '\0';
    return used;
}

/* Returns true when the bytes are the beginning of a well-formed character that was cut off. */
static bool is_cut(const char *text, size_t length)
{
    static const char continuation[] = "\xbf\xbf\xbf";
    char whole[4];

    if (length == 0 || length >= sizeof(whole)) {
        return false;
    }
    memcpy(whole, text, length);
    for (size_t missing = 1; length + missing <= sizeof(whole); missing++) {
        memcpy(whole + length, continuation, missing);
        if (foxtrackr__utf8_length(whole, length + missing) == length + missing) {
            return true;
        }
        whole[length] = (char)0x80; /* after some leading bytes 0xbf is invalid and 0x80 is not */
        if (foxtrackr__utf8_length(whole, length + missing) == length + missing) {
            return true;
        }
    }
    return false;
}

void escape_clean(char *text)
{
    size_t length = strlen(text);

    for (size_t at = 0; at < length;) {
        size_t taken = foxtrackr__utf8_length(text + at, length - at);

        if (taken == 0 && is_cut(text + at, length - at)) {
            text[at] = '\0';
            return;
        }
        if (taken == 0) {
            text[at] = '?';
            taken = 1;
        }
        at += taken;
    }
}

void escape_one_line(char *text)
{
    size_t length;
    size_t used = 0;

    escape_clean(text);
    length = strlen(text);
    for (size_t at = 0; at < length;) {
        size_t taken = foxtrackr__utf8_length(text + at, length - at);

        if (escape_is_control(text + at, taken)) {
            text[used++] = ' ';
        } else {
            memmove(text + used, text + at, taken);
            used += taken;
        }
        at += taken;
    }
    text[used] = '\0';
}

char *escape_text(const char *text)
{
    /* Four bytes for each byte of the text, and room for "...", which escape_line() keeps free. */
    size_t size = 4 * strlen(text) + 8;
    char *out = malloc(size);
    char *line = malloc(strlen(text) + 1);
    size_t used = 0;

    while (out != NULL && line != NULL && *text != '\0') {
        size_t length = strcspn(text, "\n\t");

        memcpy(line, text, length);
        line[length] = '\0';
        used += escape_line(out + used, size - used, line);
        text += length;
        if (*text != '\0') {
            out[used++] = *text++;
        }
    }
    if (line == NULL) {
        free(out);
        out = NULL;
    }
    free(line);
    if (out != NULL) {
        out[used] = '\0';
    }
    return out;
}

char *escape_json(const char *json)
{
    size_t length = strlen(json);
    char *out = malloc(6 * length + 1);
    size_t used = 0;

    for (size_t at = 0; out != NULL && at < length;) {
        size_t taken = foxtrackr__utf8_length(json + at, length - at);

        if (taken == 0) { /* a byte that is not valid UTF-8 */
            out[used++] = '?';
            at++;
        } else if (json[at] != '\n' && escape_is_control(json + at, taken)) {
            used += (size_t)sprintf(out + used, "\\u%04x",
                                    decode((const unsigned char *)json + at, taken) & 0xffffU);
            at += taken;
        } else {
            memcpy(out + used, json + at, taken);
            used += taken;
            at += taken;
        }
    }
    if (out != NULL) {
        out[used] = '\0';
    }
    return out;
}
