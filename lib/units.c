/*
 * Units: recognises the texts by which trackers name a unit, and converts a number to its column's
 * unit.
 *
 * A text is compared without case, blanks, dots, hyphens, underscores, degree signs and a leading
 * "degrees". The prefix milli is the exception to "without case": MV would be a megavolt. A unit
 * that is not in the table is unknown; it is not guessed.
 */
#include "units.h"

#include <math.h>
#include <string.h>

#include "problem.h"

#define TEXT_SIZE 24 /* at least the longest text below and its NUL */

/* The known units. The number in the column's unit is (number - zero) * multiplier / divisor. */
static const struct {
    enum foxtrackr__column column;
    double zero;
    double multiplier;
    double divisor;
    const char *names[4];
} units[FOXTRACKR__UNITS] = {
    [FOXTRACKR__UNIT_V] = {FOXTRACKR__VOLTAGE_V, 0, 1, 1, {"v", "volt", "volts"}},
    [FOXTRACKR__UNIT_MV] = {FOXTRACKR__VOLTAGE_V, 0, 1, 1000, {"mv", "millivolt", "millivolts"}},
    [FOXTRACKR__UNIT_PCT] = {FOXTRACKR__LEVEL_PCT, 0, 1, 1, {"%", "percent", "pct", "percentage"}},
    [FOXTRACKR__UNIT_RATIO] = {FOXTRACKR__LEVEL_PCT, 0, 100, 1, {"ratio", "fraction"}},
    [FOXTRACKR__UNIT_PERMILLE] = {FOXTRACKR__LEVEL_PCT, 0, 1, 10, {"‰", "permille", "permil"}},
    [FOXTRACKR__UNIT_C] = {FOXTRACKR__CELSIUS, 0, 1, 1, {"c", "celsius", "centigrade", "cel"}},
    [FOXTRACKR__UNIT_MC] = {FOXTRACKR__CELSIUS, 0, 1, 1000, {"mc", "millicelsius"}},
    [FOXTRACKR__UNIT_F] = {FOXTRACKR__CELSIUS, 32, 5, 9, {"f", "fahrenheit"}},
    [FOXTRACKR__UNIT_K] = {FOXTRACKR__CELSIUS, 273.15, 1, 1, {"k", "kelvin"}},
};

/* Characters that are ignored or stand for a letter, each with its replacement. */
static const struct {
    const char *character;
    const char *letter;
} replaced[] = {
    {" ", ""}, {".", ""}, {"-", ""},  {"_", ""},  {"°", ""},
    {"º", ""}, {"˚", ""}, {"℃", "c"}, {"℉", "f"}, {"\xE2\x84\xAA", "k"}, /* the Kelvin sign */
};

/* Writes the first character of `text` in its compared form to *out. Returns how many bytes were
 * read. */
static size_t put_character(const char *text, size_t length, char **out)
{
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++) {
        size_t size = strlen(replaced[i].character);

        if (size <= length && memcmp(text, replaced[i].character, size) == 0) {
            *out = stpcpy(*out, replaced[i].letter);
            return size;
        }
    }
    *(*out)++ = foxtrackr__lower(text[0]);
    return 1;
}

/* Writes the form of a text in which units are compared. Returns false when it is too long for any
 * unit. */
static bool normalize(char out[TEXT_SIZE], const char *text, size_t length)
{
    char *end = out;

    while (length > 0) {
        size_t read;

        if (end - out >= TEXT_SIZE - 1) {
            return false;
        }
        read = put_character(text, length, &end);
        text += read;
        length -= read;
    }
    *end = '\0';
    return true;
}

static const char *skip_degrees(const char *text)
{
    static const char *const words[] = {"degrees", "degree", "deg"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strncmp(text, words[i], strlen(words[i])) == 0) {
            return text + strlen(words[i]);
        }
    }
    return text;
}

enum foxtrackr__unit foxtrackr__unit_read(const char *text, size_t length)
{
    char normal[TEXT_SIZE];
    const char *name;

    if (!normalize(normal, text, length) || (strlen(normal) == 2 && memchr(text, 'M', length))) {
        return FOXTRACKR__UNIT_UNKNOWN;
    }
    name = skip_degrees(normal);
    for (int unit = 0; unit < FOXTRACKR__UNITS; unit++) {
        for (size_t i = 0; i < 4 && units[unit].names[i]; i++) {
            if (strcmp(name, units[unit].names[i]) == 0) {
                return (enum foxtrackr__unit)unit;
            }
        }
    }
    return FOXTRACKR__UNIT_UNKNOWN;
}

enum foxtrackr__column foxtrackr__unit_column(enum foxtrackr__unit unit)
{
    return units[unit].column;
}

double foxtrackr__unit_convert(enum foxtrackr__unit unit, double number)
{
    double converted = (number - units[unit].zero) * units[unit].multiplier / units[unit].divisor;

    /* A quotient by a power of ten is rounded once. The others are rounded to 9 decimals, so that
     * 70.7 °F are 21.5 °C and not 21.500000000000004. */
    if ((units[unit].zero != 0 || units[unit].multiplier != 1) && fabs(converted) < 1e6) {
        converted = nearbyint(converted * 1e9) / 1e9;
    }
    return converted;
}
