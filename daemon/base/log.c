/*
 * One mutex serialises everything that a line passes through, so lines never mix and a rotation
 * never loses one. Text is formatted before the mutex is taken. Nothing here logs: a failure of a
 * target is either returned (log_open(), log_reopen()) or counted and reported by the next line
 * that the target takes.
 *
 * No line waits for ever: a pipe whose reader has stopped would block the thread that logs, and
 * with it the daemon. If stderr accepts nothing for a quarter of a second, lines are dropped and
 * counted. When it accepts a line again, the count is written before that line.
 *
 * A line is one write(2) on a descriptor in append mode. On a full disk a part of a line may be
 * written; the next line then begins with a line feed, also after the file was reopened: every open
 * checks how the file ends. A file that is not text is not appended to (base/own_file.c).
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/escape.h"
#include "base/fnv1a.h"
#include "base/moment.h"
#include "base/own_file.h"
#include "base/plural.h"
#include "base/pulse.h"

#define TEXT_SIZE       2048
#define ESCAPED_SIZE    4096
#define OPEN_ATTEMPTS   3
#define STDERR_WAIT_MS  250
#define WINDOW_FIRST_MS 60000
#define WINDOW_LAST_MS  3600000
#define JOURNAL_SOCKET  "/run/systemd/journal/socket"

static struct {
    pthread_mutex_t mutex;
    enum log_target target;
    char *file;
    int fd;               /* of the file, or -1 */
    bool stderr_prefixes; /* stderr is a stream to the journal */
    bool torn;            /* the file ends in an incomplete line */
    unsigned lost;        /* lines that could not be written to the file */
    int lost_errno;
    unsigned stderr_lost; /* lines that stderr did not take in time */
} log_state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .target = LOG_TARGET_STDERR, .fd = -1};

/* Atomic, because every call reads the level, mostly to drop a debug line; that is not worth the
 * mutex. */
static atomic_int log_level = LOG_INFO;

static const char *level_name(int priority)
{
    static const char *const names[] = {"err",     "err",    "err",  "err",
                                        "warning", "notice", "info", "debug"};

    return names[priority & 7];
}

/* Returns true when stderr is the stream to the journal that systemd made (systemd.exec(5),
 * $JOURNAL_STREAM) and was not redirected since. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device;
    uintmax_t inode;
    struct stat status;
    char *end;

    if (stream == NULL) {
        return false;
    }
    device = strtoumax(stream, &end, 10);
    if (*end != ':') {
        return false;
    }
    inode = strtoumax(end + 1, &end, 10);
    return *end == '\0' && fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
           status.st_ino == inode;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/*
 * Opens an existing file, also through a symbolic link. A missing file is created, but never
 * through a link. Non-blocking: a FIFO without a reader is an error and not a daemon that hangs.
 */
static int open_descriptor(const char *file)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = -1;

    for (int attempt = 0; attempt < OPEN_ATTEMPTS; attempt++) {
        fd = open(file, flags);
        if (fd >= 0 || errno != ENOENT) {
            break;
        }
        fd = open(file, flags | O_CREAT | O_EXCL, 0640);
        if (fd >= 0 || errno != EEXIST) {
            break;
        }
        /* The path is a dangling link, or logrotate created the file between the two calls. */
    }
    return fd;
}

/* Opens the same file for reading, to check how it begins and ends. Returns -1 for anything but a
 * regular file. */
static int open_to_read(const char *file, int fd)
{
    struct stat written;
    struct stat opened;
    int reader;

    if (fstat(fd, &written) != 0 || !S_ISREG(written.st_mode) || written.st_size == 0) {
        return -1;
    }
    reader = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (reader >= 0 && (fstat(reader, &opened) != 0 || opened.st_dev != written.st_dev ||
                        opened.st_ino != written.st_ino)) {
        close(reader);
        reader = -1;
    }
    return reader;
}

/* Returns true when the file ends within a line, after a full disk or a power failure. */
static bool ends_torn(int reader)
{
    off_t end = lseek(reader, 0, SEEK_END);
    char last = '\n';

    return end > 0 && pread(reader, &last, 1, end - 1) == 1 && last != '\n';
}

/* Opens the log file for appending; *torn is true when the file ends within a line. */
static int open_file(const char *file, bool *torn, char *problem, size_t problem_size)
{
    int fd = open_descriptor(file);
    int reader;
    char reason[OWN_FILE_REASON_SIZE];

    if (fd < 0) {
        const char *advice = errno == ENOENT   ? "; its directory must be there"
                             : errno == EEXIST ? ": it is a symbolic link that leads nowhere"
                             : errno == EACCES
                                 ? "; the user that runs foxtrackrd must be able to write it"
                                 : "";

        snprintf(problem, problem_size, "log file %s: cannot open: %s%s", file, error_text(errno),
                 advice);
        return -1;
    }
    reader = open_to_read(file, fd);
    *torn = reader >= 0 && ends_torn(reader);
    if (reader >= 0 && own_file_judge_open(reader, OWN_FILE_LOG, reason) != OWN_FILE_FINE) {
        snprintf(problem, problem_size, "log file %s %s", file, reason);
        close(fd);
        fd = -1;
    }
    close_fd(reader);
    return fd;
}

int log_open(enum log_target target, const char *file, int level, char *problem,
             size_t problem_size)
{
    char *copy = NULL;
    bool torn = false;
    int fd = -1;

    if (target == LOG_TARGET_FILE) {
        copy = strdup(file);
        if (copy == NULL) {
            snprintf(problem, problem_size, "log file %s: out of memory", file);
            return 1;
        }
        fd = open_file(file, &torn, problem, problem_size);
        if (fd < 0) {
            free(copy);
            return 1;
        }
    } else if (target == LOG_TARGET_JOURNAL && access(JOURNAL_SOCKET, W_OK) != 0) {
        target = LOG_TARGET_STDERR;
    }
    pthread_mutex_lock(&log_state.mutex);
    close_fd(log_state.fd);
    free(log_state.file);
    log_state.target = target;
    log_state.file = copy;
    log_state.fd = fd;
    log_state.stderr_prefixes = stderr_is_journal();
    log_state.torn = torn;
    pthread_mutex_unlock(&log_state.mutex);
    log_set_level(level);
    return 0;
}

void log_set_level(int level)
{
    atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

int log_reopen(char *problem, size_t problem_size)
{
    int result = 0;

    pthread_mutex_lock(&log_state.mutex);
    if (log_state.target == LOG_TARGET_FILE) {
        bool torn;
        int fd = open_file(log_state.file, &torn, problem, problem_size);

        if (fd < 0) {
            result = 1;
        } else {
            close_fd(log_state.fd);
            log_state.fd = fd;
            log_state.torn = torn;
        }
    }
    pthread_mutex_unlock(&log_state.mutex);
    return result;
}

void log_close(void)
{
    pthread_mutex_lock(&log_state.mutex);
    close_fd(log_state.fd);
    free(log_state.file);
    log_state.file = NULL;
    log_state.fd = -1;
    log_state.target = LOG_TARGET_STDERR;
    pthread_mutex_unlock(&log_state.mutex);
}

/* Returns false, with errno set, when the line is not in the file in one piece. */
static bool file_write(int priority, const char *text)
{
    char line[ESCAPED_SIZE + 64];
    int64_t now_ms = clock_wall_ms();
    char date[MOMENT_SIZE];
    int length;
    ssize_t written;

    length = snprintf(line, sizeof(line), "%s%s %s %s\n", log_state.torn ? "\n" : "",
                      moment_iso_ms(now_ms, date), level_name(priority), text);
    do {
        written = write(log_state.fd, line, (size_t)length);
    } while (written < 0 && errno == EINTR);
    if (written == length) {
        log_state.torn = false;
        return true;
    }
    if (written > 0) {
        log_state.torn = true;
        errno = ENOSPC;
    }
    return false;
}

static void file_line(int priority, const char *text)
{
    if (log_state.lost > 0) {
        char notice[160];

        snprintf(notice, sizeof(notice), "%u log line%s could not be written: %s", log_state.lost,
                 plural_s(log_state.lost), error_text(log_state.lost_errno));
        if (!file_write(LOG_WARNING, notice)) {
            log_state.lost++;
            return;
        }
        log_state.lost = 0;
    }
    if (!file_write(priority, text)) {
        log_state.lost_errno = errno;
        log_state.lost++;
    }
}

/* Returns true when stderr takes a line now. Waits for that, but not after a line that stderr did
 * not take. The descriptor is shared with other processes, so it is not set to O_NONBLOCK. Errors
 * are found by write(). */
static bool stderr_takes(void)
{
    struct pollfd poll_fd = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&poll_fd, 1, log_state.stderr_lost > 0 ? 0 : STDERR_WAIT_MS) != 0;
}

/* Writes at most PIPE_BUF bytes: a pipe that poll() reports as writable takes so many without
 * waiting. */
static void stderr_write(int priority, const char *text)
{
    char line[PIPE_BUF];
    int length;

    if (log_state.stderr_prefixes) {
        length = snprintf(line, sizeof(line), "<%d>%s\n", priority & 7, text);
    } else {
        length = snprintf(line, sizeof(line), "%s: %s\n", level_name(priority), text);
    }
    if (length >= (int)sizeof(line)) {
        length = sizeof(line);
        line[sizeof(line) - 1] = '\n';
    }
    /* A failure of stderr cannot be reported anywhere. */
    if (write(STDERR_FILENO, line, (size_t)length) < 0) {
        return;
    }
}

static void stderr_line(int priority, const char *text)
{
    if (log_state.stderr_lost > 0 && stderr_takes()) {
        char notice[160];

        snprintf(notice, sizeof(notice),
                 "%u log line%s could not be written: standard error took "
                 "nothing",
                 log_state.stderr_lost, plural_s(log_state.stderr_lost));
        log_state.stderr_lost = 0;
        stderr_write(LOG_WARNING, notice);
    }
    if (log_state.stderr_lost > 0 || !stderr_takes()) {
        log_state.stderr_lost++;
        return;
    }
    stderr_write(priority, text);
}

struct journal_entry {
    struct iovec items[6];
    char texts[6][ESCAPED_SIZE + 32];
    int count;
};

static void journal_add(struct journal_entry *entry, const char *name, const char *value)
{
    char *text = entry->texts[entry->count];
    char escaped[ESCAPED_SIZE];

    if (value == NULL) {
        return;
    }
    escape_line(escaped, sizeof(escaped), value);
    snprintf(text, sizeof(entry->texts[0]), "%s=%s", name, escaped);
    entry->items[entry->count++] = (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

/* Returns whether the journal took the line. */
static bool journal_line(int priority, const struct log_fields *fields, const char *text)
{
    static struct journal_entry entry; /* large; the mutex is held */
    char digit[2] = {(char)('0' + (priority & 7)), '\0'};

    entry.count = 0;
    journal_add(&entry, "MESSAGE", text);
    journal_add(&entry, "PRIORITY", digit);
    if (fields != NULL) {
        journal_add(&entry, "SESSION", fields->session);
        journal_add(&entry, "TOPIC", fields->topic);
        journal_add(&entry, "REASON", fields->reason);
        journal_add(&entry, "MESSAGE_ID", fields->id);
    }
    /* sd_journal_sendv() says that all is well when there is no socket. */
    return access(JOURNAL_SOCKET, W_OK) == 0 && sd_journal_sendv(entry.items, entry.count) >= 0;
}

/* With the mutex held. `text` is escaped. */
static void write_line(int priority, const struct log_fields *fields, const char *text)
{
    switch (log_state.target) {
    case LOG_TARGET_FILE:
        file_line(priority, text);
        break;
    case LOG_TARGET_JOURNAL:
        if (!journal_line(priority, fields, text)) {
            stderr_line(priority, text);
        }
        break;
    case LOG_TARGET_STDERR:
        stderr_line(priority, text);
        break;
    }
}

/* Never 0, which stands for "no line yet". */
static uint64_t text_digest(int priority, const char *text)
{
    uint64_t digest = fnv1a(FNV1A_BASIS ^ (uint64_t)(priority & 7), text, strlen(text));

    return digest != 0 ? digest : 1;
}

/* Returns the index of this text's entry, or of a free one, or of the least recently seen one. */
static unsigned cause_place(const struct log_cause *cause, uint64_t digest)
{
    unsigned oldest = 0;

    for (unsigned i = 0; i < LOG_CAUSE_TEXTS; i++) {
        if (cause->texts[i].digest == digest) {
            return i;
        }
        if (cause->texts[i].digest == 0 ||
            (cause->texts[oldest].digest != 0 &&
             cause->texts[i].seen_ms < cause->texts[oldest].seen_ms)) {
            oldest = i;
        }
    }
    return oldest;
}

bool log_cause_admit(struct log_cause *cause, uint64_t digest, int64_t now_ms, unsigned *left_out)
{
    unsigned place = cause_place(cause, digest);
    bool known = cause->texts[place].digest == digest &&
                 now_ms - cause->texts[place].seen_ms < WINDOW_LAST_MS;
    int64_t window_ms = cause->texts[place].window_ms;

    if (known && now_ms - cause->texts[place].written_ms < window_ms) {
        cause->texts[place].seen_ms = now_ms;
        cause->left_out++;
        return false;
    }
    if (!known) {
        window_ms = WINDOW_FIRST_MS;
    } else if (window_ms < WINDOW_LAST_MS) {
        window_ms = 2 * window_ms < WINDOW_LAST_MS ? 2 * window_ms : WINDOW_LAST_MS;
    }
    cause->texts[place].digest = digest;
    cause->texts[place].written_ms = now_ms;
    cause->texts[place].seen_ms = now_ms;
    cause->texts[place].window_ms = window_ms;
    *left_out = cause->left_out;
    cause->left_out = 0;
    return true;
}

void log_cause_over(struct log_cause *cause)
{
    for (unsigned i = 0; i < LOG_CAUSE_TEXTS; i++) {
        if (cause->texts[i].window_ms > WINDOW_FIRST_MS) {
            cause->texts[i].window_ms = WINDOW_FIRST_MS;
        }
    }
}

/* Returns true when the line was written. Keeps errno, which callers often read afterwards. */
__attribute__((format(printf, 4, 0))) static bool log_va(struct log_cause *cause, int priority,
                                                         const struct log_fields *fields,
                                                         const char *format, va_list arguments)
{
    int saved_errno = errno;
    char text[TEXT_SIZE];
    char escaped[ESCAPED_SIZE];
    unsigned left_out = 0;
    size_t length;
    bool admitted;

    if (vsnprintf(text, sizeof(text), format, arguments) >= (int)sizeof(text)) {
        memcpy(text + sizeof(text) - 4, "...", 4);
    }
    length = escape_line(escaped, sizeof(escaped) - 64, text);
    pulse_wait_begin(); /* the mutex's holder may be waiting for the disk or the journal */
    pthread_mutex_lock(&log_state.mutex);
    admitted = cause == NULL ||
               log_cause_admit(cause, text_digest(priority, text), clock_monotonic_ms(), &left_out);
    if (admitted) {
        if (left_out > 0) {
            snprintf(escaped + length, sizeof(escaped) - length, " (%u repetition%s left out)",
                     left_out, left_out == 1 ? "" : "s");
        }
        write_line(priority, fields, escaped);
    }
    pthread_mutex_unlock(&log_state.mutex);
    pulse_wait_end();
    errno = saved_errno;
    return admitted;
}

bool log_enabled(int priority)
{
    return priority <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_line(int priority, const char *format, ...)
{
    va_list arguments;

    if (!log_enabled(priority)) {
        return;
    }
    va_start(arguments, format);
    log_va(NULL, priority, NULL, format, arguments);
    va_end(arguments);
}

void log_line_fields(int priority, const struct log_fields *fields, const char *format, ...)
{
    va_list arguments;

    if (!log_enabled(priority)) {
        return;
    }
    va_start(arguments, format);
    log_va(NULL, priority, fields, format, arguments);
    va_end(arguments);
}

bool log_line_limited(struct log_cause *cause, int priority, const struct log_fields *fields,
                      const char *format, ...)
{
    va_list arguments;
    bool admitted;

    if (!log_enabled(priority)) {
        return true;
    }
    va_start(arguments, format);
    admitted = log_va(cause, priority, fields, format, arguments);
    va_end(arguments);
    return admitted;
}
