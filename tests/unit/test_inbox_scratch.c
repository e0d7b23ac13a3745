/*
 * Lots of the inbox that do not fit memory: with three messages in memory and thirty in a lot,
 * their runs go to the scratch file and are merged. Every call on that file fails once, or for
 * good; batches are rolled back and the process dies meanwhile. In the end each message has become
 * a row once, those of each topic in the order in which they came.
 *
 * The linker wraps the calls, and the inbox is built with tiny lots (see unit.mk).
 */
#include "inbox_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/log.h"

#define MESSAGES 400

/* --- the file ----------------------------------------------------------------------------------
 */

enum call { OPENS, WRITES, READS, CALLS };

static struct {
    int made[CALLS];
    int failed;
    enum call call; /* which fails */
    int countdown;  /* until it does; 0: none does */
    bool lasting;
    int error;        /* errno; 0: it tells of an end of the file, or of a disk that is full */
    size_t at_a_time; /* bytes at most; 0: all */
    bool interrupts;  /* every second call */
} scratch;

static bool strikes_at(enum call call)
{
    scratch.made[call]++;
    if (scratch.countdown == 0 || scratch.call != call || --scratch.countdown > 0) {
        return false;
    }
    scratch.countdown = scratch.lasting ? 1 : 0;
    scratch.failed++;
    errno = scratch.error;
    return true;
}

/* A file without a name: opening a database reads and writes files too, and these are whole. */
static bool is_scratch(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

static bool interrupts(enum call call)
{
    if (!scratch.interrupts || scratch.made[call]++ % 2 == 0) {
        return false;
    }
    errno = EINTR;
    return true;
}

static size_t part(size_t length)
{
    return scratch.at_a_time != 0 && scratch.at_a_time < length ? scratch.at_a_time : length;
}

/* Of each pair of names the compiler takes one. */
#define WRAP(name)                                                                                 \
    int __real_open##name(const char *path, int flags, ...);                                       \
    ssize_t __real_pread##name(int fd, void *bytes, size_t length, off_t at);                      \
    ssize_t __real_pwrite##name(int fd, const void *bytes, size_t length, off_t at);               \
    int __wrap_open##name(const char *path, int flags, ...);                                       \
    ssize_t __wrap_pread##name(int fd, void *bytes, size_t length, off_t at);                      \
    ssize_t __wrap_pwrite##name(int fd, const void *bytes, size_t length, off_t at);               \
                                                                                                   \
    int __wrap_open##name(const char *path, int flags, ...)                                        \
    {                                                                                              \
        va_list arguments;                                                                         \
        mode_t mode = 0;                                                                           \
                                                                                                   \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                \
            va_start(arguments, flags);                                                            \
            mode = va_arg(arguments, mode_t);                                                      \
            va_end(arguments);                                                                     \
        }                                                                                          \
        if ((flags & O_TMPFILE) == O_TMPFILE && strikes_at(OPENS)) {                               \
            return -1;                                                                             \
        }                                                                                          \
        return __real_open##name(path, flags, mode);                                               \
    }                                                                                              \
                                                                                                   \
    ssize_t __wrap_pread##name(int fd, void *bytes, size_t length, off_t at)                       \
    {                                                                                              \
        if (!is_scratch(fd)) {                                                                     \
            return __real_pread##name(fd, bytes, length, at);                                      \
        }                                                                                          \
        if (interrupts(READS)) {                                                                   \
            return -1;                                                                             \
        }                                                                                          \
        return strikes_at(READS) ? -(ssize_t)(scratch.error != 0)                                  \
                                 : __real_pread##name(fd, bytes, part(length), at);                \
    }                                                                                              \
                                                                                                   \
    ssize_t __wrap_pwrite##name(int fd, const void *bytes, size_t length, off_t at)                \
    {                                                                                              \
        if (!is_scratch(fd)) {                                                                     \
            return __real_pwrite##name(fd, bytes, length, at);                                     \
        }                                                                                          \
        if (interrupts(WRITES)) {                                                                  \
            return -1;                                                                             \
        }                                                                                          \
        return strikes_at(WRITES) ? -(ssize_t)(scratch.error != 0)                                 \
                                  : __real_pwrite##name(fd, bytes, part(length), at);              \
    }

WRAP()
WRAP(64)

/* --- a catch-up --------------------------------------------------------------------------------
 */

/* Deterministic, as a story has to be told again. */
static unsigned chance(uint32_t *seed, unsigned below)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (*seed >> 8) % below;
}

enum trouble {
    NONE,
    ROLLBACKS, /* every third batch is made again, after sorting and putting */
    DEATHS,    /* a process for every tenth batch */
};

static void load_again(struct story *story)
{
    assert_int_equal(inbox_load(story->inbox), STORE_OK);
}

/* A batch, until it is on disk: what is known of the file may be wrong. Returns whether it was. */
static bool make_it(struct story *story, const struct batch *batch)
{
    bool wrong = false;
    int result;

    while ((result = make_batch(story, batch, true)) != STORE_OK) {
        assert_int_equal(result, INBOX_E_SCRATCH);
        assert_non_null(strstr(inbox_error(story->inbox), "scratch file"));
        roll_back(story);
        load_again(story);
        wrong = true;
    }
    return wrong;
}

static void roll_back_once(struct story *story, const struct batch *batch)
{
    unsigned count;
    int result = fill_batch(story, batch, true, &count);

    roll_back(story);
    if (result == INBOX_E_SCRATCH) {
        load_again(story);
    } else {
        assert_int_equal(result, STORE_OK);
    }
}

/* So many messages of devices at random in batches of up to eight, which sort in no more than comes
 * for a while, so that lots grow. Returns how often the file could not be read. */
static int tell(struct story *story, unsigned messages, enum trouble trouble)
{
    unsigned numbers[128] = {0};
    uint32_t seed = 20261127;
    unsigned come = 0;
    int wrong = 0;

    for (int i = 0; come < messages; i++) {
        char text[256] = "";
        size_t length = 0;
        struct batch batch = {.put = text, .most = 1 + chance(&seed, i % 64 < 32 ? 2 : 30)};

        for (unsigned left = 1 + chance(&seed, 8); left > 0 && come < messages; left--, come++) {
            char letter = "abclxyAgT"[chance(&seed, 9)];
            unsigned *number = &numbers[(unsigned char)letter];

            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%c%u",
                                       length > 0 ? " " : "", letter, ++*number);
        }
        if (trouble == ROLLBACKS && i % 3 == 0) {
            roll_back_once(story, &batch);
        }
        wrong += make_it(story, &batch);
        if (trouble == DEATHS && i % 10 == 0) {
            die(story);
            open_inbox(story);
        }
    }
    for (int i = 0; inbox_is_busy(story->inbox); i++) {
        inbox_drain(story->inbox);
        wrong += make_it(story, &(struct batch){.lull = true});
        assert_true(i < 100);
    }
    assert_look(story->fixture, "SELECT count(*) FROM inbox", "0");
    return wrong;
}

static void assert_once_in_order(const struct story *story, unsigned messages)
{
    unsigned last[128] = {0};
    char count[16];

    for (size_t i = 0; i < story->on_disk; i++) {
        unsigned *number = &last[(unsigned char)story->used[i].letter];

        if (story->used[i].directly) {
            continue; /* a lot was full */
        }
        assert_true(story->used[i].number > *number);
        *number = story->used[i].number;
    }
    assert_int_equal(story->on_disk, messages);
    snprintf(count, sizeof(count), "%u", messages);
    assert_look(story->fixture,
                "SELECT sum(n) FROM (SELECT count(*) AS n FROM battery WHERE time_ms % 10000000 > 0"
                " UNION ALL SELECT count(*) FROM temperature)",
                count);
    assert_look(story->fixture, "SELECT sum(duplicate) + sum(quarantined) FROM runs", "0");
}

static unsigned directly_of(const struct story *story)
{
    unsigned count = 0;

    for (size_t i = 0; i < story->on_disk; i++) {
        count += story->used[i].directly;
    }
    return count;
}

/* --- the tests ---------------------------------------------------------------------------------
 */

static int setup(void **state)
{
    memset(&scratch, 0, sizeof(scratch));
    log_set_level(LOG_ERR); /* not the notice for each file that cannot be written */
    return story_setup(state);
}

static void runs_are_written_and_merged(void **state)
{
    static const enum trouble troubles[] = {NONE, ROLLBACKS, DEATHS};
    struct story *story = *state;

    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        story_end(story);
        *state = story = story_begin();
        memset(&scratch, 0, sizeof(scratch));
        assert_int_equal(tell(story, MESSAGES, troubles[i]), 0);
        assert_once_in_order(story, MESSAGES);
        assert_int_equal(directly_of(story), 0);
        assert_in_range(scratch.made[WRITES], MESSAGES / 10, MESSAGES);
        assert_in_range(scratch.made[READS], MESSAGES / 10, 2 * MESSAGES);
        assert_in_range(scratch.made[OPENS], 1, troubles[i] == DEATHS ? MESSAGES : 2);
    }
}

/* Messages in the scratch file are equal, to the last byte, to those that were in memory. */
static void rows_come_back_from_the_file(void **state)
{
    struct story *story = *state;
    size_t known = 0;

    extra_of_all = "{\"x\":1}";
    assert_int_equal(tell(story, MESSAGES, NONE), 0);
    extra_of_all = NULL;
    assert_once_in_order(story, MESSAGES);
    for (size_t i = 0; i < story->on_disk; i++) {
        known += strchr("abclAT", story->used[i].letter) != NULL && story->used[i].number % 2 == 1;
    }
    assert_in_range(story->rows, known, MESSAGES);
    assert_look(
        story->fixture,
        "SELECT count(*) > 300 AND min(voltage_v) = 3.7 AND max(voltage_v) = 3.7 FROM battery"
        " WHERE time_ms % 10000000 > 0 AND extra = '{\"x\":1}'",
        "1");
    assert_look(story->fixture,
                "SELECT min(celsius) = 21.5 AND max(extra) = '{\"x\":1}' FROM temperature", "1");
}

static void parts_and_interruptions(void **state)
{
    static const size_t parts[] = {1, 7, 25};
    struct story *story = *state;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        story_end(story);
        *state = story = story_begin();
        scratch.at_a_time = parts[i];
        scratch.interrupts = true;
        assert_int_equal(tell(story, MESSAGES, NONE), 0);
        assert_once_in_order(story, MESSAGES);
    }
}

/* Each call of a kind, until there are no more. Returns how many there were. */
static int at_every_call(enum call call, bool lasting, int error, enum trouble trouble)
{
    int nth = 0;

    do {
        struct story *story = story_begin();
        int wrong;

        memset(&scratch, 0, sizeof(scratch));
        scratch.call = call;
        scratch.countdown = ++nth;
        scratch.lasting = lasting;
        scratch.error = error;
        wrong = tell(story, MESSAGES / 4, trouble);
        if (call != READS || trouble == NONE) {
            assert_int_equal(wrong > 0, call == READS && scratch.failed > 0);
        }
        assert_once_in_order(story, MESSAGES / 4);
        story_end(story);
    } while (scratch.failed > 0);
    return nth;
}

static void a_file_that_cannot_be_written(void **state)
{
    (void)state;
    assert_in_range(at_every_call(WRITES, false, ENOSPC, NONE), 10, MESSAGES);
    assert_in_range(at_every_call(WRITES, true, EIO, ROLLBACKS), 10, MESSAGES);
    assert_in_range(at_every_call(WRITES, true, 0, DEATHS), 10, MESSAGES);
}

static void a_file_that_cannot_be_read(void **state)
{
    (void)state;
    assert_in_range(at_every_call(READS, false, EIO, NONE), 10, MESSAGES);
    assert_in_range(at_every_call(READS, true, EIO, DEATHS), 10, MESSAGES);
    assert_in_range(at_every_call(READS, false, 0, ROLLBACKS), 10, MESSAGES);
}

/* A disk that was full is tried again with the next lot. */
static void a_disk_that_was_full(void **state)
{
    struct story *story = *state;

    scratch.call = WRITES;
    scratch.countdown = 1;
    scratch.error = ENOSPC;
    assert_int_equal(tell(story, MESSAGES, NONE), 0);
    assert_once_in_order(story, MESSAGES);
    assert_in_range(scratch.made[WRITES], MESSAGES / 10, MESSAGES);
}

static void a_file_system_without_such_files(void **state)
{
    (void)state;
    assert_in_range(at_every_call(OPENS, true, EOPNOTSUPP, NONE), 2, 10);
    assert_in_range(at_every_call(OPENS, false, EMFILE, ROLLBACKS), 2, 10);
    assert_in_range(at_every_call(OPENS, true, EOPNOTSUPP, DEATHS), 2, MESSAGES);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_are_written_and_merged),
        TEST(rows_come_back_from_the_file),
        TEST(parts_and_interruptions),
        TEST(a_disk_that_was_full),
        cmocka_unit_test(a_file_that_cannot_be_written),
        cmocka_unit_test(a_file_that_cannot_be_read),
        cmocka_unit_test(a_file_system_without_such_files),
    };

    return cmocka_run_group_tests_name("inbox_scratch", tests, NULL, NULL);
}
