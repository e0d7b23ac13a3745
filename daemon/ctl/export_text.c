/*
 * Writes numbers, moments and texts by hand: printf() takes longer for one value than a row may
 * take. Pure; the caller has made room.
 */
#include "ctl/export_text_internal.h"

#include <stdbool.h>
#include <string.h>

#define DAY_MS    INT64_C(86400000)
#define FIRST_DAY INT64_C(-719528) /* 0000-01-01 */
#define LAST_DAY  INT64_C(2932896) /* 9999-12-31 */

static const char DIGITS[] = "0123456789ABCDEF";

char *export_put_integer(char *at, int64_t number)
{
    char reversed[24];
    size_t count = 0;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;

    do {
        reversed[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        *at++ = '-';
    }
    while (count > 0) {
        *at++ = reversed[--count];
    }
    return at;
}

static char *put_digits(char *at, int64_t number, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + count;
}

char *export_put_hex(char *at, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        *at++ = DIGITS[(unsigned char)bytes[i] >> 4];
        *at++ = DIGITS[(unsigned char)bytes[i] & 15];
    }
    return at;
}

/* Writes the date of a day since 1970, by the proleptic Gregorian calendar: the algorithm counts
 * eras of 400 years, whose years begin in March (Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"). */
static void write_date(int64_t day, char date[16])
{
    int64_t shifted = day - FIRST_DAY - 60; /* days since 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153;
    int64_t day_of_month = of_year - (153 * month + 2) / 5 + 1;
    int64_t year = year_of_era + era * 400 + (month >= 10 ? 1 : 0);
    char *at = put_digits(date, year, 4);

    *at++ = '-';
    at = put_digits(at, month < 10 ? month + 3 : month - 9, 2);
    *at++ = '-';
    at = put_digits(at, day_of_month, 2);
    *at = '\0';
}

/* Writes "2026-11-01T12:00:00.123Z"; nothing for a year that has not four digits. */
char *export_put_moment(char *at, struct export_date *date, int64_t time_ms)
{
    int64_t day = time_ms / DAY_MS - (time_ms % DAY_MS < 0 ? 1 : 0);
    int64_t ms;

    if (day < FIRST_DAY || day > LAST_DAY) {
        return at;
    }
    ms = time_ms - day * DAY_MS;
    if (day != date->day) {
        write_date(day, date->text);
        date->day = day;
    }
    at = export_put(at, date->text, 10);
    *at++ = 'T';
    at = put_digits(at, ms / 3600000, 2);
    *at++ = ':';
    at = put_digits(at, ms / 60000 % 60, 2);
    *at++ = ':';
    at = put_digits(at, ms / 1000 % 60, 2);
    *at++ = '.';
    at = put_digits(at, ms % 1000, 3);
    *at++ = 'Z';
    return at;
}

char *export_put_csv_text(char *at, const char *bytes, size_t length)
{
    bool quoted = length == 0;

    for (size_t i = 0; i < length && !quoted; i++) {
        quoted = bytes[i] == ',' || bytes[i] == '"' || bytes[i] == '\n' || bytes[i] == '\r';
    }
    if (!quoted) {
        return export_put(at, bytes, length);
    }
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"') {
            *at++ = '"';
        }
        *at++ = bytes[i];
    }
    *at++ = '"';
    return at;
}

char *export_put_json_text(char *at, const char *bytes, size_t length)
{
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte == '"' || byte == '\\') {
            *at++ = '\\';
            *at++ = bytes[i];
        } else if (byte == '\n') {
            at = export_put(at, "\\n", 2);
        } else if (byte < ' ') {
            at = export_put(at, "\\u00", 4);
            at = export_put_hex(at, bytes + i, 1);
        } else {
            *at++ = bytes[i];
        }
    }
    *at++ = '"';
    return at;
}
