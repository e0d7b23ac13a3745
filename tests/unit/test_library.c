/*
 * The library when memory runs out: every allocation fails in turn, once and for good, until a run
 * comes through. Each failure must be reported as -ENOMEM, touch no output and leak nothing.
 *
 * The linker wraps malloc() and its kin for the library (see unit.mk). With each failure the
 * rows must be those without one or none at all: a value never changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "foxtrackr.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *old);

static struct {
    bool armed;
    bool for_good; /* all from the nth on, or the nth alone */
    int fail_at;
    int count;
    int live;
} memory;

static bool refused(void)
{
    if (!memory.armed) {
        return false;
    }
    memory.count++;
    return memory.for_good ? memory.count >= memory.fail_at : memory.count == memory.fail_at;
}

static void *counted(void *block)
{
    memory.live += block ? 1 : 0;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    void *block = refused() ? NULL : __real_realloc(old, size);

    memory.live += block && !old ? 1 : 0;
    return block;
}

void __wrap_free(void *old)
{
    memory.live -= old ? 1 : 0;
    __real_free(old);
}

/* Runs `step` with the nth allocation failing for every n, until it needs fewer than n. Returns how
 * many it needs. */
static int fail_each(int (*step)(void *context), void *context)
{
    int failures = 0;

    for (int for_good = 0; for_good < 2; for_good++) {
        int result;

        failures = 0;
        do {
            int live = memory.live;

            memory.for_good = for_good;
            memory.fail_at = failures + 1;
            memory.count = 0;
            memory.armed = true;
            result = step(context);
            memory.armed = false;
            assert_int_equal(memory.live, live);
            if (memory.count < memory.fail_at) {
                break;
            }
            if (result != -ENOMEM) {
                fail_msg("allocation %d failed (%s) and the result is %d", memory.fail_at,
                         for_good ? "for good" : "once", result);
            }
            failures++;
        } while (failures < 10000);
        assert_int_equal(result, 0);
    }
    return failures;
}

struct parse_input {
    const char *topic;
    const char *payload;
    struct foxtrackr_fields *fields;
    char *expected; /* the rows, as foxtrackr_message_to_json() prints them */
};

/* The rows of a message as text, with memory enough. */
static char *printed(const struct foxtrackr_message *message)
{
    bool armed = memory.armed;
    char *text;

    memory.armed = false;
    assert_int_equal(foxtrackr_message_to_json(message, &text), 0);
    memory.armed = armed;
    return text;
}

static char *parsed(const struct parse_input *input)
{
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    char *text;

    assert_int_equal(foxtrackr_message_parse(input->fields, INT64_C(1767225600000), 0, input->topic,
                                             strlen(input->topic), input->payload,
                                             strlen(input->payload), &message, &problem),
                     0);
    text = printed(&message);
    foxtrackr_message_clear(&message);
    return text;
}

static int step_parse(void *context)
{
    const struct parse_input *input = context;
    struct foxtrackr_message message;
    struct foxtrackr_message untouched;
    struct foxtrackr_problem problem;
    int result;

    memset(&untouched, 0x5A, sizeof(untouched));
    message = untouched;
    result = foxtrackr_message_parse(input->fields, INT64_C(1767225600000), 0, input->topic,
                                     strlen(input->topic), input->payload, strlen(input->payload),
                                     &message, &problem);
    if (result) {
        assert_memory_equal(&message, &untouched, sizeof(message));
    } else {
        char *text = printed(&message);

        assert_string_equal(text, input->expected);
        free(text);
        foxtrackr_message_clear(&message);
    }
    return result;
}

#define ENVELOPE "{\"messageType\":1,\"deviceId\":\"1\",\"version\":3,\"timeMs\":1767225600000,"
#define LONG     "a string that is longer than a token buffer of sixteen bytes, "
#define LONGER   LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG

static void test_parse(void **state)
{
    static const struct {
        const char *payload;
        int allocations; /* exactly: also what a message of this kind costs */
    } cases[] = {
        /* both rows, extras of every kind: strings, UTF-8, escapes, arrays */
        {ENVELOPE
         "\"battery\":{\"voltage\":3.7,\"x\":{\"y\":[1,2.5,\"s\",null,true,false]}},"
         "\"temperature\":{\"tempC\":20,\"b\":\"\\u00e9\xc3\xa9\"},\"zulu\":\"x\",\"alpha\":{}}",
         1},
        /* integers and names that a reader with a growing buffer would cut */
        {ENVELOPE "\"battery\":3.7,\"a name of more than sixteen bytes\":1234567890123456789,"
                  "\"huge\":12345678901234567890123456789}",
         1},
        /* nothing left over */
        {ENVELOPE "\"battery\":3.7}", 1},
        /* more values than the body has itself */
        {ENVELOPE
         "\"battery\":1,\"r\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,"
         "25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50]}",
         2},
        /* reals that print longer than they came, so that the block grows */
        {ENVELOPE
         "\"battery\":1,\"r\":[1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,"
         "1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9]}",
         3},
        /* escapes in a long payload */
        {ENVELOPE "\"battery\":1,\"s\":\"" LONGER "\\u00e9\",\"t\":\"\\n\"}", 2},
    };
    struct parse_input input = {.topic = "Foxtrackr/group/V3.0/bat"};

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&input.fields), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        input.payload = cases[i].payload;
        input.expected = parsed(&input);
        assert_int_equal(fail_each(step_parse, &input), cases[i].allocations);
        free(input.expected);
    }
    input.topic = "foxtrackr/1/V3.0/gps";
    input.expected = parsed(&input);
    assert_int_equal(fail_each(step_parse, &input), 2);
    free(input.expected);
    foxtrackr_fields_free(input.fields);
}

static int step_extra_map(void *context)
{
    struct foxtrackr_problem problem;
    struct foxtrackr_message row = {
        .has_battery = true,
        .voltage_v = NAN,
        .level_pct = NAN,
        .celsius = NAN,
        .battery_extra = "{\"battery\":{\"volts\":3.7,\"x\":{\"y\":[1,2.5,\"s\"]}}}"};
    int result = foxtrackr_extra_map(context, &row, &problem);

    if (result) {
        assert_true(isnan(row.voltage_v) && row.storage == NULL);
    } else {
        assert_true(row.voltage_v == 3.7);
        foxtrackr_message_clear(&row);
    }
    return result;
}

static void test_extra_map(void **state)
{
    struct foxtrackr_fields *fields;

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    assert_int_equal(fail_each(step_extra_map, fields), 1);
    foxtrackr_fields_free(fields);
}

static int step_to_json(void *context)
{
    char *text = NULL;
    int result = foxtrackr_message_to_json(context, &text);

    if (result) {
        assert_null(text);
    }
    free(text);
    return result;
}

static void test_to_json(void **state)
{
    struct foxtrackr_message message = {
        .family = "foxtrackr",
        .device_id = "1",
        .group = "a \"group\"",
        .type = "bat",
        .version = "V3.0",
        .has_battery = true,
        .voltage_v = 3.7,
        .battery_extra = "{\"x\":1}",
        .has_temperature = true,
    };

    (void)state;
    assert_true(fail_each(step_to_json, &message) >= 3);
}

static int step_fields_new(void *context)
{
    struct foxtrackr_fields *fields = NULL;
    int result = foxtrackr_fields_new(&fields);

    (void)context;
    if (result) {
        assert_null(fields);
    }
    foxtrackr_fields_free(fields);
    return result;
}

static void test_fields_new(void **state)
{
    (void)state;
    assert_true(fail_each(step_fields_new, NULL) >= 3);
}

/* Adding needs two blocks: the names and the larger table. The table is whole after a failure. */
static void test_fields_add(void **state)
{
    struct foxtrackr_fields *fields;
    struct foxtrackr_problem problem;
    int live;

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    live = memory.live;
    for (int fail_at = 1; fail_at <= 2; fail_at++) {
        memory.for_good = false;
        memory.fail_at = fail_at;
        memory.count = 0;
        memory.armed = true;
        assert_int_equal(
            foxtrackr_fields_add(fields, "battery.voltage_v", "battery.x * 0.1", &problem),
            -ENOMEM);
        memory.armed = false;
        assert_int_equal(memory.count, fail_at);
        assert_int_equal(memory.live, live);
    }
    assert_int_equal(foxtrackr_fields_add(fields, "battery.voltage_v", "battery.x * 0.1", &problem),
                     0);
    foxtrackr_fields_free(fields);
}

/* A reason is found without memory of ours, and costs nothing afterwards. */
static void test_refusals_leak_nothing(void **state)
{
    static const char *const payloads[] = {
        "",
        "[",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\u0000\"}",
        "[]",
        "{\"messageType\":1}",
        "{\"messageType\":1,\"deviceId\":\"1\",\"version\":3,\"timeMs\":1767225600000}",
        "{\"messageType\":1,\"deviceId\":\"1\",\"version\":4,\"timeMs\":1767225600000}",
        "{\"messageType\":1,\"deviceId\":\"1\",\"version\":3,\"timeMs\":0}",
        /* syntax errors at a string: not to be taken for a lack of memory */
        "{\"a\" \"b\"}",
        "[\"a\" \"b\"]",
        "{\"a\":1 \"b\"}",
        "{} \"b\"",
        "\"\\ud800\"",
        "\"a",
    };
    struct parse_input input = {.topic = "foxtrackr/1/V3.0/bat"};

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&input.fields), 0);
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        int live = memory.live;

        input.payload = payloads[i];
        assert_true(step_parse(&input) > 0);
        assert_int_equal(memory.live, live);
    }
    foxtrackr_fields_free(input.fields);
}

/* Nothing to do is no fault, and no null pointer is followed. */
static void test_nothing_is_safe(void **state)
{
    static const char topic[] = "foxtrackr/1/V3.0/bat";
    static const char payload[] = ENVELOPE "\"battery\":3.7}";
    struct foxtrackr_message row = {.has_battery = true, .voltage_v = NAN, .level_pct = NAN};
    struct foxtrackr_problem problem;
    struct foxtrackr_fields *fields;

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    assert_int_equal(foxtrackr_extra_map(NULL, NULL, NULL), 0);
    assert_int_equal(foxtrackr_extra_map(fields, NULL, &problem), 0);
    assert_int_equal(foxtrackr_extra_map(fields, &row, &problem), 0);
    assert_true(isnan(row.voltage_v) && !row.battery_extra && !row.storage);
    foxtrackr_message_clear(&row);

    row = (struct foxtrackr_message){
        .has_battery = true, .voltage_v = NAN, .battery_extra = "{\"battery\":3.7}"};
    assert_int_equal(foxtrackr_extra_map(NULL, &row, &problem), 0);
    assert_true(isnan(row.voltage_v));
    assert_string_equal(row.battery_extra, "{\"battery\":3.7}");
    foxtrackr_message_clear(&row);

    assert_int_equal(foxtrackr_message_parse(NULL, INT64_C(1767225600000), 0, topic, strlen(topic),
                                             payload, strlen(payload), &row, &problem),
                     0);
    assert_true(isnan(row.voltage_v));
    assert_string_equal(row.battery_extra, "{\"battery\":3.7}");
    foxtrackr_message_clear(&row);
    foxtrackr_message_clear(NULL);
    foxtrackr_fields_free(fields);
    foxtrackr_fields_free(NULL);
}

/* The header's version is the build's. */
static void test_version(void **state)
{
    (void)state;
    assert_string_equal(FOXTRACKR_VERSION, FOXTRACKRD_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),           cmocka_unit_test(test_extra_map),
        cmocka_unit_test(test_to_json),         cmocka_unit_test(test_fields_new),
        cmocka_unit_test(test_fields_add),      cmocka_unit_test(test_refusals_leak_nothing),
        cmocka_unit_test(test_nothing_is_safe), cmocka_unit_test(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
