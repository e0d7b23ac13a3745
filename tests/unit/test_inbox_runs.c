/* Runs on a file: what is written is read, and a file that is not what it was is noticed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/sqlite/inbox_runs_internal.h"

#define MESSAGES 5000 /* several buffers */
#define ROOM     1000000
#define HEADER   10

struct made {
    struct inbox_runs runs;
    struct inbox_rows rows;
    struct inbox_entry entries[MESSAGES];
    struct foxtrackr_message messages[MESSAGES];
    char extras[MESSAGES][400];
};

static int setup(void **state)
{
    struct made *made = calloc(1, sizeof(*made));

    if (made == NULL || !inbox_runs_make(&made->runs) || !inbox_rows_make(&made->rows, ROOM)) {
        return -1;
    }
    made->runs.fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    *state = made;
    return made->runs.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct made *made = *state;

    inbox_runs_free(&made->runs);
    inbox_rows_free(&made->rows);
    free(made);
    return 0;
}

/* Every third one has no row, and the extras are of all lengths. */
static void make_entries(struct made *made, uint32_t first_n, int64_t base_ms)
{
    inbox_rows_clear(&made->rows);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        struct foxtrackr_message *message = &made->messages[i];
        char *extra = made->extras[i];

        *message = (struct foxtrackr_message){
            .has_battery = true, .time_ms = base_ms + i, .voltage_v = i / 1000.0, .level_pct = 0.1};
        memset(extra, 'a' + (int)(i % 26), i % sizeof(made->extras[0]));
        extra[i % sizeof(made->extras[0])] = '\0';
        message->battery_extra = i % 2 == 0 ? extra : NULL;
        made->entries[i] = (struct inbox_entry){.device = i / 7, .n = first_n + i};
        if (i % 3 != 0) {
            made->entries[i].row = inbox_rows_add(&made->rows, message, base_ms + i / 2);
            assert_int_not_equal(made->entries[i].row, 0);
        }
    }
}

static void write_run(struct made *made)
{
    assert_int_equal(inbox_runs_write(&made->runs, made->entries, MESSAGES, &made->rows), 0);
}

static void assert_head(const struct made *made, const struct inbox_head *head, uint32_t i,
                        int64_t base_ms)
{
    struct foxtrackr_message out;
    int64_t received_ms;

    assert_int_equal(head->device, i / 7);
    assert_int_equal(head->n, made->entries[i].n);
    assert_int_equal(head->row == NULL, i % 3 == 0);
    if (head->row != NULL) {
        inbox_row_read(head->row, head->base_ms, &out, &received_ms);
        assert_int_equal(received_ms, base_ms + i / 2);
        assert_int_equal(out.time_ms, base_ms + i);
        assert_true(out.voltage_v == i / 1000.0);
        assert_int_equal(out.battery_extra == NULL, i % 2 != 0);
        if (out.battery_extra != NULL) {
            assert_string_equal(out.battery_extra, made->extras[i]);
        }
    }
}

static void what_is_written_is_read(void **state)
{
    struct made *made = *state;
    struct inbox_head head;

    make_entries(made, 17, 1764180000000);
    write_run(made);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        for (int again = 0; again < 2; again++) {
            assert_int_equal(inbox_run_head(&made->runs, 0, &head), 0);
            assert_head(made, &head, i, 1764180000000);
        }
        inbox_run_pass(&made->runs, 0);
    }
    assert_int_equal(inbox_run_head(&made->runs, 0, &head), 0);
    assert_true(head.device == INBOX_NO_MORE);
}

/* Two at once, each at its own place; and again from anywhere before. */
static void runs_do_not_disturb_each_other(void **state)
{
    struct made *made = *state;
    struct inbox_head head;
    off_t places[MESSAGES];

    make_entries(made, 0, 1000);
    write_run(made);
    make_entries(made, 0, 2000);
    write_run(made);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        places[i] = made->runs.runs[1].next;
        for (int run = 0; run < 2; run++) {
            assert_int_equal(inbox_run_head(&made->runs, run, &head), 0);
            assert_head(made, &head, i, 1000 + 1000 * run);
            inbox_run_pass(&made->runs, run);
        }
    }
    for (uint32_t back = 0, i = 0; back < 1000; back++) {
        i = (i + 2311) % MESSAGES;
        made->runs.runs[1].next = places[i];
        assert_int_equal(inbox_run_head(&made->runs, 1, &head), 0);
        assert_head(made, &head, i, 2000);
    }
}

/* The buffers of the last one are at the end of the memory. */
static void there_are_so_many_runs(void **state)
{
    struct made *made = *state;
    struct inbox_head head;

    for (int run = 0; run < INBOX_RUNS; run++) {
        make_entries(made, (uint32_t)run, 0);
        write_run(made);
    }
    for (int run = 0; run < INBOX_RUNS; run++) {
        for (uint32_t i = 0; i < MESSAGES; i++) {
            assert_int_equal(inbox_run_head(&made->runs, run, &head), 0);
            assert_int_equal(head.n, (uint32_t)run + i);
            inbox_run_pass(&made->runs, run);
        }
    }
}

static off_t size_of(const struct made *made)
{
    struct stat status;

    assert_int_equal(fstat(made->runs.fd, &status), 0);
    return status.st_size;
}

static void the_room_is_given_back(void **state)
{
    struct made *made = *state;

    make_entries(made, 0, 0);
    write_run(made);
    assert_int_equal(size_of(made), made->runs.end);
    inbox_runs_clear(&made->runs);
    assert_int_equal(size_of(made), 0);
    assert_int_equal(made->runs.count, 0);
    write_run(made);
    assert_int_equal(size_of(made), made->runs.end);
}

/* A limit that a process has for its files is met as a full disk is: in the middle of a run. */
static void a_run_that_does_not_fit_leaves_nothing(void **state)
{
    struct made *made = *state;
    struct rlimit before;
    struct rlimit small;
    struct inbox_head head;
    off_t end;

    make_entries(made, 0, 0);
    write_run(made);
    end = made->runs.end;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = (rlim_t)end + 100000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(inbox_runs_write(&made->runs, made->entries, MESSAGES, &made->rows), EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(made->runs.count, 1);
    assert_int_equal(size_of(made), end);
    write_run(made);
    assert_int_equal(made->runs.count, 2);
    assert_int_equal(inbox_run_head(&made->runs, 1, &head), 0);
    assert_head(made, &head, 0, 0);
}

/* Read the run, in which message `bad` is not what it was, to what fails. */
static int read_until(struct made *made, uint32_t bad)
{
    struct inbox_head head;
    uint32_t i = 0;
    int error;

    while ((error = inbox_run_head(&made->runs, 0, &head)) == 0) {
        assert_in_range(i, 0, bad);
        if (i < bad) {
            assert_head(made, &head, i, 0);
        }
        inbox_run_pass(&made->runs, 0);
        i++;
    }
    return error;
}

static void a_file_that_has_changed_is_noticed(void **state)
{
    struct made *made = *state;
    const uint16_t too_large = UINT16_MAX;
    const uint16_t past_the_end = 300;
    off_t last = 0;

    make_entries(made, 0, 0);
    write_run(made);
    for (off_t at = 0; at < made->runs.end;) {
        uint16_t size;

        assert_int_equal(pread(made->runs.fd, &size, 2, at + 8), 2);
        last = at;
        at += HEADER + size;
    }
    assert_int_equal(pwrite(made->runs.fd, &too_large, 2, HEADER + 8), 2);
    assert_int_equal(read_until(made, 1), EBADMSG);

    inbox_runs_clear(&made->runs);
    write_run(made);
    assert_int_equal(pwrite(made->runs.fd, &past_the_end, 2, last + 8), 2);
    assert_int_equal(read_until(made, MESSAGES - 1), EBADMSG);

    inbox_runs_clear(&made->runs);
    write_run(made);
    assert_int_equal(ftruncate(made->runs.fd, made->runs.end - 40000), 0);
    assert_int_equal(read_until(made, MESSAGES - 1), EBADMSG);

    inbox_runs_clear(&made->runs);
    write_run(made);
    close(made->runs.fd);
    made->runs.fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(read_until(made, 0), EISDIR);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(runs_do_not_disturb_each_other),
        TEST(there_are_so_many_runs),
        TEST(the_room_is_given_back),
        TEST(a_run_that_does_not_fit_leaves_nothing),
        TEST(a_file_that_has_changed_is_noticed),
    };

    return cmocka_run_group_tests_name("inbox_runs", tests, NULL, NULL);
}
