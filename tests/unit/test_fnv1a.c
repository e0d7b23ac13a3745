/* Goal: the hash is FNV-1a with 64 bits, by the vectors that its authors publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fnv1a.h"

static void test_vectors(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } vectors[] = {
        {"", UINT64_C(0xcbf29ce484222325)},
        {"a", UINT64_C(0xaf63dc4c8601ec8c)},
        {"foobar", UINT64_C(0x85944171f73967e8)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_int_equal(fnv1a(FNV1A_BASIS, vectors[i].text, strlen(vectors[i].text)),
                         vectors[i].hash);
    }
}

static void test_parts_and_bytes_above_127(void **state)
{
    (void)state;
    assert_int_equal(fnv1a(fnv1a(FNV1A_BASIS, "foo", 3), "bar", 3),
                     fnv1a(FNV1A_BASIS, "foobar", 6));
    assert_int_equal(fnv1a(FNV1A_BASIS, "\xff\0\0\1", 4), UINT64_C(0x6961196491cc682d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_parts_and_bytes_above_127),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
