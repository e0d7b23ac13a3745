/*
 * `foxtrackrctl plot`: a curve of readings as text.
 *
 * A series collects the readings of one column in constant memory (plot_series.c); plot_draw.c
 * draws it. Both are pure: no database, no terminal, no clock. Times are ms since the epoch, UTC.
 */
#ifndef CTL_PLOT_INTERNAL_H
#define CTL_PLOT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "store/store.h"

#define PLOT_WIDTH_MIN  40  /* characters of a line, with the labels */
#define PLOT_WIDTH_MAX  400 /* a wider terminal has an empty margin */
#define PLOT_GUTTER     9   /* characters left of the curve: label and axis */
#define PLOT_DOTS_MAX   (2 * PLOT_WIDTH_MAX)
#define PLOT_HEIGHT_MAX 40

/* Pauses are counted by their length, four classes for each doubling, up to 2^44 ms (500 years). */
#define PLOT_PAUSE_CLASSES (4 * 44)

struct plot_point {
    int64_t time_ms;
    double value;
};

/* The readings whose times fall into one column of dots. */
struct plot_column {
    int64_t readings;
    struct plot_point first, last; /* in time */
    double min, max;
};

struct plot_pause {
    int64_t count;
    int64_t sum_ms;
};

struct plot_series {
    int64_t from_ms, until_ms; /* what the axis shows */
    int dots;                  /* columns in use */
    int64_t readings;
    struct plot_point min, max, last;
    int64_t longest_ms; /* the longest pause between two readings; 0: fewer than two */
    int64_t longest_from_ms;
    struct plot_pause pauses[PLOT_PAUSE_CLASSES];
    struct plot_column columns[PLOT_DOTS_MAX];
};

/* How a curve is drawn. */
struct plot_look {
    int width;    /* characters of a line, PLOT_WIDTH_MIN to PLOT_WIDTH_MAX */
    int height;   /* lines of the curve, 4 to PLOT_HEIGHT_MAX */
    bool braille; /* braille dots and box drawing (UTF-8); else ASCII */
    bool colour;  /* with the terminal's colours */
};

/* Returns how many columns of dots the curve has with this look. */
int plot_dots(const struct plot_look *look);

/* Begin a series over [from_ms, until_ms], with plot_dots() columns; until_ms > from_ms. */
void plot_series_begin(struct plot_series *series, int64_t from_ms, int64_t until_ms, int dots);

/* Add a reading. Readings come in the order of their times; one outside of the series' time and a
 * value that is not finite, or beyond 1e300, are ignored. */
void plot_series_add(struct plot_series *series, int64_t time_ms, double value);

/* Returns the usual pause between two readings in ms: the median, or nearly. 0 with fewer than
 * three readings. */
int64_t plot_series_usual_ms(const struct plot_series *series);

/* Returns true when a pause is a gap: longer than three usual ones. */
bool plot_series_is_gap(int64_t usual_ms, int64_t pause_ms);

/* Set silent[i] for each column of dots that lies within a gap, before the first and after the last
 * reading too. A series without readings is silent everywhere. */
void plot_series_silence(const struct plot_series *series, bool silent[PLOT_DOTS_MAX]);

/*
 * Draw a series that has readings: the curve with its axes, then a line with the smallest, the
 * largest and the last value, then one with the number of readings and the pauses. `unit` stands
 * behind these values. Lines have at most look->width characters.
 */
void plot_draw(FILE *out, const struct plot_series *series, const struct plot_look *look,
               const char *unit);

/* --- plot_time.c: the axis of time ------------------------------------------------------------ */

#define PLOT_LABEL_SIZE 16

/* A distance between two ticks. */
struct plot_step {
    int64_t ms; /* 0: months */
    int months;
};

/* Returns the smallest round distance that is at least a part of [from_ms, until_ms] of `ticks`. */
struct plot_step plot_time_step(int64_t from_ms, int64_t until_ms, int ticks);

/* Returns the first tick that is not before time_ms. */
int64_t plot_time_tick(struct plot_step step, int64_t time_ms);

/* The label of a tick: "06:00", "11-24" at midnight, "2026-11" where ticks are months. */
const char *plot_time_label(struct plot_step step, int64_t tick_ms, char label[PLOT_LABEL_SIZE]);

/* A moment within [from_ms, until_ms], as short as that allows: "11-24 06:10"; "2026-11-24" where
 * the time is longer than 300 days. */
const char *plot_time_short(int64_t time_ms, int64_t from_ms, int64_t until_ms,
                            char label[PLOT_LABEL_SIZE]);

/* --- plot_read.c: from a store that is open read-only; results of store/store.h --------------- */

#define PLOT_NAME_SIZE 512
#define PLOT_HINT_SIZE (PLOT_NAME_SIZE + 32)

/* The device, or devices, that a word names. */
struct plot_device {
    int count;                     /* 0: there is none; more than 1: of several families */
    int64_t device;                /* of the last one */
    char name[PLOT_NAME_SIZE];     /* its FAMILY/DEVICE, safe for a line of a terminal */
    char families[PLOT_NAME_SIZE]; /* "a, b", of all; cut at the end of the buffer */
};

/* Find the devices named `word`: DEVICE, or FAMILY/DEVICE where no device has the whole word as its
 * name. */
int plot_read_device(struct store *store, const char *word, struct plot_device *out);

/* Set `hint` to the end of a sentence about a device that is not there: whether a group has that
 * name, or which device has one like it; or to "". */
int plot_read_hint(struct store *store, const char *word, char hint[PLOT_HINT_SIZE]);

/* Set *newest_ms to the time of the newest reading in `table`, to INT64_MIN when there is none. */
int plot_read_newest(struct store *store, const char *table, int64_t device, int64_t *newest_ms);

/*
 * Add the values of `columns` (which ends with NULL) to the series beside each, which have begun
 * and are of the same time. *readings is the number of rows, also those without a value.
 */
int plot_read_series(struct store *store, const char *table, int64_t device,
                     const char *const *columns, struct plot_series *series, int64_t *readings);

#endif
