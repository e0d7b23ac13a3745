/* The queue of held bytes, and the reader of CONNECT requests: the gate's two pure parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate/connect_request_internal.h"
#include "gate/hold_internal.h"

static struct hold hold;

static void append(size_t length, uint64_t need, uint8_t fill)
{
    size_t room;
    uint8_t *space = hold_space(&hold, &room);

    assert_true(length <= room);
    memset(space, fill, length);
    hold_append(&hold, length, need);
}

static size_t releasable(uint64_t durable)
{
    size_t length;

    hold_until_durable(&hold, durable, &length);
    return length;
}

static void each_byte_waits_for_its_message(void **state)
{
    (void)state;
    hold_reset(&hold);
    append(10, 0, 'a');
    append(20, 3, 'b');
    append(5, 3, 'c');
    append(1, 7, 'd');
    assert_int_equal(releasable(0), 10);
    assert_int_equal(releasable(2), 10);
    assert_int_equal(releasable(3), 35);
    assert_int_equal(releasable(6), 35);
    assert_int_equal(releasable(7), 36);
    hold_consume(&hold, 12);
    assert_int_equal(releasable(2), 0);
    assert_int_equal(releasable(3), 23);
    assert_int_equal(hold_length(&hold), 24);
}

/* More marks than there is room for: bytes may wait longer than they must, never shorter. */
static void too_many_marks_never_release_early(void **state)
{
    const unsigned count = 3 * HOLD_MARKS;

    (void)state;
    hold_reset(&hold);
    for (unsigned i = 1; i <= count; i++) {
        append(1, i, 'x');
    }
    for (unsigned durable = 0; durable <= count; durable++) {
        assert_true(releasable(durable) <= durable);
    }
    assert_int_equal(releasable(count), count);
}

static void full_it_has_no_room_and_recovers(void **state)
{
    size_t room;

    (void)state;
    hold_reset(&hold);
    append(HOLD_CAPACITY, 1, 'f');
    hold_space(&hold, &room);
    assert_int_equal(room, 0);
    hold_consume(&hold, 100);
    hold_space(&hold, &room);
    assert_int_equal(room, 100);
    append(100, 2, 'g');
    assert_int_equal(releasable(1), HOLD_CAPACITY - 100);
    assert_int_equal(releasable(2), HOLD_CAPACITY);
    hold_consume(&hold, HOLD_CAPACITY);
    assert_int_equal(hold_length(&hold), 0);
}

struct request_case {
    const char *text;
    enum connect_request_result result;
    const char *target;
    const char *credentials;
};

static void reads_connect_requests(void **state)
{
    static const struct request_case cases[] = {
        {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\nProxy-authorization: Basic QQ==\r\n\r\n",
         CONNECT_REQUEST_OK, "h:1", "QQ=="},
        {"CONNECT [::1]:8883 HTTP/1.0\r\nPROXY-AUTHORIZATION: basic Zg==\r\n\r\n",
         CONNECT_REQUEST_OK, "[::1]:8883", "Zg=="},
        {"CONNECT h:1 HTTP/1.1\n\n", CONNECT_REQUEST_OK, "h:1", NULL},
        {"CONNECT h:1 HTTP/1.1\r\nProxy-Authorization: Digest x\r\n\r\n", CONNECT_REQUEST_OK, "h:1",
         NULL},
        {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n", CONNECT_REQUEST_E_MORE, NULL, NULL},
        {"CONNECT h:1 HT", CONNECT_REQUEST_E_MORE, NULL, NULL},
        {"", CONNECT_REQUEST_E_MORE, NULL, NULL},
        {"GET / HTTP/1.1\r\n\r\n", CONNECT_REQUEST_E_MALFORMED, NULL, NULL},
        {"CONNECT  HTTP/1.1\r\n\r\n", CONNECT_REQUEST_E_MALFORMED, NULL, NULL},
        {"CONNECT h:1\r\n\r\n", CONNECT_REQUEST_E_MALFORMED, NULL, NULL},
        {"CONNECT h:1 HTTP/2.0\r\n\r\n", CONNECT_REQUEST_E_MALFORMED, NULL, NULL},
        {"\r\n\r\n", CONNECT_REQUEST_E_MALFORMED, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct request_case *one = &cases[i];
        struct connect_request request = {0};

        assert_int_equal(connect_request_parse(one->text, strlen(one->text), &request),
                         one->result);
        if (one->result != CONNECT_REQUEST_OK) {
            continue;
        }
        assert_int_equal(request.length, strlen(one->text));
        assert_int_equal(request.target_length, strlen(one->target));
        assert_memory_equal(request.target, one->target, request.target_length);
        if (one->credentials == NULL) {
            assert_null(request.credentials);
        } else {
            assert_int_equal(request.credentials_length, strlen(one->credentials));
            assert_memory_equal(request.credentials, one->credentials, request.credentials_length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_waits_for_its_message),
        cmocka_unit_test(too_many_marks_never_release_early),
        cmocka_unit_test(full_it_has_no_room_and_recovers),
        cmocka_unit_test(reads_connect_requests),
    };

    return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
