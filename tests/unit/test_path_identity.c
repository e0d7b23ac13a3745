/* base/path_identity.c: one file has one identity, however its path is spelled. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/path_identity.h"

static char directory[] = "/tmp/test_path_identity-XXXXXX";

static int set_up(void **state)
{
    int fd;

    (void)state;
    if (mkdtemp(directory) == NULL || chdir(directory) != 0) {
        return -1;
    }
    mkdir("real", 0700);
    mkdir("real/inner", 0700);
    fd = open("real/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    return link("real/file", "hard") != 0 || symlink("real/file", "soft") != 0 ||
           symlink("soft", "softer") != 0 || symlink("real/inner", "inner") != 0 ||
           symlink("real/none", "dangling") != 0 || symlink("loop", "loop") != 0;
}

static int tear_down(void **state)
{
    char command[PATH_MAX];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return chdir("/") != 0 || system(command) != 0;
}

struct pair {
    const char *one;
    const char *one_suffix;
    const char *other;
    const char *other_suffix;
    bool same;
};

static const struct pair pairs[] = {
    {"real/file", "", "real/file", "", true},
    {"real/file", "", "./real//./file", "", true},
    {"real/file", "", "real/inner/../file", "", true},
    {"real/file", "", "inner/../file", "", true}, /* ".." of what the link leads to */
    {"file", "", "inner/../file", "", false},
    {"real/file", "", "hard", "", true},
    {"real/file", "", "soft", "", true},
    {"hard", "", "softer", "", true},
    {"real/file", "", "real/other", "", false},
    {"real", "", "real/", "", true},
    {"real", "", "real/inner/..", "", true},
    /* Not there yet. */
    {"real/none", "", "dangling", "", true},
    {"real/none", "", "inner/../none", "", true},
    {"none/deep/file", "", "./none/x/../deep//file", "", true},
    {"none/deep/file", "", "none/file", "", false},
    {"none/../real/file", "", "real/other", "", false},
    {"real/file-wal", "", "soft", "-wal", true}, /* SQLite's WAL stands beside the file itself */
    {"soft-wal", "", "soft", "-wal", false},
    {"real/file-wal", "", "real/file", "-shm", false},
    /* A link that leads nowhere. */
    {"loop", "", "loop", "", true},
    {"loop", "", "real/file", "", false},
};

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const struct pair *pair = &pairs[i];
        struct path_identity one;
        struct path_identity other;

        path_identity(pair->one, pair->one_suffix, false, &one);
        path_identity(pair->other, pair->other_suffix, false, &other);
        if (path_identity_same(&one, &other) != pair->same ||
            path_identity_same(&other, &one) != pair->same) {
            fail_msg("%s%s and %s%s", pair->one, pair->one_suffix, pair->other, pair->other_suffix);
        }
    }
}

static void test_absolute_and_relative(void **state)
{
    struct path_identity one;
    struct path_identity other;
    char path[PATH_MAX];

    (void)state;
    snprintf(path, sizeof(path), "%s/real/none", directory);
    path_identity(path, "", false, &one);
    path_identity("real/none", "", false, &other);
    assert_true(path_identity_same(&one, &other));
    assert_false(one.exists);
}

/* A name that is always made anew: what stands there now does not count. */
static void test_a_suffix_of_the_name(void **state)
{
    struct path_identity temporary;
    struct path_identity file;

    (void)state;
    assert_int_equal(symlink("real/file", "status.tmp"), 0);
    path_identity("status", ".tmp", true, &temporary);
    path_identity("real/file", "", false, &file);
    assert_false(path_identity_same(&temporary, &file));
    path_identity("real/../status.tmp", "", false, &file);
    assert_true(path_identity_same(&temporary, &file));
}

static void test_rotated(void **state)
{
    static const struct {
        const char *name;
        bool rotated;
    } names[] = {{"real/log.1", true},    {"real/log-20260101.gz", true}, {"real/log", false},
                 {"real/log.db", false},  {"real/log2", false},           {"log.1", false},
                 {"inner/../log.2", true}};
    struct path_identity log;
    struct path_identity other;

    (void)state;
    path_identity("real/log", "", false, &log);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_identity(names[i].name, "", false, &other);
        if (path_identity_is_rotated(&log, &other) != names[i].rotated) {
            fail_msg("%s", names[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_absolute_and_relative),
        cmocka_unit_test(test_a_suffix_of_the_name),
        cmocka_unit_test(test_rotated),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
