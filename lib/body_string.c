/*
 * Strings of a body: UTF-8 is checked, escapes are decoded.
 *
 * A string without escapes is a slice of the payload. The first fault of a string is the one that
 * is reported, with one exception: NUL written as \u0000 is reported at the closing quotation mark,
 * so that a string that is no JSON is always reported as such.
 */
#include <string.h>

#include "body.h"
#include "problem.h"
#include "utf8.h"

struct scanner {
    const char *at;
    const char *end;
    const char *nul; /* the first \u0000, or NULL */
    char *out;
    struct foxtrackr__fault *fault;
};

static bool fail(struct scanner *scanner, const char *at, const char *text)
{
    *scanner->fault = (struct foxtrackr__fault){FOXTRACKR_E_JSON, at, text, 0};
    return false;
}

/* Moves over characters that stand for themselves. Returns false at a byte that is not UTF-8. */
static bool skip_plain(struct scanner *scanner)
{
    for (;;) {
        size_t sequence;

        scanner->at += foxtrackr__plain_span(scanner->at, scanner->end, true);
        if (scanner->at == scanner->end || (unsigned char)*scanner->at < 0x80) {
            return true;
        }
        sequence = foxtrackr__utf8_length(scanner->at, (size_t)(scanner->end - scanner->at));
        if (sequence == 0) {
            return fail(scanner, scanner->at, "not UTF-8");
        }
        scanner->at += sequence;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns the value of the four hexadecimal digits at `at`, or -1. */
static int32_t hex_unit(const char *at, const char *end)
{
    int32_t unit = 0;

    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);

        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static void put_character(struct scanner *scanner, uint32_t code)
{
    uint8_t bytes[4];
    size_t count;

    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
        count = 1;
    } else if (code < 0x800) {
        bytes[0] = (uint8_t)(0xC0 | code >> 6);
        bytes[1] = (uint8_t)(0x80 | (code & 0x3F));
        count = 2;
    } else if (code < 0x10000) {
        bytes[0] = (uint8_t)(0xE0 | code >> 12);
        bytes[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        bytes[2] = (uint8_t)(0x80 | (code & 0x3F));
        count = 3;
    } else {
        bytes[0] = (uint8_t)(0xF0 | code >> 18);
        bytes[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        bytes[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        bytes[3] = (uint8_t)(0x80 | (code & 0x3F));
        count = 4;
    }
    memcpy(scanner->out, bytes, count);
    scanner->out += count;
}

/* Reads an escape after "\u". A code point beyond U+FFFF is written as two surrogates. */
static bool read_unit(struct scanner *scanner)
{
    const char *escape = scanner->at - 2;
    int32_t high = hex_unit(scanner->at, scanner->end);
    int32_t low;

    if (high < 0) {
        return fail(scanner, escape, "\\u without four hexadecimal digits");
    }
    scanner->at += 4;
    if (high < 0xD800 || high > 0xDFFF) {
        if (high == 0 && !scanner->nul) {
            scanner->nul = escape;
        }
        put_character(scanner, (uint32_t)high);
        return true;
    }
    low = scanner->end - scanner->at >= 6 && scanner->at[0] == '\\' && scanner->at[1] == 'u'
              ? hex_unit(scanner->at + 2, scanner->end)
              : -1;
    if (high > 0xDBFF || low < 0xDC00 || low > 0xDFFF) {
        fail(scanner, escape, "half of a surrogate pair");
        scanner->fault->unit = high;
        return false;
    }
    scanner->at += 6;
    put_character(scanner,
                  0x10000U + (((uint32_t)high - 0xD800U) << 10) + ((uint32_t)low - 0xDC00U));
    return true;
}

/* Reads an escape, whose backslash is at scanner->at. */
static bool read_escape(struct scanner *scanner)
{
    static const char meaning[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                      ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    unsigned char letter = 0;

    if (scanner->end - scanner->at >= 2) {
        letter = (unsigned char)scanner->at[1];
    }
    if (letter == 'u') {
        scanner->at += 2;
        return read_unit(scanner);
    }
    if (!meaning[letter]) {
        return fail(scanner, scanner->at, "unknown escape");
    }
    *scanner->out++ = meaning[letter];
    scanner->at += 2;
    return true;
}

/* Returns true at the end of the string or, with *more set, at an escape; false at a fault. */
static bool at_end(struct scanner *scanner, bool *more)
{
    *more = false;
    if (scanner->at == scanner->end) {
        return fail(scanner, scanner->at, "the payload ends in a string");
    }
    if (*scanner->at == '\\') {
        *more = true;
        return true;
    }
    return *scanner->at == '"' ||
           fail(scanner, scanner->at,
                *scanner->at == '\n' ? "newline in a string" : "control character in a string");
}

/* Decodes the string from its first escape on, and copies the part before it. */
static bool read_escaped(struct scanner *scanner, const char *start)
{
    const char *plain = start;
    bool more = true;

    for (;;) {
        size_t count = (size_t)(scanner->at - plain);

        memcpy(scanner->out, plain, count);
        scanner->out += count;
        if (!more) {
            break;
        }
        if (!read_escape(scanner)) {
            return false;
        }
        plain = scanner->at;
        if (!skip_plain(scanner) || !at_end(scanner, &more)) {
            return false;
        }
    }
    if (scanner->nul) {
        *scanner->fault = (struct foxtrackr__fault){FOXTRACKR_E_ENCODING, scanner->nul,
                                                    "a string holds NUL (\\u0000)", 0};
        return false;
    }
    return true;
}

bool foxtrackr__string_read(const char *start, const char **at, const char *end, char **decoded,
                            const char **string, size_t *length, struct foxtrackr__fault *fault)
{
    struct scanner scanner = {.at = *at, .end = end, .out = *decoded, .fault = fault};
    bool escaped;

    if (!skip_plain(&scanner) || !at_end(&scanner, &escaped)) {
        return false;
    }
    if (escaped) {
        if (!read_escaped(&scanner, start)) {
            return false;
        }
        *string = *decoded;
        *length = (size_t)(scanner.out - *decoded);
        *decoded = scanner.out;
    } else {
        *string = start;
        *length = (size_t)(scanner.at - start);
    }
    *at = scanner.at + 1;
    return true;
}
