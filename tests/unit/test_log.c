/* The log: what a line looks like on each target, what text cannot do to it, and repetition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/log.h"

static char directory[] = "/tmp/test_log.XXXXXX";
static char path[64];
static char moved_path[64];

/* The whole of a small file, in memory of this function. */
static const char *read_back(const char *name)
{
    static char text[256 * 1024];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t length;

    assert_true(fd >= 0);
    length = read(fd, text, sizeof(text) - 1);
    assert_true(length >= 0);
    text[length] = '\0';
    close(fd);
    return text;
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;

    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void open_file_target(int level)
{
    char problem[256] = "";

    unlink(path);
    if (log_open(LOG_TARGET_FILE, path, level, problem, sizeof(problem)) != 0) {
        fail_msg("%s", problem);
    }
}

/* Does what `write_lines` does with stderr in the file `path`. */
static void with_stderr_in_file(void (*write_lines)(void))
{
    int saved = dup(STDERR_FILENO);
    int fd;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && fd >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
    write_lines();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
}

static int make_directory(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/log", directory);
    snprintf(moved_path, sizeof(moved_path), "%s/log.1", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    unlink(moved_path);
    return rmdir(directory);
}

static int close_log(void **state)
{
    (void)state;
    log_close();
    log_set_level(LOG_INFO);
    return 0;
}

/* --- text --- */

static void test_escape(void **state)
{
    static const struct {
        const char *text;
        const char *escaped;
    } cases[] = {
        {"", ""},
        {"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\xa6\x8a",
         "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\xa6\x8a"},
        {"a\nb\r\tc\x1b[1m\x7f", "a\\x0ab\\x0d\\x09c\\x1b[1m\\x7f"},
        {"\xff\xc3(", "\\xff\\xc3("},
        {"\xc0\x80", "\\xc0\\x80"},                   /* overlong NUL */
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},          /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
        {"\xe2\x82", "\\xe2\\x82"},                   /* cut short */
        {"\xc2\x85", "\\xc2\\x85"},                   /* C1: next line */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},          /* line separator */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* right-to-left override */
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(escape_line(out, sizeof(out), cases[i].text), strlen(cases[i].escaped));
        assert_string_equal(out, cases[i].escaped);
    }
    assert_int_equal(escape_line(out, 8, "1234"), 4);
    assert_string_equal(out, "1234");
    assert_int_equal(escape_line(out, 8, "12345"), 7);
    assert_string_equal(out, "1234...");
    assert_int_equal(escape_line(out, 8, "123\xe2\x82\xac"), 6);
    assert_string_equal(out, "123...");
}

static void test_clean(void **state)
{
    static const struct {
        const char *text;
        const char *clean;
    } cases[] = {
        {"", ""},
        {"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\xa6\x8a",
         "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\xa6\x8a"},
        {"cut \xc3", "cut "},
        {"cut \xe2\x82", "cut "},
        {"cut \xed\x9f", "cut "},
        {"cut \xe0", "cut "},
        {"cut \xf0\x9f\xa6", "cut "},
        {"cut \xf4\x8f", "cut "},
        {"\xed\xa0", "??"}, /* the beginning of a surrogate */
        {"\xf4\x90", "??"}, /* beyond Unicode */
        {"\x80 \xff", "? ?"},
        {"a\xc3(b", "a?(b"},
        {"\xe2\x82 and on", "?? and on"},
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "%s", cases[i].text);
        escape_clean(text);
        assert_string_equal(text, cases[i].clean);
    }
}

/* A status for systemd is one line: no text of others begins a field of its own. */
static void test_one_line(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"", ""},
        {"refused: \303\251t\303\251 \\ %s", "refused: \303\251t\303\251 \\ %s"},
        {"away\nWATCHDOG=trigger\r\n", "away WATCHDOG=trigger  "},
        {"\033[2Jx\177\302\205y\342\200\256z", " [2Jx  y z"},
        {"a\377\nb\342\202", "a? b"}, /* no UTF-8, and a character that was cut */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];

        snprintf(text, sizeof(text), "%s", cases[i].text);
        escape_one_line(text);
        assert_string_equal(text, cases[i].line);
    }
}

/* --- targets --- */

static void test_file(void **state)
{
    unsigned year;
    char end[256];
    char level[16];
    struct stat status;

    (void)state;
    open_file_target(LOG_INFO);
    log_line_fields(LOG_WARNING, &(struct log_fields){.topic = "t"}, "%s %d", "forged\n2026", 7);
    assert_int_equal(sscanf(read_back(path), "%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%*3uZ %15s %255[^\n]",
                            &year, level, end),
                     3);
    assert_true(year >= 2024);
    assert_string_equal(level, "warning");
    assert_string_equal(end, "forged\\x0a2026 7");
    assert_int_equal(count_lines(read_back(path)), 1);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0137, 0);
}

static void test_levels(void **state)
{
    (void)state;
    open_file_target(LOG_NOTICE);
    log_info("no");
    log_notice("yes");
    log_error("yes");
    assert_int_equal(count_lines(read_back(path)), 2);
    log_set_level(LOG_DEBUG);
    log_debug("yes");
    assert_int_equal(count_lines(read_back(path)), 3);
    assert_non_null(strstr(read_back(path), " debug yes\n"));
    assert_non_null(strstr(read_back(path), " err yes\n"));
}

static void write_three(void)
{
    char problem[256];

    assert_int_equal(log_open(LOG_TARGET_STDERR, NULL, LOG_INFO, problem, sizeof(problem)), 0);
    log_error("first");
    log_info("second %s", "x\ny");
    log_debug("third");
}

static void write_as_journal_stream(void)
{
    struct stat status;
    char stream[64];

    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    write_three();
    unsetenv("JOURNAL_STREAM");
}

static void write_as_foreign_stream(void)
{
    setenv("JOURNAL_STREAM", "1:1", 1);
    write_three();
    unsetenv("JOURNAL_STREAM");
}

static void test_stderr(void **state)
{
    (void)state;
    with_stderr_in_file(write_three);
    assert_string_equal(read_back(path), "err: first\ninfo: second x\\x0ay\n");
    with_stderr_in_file(write_as_journal_stream);
    assert_string_equal(read_back(path), "<3>first\n<6>second x\\x0ay\n");
    with_stderr_in_file(write_as_foreign_stream);
    assert_string_equal(read_back(path), "err: first\ninfo: second x\\x0ay\n");
}

static void test_open_failure_keeps_target(void **state)
{
    char problem[256] = "";

    (void)state;
    open_file_target(LOG_INFO);
    assert_int_equal(
        log_open(LOG_TARGET_FILE, "/nonexistent/log", LOG_ERR, problem, sizeof(problem)), 1);
    assert_string_equal(problem,
                        "log file /nonexistent/log: cannot open: No such file or directory; its "
                        "directory must be there");
    log_info("still here");
    assert_non_null(strstr(read_back(path), " info still here\n"));
}

static void test_rotation(void **state)
{
    char problem[256] = "";

    (void)state;
    open_file_target(LOG_INFO);
    log_info("before");
    assert_int_equal(rename(path, moved_path), 0);
    log_info("between");
    assert_int_equal(log_reopen(problem, sizeof(problem)), 0);
    log_info("after");
    assert_int_equal(count_lines(read_back(moved_path)), 2);
    assert_int_equal(count_lines(read_back(path)), 1);
    assert_non_null(strstr(read_back(path), " after\n"));

    /* A directory in the way: the old file stays in use. */
    assert_int_equal(rename(path, moved_path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(log_reopen(problem, sizeof(problem)), 1);
    assert_non_null(strstr(problem, "cannot open: Is a directory"));
    log_info("kept");
    assert_int_equal(rmdir(path), 0);
    assert_non_null(strstr(read_back(moved_path), " kept\n"));
}

/* A file size limit stands for a disk that is full: the line that crosses it is cut. */
static void test_full_disk(void **state)
{
    struct rlimit saved;
    struct rlimit small;
    const char *text;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    signal(SIGXFSZ, SIG_IGN);
    open_file_target(LOG_INFO);
    log_info("one");
    small = (struct rlimit){.rlim_cur = strlen(read_back(path)) + 10, .rlim_max = saved.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_info("two");
    log_info("three");
    errno = ENOTTY;
    log_info("four");
    assert_int_equal(errno, ENOTTY);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    signal(SIGXFSZ, SIG_DFL);
    log_info("five");
    log_info("six");

    text = read_back(path);
    assert_null(strstr(text, "three"));
    assert_non_null(strstr(text, "\n2")); /* the cut line was ended */
    assert_non_null(strstr(text, " warning 3 log lines could not be written: "));
    assert_non_null(strstr(text, " info five\n"));
    assert_int_equal(count_lines(text), 5);
}

static void test_long_text(void **state)
{
    char text[9000];
    const char *written;

    (void)state;
    open_file_target(LOG_INFO);
    memset(text, '\x01', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_info("%s", text);
    memset(text, 'x', sizeof(text) - 1);
    log_info("%s", text);
    written = read_back(path);
    assert_int_equal(count_lines(written), 2);
    assert_non_null(strstr(written, "\\x01...\n"));
    assert_non_null(strstr(written, "xx...\n"));
}

#define THREADS 4
#define LINES   200

static void *write_many(void *context)
{
    for (int i = 0; i < LINES; i++) {
        log_info("thread %s", (const char *)context);
    }
    return NULL;
}

static void test_threads(void **state)
{
    static char words[THREADS][64];
    pthread_t threads[THREADS];
    char problem[256];
    const char *text;
    unsigned whole = 0;

    (void)state;
    open_file_target(LOG_INFO);
    for (int i = 0; i < THREADS; i++) {
        memset(words[i], 'a' + i, sizeof(words[0]) - 1);
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, words[i]), 0);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(log_reopen(problem, sizeof(problem)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    text = read_back(path);
    assert_int_equal(count_lines(text), sizeof(words) / sizeof(words[0]) * LINES);
    for (text = strstr(text, " info thread "); text != NULL; text = strstr(text, " info thread ")) {
        size_t run;

        text += strlen(" info thread ");
        run = strspn(text, (char[]){*text, '\0'});
        assert_int_equal(run, sizeof(words[0]) - 1);
        assert_int_equal(text[run], '\n');
        whole++;
    }
    assert_int_equal(whole, THREADS * LINES);
}

/* --- repetition --- */

#define MINUTE_MS INT64_C(60000)

static void test_admission(void **state)
{
    struct log_cause cause = {0};
    unsigned left_out = 99;

    (void)state;
    assert_true(log_cause_admit(&cause, 7, 5, &left_out));
    assert_int_equal(left_out, 0);
    left_out = 99;
    assert_false(log_cause_admit(&cause, 7, 5, &left_out));
    assert_false(log_cause_admit(&cause, 7, 60004, &left_out));
    assert_int_equal(left_out, 99);
    assert_true(log_cause_admit(&cause, 7, 60005, &left_out));
    assert_int_equal(left_out, 2);
    assert_false(log_cause_admit(&cause, 7, 60006, &left_out));
    /* Another text is new; what was left out of the first is said. The first is still known. */
    assert_true(log_cause_admit(&cause, 8, 60007, &left_out));
    assert_int_equal(left_out, 1);
    assert_false(log_cause_admit(&cause, 7, 60008, &left_out));
    assert_false(log_cause_admit(&cause, 8, 60008, &left_out));
}

/* How many of the lines that come every `period_ms` for a day are written. */
static unsigned written_in_a_day(struct log_cause *cause, int64_t period_ms, unsigned texts)
{
    unsigned written = 0;
    unsigned said = 0;
    unsigned left_out;
    uint64_t number = 0;

    for (int64_t now_ms = 1; now_ms < 24 * 60 * MINUTE_MS; now_ms += period_ms) {
        if (log_cause_admit(cause, 1 + number++ % texts, now_ms, &left_out)) {
            written++;
            said += left_out;
        }
    }
    assert_int_equal(number, written + said + cause->left_out); /* none in silence */
    return written;
}

/* A problem that lasts is said after 1, 2, 4, … minutes, and then every hour. */
static void test_admission_grows_rare(void **state)
{
    struct log_cause cause = {0};

    (void)state;
    assert_in_range(written_in_a_day(&cause, 1000, 1), 28, 31);
    cause = (struct log_cause){0};
    assert_in_range(written_in_a_day(&cause, 1000, LOG_CAUSE_TEXTS), 4 * 28, 4 * 31);
    /* A text that comes less than once an hour is always written. */
    cause = (struct log_cause){0};
    assert_int_equal(written_in_a_day(&cause, 60 * MINUTE_MS + 1, 1), 24);
}

static void test_admission_after_the_end(void **state)
{
    struct log_cause cause = {0};
    unsigned left_out;
    int64_t now_ms = 0;

    (void)state;
    for (int i = 0; i < 5; i++) { /* written at 0, 1, 3, 7 and 15 minutes */
        assert_true(log_cause_admit(&cause, 7, now_ms, &left_out));
        now_ms += MINUTE_MS << i;
    }
    now_ms = 15 * MINUTE_MS;
    assert_false(log_cause_admit(&cause, 7, now_ms + 2 * MINUTE_MS, &left_out));
    log_cause_over(&cause);
    assert_true(log_cause_admit(&cause, 7, now_ms + 2 * MINUTE_MS, &left_out));
    assert_false(log_cause_admit(&cause, 7, now_ms + 2 * MINUTE_MS + 1, &left_out));
    log_cause_over(&cause);
    assert_false(log_cause_admit(&cause, 7, now_ms + 2 * MINUTE_MS + 2, &left_out));
}

static void test_limited_lines(void **state)
{
    struct log_cause cause = {0};
    const char *text;

    (void)state;
    open_file_target(LOG_INFO);
    assert_true(log_line_limited(&cause, LOG_ERR, NULL, "disk %s", "full"));
    for (int i = 0; i < 37; i++) {
        assert_false(log_line_limited(&cause, LOG_ERR, NULL, "disk %s", "full"));
    }
    assert_true(log_line_limited(&cause, LOG_DEBUG, NULL, "not at this level"));
    log_line_limited(&cause, LOG_ERR, NULL, "disk %s", "gone");
    log_line_limited(&cause, LOG_ERR, NULL, "disk %s", "gone");
    log_line_limited(&cause, LOG_WARNING, NULL, "disk %s", "gone");
    text = read_back(path);
    assert_int_equal(count_lines(text), 3);
    assert_non_null(strstr(text, " err disk full\n"));
    assert_non_null(strstr(text, " err disk gone (37 repetitions left out)\n"));
    assert_non_null(strstr(text, " warning disk gone (1 repetition left out)\n"));
}

/* A pipe that nobody reads holds no line for ever; what was lost is counted when it goes on. */
static void test_stderr_that_takes_nothing(void **state)
{
    static char text[256 * 1024];
    char problem[256] = "";
    int saved = dup(STDERR_FILENO);
    int ends[2];
    ssize_t length;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(log_open(LOG_TARGET_STDERR, NULL, LOG_DEBUG, problem, sizeof(problem)), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    alarm(60); /* a line that waits for ever */
    for (int i = 0; i < 10000; i++) {
        log_debug("%d is one of many lines, of which a pipe holds no more than 64 KiB", i);
    }
    length = read(ends[0], text, sizeof(text) - 1);
    assert_true(length > 4096);
    log_debug("the reader is back");
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    alarm(0);
    length = read(ends[0], text, sizeof(text) - 1);
    assert_true(length > 0);
    text[length] = '\0';
    assert_non_null(strstr(text, " log lines could not be written: standard error took nothing\n"));
    assert_non_null(strstr(text, "debug: the reader is back\n"));
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_one_line),
        cmocka_unit_test(test_clean),
        cmocka_unit_test_teardown(test_file, close_log),
        cmocka_unit_test_teardown(test_levels, close_log),
        cmocka_unit_test_teardown(test_stderr, close_log),
        cmocka_unit_test_teardown(test_stderr_that_takes_nothing, close_log),
        cmocka_unit_test_teardown(test_open_failure_keeps_target, close_log),
        cmocka_unit_test_teardown(test_rotation, close_log),
        cmocka_unit_test_teardown(test_full_disk, close_log),
        cmocka_unit_test_teardown(test_long_text, close_log),
        cmocka_unit_test_teardown(test_threads, close_log),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_admission_grows_rare),
        cmocka_unit_test(test_admission_after_the_end),
        cmocka_unit_test_teardown(test_limited_lines, close_log),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
