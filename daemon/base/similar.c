/*
 * The distance between words: Levenshtein's, with two neighbours that changed places as one slip
 * (optimal string alignment). Finds the command, option, section or key that an operator mistyped.
 */
#include "base/similar.h"
#include "base/similar_internal.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX      40
#define PREFIX_MIN    3
#define PREFIX_SLIPS  100 /* farther than every typing error */
#define SHORT_WORD    3
#define ALLOWED_SHORT 1
#define ALLOWED       2

static int letter(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static unsigned least(unsigned one, unsigned other)
{
    return one < other ? one : other;
}

/* The number of slips that are a typing error: 1 in a word of up to three characters, else 2. */
static unsigned allowed(const char *word)
{
    return strlen(word) > SHORT_WORD ? ALLOWED : ALLOWED_SHORT;
}

/* One row of the table: `before` is the row above it, `long_before` the row above that one. */
static void fill_row(const char *one, size_t i, const char *other, size_t length,
                     const unsigned *long_before, const unsigned *before, unsigned *row)
{
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= length; j++) {
        bool same = letter(one[i - 1]) == letter(other[j - 1]);

        row[j] = least(before[j - 1] + (same ? 0 : 1), least(before[j], row[j - 1]) + 1);
        if (i > 1 && j > 1 && letter(one[i - 1]) == letter(other[j - 2]) &&
            letter(one[i - 2]) == letter(other[j - 1])) {
            row[j] = least(row[j], long_before[j - 2] + 1);
        }
    }
}

unsigned similar_slips(const char *one, const char *other)
{
    unsigned rows[3][WORD_MAX + 1] = {{0}};
    size_t one_length = strlen(one);
    size_t other_length = strlen(other);

    if (one_length > WORD_MAX || other_length > WORD_MAX) {
        return UINT_MAX;
    }
    for (size_t j = 0; j <= other_length; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= one_length; i++) {
        fill_row(one, i, other, other_length, rows[(i + 1) % 3], rows[(i + 2) % 3], rows[i % 3]);
    }
    return rows[one_length % 3][other_length];
}

void similar_try(struct similar *search, const char *known)
{
    unsigned slips = similar_slips(search->word, known);
    size_t length = strlen(search->word);

    if (slips > allowed(search->word)) {
        if (length < PREFIX_MIN || strncasecmp(search->word, known, length) != 0) {
            return;
        }
        slips = PREFIX_SLIPS;
    }
    if (search->best == NULL || slips < search->slips) {
        search->best = known;
        search->slips = slips;
    }
}
