/* Goal: every number has a text that can be printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/error_text.h"

static void test_known(void **state)
{
    (void)state;
    assert_string_equal(error_text(ENOENT), "No such file or directory");
    assert_string_equal(error_text(EIO), "Input/output error");
}

static void test_unknown(void **state)
{
    (void)state;
    assert_string_equal(error_text(-1), "unknown error");
    assert_string_equal(error_text(999), "unknown error");
}

static void test_texts_stay(void **state)
{
    const char *first = error_text(ENOENT);

    (void)state;
    assert_string_not_equal(error_text(EIO), first);
    error_text(999);
    assert_string_equal(first, "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_texts_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
