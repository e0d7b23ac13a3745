/*
 * Collects the readings of one column for a plot, however many there are: for each column of dots
 * the first, last, smallest and largest reading in it. Pauses are counted by their length, so that
 * the usual one is known at the end, and with it which pauses are gaps. See ctl/plot_internal.h.
 */
#include "ctl/plot_internal.h"

#include <math.h>
#include <string.h>

#define VALUE_MAX  1e300 /* differences stay finite */
#define GAP_PAUSES 3     /* a pause is a gap when it is longer than so many usual ones */

void plot_series_begin(struct plot_series *series, int64_t from_ms, int64_t until_ms, int dots)
{
    memset(series, 0, sizeof(*series));
    series->from_ms = from_ms;
    series->until_ms = until_ms;
    series->dots = dots;
}

static struct plot_column *column_of(struct plot_series *series, int64_t time_ms)
{
    double part =
        (double)(time_ms - series->from_ms) / (double)(series->until_ms - series->from_ms);
    int column = (int)(part * series->dots);

    return &series->columns[column < series->dots ? column : series->dots - 1];
}

static void add_pause(struct plot_series *series, int64_t from_ms, int64_t until_ms)
{
    int64_t pause_ms = until_ms - from_ms;
    int class;

    if (pause_ms <= 0) {
        return;
    }
    class = (int)(4 * log2((double)pause_ms));
    class = class < PLOT_PAUSE_CLASSES ? class : PLOT_PAUSE_CLASSES - 1;
    series->pauses[class].count++;
    series->pauses[class].sum_ms += pause_ms;
    if (pause_ms > series->longest_ms) {
        series->longest_ms = pause_ms;
        series->longest_from_ms = from_ms;
    }
}

void plot_series_add(struct plot_series *series, int64_t time_ms, double value)
{
    const struct plot_point point = {time_ms, value};
    struct plot_column *column;

    if (!(fabs(value) <= VALUE_MAX) || time_ms < series->from_ms || time_ms >= series->until_ms) {
        return;
    }
    if (series->readings == 0) {
        series->min = series->max = point;
    } else {
        add_pause(series, series->last.time_ms, time_ms);
        series->min = value < series->min.value ? point : series->min;
        series->max = value > series->max.value ? point : series->max;
    }
    series->last = point;
    series->readings++;

    column = column_of(series, time_ms);
    if (column->readings == 0) {
        column->first = point;
        column->min = column->max = value;
    }
    column->last = point;
    column->min = fmin(column->min, value);
    column->max = fmax(column->max, value);
    column->readings++;
}

/* The mean of the class that holds the pause number `k`, in the order of their length, of those in
 * the classes from `first` on. */
static int64_t pause_of(const struct plot_series *series, int first, int64_t k)
{
    int64_t passed = 0;

    for (int i = first; i < PLOT_PAUSE_CLASSES; i++) {
        passed += series->pauses[i].count;
        if (k < passed) {
            return series->pauses[i].sum_ms / series->pauses[i].count;
        }
    }
    return 0;
}

int64_t plot_series_usual_ms(const struct plot_series *series)
{
    int64_t total = 0;
    int64_t long_ms;
    int first = 0;

    for (int i = 0; i < PLOT_PAUSE_CLASSES; i++) {
        total += series->pauses[i].count;
    }
    if (total < 2) {
        return 0;
    }
    /* Without those inside a burst, as in the view usual_intervals. */
    long_ms = pause_of(series, 0, (total - 1) * 9 / 10);
    while (series->pauses[first].sum_ms * 10 < long_ms * series->pauses[first].count ||
           series->pauses[first].count == 0) {
        total -= series->pauses[first].count;
        first++;
    }
    return pause_of(series, first, (total - 1) / 2);
}

bool plot_series_is_gap(int64_t usual_ms, int64_t pause_ms)
{
    return usual_ms > 0 && pause_ms / GAP_PAUSES > usual_ms;
}

void plot_series_silence(const struct plot_series *series, bool silent[PLOT_DOTS_MAX])
{
    int64_t usual_ms = plot_series_usual_ms(series);
    int64_t before_ms = series->from_ms;
    int begin = 0; /* the first column behind the last one with readings */

    memset(silent, 0, sizeof(bool[PLOT_DOTS_MAX]));
    for (int i = 0; i <= series->dots; i++) {
        const struct plot_column *column = i < series->dots ? &series->columns[i] : NULL;
        int64_t until_ms = column != NULL ? column->first.time_ms : series->until_ms;

        if (column != NULL && column->readings == 0) {
            continue;
        }
        if (series->readings == 0 || plot_series_is_gap(usual_ms, until_ms - before_ms)) {
            memset(silent + begin, 1, (size_t)(i - begin) * sizeof(silent[0]));
        }
        if (column != NULL) {
            before_ms = column->last.time_ms;
            begin = i + 1;
        }
    }
}
