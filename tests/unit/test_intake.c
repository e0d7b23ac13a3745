/* The intake: order, numbers, bounds, backpressure, rewind, stall, close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "pipeline/pipeline.h"
#include "unit_wait.h"

#define MAX_PAYLOAD ((size_t)1024)

static struct watermark watermark;

static struct intake *new_intake(size_t capacity)
{
    struct intake *intake = NULL;

    atomic_store(&watermark.taken, 0);
    atomic_store(&watermark.durable, 0);
    assert_int_equal(intake_new(&intake, capacity, MAX_PAYLOAD, &watermark), 0);
    return intake;
}

static int put_text(struct intake *intake, const char *topic, const char *payload)
{
    const struct intake_item item = {
        .kind = INTAKE_MESSAGE,
        .session = 3,
        .qos = 2,
        .received_ms = 1234,
        .topic = topic,
        .topic_length = strlen(topic),
        .payload = payload,
        .payload_length = strlen(payload),
        .full_length = strlen(payload),
    };

    return intake_put(intake, &item);
}

static void assert_next(struct intake *intake, const char *topic, const char *payload)
{
    struct intake_item item;

    assert_int_equal(intake_next(intake, &item, 0), INTAKE_OK);
    assert_int_equal(item.topic_length, strlen(topic));
    assert_memory_equal(item.topic, topic, item.topic_length);
    assert_int_equal(item.payload_length, strlen(payload));
    assert_memory_equal(item.payload, payload, item.payload_length);
}

static void keeps_order_and_every_member(void **state)
{
    struct intake *intake = new_intake(0);
    struct intake_item item;

    (void)state;
    assert_int_equal(put_text(intake, "a/b", "one"), INTAKE_OK);
    assert_int_equal(put_text(intake, "", ""), INTAKE_OK);
    assert_int_equal(atomic_load(&watermark.taken), 2);
    assert_int_equal(intake_next(intake, &item, 0), INTAKE_OK);
    assert_int_equal(item.kind, INTAKE_MESSAGE);
    assert_int_equal(item.session, 3);
    assert_int_equal(item.qos, 2);
    assert_int_equal(item.received_ms, 1234);
    assert_int_equal(item.full_length, 3);
    assert_memory_equal(item.topic, "a/b", 3);
    assert_memory_equal(item.payload, "one", 3);
    assert_next(intake, "", "");
    assert_int_equal(intake_next(intake, &item, 0), INTAKE_E_EMPTY);
    assert_int_equal(intake_release(intake), 2);
    intake_free(intake);
}

static void keeps_the_protocol_of_an_event(void **state)
{
    const struct intake_item event = {
        .kind = INTAKE_SETTLED, .gap = 2, .protocol = 5, .protocol_asked_ms = INT64_MAX};
    struct intake *intake = new_intake(0);
    struct intake_item item;

    (void)state;
    assert_int_equal(intake_put(intake, &event), INTAKE_OK);
    assert_int_equal(put_text(intake, "a/b", "one"), INTAKE_OK);
    assert_int_equal(intake_next(intake, &item, 0), INTAKE_OK);
    assert_int_equal(item.kind, INTAKE_SETTLED);
    assert_int_equal(item.gap, 2);
    assert_int_equal(item.protocol, 5);
    assert_int_equal(item.protocol_asked_ms, INT64_MAX);
    assert_int_equal(intake_next(intake, &item, 0), INTAKE_OK);
    assert_int_equal(item.protocol, 0);
    assert_int_equal(item.protocol_asked_ms, 0);
    intake_free(intake);
}

static void rewinds_to_what_was_not_released(void **state)
{
    struct intake *intake = new_intake(0);
    struct intake_item item;
    uint64_t items;
    size_t bytes;

    (void)state;
    put_text(intake, "t", "1");
    put_text(intake, "t", "2");
    put_text(intake, "t", "3");
    assert_next(intake, "t", "1");
    assert_int_equal(intake_release(intake), 1);
    assert_next(intake, "t", "2");
    assert_next(intake, "t", "3");
    intake_rewind(intake);
    assert_next(intake, "t", "2");
    intake_pending(intake, &items, &bytes);
    assert_int_equal(items, 2);
    assert_true(bytes > 0);
    assert_next(intake, "t", "3");
    assert_int_equal(intake_release(intake), 3);
    intake_pending(intake, &items, &bytes);
    assert_int_equal(items, 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(intake_next(intake, &item, 0), INTAKE_E_EMPTY);
    intake_free(intake);
}

/* Sizes that walk the ring's end through every offset: records must never straddle it. */
static void wraps_at_every_offset(void **state)
{
    struct intake *intake = new_intake(0);
    char payload[MAX_PAYLOAD + 1];

    (void)state;
    for (unsigned round = 0; round < 4000; round++) {
        size_t length = (round * 37U) % MAX_PAYLOAD;

        memset(payload, 'a' + (int)(round % 26), length);
        payload[length] = '\0';
        assert_int_equal(put_text(intake, "wrap", payload), INTAKE_OK);
        assert_int_equal(put_text(intake, "x", "y"), INTAKE_OK);
        assert_next(intake, "wrap", payload);
        assert_next(intake, "x", "y");
        assert_int_equal(intake_release(intake), 2 * (round + 1));
    }
    intake_free(intake);
}

static void the_largest_item_always_fits(void **state)
{
    struct intake *intake = new_intake(0);
    char *topic = malloc(65535);
    char *payload = calloc(1, 4 * MAX_PAYLOAD);
    struct intake_item item = {.topic = topic,
                               .topic_length = 65535,
                               .payload = payload,
                               .payload_length = 4 * MAX_PAYLOAD,
                               .full_length = 4 * MAX_PAYLOAD};

    (void)state;
    assert_non_null(topic);
    memset(topic, 't', 65535);
    for (int i = 0; i < 5; i++) {
        struct intake_item out;

        put_text(intake, "small", "shifts the head");
        assert_int_equal(intake_put(intake, &item), INTAKE_OK);
        assert_next(intake, "small", "shifts the head");
        assert_int_equal(intake_next(intake, &out, 0), INTAKE_OK);
        assert_int_equal(out.topic_length, 65535);
        intake_release(intake);
    }
    free(topic);
    free(payload);
    intake_free(intake);
}

static void cuts_an_oversize_payload_and_keeps_the_digest_of_the_whole(void **state)
{
    struct intake *intake = new_intake(0);
    char payload[MAX_PAYLOAD + 10];
    uint8_t digest[DIGEST_SIZE];
    struct intake_item item = {.topic = "t",
                               .topic_length = 1,
                               .payload = payload,
                               .payload_length = sizeof(payload),
                               .full_length = sizeof(payload)};
    struct intake_item out;

    (void)state;
    memset(payload, 'p', sizeof(payload));
    digest_sha256(payload, sizeof(payload), NULL, 0, digest);
    assert_int_equal(intake_put(intake, &item), INTAKE_OK);
    assert_int_equal(intake_next(intake, &out, 0), INTAKE_OK);
    assert_int_equal(out.payload_length, MAX_PAYLOAD);
    assert_int_equal(out.full_length, sizeof(payload));
    assert_memory_equal(out.payload, payload, MAX_PAYLOAD);
    assert_memory_equal(out.digest, digest, DIGEST_SIZE);
    assert_int_equal(intake_set_max_payload(intake, 16), 0);
    intake_put(intake, &item);
    assert_int_equal(intake_next(intake, &out, 0), INTAKE_OK);
    assert_int_equal(out.payload_length, 16);
    intake_free(intake);
}

/* The limit may have changed since the payload was cut, in either direction. */
static void takes_a_payload_that_is_cut_already(void **state)
{
    struct intake *intake = new_intake(0);
    struct intake_item item = {.topic = "t",
                               .topic_length = 1,
                               .payload = "0123456789",
                               .payload_length = 10,
                               .full_length = 1U << 30};
    struct intake_item out;

    (void)state;
    memset(item.digest, 0xD1, DIGEST_SIZE);
    for (size_t limit = 1; limit < 12; limit++) {
        size_t kept = limit < 10 ? limit : 10;

        assert_int_equal(intake_set_max_payload(intake, limit), 0);
        assert_int_equal(intake_put(intake, &item), INTAKE_OK);
        assert_int_equal(intake_next(intake, &out, 0), INTAKE_OK);
        assert_int_equal(out.payload_length, kept);
        assert_int_equal(out.full_length, 1U << 30);
        assert_memory_equal(out.payload, "0123456789", kept);
        assert_memory_equal(out.digest, item.digest, DIGEST_SIZE);
        intake_release(intake);
    }
    intake_free(intake);
}

struct putter {
    struct intake *intake;
    _Atomic unsigned done;
    _Atomic int result;
    unsigned count;
};

static void *put_many(void *argument)
{
    struct putter *putter = argument;
    char payload[512];

    for (unsigned i = 0; i < putter->count; i++) {
        snprintf(payload, sizeof(payload), "%u", i);
        atomic_store(&putter->result, put_text(putter->intake, "topic", payload));
        atomic_fetch_add(&putter->done, 1);
    }
    return NULL;
}

static bool putter_is_blocked(void *argument)
{
    struct putter *putter = argument;
    unsigned before = atomic_load(&putter->done);
    uint64_t items;
    size_t bytes;

    /* Full when the pending bytes leave no room for one more; then `done` cannot move. */
    intake_pending(putter->intake, &items, &bytes);
    return before > 0 && before < putter->count && items == before &&
           atomic_load(&putter->done) == before && bytes > 130000;
}

static void a_full_ring_blocks_until_released(void **state)
{
    struct intake *intake = new_intake(0);
    struct putter putter = {.intake = intake, .count = 5000};
    pthread_t thread;
    struct intake_item item;
    char expected[16];

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, put_many, &putter), 0);
    unit_wait(putter_is_blocked, &putter, "the ring to be full");
    for (unsigned i = 0; i < putter.count; i++) {
        assert_int_equal(intake_next(intake, &item, UNIT_WAIT_MS * INT64_C(1000)), INTAKE_OK);
        snprintf(expected, sizeof(expected), "%u", i);
        assert_int_equal(item.payload_length, strlen(expected));
        assert_memory_equal(item.payload, expected, item.payload_length);
        intake_release(intake);
    }
    pthread_join(thread, NULL);
    intake_free(intake);
}

static void a_stall_frees_a_blocked_putter_and_keeps_what_is_there(void **state)
{
    struct intake *intake = new_intake(0);
    struct putter putter = {.intake = intake, .count = 100000};
    pthread_t thread;
    uint64_t taken;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, put_many, &putter), 0);
    unit_wait(putter_is_blocked, &putter, "the ring to be full");
    taken = atomic_load(&watermark.taken);
    intake_set_stalled(intake, true);
    pthread_join(thread, NULL); /* every further put is refused at once */
    assert_int_equal(atomic_load(&putter.result), INTAKE_E_REFUSED);
    assert_int_equal(atomic_load(&watermark.taken), taken);
    assert_next(intake, "topic", "0");
    intake_set_stalled(intake, false);
    intake_release(intake);
    assert_int_equal(put_text(intake, "again", ""), INTAKE_OK);
    intake_free(intake);
}

static void closed_it_refuses_and_ends_when_read(void **state)
{
    struct intake *intake = new_intake(0);
    struct intake_item item;

    (void)state;
    put_text(intake, "t", "last");
    assert_false(intake_wait_closed(intake, 0));
    intake_close(intake);
    assert_true(intake_wait_closed(intake, UNIT_WAIT_MS));
    assert_int_equal(put_text(intake, "t", "late"), INTAKE_E_REFUSED);
    assert_int_equal(atomic_load(&watermark.taken), 1);
    assert_next(intake, "t", "last");
    assert_int_equal(intake_next(intake, &item, UNIT_WAIT_MS * INT64_C(1000)), INTAKE_E_CLOSED);
    intake_free(intake);
}

/* Whatever is in the ring, wherever its head stands, and whatever of it is in an open batch. */
static void grows_for_a_larger_max_payload_and_loses_nothing(void **state)
{
    (void)state;
    for (unsigned before = 0; before < 400; before++) {
        struct intake *intake = new_intake(0);
        char payload[MAX_PAYLOAD + 1];
        char large[(8 * MAX_PAYLOAD) + 1];
        unsigned read = 0;
        unsigned put = 0;

        memset(large, 'l', sizeof(large) - 1);
        large[sizeof(large) - 1] = '\0';
        for (; put < before + 100; put++) {
            snprintf(payload, sizeof(payload), "%0*u", 1 + (int)((put * 37U) % 1000), put);
            assert_int_equal(put_text(intake, "t", payload), INTAKE_OK);
            if (put < before) { /* moves the head */
                assert_next(intake, "t", payload);
                assert_int_equal(intake_release(intake), ++read);
            }
        }
        for (; read < before + before % 50; read++) { /* of an open batch, which is rewound once */
            snprintf(payload, sizeof(payload), "%0*u", 1 + (int)((read * 37U) % 1000), read);
            assert_next(intake, "t", payload);
        }
        assert_int_equal(intake_set_max_payload(intake, 4 * MAX_PAYLOAD), 0);
        assert_int_equal(intake_set_max_payload(intake, 8 * MAX_PAYLOAD), 0);
        if (before % 3 == 0) {
            intake_rewind(intake);
            read = before;
        }
        for (; read < put; read++) {
            snprintf(payload, sizeof(payload), "%0*u", 1 + (int)((read * 37U) % 1000), read);
            assert_next(intake, "t", payload);
            if (read % 7 == 0) {
                assert_int_equal(intake_release(intake), read + 1);
            }
        }
        assert_int_equal(intake_release(intake), put);
        assert_int_equal(put_text(intake, "t", large), INTAKE_OK);
        assert_next(intake, "t", large);
        assert_int_equal(intake_release(intake), put + 1);
        intake_free(intake);
    }
}

#define GROWN_PAYLOAD ((size_t)1 << 20)

static void *put_large(void *argument)
{
    struct putter *putter = argument;
    char *payload = calloc(1, GROWN_PAYLOAD + 1);

    assert_non_null(payload);
    memset(payload, 'l', GROWN_PAYLOAD);
    atomic_store(&putter->result, put_text(putter->intake, "large", payload));
    atomic_fetch_add(&putter->done, 1);
    free(payload);
    return NULL;
}

/* A message that is too large for the ring as it was waits for the end of the open batch. */
static void a_large_item_waits_for_the_grown_ring(void **state)
{
    struct intake *intake = new_intake(0);
    struct putter putter = {.intake = intake, .result = -1};
    struct intake_item item;
    pthread_t thread;

    (void)state;
    put_text(intake, "t", "of the open batch");
    assert_int_equal(intake_next(intake, &item, 0), INTAKE_OK);
    assert_int_equal(intake_set_max_payload(intake, GROWN_PAYLOAD), 0);
    assert_int_equal(pthread_create(&thread, NULL, put_large, &putter), 0);
    assert_int_equal(intake_next(intake, &(struct intake_item){0}, 20000), INTAKE_E_EMPTY);
    assert_int_equal(atomic_load(&putter.done), 0);
    assert_memory_equal(item.payload, "of the open batch", 17); /* still the writer's */
    assert_int_equal(intake_release(intake), 1);
    assert_int_equal(intake_next(intake, &item, UNIT_WAIT_MS * INT64_C(1000)), INTAKE_OK);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&putter.result), INTAKE_OK);
    assert_int_equal(item.payload_length, GROWN_PAYLOAD);
    assert_int_equal(item.full_length, GROWN_PAYLOAD);

    /* One that has no use of the buffer which it got is freed with it. */
    assert_int_equal(intake_set_max_payload(intake, 2 * GROWN_PAYLOAD), 0);
    intake_free(intake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_every_member),
        cmocka_unit_test(keeps_the_protocol_of_an_event),
        cmocka_unit_test(rewinds_to_what_was_not_released),
        cmocka_unit_test(wraps_at_every_offset),
        cmocka_unit_test(the_largest_item_always_fits),
        cmocka_unit_test(cuts_an_oversize_payload_and_keeps_the_digest_of_the_whole),
        cmocka_unit_test(takes_a_payload_that_is_cut_already),
        cmocka_unit_test(a_full_ring_blocks_until_released),
        cmocka_unit_test(a_stall_frees_a_blocked_putter_and_keeps_what_is_there),
        cmocka_unit_test(grows_for_a_larger_max_payload_and_loses_nothing),
        cmocka_unit_test(a_large_item_waits_for_the_grown_ring),
        cmocka_unit_test(closed_it_refuses_and_ends_when_read),
    };

    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
