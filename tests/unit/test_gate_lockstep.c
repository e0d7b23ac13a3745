/* Goal: with a small window the gate reads Paho's bytes in time, and Paho's thread relays them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "gate_fixture.h"

#define MUCH ((size_t)1 << 20)

/* --- the gate's thread relays -------------------------------------------------------------- */

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
        gate_before_message(fixture->gate, 0, write_nothing);
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

/* --- a thread beside ------------------------------------------------------------------------- */

struct busy {
    pthread_t thread;
    struct gate *gate;
    atomic_bool ends;
};

static void *wake_again(void *argument)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct busy *busy = argument;

    while (!atomic_load(&busy->ends)) {
        gate_wake(busy->gate);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Keeps the gate's thread busy, so that its timeout of half a second never expires: the timeout
 * would mend what the tested code has missed. */
static void keep_busy(struct busy *busy, const struct fixture *fixture)
{
    *busy = (struct busy){.gate = fixture->gate};
    assert_int_equal(pthread_create(&busy->thread, NULL, wake_again, busy), 0);
}

static void let_rest(struct busy *busy)
{
    atomic_store(&busy->ends, true);
    pthread_join(busy->thread, NULL);
}

/* --- Paho's receive thread relays, which is this one here ------------------------------------ */

static int wait_as_paho(const struct fixture *fixture, int timeout_ms)
{
    struct pollfd fd = {.fd = fixture->paho, .events = POLLIN};
    int ready = gate_poll(fixture->gate, &fd, 1, timeout_ms);

    assert_int_equal(fd.revents != 0, ready);
    return ready;
}

static void write_as_paho(const struct fixture *fixture, const char *text)
{
    write_text(fixture->paho, text);
    gate_written(fixture->gate);
}

/* Opens a link on which a message has arrived and Paho has waited for the next one. */
static void open_carried_link(struct fixture *fixture)
{
    open_link(fixture);
    gate_set_lockstep(fixture->gate, true);
    gate_before_message(fixture->gate, 0, write_nothing);
    assert_int_equal(wait_as_paho(fixture, 0), 0);
}

static void assert_gate_relays(const struct fixture *fixture)
{
    write_text(fixture->broker, "publish");
    assert_reads(fixture->paho, "publish");
    write_text(fixture->paho, "ack");
    assert_reads(fixture->broker, "ack");
}

static void what_the_broker_sends_comes_while_paho_waits(void **state)
{
    struct fixture *fixture = *state;

    open_carried_link(fixture);
    assert_int_equal(wait_as_paho(fixture, QUIET_MS), 0);
    write_text(fixture->broker, "publish");
    assert_reads_nothing(fixture->paho);
    assert_int_equal(wait_as_paho(fixture, UNIT_WAIT_MS), 1);
    assert_int_equal(wait_as_paho(fixture, UNIT_WAIT_MS), 1); /* it is still there */
    assert_reads(fixture->paho, "publish");
    assert_int_equal(wait_as_paho(fixture, 0), 0);
}

static void what_paho_tells_of_leaves_at_once(void **state)
{
    struct fixture *fixture = *state;

    open_carried_link(fixture);
    write_as_paho(fixture, "ack");
    assert_true(readable_within(fixture->broker, 0));
    assert_reads(fixture->broker, "ack");
}

/* Bytes wait for the commit of the messages before them, not for one that arrived later. */
static void what_paho_tells_of_waits_for_its_own_commit(void **state)
{
    struct fixture *fixture = *state;

    open_carried_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    write_as_paho(fixture, "one");
    atomic_store(&fixture->watermark.taken, 2);
    write_as_paho(fixture, "two");
    assert_int_equal(held_bytes(fixture), 6);
    assert_reads_nothing(fixture->broker);
    make_durable(fixture, 1);
    assert_reads(fixture->broker, "one");
    assert_reads_nothing(fixture->broker);
    make_durable(fixture, 2);
    assert_reads(fixture->broker, "two");
}

/* OpenSSL writes without Paho's knowledge when the broker changes the keys. */
static void what_nobody_tells_of_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct busy busy;

    open_carried_link(fixture);
    keep_busy(&busy, fixture);
    write_text(fixture->paho, "key update");
    assert_reads_nothing(fixture->broker);
    let_rest(&busy);
    assert_reads(fixture->broker, "key update");
}

/* The kernel delivers the bytes only after Paho has announced them. */
static void what_comes_after_it_was_told_of_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct busy busy;

    open_carried_link(fixture);
    keep_busy(&busy, fixture);
    gate_written(fixture->gate);
    write_text(fixture->paho, "ack");
    assert_reads(fixture->broker, "ack");
    let_rest(&busy);
}

/* Bytes that were not read when they were written, because a message was pending. */
static void what_was_written_before_paho_relays_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct busy busy;

    open_link(fixture);
    gate_set_lockstep(fixture->gate, true);
    gate_before_message(fixture->gate, 0, write_nothing);
    atomic_store(&fixture->watermark.taken, 1);
    let_it_come_round(fixture);
    keep_busy(&busy, fixture);
    write_text(fixture->paho, "ack");
    assert_int_equal(wait_as_paho(fixture, 0), 0);
    make_durable(fixture, 1);
    assert_reads(fixture->broker, "ack");
    let_rest(&busy);
}

/* Paho does not announce the bytes of a handshake, and its thread may wait for another connection.
 */
static void before_its_first_message_a_link_stays_with_the_gate(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    gate_set_lockstep(fixture->gate, true);
    gate_before_message(fixture->gate, 1, write_nothing); /* another session's */
    assert_int_equal(wait_as_paho(fixture, 0), 0);
    assert_gate_relays(fixture);
}

static void before_paho_waits_a_link_stays_with_the_gate(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    gate_set_lockstep(fixture->gate, true);
    gate_before_message(fixture->gate, 0, write_nothing);
    assert_gate_relays(fixture);
}

static void a_new_link_stays_with_the_gate(void **state)
{
    struct fixture *fixture = *state;

    open_carried_link(fixture);
    close(fixture->paho);
    close(fixture->broker);
    open_link(fixture);
    assert_int_equal(wait_as_paho(fixture, 0), 0);
    assert_gate_relays(fixture);
}

static void out_of_lockstep_the_gate_takes_over(void **state)
{
    struct fixture *fixture = *state;

    open_carried_link(fixture);
    gate_set_lockstep(fixture->gate, false);
    assert_int_equal(wait_as_paho(fixture, 0), 0);
    assert_gate_relays(fixture);
    gate_set_lockstep(fixture->gate, true); /* Paho's thread has not noticed yet */
    assert_gate_relays(fixture);
}

static void with_too_much_to_wait_for_the_gate_takes_over(void **state)
{
    struct fixture *fixture = *state;
    struct pollfd fds[64];

    for (size_t i = 0; i < 64; i++) {
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    }
    fds[63].fd = fixture->paho;
    open_carried_link(fixture);
    assert_int_equal(gate_poll(fixture->gate, fds, 64, 0), 0);
    assert_gate_relays(fixture);
}

static void a_paho_that_closes_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct busy busy;

    open_carried_link(fixture);
    keep_busy(&busy, fixture);
    write_as_paho(fixture, "disconnect");
    write_text(fixture->paho, "close notify");
    close(fixture->paho);
    fixture->paho = -1;
    assert_reads(fixture->broker, "disconnectclose notify");
    assert_reads_end(fixture->broker);
    let_rest(&busy);
}

static void a_broker_that_closes_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct gate_link_status status;

    open_carried_link(fixture);
    close(fixture->broker);
    fixture->broker = -1;
    assert_int_equal(wait_as_paho(fixture, UNIT_WAIT_MS), 1);
    assert_reads_end(fixture->paho);
    gate_link_status(fixture->gate, 0, &status);
    assert_string_equal(status.ending.reason, "the broker closed the connection");
}

static void a_severed_link_stays_silent(void **state)
{
    struct fixture *fixture = *state;

    open_carried_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    write_as_paho(fixture, "ack");
    gate_sever(fixture->gate, 0, "the disk is full");
    make_durable(fixture, 1);
    assert_int_equal(wait_as_paho(fixture, UNIT_WAIT_MS), 1); /* the end */
    assert_reads_end(fixture->broker);
}

static void a_quiesced_gate_reads_nothing_from_the_broker(void **state)
{
    struct fixture *fixture = *state;

    open_carried_link(fixture);
    gate_quiesce(fixture->gate);
    write_text(fixture->broker, "publish");
    assert_int_equal(wait_as_paho(fixture, QUIET_MS), 0);
    assert_reads_nothing(fixture->paho);
    write_as_paho(fixture, "ack");
    assert_reads(fixture->broker, "ack");
}

struct waiting {
    const struct fixture *fixture;
    _Atomic pid_t id;
    int ready;
};

static void *wait_beside(void *argument)
{
    struct waiting *waiting = argument;

    atomic_store(&waiting->id, gettid());
    waiting->ready = wait_as_paho(waiting->fixture, UNIT_WAIT_MS);
    return NULL;
}

/* Returns true when the thread sleeps in ppoll(). */
static bool is_waiting(void *context)
{
    const struct waiting *waiting = context;
    char path[64];
    char text[64] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)atomic_load(&waiting->id));
    file = fopen(path, "r");
    if (file != NULL) {
        assert_non_null(fgets(text, sizeof(text), file));
        fclose(file);
    }
    return atoi(text) == SYS_ppoll;
}

static void wait_in_thread(struct waiting *waiting, pthread_t *thread)
{
    assert_int_equal(pthread_create(thread, NULL, wait_beside, waiting), 0);
    unit_wait(is_waiting, waiting, "a thread to wait");
}

/* The thread polls the broker's socket already when the gate is quiesced. */
static void a_gate_that_is_quiesced_meanwhile_reads_nothing_either(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting = {.fixture = fixture};
    pthread_t thread;

    open_carried_link(fixture);
    wait_in_thread(&waiting, &thread);
    gate_quiesce(fixture->gate);
    write_text(fixture->broker, "publish");
    assert_reads_nothing(fixture->paho);
    gate_sever(fixture->gate, 0, "that is enough");
    pthread_join(thread, NULL);
    assert_int_equal(waiting.ready, 1);
}

/* When the gate's thread relays the bytes, Paho's wait reports them too; else Paho would sleep on.
 */
static void what_somebody_else_passes_on_ends_the_wait(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting = {.fixture = fixture};
    pthread_t thread;

    open_carried_link(fixture);
    wait_in_thread(&waiting, &thread);
    gate_set_lockstep(fixture->gate, false);
    write_text(fixture->broker, "publish");
    pthread_join(thread, NULL);
    assert_int_equal(waiting.ready, 1);
    assert_reads(fixture->paho, "publish");
}

/* --- more than there is room for ------------------------------------------------------------- */

/* Returns byte i of the stream. */
static char byte_at(size_t i)
{
    return (char)(i * 7 + i / 251);
}

static void write_much(int fd)
{
    static char bytes[MUCH];

    for (size_t i = 0; i < MUCH; i++) {
        bytes[i] = byte_at(i);
    }
    for (size_t done = 0; done < MUCH;) {
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        ssize_t n;

        assert_int_equal(poll(&writable, 1, UNIT_WAIT_MS), 1);
        n = send(fd, bytes + done, MUCH - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(n > 0);
        done += (size_t)n;
    }
}

/* Reads and checks more bytes of the stream, of which `done` were read before; returns the new
 * total.
 */
static size_t read_some(int fd, size_t done)
{
    char bytes[BUFFER_BYTES];
    ssize_t n = read(fd, bytes, sizeof(bytes));

    assert_true(n > 0);
    for (size_t i = 0; i < (size_t)n; i++) {
        assert_int_equal(bytes[i], byte_at(done + i));
    }
    return done + (size_t)n;
}

static void *write_much_as_broker(void *argument)
{
    write_much(((const struct fixture *)argument)->broker);
    return NULL;
}

static void *read_much_as_broker(void *argument)
{
    const struct fixture *fixture = argument;

    for (size_t done = 0; done < MUCH;) {
        assert_true(readable_within(fixture->broker, UNIT_WAIT_MS));
        done = read_some(fixture->broker, done);
    }
    return NULL;
}

static void much_comes_while_paho_waits(void **state)
{
    struct fixture *fixture = *state;
    pthread_t broker;

    open_carried_link(fixture);
    assert_int_equal(pthread_create(&broker, NULL, write_much_as_broker, fixture), 0);
    for (size_t done = 0; done < MUCH;) {
        while (wait_as_paho(fixture, UNIT_WAIT_MS) == 0) {
        }
        done = read_some(fixture->paho, done);
    }
    pthread_join(broker, NULL);
}

/* After one announcement of more bytes than the gate can hold, it reads the rest when there is
 * room.
 */
static void much_that_paho_tells_of_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct busy busy;
    pthread_t broker;

    open_carried_link(fixture);
    keep_busy(&busy, fixture);
    write_much(fixture->paho);
    gate_written(fixture->gate);
    assert_int_equal(pthread_create(&broker, NULL, read_much_as_broker, fixture), 0);
    pthread_join(broker, NULL);
    let_rest(&busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(in_lockstep_what_was_written_before_a_message_leaves),
        GATE_TEST(in_lockstep_it_reads_when_the_commit_begins),
        GATE_TEST(out_of_lockstep_it_reads_at_once),
        GATE_TEST(in_lockstep_a_severed_link_stays_silent),
        GATE_TEST(what_the_broker_sends_comes_while_paho_waits),
        GATE_TEST(what_paho_tells_of_leaves_at_once),
        GATE_TEST(what_paho_tells_of_waits_for_its_own_commit),
        GATE_TEST(what_nobody_tells_of_is_found),
        GATE_TEST(what_comes_after_it_was_told_of_leaves),
        GATE_TEST(what_was_written_before_paho_relays_is_found),
        GATE_TEST(before_its_first_message_a_link_stays_with_the_gate),
        GATE_TEST(before_paho_waits_a_link_stays_with_the_gate),
        GATE_TEST(a_new_link_stays_with_the_gate),
        GATE_TEST(out_of_lockstep_the_gate_takes_over),
        GATE_TEST(with_too_much_to_wait_for_the_gate_takes_over),
        GATE_TEST(a_paho_that_closes_is_noticed),
        GATE_TEST(a_broker_that_closes_is_noticed),
        GATE_TEST(a_severed_link_stays_silent),
        GATE_TEST(a_quiesced_gate_reads_nothing_from_the_broker),
        GATE_TEST(a_gate_that_is_quiesced_meanwhile_reads_nothing_either),
        GATE_TEST(what_somebody_else_passes_on_ends_the_wait),
        GATE_TEST(much_comes_while_paho_waits),
        GATE_TEST(much_that_paho_tells_of_leaves),
    };

    return cmocka_run_group_tests_name("gate_lockstep", tests, NULL, NULL);
}
