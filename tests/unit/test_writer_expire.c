/* How large the next chunk of retention may be, and when it may be. */
#include "store_fixture.h"

#include <time.h>

#include "writer_expire.h"

/* A disk that takes `us_a_page` and a fixed time for its sync. */
static int64_t disk(int pages, int64_t us_a_page)
{
    return 500 + pages * us_a_page;
}

static void test_the_limit_follows_the_disk(void **state)
{
    static const int64_t us_a_page[] = {5, 20, 100, 1000};
    int limit = 32;

    (void)state;
    for (size_t i = 0; i < sizeof(us_a_page) / sizeof(us_a_page[0]); i++) {
        int64_t longest_us = 0;

        for (int chunk = 0; chunk < 30; chunk++) {
            int64_t took_us = disk(limit, us_a_page[i]);

            limit = writer_expire_adapt(limit, true, took_us);
            if (chunk >= 10) { /* it has learned */
                longest_us = took_us > longest_us ? took_us : longest_us;
            }
        }
        assert_true(longest_us <= 12000);
    }
    assert_true(limit >= 4); /* something is always done */
    limit = writer_expire_adapt(4, true, 1000000);
    assert_int_equal(limit, 4);
    /* What was stopped by the clock says nothing about more pages. */
    assert_int_equal(writer_expire_adapt(64, false, 100), 64);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void test_chunks_rest_and_passes_end(void **state)
{
    struct fixture *fixture = *state;
    struct writer_limits limits = {.retention_days = {1, 0, 0, 0}};
    struct store_expired out;
    struct writer_expire expire;
    int64_t begun_us;

    begin(fixture);
    for (int64_t time_ms = 1; time_ms <= 500; time_ms++) {
        struct foxtrackr_message message = battery("a", time_ms, 3.7);

        put(fixture, &message);
    }
    commit(fixture);
    writer_expire_init(&expire);
    assert_int_equal(writer_expire_wait_ms(&expire, 500), 0); /* the first pass begins at once */
    expire.limit_pages = 1;
    begun_us = now_us();
    assert_int_equal(writer_expire_chunk(&expire, fixture->store, &limits, &out), STORE_OK);
    assert_int_equal(out.rows[STORE_BATTERY], 64);
    assert_false(out.done);
    /* Three times as long as it took, from its end. */
    assert_true(expire.rest_until_us >= begun_us + 4 * expire.longest_us);
    do {
        while (writer_expire_wait_ms(&expire, 1) > 0) {
        }
        assert_int_equal(writer_expire_chunk(&expire, fixture->store, &limits, &out), STORE_OK);
    } while (!out.done);
    assert_look(fixture, "SELECT count(*) FROM battery", "0");
    assert_int_equal(writer_expire_wait_ms(&expire, 500), 500); /* minutes, in fact */
    writer_expire_restart(&expire, true);
    assert_int_equal(writer_expire_wait_ms(&expire, 500), 0);
    limits.retention_days[STORE_BATTERY] = 0;
    assert_int_equal(writer_expire_chunk(&expire, fixture->store, &limits, &out), STORE_OK);
    assert_int_equal(expire.pass.keep_free_percent, 0);
    assert_true(expire.rest_until_us <= now_us()); /* nobody waits for an acknowledgement */
}

/* While no message is taken nobody waits for a long log to move, and no chunk is too long. */
static void test_for_space_a_long_log_moves(void **state)
{
    struct fixture *fixture = *state;
    struct writer_limits limits = {.retention_days = {0}};
    struct store_expired out;
    struct writer_expire expire;

    writer_expire_init(&expire);
    fixture->store->wal_pages = 3000;
    assert_int_equal(writer_expire_chunk(&expire, fixture->store, &limits, &out), STORE_OK);
    assert_true(out.done);
    assert_int_equal(fixture->store->wal_pages, 3000);

    expire.longest_us = 0;
    writer_expire_restart(&expire, true);
    assert_int_equal(writer_expire_chunk(&expire, fixture->store, &limits, &out), STORE_OK);
    assert_int_equal(fixture->store->wal_pages, 0);
    assert_int_equal(expire.longest_us, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_limit_follows_the_disk),
        test(test_chunks_rest_and_passes_end),
        test(test_for_space_a_long_log_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
