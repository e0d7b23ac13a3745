/*
 * The log: levels, three targets, and a limit on repetition.
 *
 * Every function may be called from any thread after log_open(); before it, lines go to stderr.
 * Only the daemon's upper layers log (lib and store return what went wrong instead), once, naming
 * the object and the reason.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

enum log_target { LOG_TARGET_JOURNAL, LOG_TARGET_STDERR, LOG_TARGET_FILE };

/*
 * Open the target. The journal falls back to stderr where no journal listens. `file` is copied.
 * Returns 0, or 1 with `problem` set to a sentence; the previous target then stays in use.
 *
 * A line on stderr is "level: text", or "<priority>text" where systemd made stderr a stream to the
 * journal. A line in a file is "2026-01-31T12:00:00.000Z level text". Control characters and
 * invalid UTF-8 in a text are written as \xNN, so one line is always one line.
 */
int log_open(enum log_target target, const char *file, int level, char *problem,
             size_t problem_size);

/* Change the level (LOG_ERR … LOG_DEBUG). */
void log_set_level(int level);

/* Reopen the file after a rotation. Returns 0, or 1 with `problem` set; the old file then stays in
 * use. */
int log_reopen(char *problem, size_t problem_size);

/* Flush and close the target. Later lines go to stderr. */
void log_close(void);

#define LOG_CAUSE_TEXTS 4

/*
 * The state of one cause of repeated lines; the caller's object, zero-initialised. A new text is
 * written at once. A repeated one is written again after one minute, then two, four and so on up to
 * once an hour, and its line says how many lines of the cause were left out. A text that was not
 * repeated for an hour counts as new.
 */
struct log_cause {
    struct {
        uint64_t digest;    /* 0: the entry is free */
        int64_t written_ms; /* monotonic, as all three */
        int64_t seen_ms;
        int64_t window_ms;
    } texts[LOG_CAUSE_TEXTS];
    unsigned left_out;
};

/*
 * The rule of log_line_limited() without clock and output. Returns true when a line with this
 * digest (not 0) is to be written at now_ms (monotonic), and then sets *left_out to the number of
 * lines left out since the last written one.
 */
bool log_cause_admit(struct log_cause *cause, uint64_t digest, int64_t now_ms, unsigned *left_out);

/* Tells that the cause has ended. If it returns, its lines are left out for at most a minute,
 * however long it lasted before. */
void log_cause_over(struct log_cause *cause);

/*
 * Journal fields; members may be NULL. The other targets get the text only. An `id` names one kind
 * of event for good, whatever its text will be in later versions: foxtrackrd(8) lists them.
 */
struct log_fields {
    const char *session; /* SESSION=: the client id */
    const char *topic;   /* TOPIC=: of a message, or a topic filter */
    const char *reason;  /* REASON=: of a quarantined message, as in the table quarantine */
    const char *id;      /* MESSAGE_ID= */
};

#define LOG_ID_CONNECTED   "a30351fc929f42d191e2175a58787d02"
#define LOG_ID_UNCONNECTED "e3949c7b19ee4cc7878a0cb4952e680e"
#define LOG_ID_GAP         "ad8dd19c4be24d189f0822894ba323b6"
#define LOG_ID_QUARANTINED "352632d8e4ec405fb8a810cd64e6a8d5"
#define LOG_ID_STALLED     "6b3249b75f6a462fb468d5a683181bc2"
#define LOG_ID_WAL_HELD    "cd21c4949ec94a12acc4d8bc5807c6b7"
#define LOG_ID_RESUMED     "2a0885f6186d49e89faeda220b90b328"

void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_line_fields(int priority, const struct log_fields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Returns false when the line was left out as a repetition. */
bool log_line_limited(struct log_cause *cause, int priority, const struct log_fields *fields,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Returns true when lines of this level are written; lets a caller skip the formatting of lines
 * that are not. */
bool log_enabled(int priority);

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

#endif
