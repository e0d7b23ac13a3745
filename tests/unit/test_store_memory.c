/* Goal: the memory of the page cache is allocated at the start and suffices. */
#include "store/store.h"
#include "store_fixture.h"

static int status_of(int operation)
{
    int now = -1;
    int most;

    assert_int_equal(sqlite3_status(operation, &now, &most, 0), SQLITE_OK);
    return now;
}

static int reserve(void **state)
{
    (void)state;
    return store_reserve_memory() ? 0 : -1;
}

/* 24 MB, more than the cache holds: it is full, and no page had to come from the heap. */
static void a_full_cache_needs_no_more(void **state)
{
    struct fixture *fixture = *state;
    const int slots = STORE_CACHE_KIB * 1024 / 4096;

    assert_int_equal(
        sqlite3_exec(
            fixture->store->db,
            "WITH RECURSIVE number(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM number"
            " WHERE n < 600) INSERT INTO quarantine(digest, topic, payload, reason, detail,"
            " first_received_ms, last_received_ms, occurrences)"
            " SELECT randomblob(32), 't', zeroblob(40000), 'json', '', 1, 1, 1 FROM number",
            NULL, NULL, NULL),
        SQLITE_OK);
    assert_in_range(status_of(SQLITE_STATUS_PAGECACHE_USED), slots * 9 / 10, slots);
    assert_int_equal(status_of(SQLITE_STATUS_PAGECACHE_OVERFLOW), 0);
}

static void a_second_time_it_is_refused(void **state)
{
    (void)state;
    assert_false(store_reserve_memory());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_cache_needs_no_more, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test(a_second_time_it_is_refused),
    };

    return cmocka_run_group_tests_name("store_memory", tests, reserve, NULL);
}
