/* SHA-256 of bytes in parts: every division of them gives the digest of the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

#define LENGTH 200

/* FIPS 180-4's examples, and the digest of nothing. */
static void known_digests(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        const char *hex;
    } cases[] = {
        {"", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"ab", "c", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t digest[DIGEST_SIZE];
        char hex[2 * DIGEST_SIZE + 1];

        assert_int_equal(digest_sha256(cases[i].first, strlen(cases[i].first), cases[i].second,
                                       strlen(cases[i].second), digest),
                         0);
        digest_hex(digest, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void parts_give_the_digest_of_the_whole(void **state)
{
    unsigned char bytes[LENGTH];
    uint8_t whole[DIGEST_SIZE];

    (void)state;
    for (size_t i = 0; i < LENGTH; i++) {
        bytes[i] = (unsigned char)(i * 7);
    }
    assert_int_equal(digest_sha256(bytes, LENGTH, NULL, 0, whole), 0);
    for (size_t part = 1; part <= LENGTH; part++) {
        uint8_t digest[DIGEST_SIZE];
        struct digest sum;

        assert_int_equal(digest_begin(&sum), 0);
        for (size_t at = 0; at < LENGTH; at += part) {
            digest_update(&sum, bytes + at, part < LENGTH - at ? part : LENGTH - at);
            digest_update(&sum, NULL, 0);
        }
        assert_int_equal(digest_end(&sum, digest), 0);
        assert_memory_equal(digest, whole, DIGEST_SIZE);
        digest_free(&sum);
    }
}

static void nothing_to_free(void **state)
{
    struct digest digest = {0};

    (void)state;
    digest_free(&digest);
    assert_int_equal(digest_begin(&digest), 0);
    digest_free(&digest);
    digest_free(&digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),
        cmocka_unit_test(parts_give_the_digest_of_the_whole),
        cmocka_unit_test(nothing_to_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
