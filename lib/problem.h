/* Inside the library: saying what is wrong. */
#ifndef FOXTRACKR_PROBLEM_H
#define FOXTRACKR_PROBLEM_H

#include <stddef.h>

#include "foxtrackr.h"

/* Room for a value as foxtrackr__quote() shows it. */
#define FOXTRACKR__QUOTE_SIZE 64

/*
 * Fill *problem in; the text is cut to fit and made one line of valid UTF-8, whatever the
 * arguments hold. Returns `reason`, so that a check can end with it.
 */
int foxtrackr__problem(struct foxtrackr_problem *problem, int reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `length` bytes of `text` in double quotes, shortened to fit. Returns `out`. */
const char *foxtrackr__quote(char out[FOXTRACKR__QUOTE_SIZE], const char *text, size_t length);

/* An ASCII letter in lower case; any other byte as it is. Independent of the locale. */
static inline char foxtrackr__lower(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c;
}

/* Whether two texts of `length` bytes are the same but for the case of ASCII letters. */
bool foxtrackr__same_letters(const char *one, const char *other, size_t length);

/* What foxtrackr__utf8_span() stopped at, as a FOXTRACKR_E_ENCODING. `what` names the text. */
int foxtrackr__text_problem(struct foxtrackr_problem *problem, const char *what, const char *text,
                            size_t offset);

#endif
