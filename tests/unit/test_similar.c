/* The word that was meant: how far two words are apart, and which known one is nearest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>

#include "base/similar.h"
#include "base/similar_internal.h"

static void test_slips(void **state)
{
    static const struct {
        const char *one;
        const char *other;
        unsigned slips;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"port", "port", 0},
        {"PORT", "port", 0},
        {"max-payload", "max_payload", 0},
        {"prot", "port", 1}, /* neighbours */
        {"pot", "port", 1},
        {"poort", "port", 1},
        {"pert", "port", 1},
        {"pront", "port", 2},
        {"kitten", "sitting", 3},
        {"retention_days_temprature", "retention_days_temperature", 1},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a", 39},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a", UINT_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(similar_slips(cases[i].one, cases[i].other), cases[i].slips);
        assert_int_equal(similar_slips(cases[i].other, cases[i].one), cases[i].slips);
    }
}

static const char *best(const char *word)
{
    static const char *const known[] = {"status",  "check",  "verify", "backup",
                                        "restore", "replay", "parse",  "tls"};
    struct similar search = {.word = word};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        similar_try(&search, known[i]);
    }
    return search.best;
}

static void test_best(void **state)
{
    (void)state;
    assert_string_equal(best("stauts"), "status");
    assert_string_equal(best("stat"), "status");
    assert_string_equal(best("veri"), "verify"); /* a beginning */
    assert_string_equal(best("replya"), "replay");
    assert_string_equal(best("restor"), "restore");
    assert_string_equal(best("tsl"), "tls");
    assert_string_equal(best("ts"), "tls");
    assert_null(best("s"));
    assert_null(best("dance"));
    assert_null(best("xyz"));
    assert_null(best("re"));
    assert_null(best(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slips),
        cmocka_unit_test(test_best),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
