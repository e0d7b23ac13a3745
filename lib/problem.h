/* Fills in the reason and the sentence of a problem. Private to the library; any thread. */
#ifndef FOXTRACKR_PROBLEM_H
#define FOXTRACKR_PROBLEM_H

#include <stddef.h>

#include "foxtrackr.h"

/* Size of the buffer of foxtrackr__quote(). */
#define FOXTRACKR__QUOTE_SIZE 64

/*
 * Fill *problem in; the text is cut to fit and made one line of valid UTF-8, whatever the
 * arguments hold. Returns `reason`, so that a check can end with it.
 */
int foxtrackr__problem(struct foxtrackr_problem *problem, int reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Write `length` bytes of `text` in double quotes, shortened to fit. Returns `out`. */
const char *foxtrackr__quote(char out[FOXTRACKR__QUOTE_SIZE], const char *text, size_t length);

/* Returns an ASCII letter in lower case, and any other byte unchanged. Independent of the locale.
 */
static inline char foxtrackr__lower(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c;
}

/* Returns true when two texts of `length` bytes differ at most in the case of ASCII letters. */
bool foxtrackr__same_letters(const char *one, const char *other, size_t length);

/* Fill in a FOXTRACKR_E_ENCODING for the byte at `offset`, where foxtrackr__utf8_span() has
 * stopped. `what` names the text. Returns the reason. */
int foxtrackr__text_problem(struct foxtrackr_problem *problem, const char *what, const char *text,
                            size_t offset);

#endif
