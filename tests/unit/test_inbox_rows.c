/* Rows that are kept in memory: what goes in comes out, and what is not taken. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/sqlite/inbox_rows_internal.h"

#define ROOM 4096

static const struct foxtrackr_message messages[] = {
    {.has_battery = true, .time_ms = 1, .message_type = 5, .voltage_v = 3.7, .level_pct = 80},
    {.has_battery = true,
     .time_ms = INT64_MAX,
     .message_type = INT32_MIN,
     .voltage_v = NAN,
     .level_pct = -0.0,
     .celsius = NAN,
     .battery_extra = "{\"rssi\":-70}"},
    {.has_temperature = true, .time_ms = 3, .celsius = -40.25, .temperature_extra = "{\"a\":1}"},
    {.has_temperature = true, .time_ms = 4, .message_type = INT64_MAX, .celsius = NAN},
    {.has_temperature = true, .time_ms = INT64_MIN, .message_type = INT64_MIN, .celsius = -0.001},
    {.has_battery = true, .time_ms = -1, .voltage_v = 0.0, .level_pct = NAN, .battery_extra = ""},
    {.has_battery = true, .voltage_v = 3.7001, .level_pct = 0.1 + 0.2},
    {.has_battery = true, .voltage_v = DBL_MAX, .level_pct = -DBL_MAX},
    {.has_battery = true, .voltage_v = DBL_TRUE_MIN, .level_pct = 1e12},
    {.has_battery = true, .voltage_v = -1e12, .level_pct = 999999999999.999},
    {.has_battery = true, .voltage_v = 0x1p53, .level_pct = -0x1p53 - 2},
    {.has_battery = true, .voltage_v = 9223372036854775.0, .level_pct = 1e18},
};

#define COUNT (sizeof(messages) / sizeof(messages[0]))

static void assert_same_text(const char *one, const char *other)
{
    assert_int_equal(one == NULL, other == NULL);
    if (one != NULL) {
        assert_string_equal(one, other);
    }
}

static void assert_same_number(double one, double other)
{
    if (isnan(other)) {
        assert_true(isnan(one));
    } else {
        assert_memory_equal(&one, &other, sizeof(one));
    }
}

static void assert_same(const struct foxtrackr_message *one, const struct foxtrackr_message *other)
{
    assert_int_equal(one->time_ms, other->time_ms);
    assert_int_equal(one->message_type, other->message_type);
    assert_int_equal(one->has_battery, other->has_battery);
    assert_int_equal(one->has_temperature, other->has_temperature);
    assert_false(one->has_other);
    if (one->has_battery) {
        assert_same_number(one->voltage_v, other->voltage_v);
        assert_same_number(one->level_pct, other->level_pct);
    } else {
        assert_same_number(one->celsius, other->celsius);
    }
    assert_same_text(one->battery_extra, other->battery_extra);
    assert_same_text(one->temperature_extra, other->temperature_extra);
    assert_null(one->group);
    assert_null(one->storage);
}

static void what_goes_in_comes_out(void **state)
{
    const int64_t received[] = {INT64_MAX, 1700000000000, INT64_MIN + (int64_t)COUNT};
    struct inbox_rows rows = {0};
    uint32_t places[COUNT];

    (void)state;
    assert_true(inbox_rows_make(&rows, ROOM));
    for (int again = 0; again < 3; again++) {
        for (size_t i = 0; i < COUNT; i++) {
            places[i] = inbox_rows_add(&rows, &messages[i], received[again] - (int64_t)i);
            assert_int_not_equal(places[i], 0);
        }
        for (size_t i = 0; i < COUNT; i++) {
            struct foxtrackr_message out;
            int64_t received_ms;

            inbox_row_read(rows.bytes + places[i], rows.base_ms, &out, &received_ms);
            assert_int_equal(inbox_row_size(rows.bytes + places[i]),
                             (i + 1 < COUNT ? places[i + 1] : rows.used) - places[i]);
            assert_same(&out, &messages[i]);
            assert_int_equal(received_ms, received[again] - (int64_t)i);
        }
        inbox_rows_clear(&rows);
    }
    inbox_rows_free(&rows);
    assert_null(rows.bytes);
}

static void what_is_more_than_a_row_is_not_taken(void **state)
{
    static char extra[INBOX_ROW_EXTRA_MOST + 1];
    static const struct foxtrackr_message others[] = {
        {.has_battery = true, .group = "depot"},
        {.has_battery = true, .has_temperature = true},
        {.has_other = true},
        {.has_temperature = true, .temperature_extra = extra},
    };
    struct inbox_rows rows = {0};
    uint32_t used;

    (void)state;
    memset(extra, 'x', INBOX_ROW_EXTRA_MOST);
    assert_true(inbox_rows_make(&rows, 2 * ROOM));
    used = rows.used;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(inbox_rows_add(&rows, &others[i], 1), 0);
    }
    assert_int_equal(rows.used, used);
    assert_false(rows.full);
    extra[INBOX_ROW_EXTRA_MOST - 1] = '\0';
    assert_int_not_equal(inbox_rows_add(&rows, &others[3], 1), 0);
    assert_in_range(rows.used - used, INBOX_ROW_EXTRA_MOST, INBOX_ROW_MOST);
    inbox_rows_free(&rows);
}

/* Numbers of all sizes and kinds: what is packed is unpacked, bit by bit. */
static void any_number_is_the_same_again(void **state)
{
    struct inbox_rows rows = {0};
    uint64_t random = 20261126;

    (void)state;
    assert_true(inbox_rows_make(&rows, ROOM));
    for (int i = 0; i < 200000; i++) {
        struct foxtrackr_message message = {.has_battery = true, .celsius = NAN};
        struct foxtrackr_message out;
        int64_t number[4];
        int64_t received_ms;
        uint32_t place;

        for (int j = 0; j < 4; j++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            number[j] = (int64_t)random >> (random >> 32 & 63);
        }
        message.time_ms = number[0];
        message.message_type = number[1];
        message.voltage_v = (double)number[2] / 1000;
        memcpy(&message.level_pct, &number[3], sizeof(message.level_pct));
        place = inbox_rows_add(&rows, &message, number[3]);
        if (place == 0) {
            inbox_rows_clear(&rows);
            continue;
        }
        inbox_row_read(rows.bytes + place, rows.base_ms, &out, &received_ms);
        assert_int_equal(inbox_row_size(rows.bytes + place), rows.used - place);
        assert_same(&out, &message);
        assert_int_equal(received_ms, number[3]);
    }
    inbox_rows_free(&rows);
}

/* The bytes of a message by which the size of a lot is estimated (store/sqlite/inbox_internal.h).
 */
static void a_plain_reading_is_small(void **state)
{
    struct inbox_rows rows = {0};
    uint32_t before = 0;
    int64_t now_ms = 1764180000000;

    (void)state;
    assert_true(inbox_rows_make(&rows, ROOM));
    for (int i = 0; i < 2; i++) { /* a week old, and some seconds after the first */
        struct foxtrackr_message message = messages[0];

        message.time_ms = now_ms - INT64_C(7) * 86400 * 1000;
        before = rows.used;
        assert_int_not_equal(inbox_rows_add(&rows, &message, now_ms), 0);
        now_ms += 5000;
    }
    assert_in_range(rows.used - before, 1, 16);
    before = rows.used;
    assert_int_not_equal(inbox_rows_add(&rows, &messages[3], now_ms), 0); /* no value */
    assert_in_range(rows.used - before, 1, 1 + 10 + 7 + 4);
    inbox_rows_free(&rows);
}

/* To the last byte, which a sanitizer looks at. */
static void it_never_grows(void **state)
{
    struct foxtrackr_message message = messages[0];
    char extra[64];
    uint32_t taken = 0;

    (void)state;
    for (size_t length = 0; length < sizeof(extra); length++) {
        struct inbox_rows rows = {0};
        uint32_t place;

        memset(extra, 'x', length);
        extra[length] = '\0';
        message.battery_extra = extra;
        assert_true(inbox_rows_make(&rows, ROOM));
        for (taken = 0; (place = inbox_rows_add(&rows, &message, 1)) != 0; taken++) {
            assert_in_range(rows.used, place + length + 1, ROOM);
            assert_false(rows.full);
        }
        assert_true(rows.full);
        assert_in_range(taken, ROOM / (64 + sizeof(extra)) - 1, ROOM / 8);
        inbox_rows_clear(&rows);
        assert_false(rows.full);
        inbox_rows_free(&rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(what_is_more_than_a_row_is_not_taken),
        cmocka_unit_test(any_number_is_the_same_again),
        cmocka_unit_test(a_plain_reading_is_small),
        cmocka_unit_test(it_never_grows),
    };

    return cmocka_run_group_tests_name("inbox_rows", tests, NULL, NULL);
}
