/*
 * `foxtrackrctl plot`: draws one device's readings in the terminal. Battery readings have two
 * curves, level and voltage; one without values in this time is left out.
 */
#include "ctl/commands_internal.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/moment.h"
#include "base/plural.h"
#include "config/config.h"
#include "ctl/moment_internal.h"
#include "ctl/plot_internal.h"
#include "ctl/say_internal.h"
#include "ctl/work_internal.h"

#define PROBLEM_SIZE    1024
#define DEFAULT_SPAN_MS (INT64_C(7) * 24 * 3600 * 1000)
#define WIDTH           80 /* where there is no terminal */
#define HEIGHT_ALONE    14 /* lines of a curve */
#define HEIGHT_BESIDE   9  /* of each of two curves */
#define CURVES_MAX      2

/* A table that can be drawn, and its columns. */
struct subject {
    const char *table;
    const char *columns[CURVES_MAX + 1]; /* ends with NULL */
    const char *names[CURVES_MAX];
    const char *units[CURVES_MAX];
    const char *ascii_units[CURVES_MAX];
};

static const struct subject subjects[] = {
    {
        .table = "battery",
        .columns = {"level_pct", "voltage_v"},
        .names = {"level", "voltage"},
        .units = {"%", "V"},
        .ascii_units = {"%", "V"},
    },
    {
        .table = "temperature",
        .columns = {"celsius"},
        .names = {"temperature"},
        .units = {"\u00b0C"},
        .ascii_units = {"C"},
    },
};

struct plot {
    const struct subject *subject;
    struct plot_device device;
    int64_t from_ms, until_ms;
    bool in_future;    /* --since is a moment that has not come yet */
    int64_t newest_ms; /* of all the device's readings; INT64_MIN: there are none */
    int64_t readings;  /* in the plot's time, with and without values */
    struct plot_look look;
    struct plot_series series[CURVES_MAX];
};

static const struct subject *subject_of(const char *word)
{
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (strcmp(subjects[i].table, word) == 0) {
            return &subjects[i];
        }
    }
    return NULL;
}

/* Braille where the terminal's locale is UTF-8; the width of the terminal, colours on one. */
static struct plot_look look_of(unsigned options)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    struct winsize size = {0};
    struct plot_look look = {.width = WIDTH};

    setlocale(LC_CTYPE, "");
    look.braille = (options & CTL_ASCII) == 0 && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (isatty(STDOUT_FILENO) == 1) {
        look.colour = (no_colour == NULL || no_colour[0] == '\0') &&
                      (terminal == NULL || strcmp(terminal, "dumb") != 0);
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
            look.width = size.ws_col;
        }
    }
    look.width = look.width > PLOT_WIDTH_MAX ? PLOT_WIDTH_MAX : look.width;
    look.width = look.width < PLOT_WIDTH_MIN ? PLOT_WIDTH_MIN : look.width;
    return look;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Decides which time is drawn: that of --since and --until, by default 7 days until now. Readings
 * of a device whose clock is ahead of this machine's are shown as well. */
static void choose_time(struct plot *plot, const struct ctl_range *range, int64_t now_ms)
{
    plot->until_ms = range->until_ms;
    if (range->until_ms == INT64_MAX) {
        plot->until_ms = 1 + (plot->newest_ms > now_ms ? plot->newest_ms : now_ms);
    }
    plot->from_ms = range->since_ms;
    if (range->since_ms == INT64_MIN) {
        plot->from_ms = plot->until_ms - DEFAULT_SPAN_MS;
    }
    plot->in_future = plot->until_ms <= plot->from_ms;
    if (plot->in_future) {
        plot->until_ms = plot->from_ms + 1;
    }
}

static int read_all(struct plot *plot, struct store *store, const struct ctl_range *range)
{
    const struct subject *subject = plot->subject;
    int64_t device = plot->device.device;
    int result = plot_read_newest(store, subject->table, device, &plot->newest_ms);

    if (result != STORE_OK) {
        return result;
    }
    choose_time(plot, range, clock_wall_ms());
    for (int i = 0; i < CURVES_MAX; i++) {
        plot_series_begin(&plot->series[i], plot->from_ms, plot->until_ms, plot_dots(&plot->look));
    }
    return plot_read_series(store, subject->table, device, subject->columns, plot->series,
                            &plot->readings);
}

/* --- drawing ---------------------------------------------------------------------------------- */

/* Reports why there is nothing to draw. Returns the exit status. */
static int say_nothing(const struct plot *plot)
{
    const char *name = plot->device.name;
    char from[MOMENT_SIZE];
    char until[MOMENT_SIZE];
    char newest[MOMENT_SIZE];

    if (plot->in_future) {
        ctl_say("plot: --since is not before now");
    } else if (plot->newest_ms == INT64_MIN) {
        ctl_say("%s has no %s readings", name, plot->subject->table);
    } else if (plot->readings == 0) {
        ctl_say("%s has no %s readings from %s to %s; the newest one is of %s", name,
                plot->subject->table, moment_text(plot->from_ms, from),
                moment_text(plot->until_ms, until), moment_text(plot->newest_ms, newest));
    } else {
        ctl_say("%s: no value in %" PRId64 " %s %s; the column extra has what was sent", name,
                plot->readings, plot->subject->table,
                plural(plot->readings, "reading", "readings"));
    }
    return 1;
}

static void draw_one(const struct plot *plot, int i)
{
    const char *unit = plot->look.braille ? plot->subject->units[i] : plot->subject->ascii_units[i];
    char from[MOMENT_SIZE];
    char until[MOMENT_SIZE];

    printf("%s  %s in %s\n%s to %s\n", plot->device.name, plot->subject->names[i], unit,
           moment_text(plot->from_ms, from), moment_text(plot->until_ms, until));
    plot_draw(stdout, &plot->series[i], &plot->look, unit);
}

static int draw(struct plot *plot)
{
    int left = 0;

    for (int i = 0; i < CURVES_MAX; i++) {
        left += plot->series[i].readings > 0;
    }
    if (left == 0) {
        return say_nothing(plot);
    }
    plot->look.height = left > 1 ? HEIGHT_BESIDE : HEIGHT_ALONE;
    for (int i = 0; i < CURVES_MAX; i++) {
        if (plot->series[i].readings > 0) {
            draw_one(plot, i);
            fputs(--left > 0 ? "\n" : "", stdout);
        }
    }
    return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

/* --- the command ------------------------------------------------------------------------------ */

static int plot_store(struct plot *plot, struct store *store, const char *path,
                      const struct ctl_words *words, const struct ctl_range *range)
{
    int result = plot_read_device(store, words->device, &plot->device);
    char hint[PLOT_HINT_SIZE];

    if (result == STORE_OK && plot->device.count == 0) {
        if (plot_read_hint(store, words->device, hint) != STORE_OK) {
            hint[0] = '\0';
        }
        ctl_say("%s has no device %s%s", path, words->device, hint);
        return 1;
    }
    if (result == STORE_OK && plot->device.count > 1) {
        ctl_say("a device %s is in %d families (%s): name the family too, as in --device %s",
                words->device, plot->device.count, plot->device.families, plot->device.name);
        return 1;
    }
    if (result == STORE_OK) {
        result = read_all(plot, store, range);
    }
    if (result != STORE_OK) {
        ctl_say("%s", store_error(store));
        return result == STORE_FATAL ? EX_IOERR : 1;
    }
    return draw(plot);
}

int ctl_plot(const struct config *config, const struct ctl_words *words)
{
    const struct store_options options =
        ctl_work_reading(config, words->operand_count > 1 ? words->operands[1] : NULL);
    struct plot plot = {.subject = subject_of(words->operands[0]), .look = look_of(words->options)};
    struct ctl_range range;
    struct ctl_work work;
    struct store *store;
    char problem[PROBLEM_SIZE];
    int status;

    if (plot.subject == NULL) {
        ctl_say("plot: there is no plot of %s; there are battery and temperature",
                words->operands[0]);
        return EX_USAGE;
    }
    if (words->device == NULL) {
        ctl_say("plot: --device is missing");
        return EX_USAGE;
    }
    if (ctl_range_parse(words, clock_wall_ms(), &range, problem) != 0) {
        ctl_say("plot: %s", problem);
        return EX_USAGE;
    }
    ctl_work_begin(&work);
    if (store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        ctl_say("%s", problem);
        return EX_NOINPUT;
    }
    status = plot_store(&plot, store, options.path, words, &range);
    store_close(store);
    return status;
}
