/*
 * The library when memory runs out: every allocation fails in turn, once and for good, until a run
 * comes through. Each failure must be reported as -ENOMEM, touch no output and leak nothing.
 *
 * The linker wraps malloc() and its kin for the library (see the Makefile); jansson is given the
 * same functions. Tokens stay under 16 bytes because jansson ignores a failed growth of its token
 * buffer, which nobody above it can see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
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

static int setup(void **state)
{
    (void)state;
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    json_decref(json_object()); /* jansson seeds its hash once */
    return 0;
}

/* Runs `step` with the nth allocation failing for every n, until it needs fewer than n. */
static void fail_each(int (*step)(void *context), void *context, int at_least)
{
    for (int for_good = 0; for_good < 2; for_good++) {
        int failures = 0;
        int result;

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
        assert_true(failures >= at_least);
    }
}

struct parse_input {
    const char *topic;
    const char *payload;
    struct foxtrackr_fields *fields;
};

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
        foxtrackr_message_clear(&message);
    }
    return result;
}

static void test_parse(void **state)
{
    static const struct {
        const char *payload;
        int allocations; /* at least */
    } cases[] = {
        /* both rows, extras of every kind */
        {"{\"messageType\":1,\"deviceId\":\"1\",\"version\":3,\"timeMs\":1767225600000,"
         "\"battery\":{\"voltage\":3.7,\"level\":80,\"x\":{\"y\":[1,2.5,\"s\",null,true,false]}},"
         "\"temperature\":{\"tempC\":20,\"b\":\"\\u00e9\"},\"rssi\":-70,\"zulu\":\"x\",\"alpha\":{}"
         "}",
         10},
        /* plain, and nothing left over */
        {"{\"messageType\":1,\"deviceId\":1,\"version\":3,\"timeMs\":1767225600000,\"battery\":3."
         "7}",
         1},
        /* not plain, and nothing left over */
        {"{\"messageType\":1,\"deviceId\":1,\"version\":3,\"timeMs\":1767225600000,\"battery\":"
         "1e0}",
         10},
        /* reals that print longer than they came, so that the block grows */
        {"{\"messageType\":1,\"deviceId\":1,\"version\":3,\"timeMs\":1767225600000,\"battery\":1,"
         "\"r\":[1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,"
         "1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9,1e9]}",
         10},
    };
    struct parse_input input = {.topic = "Foxtrackr/group/V3.0/bat"};

    (void)state;
    assert_int_equal(foxtrackr_fields_new(&input.fields), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        input.payload = cases[i].payload;
        fail_each(step_parse, &input, cases[i].allocations);
    }
    input.topic = "foxtrackr/1/V3.0/gps";
    fail_each(step_parse, &input, 10);
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
    fail_each(step_extra_map, fields, 10);
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
    fail_each(step_to_json, &message, 3);
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
    fail_each(step_fields_new, NULL, 3);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_extra_map),
        cmocka_unit_test(test_to_json),    cmocka_unit_test(test_fields_new),
        cmocka_unit_test(test_fields_add), cmocka_unit_test(test_refusals_leak_nothing),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
