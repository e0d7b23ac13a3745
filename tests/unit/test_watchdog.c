/*
 * The watchdog: whose standing still it takes for a hang, and what systemd hears then. The socket
 * of systemd is the test's own.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"
#include "status/status.h"

#define PERIOD_MS 800
#define LIMIT_MS  (PERIOD_MS / 2)

/* --- a pulse seen from outside ------------------------------------------------------------- */

/* A thread's actions before pulse_view_alive() at `now_ms`, and the result expected (limit: 100
 * ms). */
struct look {
    int64_t now_ms;
    enum { NOTHING, BEAT, BEGIN, END } does;
    bool alive;
    int64_t waiting_ms;
};

static void check_looks(const struct look looks[], size_t count)
{
    struct pulse pulse = {0};
    struct pulse_view view;

    pulse_attach(&pulse);
    pulse_view_begin(&view, &pulse, 1000);
    for (size_t i = 0; i < count; i++) {
        switch (looks[i].does) {
        case BEAT:
            pulse_beat();
            break;
        case BEGIN:
            pulse_wait_begin();
            break;
        case END:
            pulse_wait_end();
            break;
        default:
            break;
        }
        assert_int_equal(pulse_view_alive(&view, looks[i].now_ms, 100), looks[i].alive);
        assert_int_equal(pulse_view_waiting_ms(&view), looks[i].waiting_ms);
    }
    pulse_attach(NULL);
}

static void test_a_thread_that_stands_still_hangs_after_the_limit(void **state)
{
    static const struct look looks[] = {
        {1000, NOTHING, true, 0},  {1099, NOTHING, true, 0}, {1100, NOTHING, false, 0},
        {1500, NOTHING, false, 0}, {1510, BEAT, true, 0},    {1609, NOTHING, true, 0},
        {1610, NOTHING, false, 0},
    };

    (void)state;
    check_looks(looks, sizeof(looks) / sizeof(looks[0]));
}

static void test_a_thread_that_waits_for_the_disk_does_not_hang(void **state)
{
    static const struct look looks[] = {
        {1050, BEGIN, true, 50},    {1200, NOTHING, true, 200}, {601000, NOTHING, true, 600000},
        {601001, END, true, 0},     {601100, NOTHING, true, 0}, {601101, NOTHING, false, 0},
        {601102, BEGIN, true, 101},
    };

    (void)state;
    check_looks(looks, sizeof(looks) / sizeof(looks[0]));
}

/* A wait inside a wait ends with the outer one. */
static void test_waits_nest(void **state)
{
    static const struct look looks[] = {
        {1000, BEGIN, true, 0}, {1000, BEGIN, true, 0},    {1050, END, true, 0},
        {1500, END, true, 0},   {1600, NOTHING, false, 0},
    };

    (void)state;
    check_looks(looks, sizeof(looks) / sizeof(looks[0]));
}

static void test_a_thread_without_a_pulse_has_nothing_to_say(void **state)
{
    (void)state;
    pulse_attach(NULL);
    pulse_beat();
    pulse_wait_begin();
    pulse_wait_end();
}

/* --- what systemd hears -------------------------------------------------------------------- */

struct fixture {
    int fd;
    struct watchdog *watchdog;
    struct pulse pulse; /* of the worker */
    pthread_t worker;
    atomic_bool worker_ends;
    atomic_int worker_does;
};

static void rest_ms(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

/* Beats, or not, as the test says. */
static void *work(void *argument)
{
    struct fixture *fixture = argument;
    int waits = 0;

    pulse_attach(&fixture->pulse);
    while (!fixture->worker_ends) {
        int does = fixture->worker_does;

        if (does == BEAT) {
            pulse_beat();
        } else if (does == BEGIN && waits == 0) {
            waits = 1;
            pulse_wait_begin();
        } else if (does == END && waits == 1) {
            waits = 0;
            pulse_wait_end();
        }
        rest_ms(5);
    }
    return NULL;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[sizeof(address.sun_path)];
    char period[32];
    int length = snprintf(name, sizeof(name), "@foxtrackr-test-watchdog-%ld", (long)getpid());

    assert_non_null(fixture);
    memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture->fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
                     0);
    snprintf(period, sizeof(period), "%d", PERIOD_MS * 1000);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", period, 1);
    log_set_level(-1); /* what it says about a hang is not for the screen */
    fixture->worker_does = BEAT;
    assert_int_equal(watchdog_new(&fixture->watchdog), 0);
    assert_int_equal(pthread_create(&fixture->worker, NULL, work, fixture), 0);
    watchdog_observe(fixture->watchdog, &fixture->pulse, "worker");
    watchdog_running(fixture->watchdog);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    watchdog_stopping(fixture->watchdog);
    watchdog_free(fixture->watchdog);
    fixture->worker_ends = true;
    pthread_join(fixture->worker, NULL);
    close(fixture->fd);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    free(fixture);
    return 0;
}

/* Signs of life within that time, while this thread, main's, goes on. */
static int signs_of_life(struct fixture *fixture, int64_t ms)
{
    int64_t end_ms = clock_monotonic_ms() + ms;
    int count = 0;

    while (clock_monotonic_ms() < end_ms) {
        char text[256];
        ssize_t got = recv(fixture->fd, text, sizeof(text) - 1, 0);

        if (got > 0) {
            text[got] = '\0';
            count += strcmp(text, "WATCHDOG=1") == 0;
        }
        pulse_beat();
        rest_ms(5);
    }
    return count;
}

/* Wait until there has been no sign of life for a whole period, which is when systemd acts. */
static bool goes_silent(struct fixture *fixture)
{
    for (int i = 0; i < 10; i++) {
        if (signs_of_life(fixture, PERIOD_MS) == 0) {
            return true;
        }
    }
    return false;
}

static void test_signs_of_life_come_while_all_go_on(void **state)
{
    assert_true(signs_of_life(*state, 2 * PERIOD_MS) >= 2);
}

static void test_a_thread_that_hangs_ends_them_and_may_come_back(void **state)
{
    struct fixture *fixture = *state;

    fixture->worker_does = NOTHING;
    assert_true(goes_silent(fixture));
    fixture->worker_does = BEAT;
    assert_true(signs_of_life(fixture, 2 * PERIOD_MS) >= 2);
}

static void test_main_that_hangs_ends_them(void **state)
{
    struct fixture *fixture = *state;
    char text[256];

    /* Not a wait for something to happen: it is main's standing still itself. */
    rest_ms(LIMIT_MS + PERIOD_MS);
    while (recv(fixture->fd, text, sizeof(text), 0) > 0) {
    }
    rest_ms(PERIOD_MS);
    assert_int_equal(recv(fixture->fd, text, sizeof(text), 0), -1);
}

static void test_a_slow_disk_does_not_end_them(void **state)
{
    struct fixture *fixture = *state;

    fixture->worker_does = BEGIN;
    assert_true(signs_of_life(fixture, 4 * PERIOD_MS) >= 4);
    assert_true(watchdog_disk_wait_ms(fixture->watchdog) >= 2 * PERIOD_MS);
    fixture->worker_does = END;
    assert_true(goes_silent(fixture));
    assert_int_equal(watchdog_disk_wait_ms(fixture->watchdog), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thread_that_stands_still_hangs_after_the_limit),
        cmocka_unit_test(test_a_thread_that_waits_for_the_disk_does_not_hang),
        cmocka_unit_test(test_waits_nest),
        cmocka_unit_test(test_a_thread_without_a_pulse_has_nothing_to_say),
        cmocka_unit_test_setup_teardown(test_signs_of_life_come_while_all_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_thread_that_hangs_ends_them_and_may_come_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_main_that_hangs_ends_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_slow_disk_does_not_end_them, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
