/*
 * The plots of foxtrackrctl: a series in constant memory, round ticks, and whole drawings as the
 * terminal shows them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/plot_internal.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define BEGIN_MS  INT64_C(1795910400000) /* 2026-11-29 00:00 UTC, a Sunday */

static struct plot_series series;

/* --- the series ------------------------------------------------------------------------------- */

static void test_series(void **state)
{
    (void)state;
    plot_series_begin(&series, BEGIN_MS, BEGIN_MS + DAY_MS, 24);
    plot_series_add(&series, BEGIN_MS - 1, 1000); /* before its time */
    plot_series_add(&series, BEGIN_MS, 5);
    plot_series_add(&series, BEGIN_MS + MINUTE_MS, -3);
    plot_series_add(&series, BEGIN_MS + 2 * MINUTE_MS, NAN);
    plot_series_add(&series, BEGIN_MS + 3 * MINUTE_MS, INFINITY);
    plot_series_add(&series, BEGIN_MS + HOUR_MS, 7);
    plot_series_add(&series, BEGIN_MS + DAY_MS - 1, 6);
    plot_series_add(&series, BEGIN_MS + DAY_MS, 1000); /* behind it */

    assert_int_equal(series.readings, 4);
    assert_true(series.min.value == -3 && series.min.time_ms == BEGIN_MS + MINUTE_MS);
    assert_true(series.max.value == 7 && series.max.time_ms == BEGIN_MS + HOUR_MS);
    assert_true(series.last.value == 6 && series.last.time_ms == BEGIN_MS + DAY_MS - 1);
    assert_int_equal(series.columns[0].readings, 2);
    assert_true(series.columns[0].first.value == 5 && series.columns[0].last.value == -3);
    assert_true(series.columns[0].min == -3 && series.columns[0].max == 5);
    assert_int_equal(series.columns[1].readings, 1);
    assert_int_equal(series.columns[23].readings, 1);
    assert_int_equal(series.longest_ms, 23 * HOUR_MS - 1);
    assert_int_equal(series.longest_from_ms, BEGIN_MS + HOUR_MS);
}

/* The usual pause is what most of them are, whatever the others. */
static void test_usual_pause(void **state)
{
    int64_t time_ms = BEGIN_MS;

    (void)state;
    plot_series_begin(&series, BEGIN_MS, BEGIN_MS + 100 * DAY_MS, 100);
    plot_series_add(&series, time_ms, 1);
    assert_int_equal(plot_series_usual_ms(&series), 0);
    plot_series_add(&series, time_ms += 10 * MINUTE_MS, 1);
    assert_int_equal(plot_series_usual_ms(&series), 0); /* one says nothing */
    for (int i = 0; i < 100; i++) {
        plot_series_add(&series, time_ms += i % 20 == 19 ? DAY_MS : 10 * MINUTE_MS, 1);
    }
    assert_int_equal(plot_series_usual_ms(&series), 10 * MINUTE_MS);

    /* Three readings at a time, every half an hour. */
    time_ms = BEGIN_MS;
    plot_series_begin(&series, BEGIN_MS, BEGIN_MS + 100 * DAY_MS, 100);
    for (int i = 0; i < 100; i++) {
        plot_series_add(&series, time_ms += i % 3 == 0 ? 30 * MINUTE_MS : 5000, 1);
    }
    assert_int_equal(plot_series_usual_ms(&series), 30 * MINUTE_MS);

    assert_false(plot_series_is_gap(10 * MINUTE_MS, 30 * MINUTE_MS));
    assert_true(plot_series_is_gap(10 * MINUTE_MS, 34 * MINUTE_MS));
    assert_false(plot_series_is_gap(0, DAY_MS)); /* nothing is usual yet */
}

/* "..##....": silent columns as signs */
static const char *silence(void)
{
    static char text[PLOT_DOTS_MAX + 1];
    bool silent[PLOT_DOTS_MAX];

    plot_series_silence(&series, silent);
    for (int i = 0; i < series.dots; i++) {
        text[i] = silent[i] ? '#' : '.';
    }
    text[series.dots] = '\0';
    return text;
}

static void test_silence(void **state)
{
    (void)state;
    plot_series_begin(&series, BEGIN_MS, BEGIN_MS + DAY_MS, 24);
    assert_string_equal(silence(), "########################");
    for (int i = 0; i < 24 * 6;
         i++) { /* every 10 minutes, from 4 to 8, and from 12 to 20 o'clock */
        int hour = i / 6;

        if ((hour >= 4 && hour < 8) || (hour >= 12 && hour < 20)) {
            plot_series_add(&series, BEGIN_MS + i * 10 * MINUTE_MS, 1);
        }
    }
    assert_string_equal(silence(), "####....####........####");

    plot_series_begin(&series, BEGIN_MS, BEGIN_MS + DAY_MS, 24);
    for (int i = 0; i < 4; i++) { /* every 6 hours: rare, and no gap */
        plot_series_add(&series, BEGIN_MS + i * 6 * HOUR_MS, 1);
    }
    assert_string_equal(silence(), "........................");
}

/* --- ticks ------------------------------------------------------------------------------------ */

/* The labels of all ticks of a time, with at most `ticks` of them. */
static const char *labels(int64_t from_ms, int64_t until_ms, int ticks)
{
    static char text[1024];
    struct plot_step step = plot_time_step(from_ms, until_ms, ticks);
    char label[PLOT_LABEL_SIZE];

    text[0] = '\0';
    for (int64_t tick_ms = plot_time_tick(step, from_ms); tick_ms < until_ms;
         tick_ms = plot_time_tick(step, tick_ms + 1)) {
        assert_true(strlen(text) + PLOT_LABEL_SIZE + 1 < sizeof(text));
        strcat(text, text[0] != '\0' ? " " : "");
        strcat(text, plot_time_label(step, tick_ms, label));
    }
    return text;
}

static void test_ticks(void **state)
{
    (void)state;
    assert_string_equal(labels(BEGIN_MS, BEGIN_MS + DAY_MS, 5), "11-29 06:00 12:00 18:00");
    assert_string_equal(labels(BEGIN_MS + 1, BEGIN_MS + DAY_MS + 1, 5), "06:00 12:00 18:00 11-30");
    assert_string_equal(labels(BEGIN_MS + 7 * HOUR_MS, BEGIN_MS + 7 * DAY_MS + 7 * HOUR_MS, 5),
                        "12-01 12-03 12-05");
    assert_string_equal(labels(BEGIN_MS, BEGIN_MS + 7 * DAY_MS, 8),
                        "11-29 11-30 12-01 12-02 12-03 12-04 12-05");
    assert_string_equal(labels(BEGIN_MS - 10 * MINUTE_MS, BEGIN_MS + 10 * MINUTE_MS, 5),
                        "23:50 23:55 11-29 00:05");
    assert_string_equal(labels(BEGIN_MS + 1000, BEGIN_MS + 8000, 8),
                        "00:00:01 00:00:02 00:00:03 00:00:04 00:00:05 00:00:06 00:00:07");
    assert_string_equal(labels(BEGIN_MS, BEGIN_MS + 365 * DAY_MS, 5),
                        "2027-01 2027-04 2027-07 2027-10");
    assert_string_equal(labels(BEGIN_MS, BEGIN_MS + 20 * 365 * DAY_MS, 5),
                        "2030-01 2035-01 2040-01 2045-01");
    assert_string_equal(labels(BEGIN_MS, BEGIN_MS + 1, 5), "11-29");
}

static void test_short_moments(void **state)
{
    char text[PLOT_LABEL_SIZE];

    (void)state;
    assert_string_equal(
        plot_time_short(BEGIN_MS + 61 * MINUTE_MS, BEGIN_MS, BEGIN_MS + DAY_MS, text),
        "11-29 01:01");
    assert_string_equal(
        plot_time_short(BEGIN_MS + 61 * MINUTE_MS, BEGIN_MS, BEGIN_MS + 400 * DAY_MS, text),
        "2026-11-29");
}

/* --- drawings --------------------------------------------------------------------------------- */

static const struct plot_look ascii = {.width = 60, .height = 8};
static const struct plot_look braille = {.width = 60, .height = 8, .braille = true};

static void assert_drawn(const struct plot_look *look, const char *unit, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    plot_draw(out, &series, look, unit);
    fclose(out);
    if (strcmp(text, expected) != 0) {
        fail_msg("drawn:\n%s\nexpected:\n%s", text, expected);
    }
    free(text);
}

/* A day of readings every 10 minutes, without those from `from` to `until` (in hours). */
static void begin_day(const struct plot_look *look, int from, int until,
                      double (*value)(double hour))
{
    plot_series_begin(&series, BEGIN_MS, BEGIN_MS + DAY_MS, plot_dots(look));
    for (int i = 0; i < 144; i++) {
        if (i / 6 < from || i / 6 >= until) {
            plot_series_add(&series, BEGIN_MS + i * 10 * MINUTE_MS, value(i / 6.0));
        }
    }
}

static double wave(double hour)
{
    return 20 + 10 * sin(hour / 24 * 2 * 3.14159265358979);
}

static double fall(double hour)
{
    return 80 - hour * 2;
}

static double jump(double hour)
{
    return hour < 12 ? -5 : 5;
}

static double flat(double hour)
{
    (void)hour;
    return 3.845;
}

static void test_braille(void **state)
{
    (void)state;
    begin_day(&braille, 24, 24, wave);
    assert_drawn(&braille, "\u00b0C",
                 "     30 ┤       ⣠⠴⠒⠚⠉⠉⠉⠙⠒⠲⢤⡀\n"
                 "        │    ⣠⠴⠋⠁          ⠉⠳⢤⡀\n"
                 "        │ ⢀⡤⠞⠁                ⠙⠦⣄\n"
                 "        │⡴⠋                     ⠈⠳⣄\n"
                 "     20 ┤⠁                        ⠈⠳⣄                    ⢀⡴⠋\n"
                 "        │                           ⠈⠓⣆⡀               ⣀⡖⠋\n"
                 "        │                              ⠙⠲⣄          ⢀⡴⠚⠁\n"
                 "     10 ┤                                ⠈⠙⠲⠤⣄⣀⣀⣀⡤⠴⠚⠉\n"
                 "        └┬───────────┬────────────┬────────────┬────────────\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min 10 °C 11-29 18:00   max 30 °C 11-29 06:00   last 19.564 °C 11-29 23:50\n"
                 "144 readings, every 10 min 0 s\n");
}

static void test_ascii(void **state)
{
    (void)state;
    begin_day(&ascii, 24, 24, wave);
    assert_drawn(&ascii, "C",
                 "     30 +       ..:''''':...\n"
                 "        |    .:''          ':..\n"
                 "        |  .:'                ':.\n"
                 "        |.:'                    ':.\n"
                 "     20 +'                        ':.                    .:'\n"
                 "        |                           '':.               .:'\n"
                 "        |                              ':..         .:''\n"
                 "     10 +                                 '':.....:''\n"
                 "        ++-----------+------------+------------+------------\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min 10 C 11-29 18:00   max 30 C 11-29 06:00   last 19.564 C 11-29 23:50\n"
                 "144 readings, every 10 min 0 s\n");
}

/* The curve is interrupted and the axis dashed. */
static void test_gap(void **state)
{
    (void)state;
    begin_day(&braille, 6, 12, fall);
    assert_drawn(&braille, "%",
                 "     80 ┤⠉⠓⠒⠦⠤⣄⣀⡀\n"
                 "        │       ⠉⠉⠙⠒⠦⠄\n"
                 "     60 ┤\n"
                 "        │                         ⠘⠒⠲⠤⠤⣄⣀\n"
                 "        │                               ⠈⠉⠉⠓⠒⠦⠤⣄⣀⡀\n"
                 "     40 ┤                                        ⠉⠉⠙⠒⠦⠤⣄⣀⣀\n"
                 "        │                                                ⠈⠉⠙\n"
                 "     20 ┤\n"
                 "        └┬───────────┬╌╌╌╌╌╌╌╌╌╌╌╌┬────────────┬────────────\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min 32.333 % 11-29 23:50   max 80 % 11-29 00:00   last 32.333 % 11-29 23:50\n"
                 "108 readings, every 10 min 0 s, longest gap 6 h 10 min from 11-29 05:50\n");
    begin_day(&ascii, 6, 12, fall);
    assert_drawn(&ascii, "%",
                 "     80 +'':....\n"
                 "        |      '''':..\n"
                 "     60 +\n"
                 "        |                         '':....\n"
                 "        |                               ''''':....\n"
                 "     40 +                                        '''':....\n"
                 "        |                                                '''\n"
                 "     20 +\n"
                 "        ++-----------+............+------------+------------\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min 32.333 % 11-29 23:50   max 80 % 11-29 00:00   last 32.333 % 11-29 23:50\n"
                 "108 readings, every 10 min 0 s, longest gap 6 h 10 min from 11-29 05:50\n");
}

static void test_silent_to_the_end(void **state)
{
    (void)state;
    begin_day(&ascii, 12, 24, fall);
    assert_drawn(&ascii, "%",
                 "     80 +':..\n"
                 "        |   '':..\n"
                 "     70 +       '':..\n"
                 "        |           '':..\n"
                 "        |               ''':..\n"
                 "     60 +                    '':..\n"
                 "        |                        ''\n"
                 "     50 +\n"
                 "        ++-----------+------------+............+............\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min 56.333 % 11-29 11:50   max 80 % 11-29 00:00   last 56.333 % 11-29 11:50\n"
                 "72 readings, every 10 min 0 s, silent for 12 h 10 min\n");
}

static void test_jump(void **state)
{
    (void)state;
    begin_day(&ascii, 24, 24, jump);
    assert_drawn(&ascii, "C",
                 "      5 +                         :'''''''''''''''''''''''''\n"
                 "        |                         :\n"
                 "        |                         :\n"
                 "        |                         :\n"
                 "      0 +                         :\n"
                 "        |                         :\n"
                 "        |                         :\n"
                 "     -5 +.........................:\n"
                 "        ++-----------+------------+------------+------------\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min -5 C 11-29 00:00   max 5 C 11-29 12:00   last 5 C 11-29 23:50\n"
                 "144 readings, every 10 min 0 s\n");
}

static void test_flat(void **state)
{
    (void)state;
    begin_day(&ascii, 24, 24, flat);
    assert_drawn(&ascii, "V",
                 "    4.0 +\n"
                 "        |\n"
                 "    3.9 +\n"
                 "        |\n"
                 "        |'''''''''''''''''''''''''''''''''''''''''''''''''''\n"
                 "    3.8 +\n"
                 "        |\n"
                 "    3.7 +\n"
                 "        ++-----------+------------+------------+------------\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min 3.845 V 11-29 00:00   max 3.845 V 11-29 00:00   last 3.845 V 11-29 23:50\n"
                 "144 readings, every 10 min 0 s\n");
}

static void test_one_reading(void **state)
{
    (void)state;
    plot_series_begin(&series, BEGIN_MS, BEGIN_MS + DAY_MS, plot_dots(&ascii));
    plot_series_add(&series, BEGIN_MS + 12 * HOUR_MS, 100);
    assert_drawn(&ascii, "%",
                 "    101 +\n"
                 "        |\n"
                 "        |\n"
                 "        |\n"
                 "    100 +                         '\n"
                 "        |\n"
                 "        |\n"
                 "     99 +\n"
                 "        ++-----------+------------+------------+------------\n"
                 "         11-29       06:00        12:00        18:00\n"
                 "min 100 % 11-29 12:00   max 100 % 11-29 12:00   last 100 % 11-29 12:00\n"
                 "1 reading\n");
}

static void test_colours(void **state)
{
    struct plot_look look = {.width = 40, .height = 4, .braille = true, .colour = true};

    (void)state;
    begin_day(&look, 24, 24, fall);
    assert_drawn(&look, "%",
                 "\033[2m    100 ┤\033[0m\033[36m⣀⣀⡀\033[0m\n"
                 "\033[2m        │\033[0m\033[36m  ⠉⠉⠉⠉⠓⠒⠒⠒⠲⠤⠤⠤⠤⣄⣀⣀⣀⡀\033[0m\n"
                 "\033[2m     50 ┤\033[0m\033[36m                   ⠉⠉⠉⠉⠙⠒⠒⠒⠲⠤⠤⠤\033[0m\n"
                 "\033[2m      0 ┤\033[0m\n"
                 "\033[2m        └┬──────────────┬───────────────\n"
                 "         11-29          12:00\033[0m\n"
                 "min 32.333 % 11-29 23:50   max 80 % 11-29 00:00   last 32.333 % 11-29 23:50\n"
                 "144 readings, every 10 min 0 s\n");
}

/* No line is longer than the terminal, whatever the values and however wide it is. */
static void test_width(void **state)
{
    static const double values[] = {0, 1e-9, 1, 123456.789, 1e12, -1e300, 1e300};
    struct plot_look look = {.height = 9};

    (void)state;
    for (look.width = PLOT_WIDTH_MIN; look.width <= PLOT_WIDTH_MAX; look.width += 45) {
        for (size_t i = 0; i + 1 < sizeof(values) / sizeof(values[0]); i++) {
            char *text = NULL;
            size_t length = 0;
            FILE *out = open_memstream(&text, &length);
            char *line;
            int lines = 0;

            plot_series_begin(&series, BEGIN_MS, BEGIN_MS + DAY_MS, plot_dots(&look));
            plot_series_add(&series, BEGIN_MS, values[i]);
            plot_series_add(&series, BEGIN_MS + DAY_MS / 2, values[i + 1]);
            plot_draw(out, &series, &look, "V");
            fclose(out);
            for (line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
                lines++;
                if (lines <= look.height + 2) {
                    assert_true(strlen(line) <= (size_t)look.width);
                }
            }
            assert_int_equal(lines, look.height + 4);
            free(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_usual_pause),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_short_moments),
        cmocka_unit_test(test_braille),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_silent_to_the_end),
        cmocka_unit_test(test_jump),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_one_reading),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
