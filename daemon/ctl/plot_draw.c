/*
 * Draws a series as text: a canvas of dots, several of them to a character, with a labelled axis on
 * the left and one below. Braille has 2 by 4 dots in a character, ASCII 1 by 2. Where the device
 * was silent the curve is interrupted, and the lower axis is dashed. See ctl/plot_internal.h.
 */
#include "ctl/plot_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/duration.h"
#include "base/plural.h"

#define TICK_GAP     12 /* characters between two ticks of time, at least */
#define LABEL_WIDTH  7  /* of a value */
#define VALUE_SIZE   40
#define COLOUR_CURVE "\033[36m"
#define COLOUR_AXIS  "\033[2m"
#define COLOUR_OFF   "\033[0m"

struct canvas {
    const struct plot_series *series;
    const struct plot_look *look;
    int columns;  /* characters */
    int across;   /* dots in a character */
    int down;     /* the same, vertically */
    double top;   /* value of the uppermost dot */
    double base;  /* of the lowest one */
    double step;  /* between two labels */
    int decimals; /* of a label */
    bool silent[PLOT_DOTS_MAX];
    unsigned char cells[PLOT_HEIGHT_MAX][PLOT_WIDTH_MAX]; /* bits: the dots of a character */
};

/* The signs of the axes. */
struct signs {
    const char *label, *left, *corner, *below, *tick, *gap;
};

static const struct signs box_signs = {"┤", "│", "└", "─", "┬", "╌"};
static const struct signs ascii_signs = {"+", "|", "+", "-", "+", "."};

static const struct signs *signs_of(const struct canvas *canvas)
{
    return canvas->look->braille ? &box_signs : &ascii_signs;
}

int plot_dots(const struct plot_look *look)
{
    return (look->width - PLOT_GUTTER) * (look->braille ? 2 : 1);
}

/* --- the curve -------------------------------------------------------------------------------- */

/* Chooses round values for the ends of the axis and for the labels. */
static void scale(struct canvas *canvas)
{
    double low = canvas->series->min.value;
    double high = canvas->series->max.value;
    double raw;
    double power;

    if (high - low < 1e-9 * fmax(1, fabs(high))) { /* a flat line stands in the middle */
        double half = fmax(fabs(high) * 0.01, 0.1);

        low -= half;
        high += half;
    }
    raw = (high - low) / (canvas->look->height / 3.0);
    power = pow(10, floor(log10(raw)));
    raw /= power;
    canvas->step = power * (raw <= 1 ? 1 : raw <= 2 ? 2 : raw <= 5 ? 5 : 10);
    canvas->base = floor(low / canvas->step + 1e-9) * canvas->step;
    canvas->top = ceil(high / canvas->step - 1e-9) * canvas->step;
    canvas->decimals = canvas->step >= 1 ? 0 : (int)ceil(-log10(canvas->step) - 1e-9);
}

static int dot_of(const struct canvas *canvas, double value)
{
    int last = canvas->look->height * canvas->down - 1;
    double part = (canvas->top - value) / (canvas->top - canvas->base);

    return (int)lround(fmin(fmax(part, 0), 1) * last);
}

static void set(struct canvas *canvas, int x, int y)
{
    static const unsigned char braille[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    unsigned char *cell = &canvas->cells[y / canvas->down][x / canvas->across];
    int dot = canvas->look->braille ? braille[y % 4][x % 2] : 1 << (y % 2);

    *cell = (unsigned char)(*cell | dot);
}

static void set_span(struct canvas *canvas, int x, int from, int to)
{
    for (int y = from < to ? from : to; y <= (from < to ? to : from); y++) {
        set(canvas, x, y);
    }
}

/* Draws the line from the last reading of column `a` to the first one of column `b`. */
static void connect(struct canvas *canvas, int a, int b)
{
    double from = dot_of(canvas, canvas->series->columns[a].last.value);
    double to = dot_of(canvas, canvas->series->columns[b].first.value);
    int y = (int)from;

    for (int x = a + 1; x <= b; x++) {
        int next = (int)lround(from + (to - from) * (x - a) / (b - a));

        /* Half of a steep step belongs to each of the two columns. */
        set_span(canvas, x - 1, y, (y + next) / 2);
        set_span(canvas, x, (y + next) / 2, next);
        y = next;
    }
}

static void draw_curve(struct canvas *canvas)
{
    int64_t usual_ms = plot_series_usual_ms(canvas->series);
    int before = -1;

    for (int x = 0; x < canvas->series->dots; x++) {
        const struct plot_column *column = &canvas->series->columns[x];

        if (column->readings == 0) {
            continue;
        }
        set_span(canvas, x, dot_of(canvas, column->min), dot_of(canvas, column->max));
        if (before >= 0 &&
            !plot_series_is_gap(usual_ms, column->first.time_ms -
                                              canvas->series->columns[before].last.time_ms)) {
            connect(canvas, before, x);
        }
        before = x;
    }
}

/* --- the text --------------------------------------------------------------------------------- */

static void put_colour(FILE *out, const struct canvas *canvas, const char *colour)
{
    if (canvas->look->colour) {
        fputs(colour, out);
    }
}

static void put_cell(FILE *out, const struct canvas *canvas, unsigned char cell)
{
    if (canvas->look->braille) {
        fprintf(out, "\xe2%c%c", 0xa0 + (cell >> 6), 0x80 + (cell & 0x3f));
    } else {
        fputc(" '.:"[cell & 3], out);
    }
}

/* Writes the label of this line to `label`, empty when no label belongs there. */
static void label_of(const struct canvas *canvas, int row, char label[VALUE_SIZE])
{
    int labels = (int)lround((canvas->top - canvas->base) / canvas->step);

    label[0] = '\0';
    for (int i = 0; i <= labels; i++) {
        double value = canvas->base + i * canvas->step;

        if (dot_of(canvas, value) / canvas->down == row) {
            value = fabs(value) < canvas->step / 2 ? 0 : value; /* no "-0" */
            if (snprintf(label, VALUE_SIZE, "%.*f", canvas->decimals, value) > LABEL_WIDTH) {
                snprintf(label, VALUE_SIZE, "%.0e", value);
            }
            return;
        }
    }
}

static void put_row(FILE *out, const struct canvas *canvas, int row)
{
    const struct signs *signs = signs_of(canvas);
    char label[VALUE_SIZE];
    int end = canvas->columns;

    label_of(canvas, row, label);
    put_colour(out, canvas, COLOUR_AXIS);
    fprintf(out, "%*s %s", LABEL_WIDTH, label, label[0] != '\0' ? signs->label : signs->left);
    put_colour(out, canvas, COLOUR_OFF);
    while (end > 0 && canvas->cells[row][end - 1] == 0) { /* no blanks at the end of a line */
        end--;
    }
    put_colour(out, canvas, end > 0 ? COLOUR_CURVE : "");
    for (int x = 0; x < end; x++) {
        if (canvas->cells[row][x] == 0) {
            fputc(' ', out);
        } else {
            put_cell(out, canvas, canvas->cells[row][x]);
        }
    }
    put_colour(out, canvas, end > 0 ? COLOUR_OFF : "");
    fputc('\n', out);
}

/* Fills in the lower axis: which characters are ticks, and the line of labels below them. */
static void place_ticks(const struct canvas *canvas, bool ticks[PLOT_WIDTH_MAX],
                        char labels[PLOT_WIDTH_MAX + PLOT_LABEL_SIZE])
{
    const struct plot_series *series = canvas->series;
    double span_ms = (double)(series->until_ms - series->from_ms);
    struct plot_step step =
        plot_time_step(series->from_ms, series->until_ms, canvas->columns / TICK_GAP);
    char label[PLOT_LABEL_SIZE];
    int end = 0;

    memset(labels, ' ', PLOT_WIDTH_MAX + PLOT_LABEL_SIZE);
    for (int64_t tick_ms = plot_time_tick(step, series->from_ms); tick_ms < series->until_ms;
         tick_ms = plot_time_tick(step, tick_ms + 1)) {
        int x = (int)((double)(tick_ms - series->from_ms) / span_ms * canvas->columns);
        int length = (int)strlen(plot_time_label(step, tick_ms, label));

        ticks[x] = true;
        if (x + length <= canvas->columns && (x > end || end == 0)) {
            memcpy(labels + x, label, (size_t)length);
            end = x + length;
        }
    }
    labels[end] = '\0';
}

static bool is_silent(const struct canvas *canvas, int column)
{
    for (int i = 0; i < canvas->across; i++) {
        if (!canvas->silent[column * canvas->across + i]) {
            return false;
        }
    }
    return true;
}

static void put_axis(FILE *out, const struct canvas *canvas)
{
    const struct signs *signs = signs_of(canvas);
    bool ticks[PLOT_WIDTH_MAX] = {false};
    char labels[PLOT_WIDTH_MAX + PLOT_LABEL_SIZE];

    place_ticks(canvas, ticks, labels);
    put_colour(out, canvas, COLOUR_AXIS);
    fprintf(out, "%*s %s", LABEL_WIDTH, "", signs->corner);
    for (int x = 0; x < canvas->columns; x++) {
        fputs(ticks[x] ? signs->tick : is_silent(canvas, x) ? signs->gap : signs->below, out);
    }
    fprintf(out, "\n%*s%s", labels[0] != '\0' ? PLOT_GUTTER : 0, "", labels);
    put_colour(out, canvas, COLOUR_OFF);
    fputc('\n', out);
}

/* "min 41.2 % 11-29 03:10   max 100 % ..." */
static void put_values(FILE *out, const struct plot_series *series, const char *unit)
{
    const struct {
        const char *name;
        struct plot_point point;
    } values[] = {{"min", series->min}, {"max", series->max}, {"last", series->last}};
    char when[PLOT_LABEL_SIZE];

    for (int i = 0; i < 3; i++) {
        fprintf(out, "%s%s %.5g %s %s", i > 0 ? "   " : "", values[i].name, values[i].point.value,
                unit,
                plot_time_short(values[i].point.time_ms, series->from_ms, series->until_ms, when));
    }
    fputc('\n', out);
}

/* "1008 readings, usually every 10 min 0 s; longest pause 5 h 10 min from 11-28 03:10" */
static void put_readings(FILE *out, const struct plot_series *series)
{
    int64_t usual_ms = plot_series_usual_ms(series);
    int64_t silent_ms = series->until_ms - series->last.time_ms;
    char duration[DURATION_SIZE];
    char when[PLOT_LABEL_SIZE];

    fprintf(out, "%" PRId64 " %s", series->readings,
            plural(series->readings, "reading", "readings"));
    if (usual_ms > 0) {
        fprintf(out, ", every %s", duration_text(usual_ms, duration));
    }
    if (plot_series_is_gap(usual_ms, series->longest_ms)) {
        fprintf(out, ", longest gap %s from %s", duration_text(series->longest_ms, duration),
                plot_time_short(series->longest_from_ms, series->from_ms, series->until_ms, when));
    }
    if (plot_series_is_gap(usual_ms, silent_ms)) {
        fprintf(out, ", silent for %s", duration_text(silent_ms, duration));
    }
    fputc('\n', out);
}

void plot_draw(FILE *out, const struct plot_series *series, const struct plot_look *look,
               const char *unit)
{
    struct canvas canvas = {
        .series = series,
        .look = look,
        .columns = look->width - PLOT_GUTTER,
        .across = look->braille ? 2 : 1,
        .down = look->braille ? 4 : 2,
    };

    scale(&canvas);
    plot_series_silence(series, canvas.silent);
    draw_curve(&canvas);
    for (int row = 0; row < look->height; row++) {
        put_row(out, &canvas, row);
    }
    put_axis(out, &canvas);
    put_values(out, series, unit);
    put_readings(out, series);
}
