/* The race of a host's addresses, on loopback: those that answer, refuse, or do not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_broker.h"
#include "net/net.h"

#define HEAD_START_MS 500   /* longer than a busy machine keeps a thread waiting */
#define LONG_MS       60000 /* longer than a test may take */

struct fixture {
    struct dial_list list;
    struct dial_race race;
    char told[256]; /* "1:EINPROGRESS 1:ECONNREFUSED " */
};

static void tell(void *context, size_t index, int error, const char *problem)
{
    struct fixture *fixture = context;

    snprintf(fixture->told + strlen(fixture->told), sizeof(fixture->told) - strlen(fixture->told),
             "%zu:%s ", index, strerrorname_np(error));
    assert_int_equal(problem[0] == '\0', error == EINPROGRESS);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char problem[DIAL_PROBLEM_SIZE];
    int port = fake_broker_open();

    assert_non_null(fixture);
    fake_broker_resolve(FAKE_BROKER_ADDRESSES);
    assert_int_equal(
        dial_resolve(DIAL_BROKER, FAKE_BROKER_HOST, port, NULL, &fixture->list, problem), 0);
    fixture->race = (struct dial_race){.list = &fixture->list,
                                       .head_start_ms = HEAD_START_MS,
                                       .timeout_ms = LONG_MS,
                                       .stop_fd = -1,
                                       .tell = tell,
                                       .context = fixture};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fake_broker_close();
    free(*state);
    return 0;
}

/* Runs the race and asserts its winner, and what was told. */
static void assert_race(struct fixture *fixture, int winner, const char *told)
{
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);
    int fd = -1;

    fixture->told[0] = '\0';
    assert_int_equal(dial_race(&fixture->race, &fd), winner);
    assert_string_equal(fixture->told, told);
    if (winner < 0) {
        assert_int_equal(fd, -1);
        return;
    }
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &length), 0);
    assert_int_equal(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK + (unsigned)winner);
    assert_false(fixture->race.is_over[winner]);
    close(fd);
}

static void the_first_that_answers_is_alone(void **state)
{
    struct fixture *fixture = *state;
    int address = -1;
    int fd;

    fixture->race.head_start_ms = LONG_MS;
    assert_race(fixture, 0, "");
    fd = fake_broker_accept(&address);
    assert_int_equal(address, 0);
    close(fd);
    assert_int_equal(fake_broker_accept(&address), -1);
}

static void after_a_refusal_the_next_starts_at_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->race.head_start_ms = LONG_MS;
    fake_broker_refuse(0);
    fake_broker_refuse(1);
    assert_race(fixture, 2, "0:ECONNREFUSED 1:ECONNREFUSED ");
    assert_true(fixture->race.is_over[0] && fixture->race.is_over[1]);
}

/* The address that was overtaken is not over: the caller may try it when the winner fails later. */
static void an_address_without_an_answer_is_overtaken(void **state)
{
    struct fixture *fixture = *state;
    int64_t begun_ms = clock_monotonic_ms();

    fake_broker_hang(0);
    assert_race(fixture, 1, "0:EINPROGRESS ");
    assert_true(clock_monotonic_ms() - begun_ms >= HEAD_START_MS);
    assert_false(fixture->race.is_over[0]);
    fixture->race.is_over[1] = true;
    fake_broker_refuse(2);
    fixture->race.timeout_ms = 3 * HEAD_START_MS;
    assert_race(fixture, DIAL_RACE_LOST, "0:EINPROGRESS 2:ECONNREFUSED 0:ETIMEDOUT ");
}

static void all_of_them_are_over(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < FAKE_BROKER_ADDRESSES; i++) {
        fake_broker_refuse(i);
    }
    assert_race(fixture, DIAL_RACE_LOST, "0:ECONNREFUSED 1:ECONNREFUSED 2:ECONNREFUSED ");
    assert_race(fixture, DIAL_RACE_LOST, "");
}

static void the_time_of_each_is_limited(void **state)
{
    struct fixture *fixture = *state;

    fake_broker_hang(0);
    fixture->race.head_start_ms = LONG_MS;
    fixture->race.timeout_ms = HEAD_START_MS;
    assert_race(fixture, 1, "0:ETIMEDOUT ");
}

static void a_stop_ends_the_race(void **state)
{
    struct fixture *fixture = *state;

    fake_broker_hang(0);
    fixture->race.head_start_ms = LONG_MS;
    fixture->race.stop_fd = eventfd(1, EFD_CLOEXEC);
    assert_race(fixture, DIAL_RACE_STOPPED, "");
    close(fixture->race.stop_fd);
}

/* poll() fails where it is given more places than a process may have descriptors. */
static void few_descriptors_are_enough(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before;
    struct rlimit tight;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){.rlim_cur = DIAL_ADDRESSES_MAX, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    fake_broker_refuse(0);
    fixture->race.timeout_ms = HEAD_START_MS;
    assert_race(fixture, 1, "0:ECONNREFUSED ");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

#define RACE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RACE_TEST(the_first_that_answers_is_alone),
        RACE_TEST(after_a_refusal_the_next_starts_at_once),
        RACE_TEST(an_address_without_an_answer_is_overtaken),
        RACE_TEST(all_of_them_are_over),
        RACE_TEST(the_time_of_each_is_limited),
        RACE_TEST(a_stop_ends_the_race),
        RACE_TEST(few_descriptors_are_enough),
    };

    return cmocka_run_group_tests_name("the race of addresses", tests, NULL, NULL);
}
