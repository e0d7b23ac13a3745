/* The lock file of foxtrackrd is recognised in every state that a power failure can leave, and no
 * other file is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own_file.h"

#define SIZE 448 /* of a lock with a record */

static char reason[OWN_FILE_REASON_SIZE];

static enum own_file_verdict judge(const char *bytes, size_t length)
{
    char path[] = "/tmp/foxtrackr-own.XXXXXX";
    enum own_file_verdict verdict;
    int error = 0;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(own_file_judge_open(fd, OWN_FILE_LOCK, reason),
                     own_file_judge(path, OWN_FILE_LOCK, &error, reason));
    verdict = own_file_judge_open(fd, OWN_FILE_LOCK, reason);
    close(fd);
    unlink(path);
    return verdict;
}

/* As store/sqlite/record.c writes it. */
static void make(char lock[SIZE + 1], long process, long run, long received)
{
    char record[SIZE - 32];

    snprintf(
        record, sizeof(record),
        "run %ld started 1700000000000 received %ld moment 1700000000000 stopped 0 device 2049 "
        "inode -9223372036854775807 log 77 size 4096 changed 1700000000000000000 end",
        run, received);
    snprintf(lock, SIZE + 1, "%-31ld\n%-415s\n", process, record);
    assert_int_equal(strlen(lock), SIZE);
}

static void test_what_a_power_failure_leaves(void **state)
{
    char old[SIZE + 1];
    char new[SIZE + 1];
    char mixture[SIZE + 1];

    (void)state;
    srand(1);
    make(old, 4194304, 99, 123456789);
    make(new, 7, 100, 5);
    for (size_t length = 0; length <= SIZE; length++) {
        assert_int_equal(judge(old, length), OWN_FILE_FINE); /* cut */
        memcpy(mixture, old, SIZE);                          /* the beginning is new */
        memcpy(mixture, new, length);
        assert_int_equal(judge(mixture, SIZE), OWN_FILE_FINE);
        memset(mixture, 0, length); /* the beginning is not there */
        assert_int_equal(judge(mixture, SIZE), OWN_FILE_FINE);
    }
    for (int i = 0; i < 200; i++) {
        for (int at = 0; at < SIZE; at++) {
            int which = rand() % 3;

            mixture[at] = which == 0 ? '\0' : which == 1 ? old[at] : new[at];
        }
        assert_int_equal(judge(mixture, (size_t)(rand() % SIZE)), OWN_FILE_FINE);
    }
    assert_int_equal(judge("4194304\n", 8), OWN_FILE_FINE); /* of a daemon without a record */
}

static void test_what_is_not_ours(void **state)
{
    static const char *const others[] = {
        "precious\n", "12 and more\n", "-1\n", "12,13\n", "1\t2\n", "SQLite format 3", "{", "\xff",
    };
    char lock[SIZE + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(judge(others[i], strlen(others[i])), OWN_FILE_OTHER);
        assert_non_null(strstr(reason, "no lock of foxtrackrd"));
        assert_non_null(strstr(reason, "move this one away"));
    }
    make(lock, 1, 1, 1);
    for (size_t at = 0; at < SIZE; at++) { /* one byte that was never written there */
        char byte = lock[at];

        lock[at] = '=';
        assert_int_equal(judge(lock, SIZE), OWN_FILE_OTHER);
        lock[at] = byte;
    }
    lock[SIZE] = '\n'; /* longer than any lock */
    assert_int_equal(judge(lock, SIZE + 1), OWN_FILE_OTHER);
    lock[34] = 'm'; /* another first word than "run" */
    assert_int_equal(judge(lock, SIZE), OWN_FILE_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_power_failure_leaves),
        cmocka_unit_test(test_what_is_not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
