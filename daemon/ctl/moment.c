/*
 * Reads moments on the command line, strictly: a text that is not wholly one of the forms is an
 * error, because a range that was meant otherwise gives answers that look right. Every moment is
 * UTC unless it names its zone, so no answer depends on the machine's time zone. Main's thread.
 */
#include "ctl/moment_internal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

#define COUNT_DIGITS 9 /* of a number before a unit */

static const struct {
    const char *name;
    int64_t ms;
} units[] = {
    {"s", SECOND_MS}, {"min", MINUTE_MS}, {"h", HOUR_MS}, {"d", DAY_MS}, {"w", 7 * DAY_MS},
};

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Reads exactly `digits` digits at *at, and moves it behind them. */
static bool take_number(const char **at, int digits, int *number)
{
    *number = 0;
    for (int i = 0; i < digits; i++) {
        if (!is_digit(**at)) {
            return false;
        }
        *number = *number * 10 + (*(*at)++ - '0');
    }
    return true;
}

/* Reads "-05" with its separator and checks the range. */
static bool take_part(const char **at, char separator, int least, int most, int *number)
{
    if (**at != separator) {
        return false;
    }
    ++*at;
    return take_number(at, 2, number) && *number >= least && *number <= most;
}

/* Reads "2026-11-01" and sets *time_ms to the beginning of the day. */
static bool take_date(const char **at, int64_t *time_ms)
{
    struct tm utc = {0};
    int year = 0;
    int month = 0;
    int day = 0;
    time_t seconds;

    if (!take_number(at, 4, &year) || !take_part(at, '-', 1, 12, &month) ||
        !take_part(at, '-', 1, 31, &day)) {
        return false;
    }
    utc.tm_year = year - 1900;
    utc.tm_mon = month - 1;
    utc.tm_mday = day;
    seconds = timegm(&utc);
    *time_ms = (int64_t)seconds * SECOND_MS;
    return utc.tm_mon == month - 1 && utc.tm_mday == day; /* timegm() makes 30 February 2 March */
}

/* Reads ".123": one to three digits. */
static bool take_fraction(const char **at, int64_t *ms)
{
    int64_t weight = 100;

    if (!is_digit(**at)) {
        return false;
    }
    for (; is_digit(**at) && weight > 0; weight /= 10) {
        *ms += weight * (*(*at)++ - '0');
    }
    return !is_digit(**at);
}

/* Reads "T12:00", "T12:00:00" or "T12:00:00.123", with a blank in the place of T, too. */
static bool take_time(const char **at, int64_t *ms)
{
    int hour = 0;
    int minute = 0;
    int second = 0;

    if (!take_part(at, **at == ' ' ? ' ' : 'T', 0, 23, &hour) ||
        !take_part(at, ':', 0, 59, &minute)) {
        return false;
    }
    if (**at == ':' && !take_part(at, ':', 0, 59, &second)) {
        return false;
    }
    *ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS;
    if (**at == '.') {
        ++*at;
        return take_fraction(at, ms);
    }
    return true;
}

/* Reads the zone: nothing, "Z" or "+01:00"; *ms is what it is ahead of UTC. */
static bool take_zone(const char **at, int64_t *ms)
{
    bool behind = **at == '-';
    int hour = 0;
    int minute = 0;

    *ms = 0;
    if (**at == 'Z') {
        ++*at;
        return true;
    }
    if (**at != '+' && **at != '-') {
        return true;
    }
    if (!take_part(at, **at, 0, 14, &hour) || !take_part(at, ':', 0, 59, &minute)) {
        return false;
    }
    *ms = (hour * HOUR_MS + minute * MINUTE_MS) * (behind ? -1 : 1);
    return true;
}

/* "2026-11-01", or with a time and perhaps a zone behind it. */
static bool take_moment(const char *text, int64_t *time_ms)
{
    const char *at = text;
    int64_t day_ms = 0;
    int64_t part_ms = 0;
    int64_t zone_ms = 0;

    if (!take_date(&at, &day_ms)) {
        return false;
    }
    if (*at != '\0' && (!take_time(&at, &part_ms) || !take_zone(&at, &zone_ms))) {
        return false;
    }
    *time_ms = day_ms + part_ms - zone_ms;
    return *at == '\0';
}

/* "30d". Returns -1 for another text, 0 and *ms else; *ms is 0 when the unit is not known. */
static int take_duration(const char *text, int64_t *ms)
{
    size_t digits = strspn(text, "0123456789");
    int64_t count = 0;

    if (digits == 0 || digits > COUNT_DIGITS) {
        return -1;
    }
    for (size_t i = 0; i < digits; i++) {
        count = count * 10 + (text[i] - '0');
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text + digits, units[i].name) == 0) {
            *ms = count * units[i].ms;
            return 0;
        }
    }
    return -1;
}

int ctl_moment_parse(const char *text, int64_t now_ms, int64_t *time_ms,
                     char problem[CTL_MOMENT_PROBLEM_SIZE])
{
    int64_t ms = 0;

    if (strcmp(text, "now") == 0) {
        *time_ms = now_ms;
        return 0;
    }
    if (take_duration(text, &ms) == 0) {
        *time_ms = now_ms - ms;
        return 0;
    }
    if (take_moment(text, &ms)) {
        *time_ms = ms;
        return 0;
    }
    snprintf(problem, CTL_MOMENT_PROBLEM_SIZE,
             "%.60s is no moment; write a time before now (30s, 45min, 12h, 30d, 4w), a date "
             "(2026-11-01) or a date and a time (2026-11-01T12:00:00Z)",
             text);
    return -1;
}

/* Reads one of the two options; NULL: not given. */
static int parse_option(const char *option, const char *text, int64_t now_ms, int64_t *time_ms,
                        char problem[CTL_MOMENT_PROBLEM_SIZE])
{
    char why[CTL_MOMENT_PROBLEM_SIZE];

    if (text == NULL || ctl_moment_parse(text, now_ms, time_ms, why) == 0) {
        return 0;
    }
    snprintf(problem, CTL_MOMENT_PROBLEM_SIZE, "%s: %.240s", option, why);
    return -1;
}

int ctl_range_parse(const struct ctl_words *words, int64_t now_ms, struct ctl_range *range,
                    char problem[CTL_MOMENT_PROBLEM_SIZE])
{
    struct ctl_range read = {INT64_MIN, INT64_MAX};

    if (parse_option("--since", words->since, now_ms, &read.since_ms, problem) != 0 ||
        parse_option("--until", words->until, now_ms, &read.until_ms, problem) != 0) {
        return -1;
    }
    if (read.since_ms >= read.until_ms) {
        snprintf(problem, CTL_MOMENT_PROBLEM_SIZE, "--since %.60s is not before --until %.60s",
                 words->since != NULL ? words->since : "", words->until);
        return -1;
    }
    *range = read;
    return 0;
}
