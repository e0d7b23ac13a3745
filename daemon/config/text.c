/*
 * The text of a value, before its type parses it.
 *
 * libinih cuts a value off at a blank and a ';', and knows no other comment, no quotes and no
 * escapes. Operators use all of them, and a value that silently becomes longer or shorter than
 * meant names another session, file or user. So the text is taken from the line itself, and an
 * ambiguous text is refused with a sentence that says how to write each meaning:
 *
 *   a # or ; first in a value or after a blank    stands for itself with a \ in front
 *   a quotation mark first in a value             the same
 *   a \ anywhere else                             stands for itself
 *   a tab in a value, a look-alike of a blank around it   cannot be written
 *
 * A reason never quotes the value: it may be a secret.
 */
#include "config/config_internal.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "utf8.h"

#define BLANKS " \t\r\n"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Recognises the quotation marks that people and word processors put around a value. */
static bool begins_with_quote(const char *text)
{
    static const char *const quotes[] = {"\"",
                                         "'",
                                         "\xe2\x80\x9c",
                                         "\xe2\x80\x9d",
                                         "\xe2\x80\x9e",
                                         "\xe2\x80\x98",
                                         "\xe2\x80\x99",
                                         "\xe2\x80\x9a",
                                         "\xc2\xab",
                                         "\xc2\xbb",
                                         "`"};

    for (size_t i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++) {
        if (strncmp(text, quotes[i], strlen(quotes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t code_point(const char *text, size_t length)
{
    uint32_t character = (unsigned char)text[0];

    if (length > 1) {
        character &= 0x7fU >> length;
    }
    for (size_t i = 1; i < length; i++) {
        character = character << 6 | ((unsigned char)text[i] & 0x3fU);
    }
    return character;
}

/* Returns true for characters that are invisible or look like a blank but are none. */
static bool looks_blank(uint32_t character)
{
    return character == 0xa0 || character == 0xad || character == 0x1680 || character == 0x180e ||
           (character >= 0x2000 && character <= 0x200d) || character == 0x202f ||
           (character >= 0x205f && character <= 0x2065) || character == 0x2800 ||
           character == 0x3000 || character == 0xfeff;
}

unsigned config_text_lookalike(const char *text, size_t length, bool ends_only)
{
    for (size_t at = 0; at < length;) {
        size_t taken = foxtrackr__utf8_length(text + at, length - at);
        uint32_t character;

        if (taken == 0) {
            return 0;
        }
        character = code_point(text + at, taken);
        if (looks_blank(character) && (!ends_only || at == 0 || at + taken == length)) {
            return character;
        }
        at += taken;
    }
    return 0;
}

const char *config_text_trim(const char *text, size_t *length)
{
    size_t skipped = 0;

    while (skipped < *length && strchr(BLANKS, text[skipped]) != NULL) {
        skipped++;
    }
    text += skipped;
    *length -= skipped;
    while (*length > 0 && strchr(BLANKS, text[*length - 1]) != NULL) {
        (*length)--;
    }
    return text;
}

/* Returns the number of backslashes at `text` if the first one escapes the character after them, or
 * 0. */
static size_t escape_length(const char *text, bool first)
{
    size_t run = strspn(text, "\\");

    if (run > 0 &&
        (text[run] == '#' || text[run] == ';' || (first && begins_with_quote(text + run)))) {
        return run;
    }
    return 0;
}

/* Copies trimmed text to `out` with its escapes resolved. Returns 0, or 1 and a reason. */
static int unescape(const char *copy, char *out, char *reason)
{
    size_t used = 0;

    if (begins_with_quote(copy)) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 "begins with a quotation mark, and values are written without quotes: remove "
                 "them, or write a \\ in front of one that belongs to the value");
        return 1;
    }
    for (const char *at = copy; *at != '\0'; at++) {
        bool first = at == copy;
        bool after_blank = first || is_blank(at[-1]);
        size_t run = after_blank ? escape_length(at, first) : 0;

        if (after_blank && (*at == '#' || *at == ';')) {
            snprintf(reason, CONFIG_REASON_SIZE,
                     "a comment behind a value would become part of it: put it on a line of its "
                     "own, or write \\%c for a %c that belongs to the value",
                     *at, *at);
            return 1;
        }
        if (run > 0) {
            memcpy(out + used, at + 1, run);
            used += run;
            at += run;
        } else {
            out[used++] = *at;
        }
    }
    out[used] = '\0';
    if (strchr(out, '\t') != NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, "holds a tab: write a blank instead of it");
        return 1;
    }
    return 0;
}

int config_text_take(const char *text, size_t length, char *out, char *reason)
{
    char copy[CONFIG_LINE_SIZE]; /* may be a password */
    unsigned lookalike;
    int result;

    text = config_text_trim(text, &length);
    lookalike = config_text_lookalike(text, length, true);
    if (lookalike != 0) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 "begins or ends with the character U+%04X, which looks like a blank and is none: "
                 "remove it",
                 lookalike);
        return 1;
    }
    snprintf(copy, sizeof(copy), "%.*s", (int)length, text);
    result = unescape(copy, out, reason);
    explicit_bzero(copy, sizeof(copy));
    return result;
}
