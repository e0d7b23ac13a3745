/*
 * One tracker of a story: its name, its battery and its temperature at any moment, and when it says
 * nothing.
 *
 * All of that follows from its number, the story's options and the random numbers of
 * tracker_make(). See tracker.c.
 */
#ifndef TRACKER_H
#define TRACKER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "story.h"

/* Moments are ms since the epoch; 0: there is none. */
struct tracker {
    char id[16];
    char group[24];     /* "": it is in no group */
    double phase;       /* of its day, radians: where it stands */
    double discharge_h; /* hours from full to TRACKER_CHARGED_AT_PCT */
    double charged_h;   /* how long ago it was full when the story begins, hours */
    int rssi_dbm;

    int64_t silent_from_ms; /* it reports nothing from here on */
    int64_t pause_from_ms;  /* it reports nothing from here ... */
    int64_t pause_to_ms;    /* ... to before here */
    int64_t warm_from_ms;   /* it is TRACKER_WARM_CELSIUS at least from here ... */
    int64_t warm_to_ms;     /* ... to before here; 0: to the end */

    /* The readings that the events above have led to. */
    struct tracker_seen {
        int64_t last_ms;          /* the newest reading */
        int level_pct;            /* of that */
        int recharges;            /* how often the level has risen */
        int64_t recharged_ms;     /* the first reading after the last of them */
        int64_t before_pause_ms;  /* the last reading before the pause */
        int64_t after_pause_ms;   /* the first one after it */
        int64_t warm_first_ms;    /* the first reading of the warm time */
        int64_t warm_last_ms;     /* the last one */
        int64_t warm_after_ms;    /* the first one after it */
        double warm_celsius_most; /* the highest one */
    } seen;
};

#define TRACKER_CHARGED_AT_PCT 15   /* somebody charges it then */
#define TRACKER_USUAL_CELSIUS  20.0 /* no temperature outside a warm time reaches this */
#define TRACKER_WARM_CELSIUS   25.0

/* splitmix64: small, and the same on every machine. Returns a number in [0, 1). */
double tracker_random(uint64_t *state);

/* Make the tracker with this number, from 0. */
void tracker_make(struct tracker *tracker, const struct story_options *options, int number,
                  uint64_t *random);

/* Whether it reports at this time. */
bool tracker_reports(const struct tracker *tracker, int64_t time_ms);

/* The state of charge at a time of the story, 0 to 1. */
double tracker_charge(const struct tracker *tracker, const struct story_options *options,
                      int64_t time_ms);

/* The temperature; `noise` is in [0, 1). */
double tracker_celsius(const struct tracker *tracker, int64_t time_ms, double noise);

/* Note a reading that was published. Times of one tracker rise. */
void tracker_note_level(struct tracker *tracker, int64_t time_ms, int level_pct);
void tracker_note_celsius(struct tracker *tracker, int64_t time_ms, double celsius);

/* Write what is true of the tracker as a line of JSON, after its last reading. */
void tracker_write_truth(const struct tracker *tracker, const struct story_options *options,
                         FILE *out);

#endif
