/*
 * A battery falls evenly from full to TRACKER_CHARGED_AT_PCT, and somebody charges it at once. The
 * temperature follows the day. Events are given to trackers by number, so that a story without
 * events is the same as ever:
 *
 * - the last ones fall silent, each at another time;
 * - those before them make a pause of an eighth of the story;
 * - the first ones of the last group become warm: the first of all at the end of the story, the
 *   others for an eighth of it.
 */
#include "tracker.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define DAY_MS       INT64_C(86400000)
#define HOUR_MS      3600000.0
#define CHARGE_SPENT ((100 - TRACKER_CHARGED_AT_PCT) / 100.0)
#define RISE_PCT     5 /* a level that rises by more was charged */

double tracker_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* A moment by sixteenths of the story, counted from its end. */
static int64_t before_end_ms(const struct story_options *options, int sixteenths)
{
    return options->end_ms - options->span_ms * sixteenths / 16;
}

static void give_events(struct tracker *tracker, const struct story_options *options, int number)
{
    int from_last = options->devices - 1 - number;
    int groups = options->groups > 0 ? options->groups : 1;
    int in_group = number / groups;

    if (from_last < options->silent) {
        tracker->silent_from_ms = before_end_ms(options, 3 + 2 * (from_last % 4));
    } else if (from_last < options->silent + options->pauses) {
        int begin = 10 + from_last % 4;

        tracker->pause_from_ms = before_end_ms(options, begin);
        tracker->pause_to_ms = before_end_ms(options, begin - 2);
    }
    if (number % groups == groups - 1 && in_group < options->warm) {
        int begin = in_group == 0 ? 2 : 5 + in_group % 8;

        tracker->warm_from_ms = before_end_ms(options, begin);
        tracker->warm_to_ms = in_group == 0 ? 0 : before_end_ms(options, begin - 2);
    }
}

void tracker_make(struct tracker *tracker, const struct story_options *options, int number,
                  uint64_t *random)
{
    static const char *const names[] = {"depot-north", "depot-south", "trailers",
                                        "reefers",     "rentals",     "spares"};
    const int name_count = (int)(sizeof names / sizeof names[0]);
    int group = options->groups > 0 ? number % options->groups : 0;

    memset(tracker, 0, sizeof *tracker);
    /* Five hexadecimal digits, like the ids in the wild; some of them look like numbers. */
    snprintf(tracker->id, sizeof tracker->id, "%05X", (unsigned)(0x1BBC0 + number * 14));
    if (number >= options->grouped) {
        tracker->group[0] = '\0';
    } else if (group < name_count) {
        snprintf(tracker->group, sizeof tracker->group, "%s", names[group]);
    } else {
        snprintf(tracker->group, sizeof tracker->group, "group-%d", group);
    }
    tracker->phase = tracker_random(random) * 0.8;
    tracker->discharge_h = 24 * (9 + 12 * tracker_random(random));
    tracker->charged_h = tracker->discharge_h * 0.7 * tracker_random(random);
    tracker->rssi_dbm = -60 - (int)(40 * tracker_random(random));
    give_events(tracker, options, number);
}

bool tracker_reports(const struct tracker *tracker, int64_t time_ms)
{
    bool silent = tracker->silent_from_ms != 0 && time_ms >= tracker->silent_from_ms;
    bool pauses = time_ms >= tracker->pause_from_ms && time_ms < tracker->pause_to_ms;

    return !silent && !pauses;
}

/* How long ago the tracker was full, in hours. */
static double hours_from_full(const struct tracker *tracker, const struct story_options *options,
                              int64_t time_ms)
{
    int64_t begin_ms = options->end_ms - options->span_ms;

    return fmod((double)(time_ms - begin_ms) / HOUR_MS + tracker->charged_h, tracker->discharge_h);
}

double tracker_charge(const struct tracker *tracker, const struct story_options *options,
                      int64_t time_ms)
{
    return 1.0 - CHARGE_SPENT * hours_from_full(tracker, options, time_ms) / tracker->discharge_h;
}

static bool is_warm(const struct tracker *tracker, int64_t time_ms)
{
    return tracker->warm_from_ms != 0 && time_ms >= tracker->warm_from_ms &&
           (tracker->warm_to_ms == 0 || time_ms < tracker->warm_to_ms);
}

/* Coldest before dawn, warmest in the afternoon. */
double tracker_celsius(const struct tracker *tracker, int64_t time_ms, double noise)
{
    double day = 2 * M_PI * (double)(time_ms % DAY_MS) / (double)DAY_MS;
    double wave = cos(day - 1.0 + tracker->phase);

    if (is_warm(tracker, time_ms)) {
        return TRACKER_WARM_CELSIUS + 2 - 1.5 * wave + 0.8 * noise;
    }
    return 11 - 7.5 * wave + 0.8 * noise;
}

void tracker_note_level(struct tracker *tracker, int64_t time_ms, int level_pct)
{
    struct tracker_seen *seen = &tracker->seen;

    if (seen->last_ms != 0 && level_pct > seen->level_pct + RISE_PCT) {
        seen->recharges++;
        seen->recharged_ms = time_ms;
    }
    if (tracker->pause_from_ms != 0 && time_ms < tracker->pause_from_ms) {
        seen->before_pause_ms = time_ms;
    } else if (tracker->pause_from_ms != 0 && seen->after_pause_ms == 0) {
        seen->after_pause_ms = time_ms;
    }
    seen->last_ms = time_ms;
    seen->level_pct = level_pct;
}

void tracker_note_celsius(struct tracker *tracker, int64_t time_ms, double celsius)
{
    struct tracker_seen *seen = &tracker->seen;

    if (!is_warm(tracker, time_ms)) {
        if (seen->warm_first_ms != 0 && seen->warm_after_ms == 0) {
            seen->warm_after_ms = time_ms;
        }
        return;
    }
    if (seen->warm_first_ms == 0) {
        seen->warm_first_ms = time_ms;
    }
    if (seen->warm_first_ms == time_ms || celsius > seen->warm_celsius_most) {
        seen->warm_celsius_most = celsius;
    }
    seen->warm_last_ms = time_ms;
}

static void write_moment(FILE *out, const char *name, int64_t time_ms)
{
    if (time_ms != 0) {
        fprintf(out, ",\"%s\":%" PRId64, name, time_ms);
    } else {
        fprintf(out, ",\"%s\":null", name);
    }
}

void tracker_write_truth(const struct tracker *tracker, const struct story_options *options,
                         FILE *out)
{
    const struct tracker_seen *seen = &tracker->seen;
    double left_h =
        tracker->discharge_h / CHARGE_SPENT - hours_from_full(tracker, options, seen->last_ms);

    fprintf(out, "{\"device\":\"%s\",\"group\":\"%s\"", tracker->id, tracker->group);
    fprintf(out, ",\"pct_per_day\":%.4f,\"level_pct\":%d,\"recharges\":%d",
            100 * CHARGE_SPENT * 24 / tracker->discharge_h, seen->level_pct, seen->recharges);
    write_moment(out, "recharged_ms", seen->recharged_ms);
    write_moment(out, "empty_ms", seen->last_ms + (int64_t)(left_h * HOUR_MS));
    write_moment(out, "last_ms", seen->last_ms);
    fprintf(out, ",\"silent\":%s", tracker->silent_from_ms != 0 ? "true" : "false");
    write_moment(out, "before_pause_ms", seen->before_pause_ms);
    write_moment(out, "after_pause_ms", seen->after_pause_ms);
    write_moment(out, "warm_first_ms", seen->warm_first_ms);
    write_moment(out, "warm_last_ms", seen->warm_last_ms);
    write_moment(out, "warm_after_ms", seen->warm_after_ms);
    fprintf(out, ",\"warm_celsius_most\":%.2f}\n", seen->warm_celsius_most);
}
