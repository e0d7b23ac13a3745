/* Goal: with a small window the gate reads Paho's bytes in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "gate_fixture.h"

/* Waits until the gate's thread has completed a round of its loop, with its new set of descriptors.
 */
static void let_it_come_round(struct fixture *fixture)
{
    write_text(fixture->broker, "publish");
    assert_reads(fixture->paho, "publish");
}

static void write_nothing(void)
{
}

/* Opens a link in lockstep mode with a pending message. */
static void open_link_in_lockstep(struct fixture *fixture)
{
    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    gate_set_lockstep(fixture->gate, true);
    let_it_come_round(fixture);
}

/* The second of two small writes waits in the kernel (Nagle) and was not read when the message got
 * its number. */
static void in_lockstep_what_was_written_before_a_message_leaves(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    gate_set_lockstep(fixture->gate, true);
    for (uint64_t number = 1; number <= 20; number++) {
        write_text(fixture->paho, "first");
        write_text(fixture->paho, "second");
        gate_before_message(fixture->gate, write_nothing);
        atomic_store(&fixture->watermark.taken, number);
        assert_reads(fixture->broker, "firstsecond");
        make_durable(fixture, number);
    }
}

static void in_lockstep_it_reads_when_the_commit_begins(void **state)
{
    struct fixture *fixture = *state;

    open_link_in_lockstep(fixture);
    write_text(fixture->paho, "one");
    let_it_come_round(fixture);
    assert_int_equal(held_bytes(fixture), 0);
    gate_before_commit(fixture->gate);
    assert_int_equal(held_bytes(fixture), 3);
    assert_reads_nothing(fixture->broker);

    atomic_store(&fixture->watermark.taken, 2); /* the next, while the commit runs */
    write_text(fixture->paho, "two");
    make_durable(fixture, 1);
    assert_reads(fixture->broker, "one");
    assert_reads_nothing(fixture->broker);
    make_durable(fixture, 2);
    assert_reads(fixture->broker, "two");
}

static void out_of_lockstep_it_reads_at_once(void **state)
{
    struct fixture *fixture = *state;

    open_link_in_lockstep(fixture);
    write_text(fixture->paho, "ack");
    gate_set_lockstep(fixture->gate, false);
    unit_wait(holds_bytes, fixture, "the bytes to be read");
    make_durable(fixture, 1);
    assert_reads(fixture->broker, "ack");
}

static void in_lockstep_a_severed_link_stays_silent(void **state)
{
    struct fixture *fixture = *state;

    open_link_in_lockstep(fixture);
    write_text(fixture->paho, "ack");
    gate_sever(fixture->gate, 0, "the disk is full");
    gate_before_commit(fixture->gate);
    make_durable(fixture, 1);
    assert_reads_end(fixture->broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(in_lockstep_what_was_written_before_a_message_leaves),
        GATE_TEST(in_lockstep_it_reads_when_the_commit_begins),
        GATE_TEST(out_of_lockstep_it_reads_at_once),
        GATE_TEST(in_lockstep_a_severed_link_stays_silent),
    };

    return cmocka_run_group_tests_name("gate_lockstep", tests, NULL, NULL);
}
