/* Moments on the command line of foxtrackrctl: --since and --until. */
#ifndef CTL_MOMENT_INTERNAL_H
#define CTL_MOMENT_INTERNAL_H

#include <stdint.h>

#include "ctl/words_internal.h"

#define CTL_MOMENT_PROBLEM_SIZE 256

/*
 * Read a moment: a time before now (30s, 45min, 12h, 30d, 4w), a date (2026-11-01: its beginning),
 * a date and a time (2026-11-01T12:00, 2026-11-01T12:00:00.123Z, 2026-11-01T12:00:00+01:00), or
 * "now". Without a zone it is UTC. Returns 0 and sets *time_ms (ms since the epoch); or -1 and sets
 * `problem` to a sentence.
 */
int ctl_moment_parse(const char *text, int64_t now_ms, int64_t *time_ms,
                     char problem[CTL_MOMENT_PROBLEM_SIZE]);

/* since_ms <= t < until_ms, in ms since the epoch. */
struct ctl_range {
    int64_t since_ms; /* INT64_MIN: from the beginning */
    int64_t until_ms; /* INT64_MAX: without an end */
};

/* Read --since and --until of `words`. Returns 0 and sets *range; or -1 and sets `problem`, which
 * names the option. */
int ctl_range_parse(const struct ctl_words *words, int64_t now_ms, struct ctl_range *range,
                    char problem[CTL_MOMENT_PROBLEM_SIZE]);

#endif
