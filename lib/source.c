/*
 * Sources: the text on the right of a mapping, a path of member names with an optional factor. The
 * text comes from an operator, so a mistake is refused with a sentence and nothing is guessed.
 */
#include "source.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "utf8.h"

static void set_factor(struct foxtrackr__source *source, double factor)
{
    double reciprocal = round(1 / factor);

    source->multiplier = factor;
    /* Divides by 1000 instead of multiplying by 0.001, which no double represents: 3300 * 0.001
     * gives 3.3000000000000003, and 3300 / 1000 gives 3.3. */
    if (fabs(factor) < 1 && isfinite(reciprocal) && 1 / reciprocal == factor) {
        source->multiplier = 1;
        source->divisor = reciprocal;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && is_blank((*text)[0])) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && is_blank((*text)[*length - 1])) {
        (*length)--;
    }
}

static int check_path(const char *path, size_t length, struct foxtrackr_problem *problem)
{
    char quoted[FOXTRACKR__QUOTE_SIZE];
    const char *end = path + length;
    const char *name = path;

    foxtrackr__quote(quoted, path, length);
    if (length == 0) {
        return foxtrackr__problem(problem, FOXTRACKR_E_FIELD,
                                  "no path: expected member names joined by dots");
    }
    if (foxtrackr__utf8_span(path, length) < length) {
        return foxtrackr__problem(problem, FOXTRACKR_E_FIELD, "path %s is not UTF-8", quoted);
    }
    if (path[0] == '$') {
        return foxtrackr__problem(problem, FOXTRACKR_E_FIELD,
                                  "path %s: begin with a member of the body, without '$'", quoted);
    }
    while (name <= end) {
        const char *dot = memchr(name, '.', (size_t)(end - name));
        const char *stop = dot ? dot : end;

        if (name == stop) {
            return foxtrackr__problem(problem, FOXTRACKR_E_FIELD, "path %s: a member name is empty",
                                      quoted);
        }
        if (is_blank(name[0]) || is_blank(stop[-1])) {
            return foxtrackr__problem(problem, FOXTRACKR_E_FIELD,
                                      "path %s: blank space beside a dot", quoted);
        }
        name = stop + 1;
    }
    return 0;
}

static size_t skip_digits(const char *text, size_t at)
{
    while (text[at] >= '0' && text[at] <= '9') {
        at++;
    }
    return at;
}

/* Returns true for a number with sign, digits, fraction and exponent; not for hexadecimal, inf or
 * nan, which strtod() would read. */
static bool is_number(const char *text)
{
    size_t start = text[0] == '-' || text[0] == '+' ? 1 : 0;
    size_t at = skip_digits(text, start);

    if (at == start) {
        return false;
    }
    if (text[at] == '.') {
        start = at + 1;
        at = skip_digits(text, start);
        if (at == start) {
            return false;
        }
    }
    if (text[at] == 'e' || text[at] == 'E') {
        start = text[at + 1] == '-' || text[at + 1] == '+' ? at + 2 : at + 1;
        at = skip_digits(text, start);
        if (at == start) {
            return false;
        }
    }
    return text[at] == '\0';
}

static int parse_factor(const char *text, size_t length, double *out,
                        struct foxtrackr_problem *problem)
{
    char quoted[FOXTRACKR__QUOTE_SIZE];
    char number[FOXTRACKR__QUOTE_SIZE];
    double value = 0;
    locale_t c_locale;

    foxtrackr__quote(quoted, text, length);
    if (length < sizeof(number)) {
        memcpy(number, text, length);
        number[length] = '\0';
        if (is_number(number)) {
            /* In the process's locale strtod() may expect a decimal comma. */
            c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
            if (c_locale == (locale_t)0) {
                return -ENOMEM;
            }
            value = strtod_l(number, NULL, c_locale);
            freelocale(c_locale);
        }
    }
    if (value == 0 || !isfinite(value) || !isfinite(1 / value)) {
        return foxtrackr__problem(problem, FOXTRACKR_E_FIELD,
                                  "factor %s: expected a number such as 0.001, not zero", quoted);
    }
    *out = value;
    return 0;
}

int foxtrackr__source_parse(const char *text, struct foxtrackr__source *out,
                            struct foxtrackr_problem *problem)
{
    const char *star = strchr(text, '*');
    struct foxtrackr__source source = {.multiplier = 1, .divisor = 1};
    double factor = 1;
    int result;

    source.path = text;
    source.path_length = star ? (size_t)(star - text) : strlen(text);
    trim(&source.path, &source.path_length);
    result = check_path(source.path, source.path_length, problem);
    if (result) {
        return result;
    }
    if (star) {
        source.factor = star + 1;
        source.factor_length = strlen(source.factor);
        trim(&source.factor, &source.factor_length);
        result = parse_factor(source.factor, source.factor_length, &factor, problem);
        if (result) {
            return result;
        }
        set_factor(&source, factor);
    }
    *out = source;
    return 0;
}
