/*
 * The log: levels, three targets, and a limit on repetition.
 *
 * Every function may be called from any thread after log_open(); before it, lines go to stderr.
 * Only the daemon's upper layers log (lib and store return what went wrong instead), once, naming
 * the object and the reason.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

enum log_target { LOG_TARGET_JOURNAL, LOG_TARGET_STDERR, LOG_TARGET_FILE };

/*
 * Open the target. The journal falls back to stderr where no journal listens. `file` is copied.
 * Returns 0, or 1 with `problem` set to a sentence; the target of before stays in use then.
 *
 * A line on stderr is "level: text", or "<priority>text" where systemd made stderr a stream to the
 * journal. A line in a file is "2026-01-31T12:00:00.000Z level text". Control characters and
 * invalid UTF-8 in a text are written as \xNN, so one line is always one line.
 */
int log_open(enum log_target target, const char *file, int level, char *problem,
             size_t problem_size);

/* Change the level (LOG_ERR … LOG_DEBUG). */
void log_set_level(int level);

/* Open the file anew after a rotation. Returns 0, or 1 with `problem` set: the old file stays. */
int log_reopen(char *problem, size_t problem_size);

/* Flush and close. Lines after it go to stderr. */
void log_close(void);

/*
 * One cause that may repeat: a static object of the caller's, zero-initialised. The first line of
 * a cause is written at once; repetitions within a minute are counted, and the next line that is
 * written says how many were left out. A cause whose text changes is a new cause.
 */
struct log_cause {
    int64_t last_ms; /* monotonic */
    uint64_t digest; /* of the last text written */
    unsigned left_out;
};

/*
 * The rule behind log_line_limited(), apart from clock and output: whether a line with this digest
 * (not 0) is written at now_ms (monotonic). When it is, *left_out says how many were not since the
 * last one that was.
 */
bool log_cause_admit(struct log_cause *cause, uint64_t digest, int64_t now_ms, unsigned *left_out);

/* Optional journal fields; members may be NULL. On the other targets the text says it all. */
struct log_fields {
    const char *session; /* SESSION= */
    const char *topic;   /* TOPIC= */
    const char *reason;  /* REASON= */
};

void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_line_fields(int priority, const struct log_fields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_line_limited(struct log_cause *cause, int priority, const struct log_fields *fields,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

#endif
