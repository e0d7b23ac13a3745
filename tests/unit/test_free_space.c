/* Goal: free space is told alike by path and by descriptor, and "not known" is not "none". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/free_space.h"

/* Other programs use the disk meanwhile, so two calls may differ. */
static void test_within_what_the_file_system_has(void **state)
{
    struct statvfs fs;
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t all;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(statvfs("/tmp", &fs), 0);
    all = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
    assert_in_range(free_space("/tmp"), 0, all);
    assert_in_range(free_space_fd(fd), 0, all);
    close(fd);
}

/* /proc has no blocks at all. */
static void test_none(void **state)
{
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    if (fd < 0) {
        skip(); /* not mounted */
    }
    assert_int_equal(free_space("/proc"), 0);
    assert_int_equal(free_space_fd(fd), 0);
    close(fd);
}

static void test_not_known(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(free_space("/tmp/foxtrackr-there-is-no-such-directory"), -1);
    assert_int_equal(errno, ENOENT);
    errno = 0;
    assert_int_equal(free_space_fd(-1), -1);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_what_the_file_system_has),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_not_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
