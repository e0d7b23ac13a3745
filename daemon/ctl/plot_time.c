/* The axis of time of a plot: round distances between ticks, and their labels, in UTC. See
 * ctl/plot_internal.h. */
#include "ctl/plot_internal.h"

#include <time.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

#define WITH_YEAR_MS (300 * DAY_MS) /* from here on a label has the year */

/* From small to large. The last one is for everything. */
static const struct plot_step steps[] = {
    {SECOND_MS, 0},
    {2 * SECOND_MS, 0},
    {5 * SECOND_MS, 0},
    {10 * SECOND_MS, 0},
    {30 * SECOND_MS, 0},
    {MINUTE_MS, 0},
    {2 * MINUTE_MS, 0},
    {5 * MINUTE_MS, 0},
    {10 * MINUTE_MS, 0},
    {15 * MINUTE_MS, 0},
    {30 * MINUTE_MS, 0},
    {HOUR_MS, 0},
    {2 * HOUR_MS, 0},
    {3 * HOUR_MS, 0},
    {6 * HOUR_MS, 0},
    {12 * HOUR_MS, 0},
    {DAY_MS, 0},
    {2 * DAY_MS, 0},
    {5 * DAY_MS, 0},
    {10 * DAY_MS, 0},
    {0, 1},
    {0, 2},
    {0, 3},
    {0, 6},
    {0, 12},
    {0, 24},
    {0, 60},
    {0, 120},
};

#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))
#define MONTH_MS   (30 * DAY_MS + 10 * HOUR_MS) /* on average, nearly */

struct plot_step plot_time_step(int64_t from_ms, int64_t until_ms, int ticks)
{
    for (size_t i = 0; i < STEP_COUNT; i++) {
        int64_t step_ms = steps[i].ms > 0 ? steps[i].ms : steps[i].months * MONTH_MS;

        if ((until_ms - from_ms) / ticks <= step_ms) {
            return steps[i];
        }
    }
    return steps[STEP_COUNT - 1];
}

static struct tm parts_of(int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / SECOND_MS);
    struct tm parts = {.tm_mday = 1};

    gmtime_r(&seconds, &parts);
    return parts;
}

/* The first of the month that begins `month` months after January of the year 0. */
static int64_t month_ms(int month)
{
    struct tm parts = {.tm_year = month / 12 - 1900, .tm_mon = month % 12, .tm_mday = 1};

    return (int64_t)timegm(&parts) * SECOND_MS;
}

int64_t plot_time_tick(struct plot_step step, int64_t time_ms)
{
    struct tm parts;
    int month;

    if (step.ms > 0) {
        return (time_ms + step.ms - 1) / step.ms * step.ms;
    }
    parts = parts_of(time_ms);
    month = (parts.tm_year + 1900) * 12 + parts.tm_mon;
    month = month / step.months * step.months;
    return month_ms(month) >= time_ms ? month_ms(month) : month_ms(month + step.months);
}

/* Returns `label`; "?" when strftime() has written nothing. */
static const char *finish(char label[PLOT_LABEL_SIZE], size_t written)
{
    if (written == 0) {
        snprintf(label, PLOT_LABEL_SIZE, "?");
    }
    return label;
}

const char *plot_time_label(struct plot_step step, int64_t tick_ms, char label[PLOT_LABEL_SIZE])
{
    struct tm parts = parts_of(tick_ms);

    if (step.ms == 0) {
        return finish(label, strftime(label, PLOT_LABEL_SIZE, "%Y-%m", &parts));
    }
    if (tick_ms % DAY_MS == 0) {
        return finish(label, strftime(label, PLOT_LABEL_SIZE, "%m-%d", &parts));
    }
    if (step.ms < MINUTE_MS) {
        return finish(label, strftime(label, PLOT_LABEL_SIZE, "%H:%M:%S", &parts));
    }
    return finish(label, strftime(label, PLOT_LABEL_SIZE, "%H:%M", &parts));
}

const char *plot_time_short(int64_t time_ms, int64_t from_ms, int64_t until_ms,
                            char label[PLOT_LABEL_SIZE])
{
    struct tm parts = parts_of(time_ms);

    if (until_ms - from_ms > WITH_YEAR_MS) {
        return finish(label, strftime(label, PLOT_LABEL_SIZE, "%Y-%m-%d", &parts));
    }
    return finish(label, strftime(label, PLOT_LABEL_SIZE, "%m-%d %H:%M", &parts));
}
