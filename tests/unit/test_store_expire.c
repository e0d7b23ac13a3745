/* Goal: retention deletes the old rows and no others, and a chunk ends within its limits. */
#include "store_fixture.h"

#define DEVICES 3
#define TIMES   10

/* A clock that advances by `tick_us` each time it is read. */
static int64_t tick_us;
static int64_t time_us;

static int64_t looked_at(void)
{
    time_us += tick_us;
    return time_us;
}

static struct store_chunk chunk_of(int64_t budget_us, int limit_pages)
{
    return (struct store_chunk){.budget_us = budget_us,
                                .limit_pages = limit_pages,
                                .now_ms = NOW_MS,
                                .clock_us = looked_at};
}

static struct store_expiry pass_of(int64_t cutoff_ms, int64_t quarantine_cutoff_ms)
{
    return (struct store_expiry){
        .cutoff_ms = {cutoff_ms, cutoff_ms, cutoff_ms, quarantine_cutoff_ms},
        .keep_free_percent = 25};
}

/* Stores rows with the times 1 to TIMES for every device in three tables, and as many in
 * quarantine.
 */
static void fill(struct fixture *fixture)
{
    struct store_packet body = packet("{}");
    struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "no"};
    enum store_outcome outcome;

    begin(fixture);
    for (int64_t time_ms = 1; time_ms <= TIMES; time_ms++) {
        char payload[32];
        struct store_packet bad;

        for (int device = 0; device < DEVICES; device++) {
            static const char *const names[DEVICES] = {"a", "b", "c"};
            struct foxtrackr_message message = battery(names[device], time_ms, 3.7);

            message.has_temperature = true;
            put(fixture, &message);
            message.has_battery = message.has_temperature = false;
            message.has_other = true;
            assert_int_equal(store_message(fixture->store, &message, &body, &outcome), STORE_OK);
        }
        snprintf(payload, sizeof(payload), "bad %d", (int)time_ms);
        bad = packet(payload);
        bad.received_ms = time_ms;
        assert_int_equal(store_quarantine(fixture->store, &problem, &bad), STORE_OK);
    }
    commit(fixture);
}

static const char counts[] =
    "SELECT json_array((SELECT count(*) FROM battery), (SELECT count(*) FROM temperature),"
    " (SELECT count(*) FROM messages), (SELECT count(*) FROM quarantine),"
    " (SELECT count(*) FROM devices))";

static void test_old_rows_go_and_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct store_chunk chunk = chunk_of(1000000, 1000);
    struct store_expiry pass = pass_of(6, STORE_KEEP);
    struct store_summary summary;
    struct store_expired out;

    fill(fixture);
    assert_int_equal(store_summary(fixture->store, &summary), STORE_OK);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_true(out.done);
    assert_int_equal(out.rows[STORE_BATTERY], 15);
    assert_int_equal(out.rows[STORE_TEMPERATURE], 15);
    assert_int_equal(out.rows[STORE_MESSAGES], 15);
    assert_int_equal(out.rows[STORE_QUARANTINE], 0);
    assert_look(fixture, counts, "[15,15,15,10,3]"); /* devices stay, and so does quarantine */
    assert_look(fixture,
                "SELECT json_array((SELECT min(time_ms) FROM battery), (SELECT min(time_ms) FROM"
                " temperature), (SELECT min(time_ms) FROM messages))",
                "[6,6,6]");

    /* Another pass: the counts of a run add up. */
    pass = pass_of(8, 4);
    chunk.now_ms = NOW_MS + 1;
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_look(fixture, counts, "[9,9,9,7,3]");
    assert_int_equal(store_quarantine_entries(fixture->store), 7);
    assert_look(fixture,
                "SELECT json_group_array(json_array(run, table_name, row_count, before_ms,"
                " last_ms - 1700000000000)) FROM (SELECT * FROM expired ORDER BY table_name)",
                "[[1,\"battery\",21,8,1],[1,\"messages\",21,8,1],[1,\"quarantine\",3,4,1],"
                "[1,\"temperature\",21,8,1]]");
}

/* A table without a cutoff is not touched, whatever the others have. */
static void test_each_table_has_its_own_cutoff(void **state)
{
    struct fixture *fixture = *state;
    const struct store_chunk chunk = chunk_of(1000000, 1000);
    struct store_expiry pass = {.cutoff_ms = {STORE_KEEP, 3, STORE_KEEP, 11},
                                .keep_free_percent = 25};
    struct store_expired out;

    fill(fixture);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_true(out.done);
    assert_look(fixture, counts, "[30,24,30,0,3]");
}

/* The clock of this test stands for a slow disk: each reading of it takes a tick. */
static void test_a_chunk_stops_when_its_time_is_used_up(void **state)
{
    struct fixture *fixture = *state;
    const struct store_chunk chunk = chunk_of(5, 1000);
    struct store_expiry pass = pass_of(6, STORE_KEEP);
    struct store_expired out;
    uint64_t rows = 0;
    int chunks = 0;

    fill(fixture);
    tick_us = 6; /* every step takes longer than the whole budget */
    do {
        assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
        assert_true(out.rows[0] + out.rows[1] + out.rows[2] <= 5); /* one device of one table */
        assert_false(out.reached_limit);
        rows += out.rows[0] + out.rows[1] + out.rows[2];
        chunks++;
        assert_true(chunks < 100);
    } while (!out.done);
    assert_int_equal(rows, 45);
    assert_true(chunks >= 9);
    assert_look(fixture, counts, "[15,15,15,10,3]");

    tick_us = 2; /* two steps fit */
    pass = pass_of(7, STORE_KEEP);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_int_equal(out.rows[0], 3);
    assert_int_equal(pass.device, 3);
    pass = pass_of(8, STORE_KEEP);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_true(out.rows[0] > 0 && out.rows[1] == 0 && !out.done);
}

static void test_a_chunk_stops_when_enough_pages_have_changed(void **state)
{
    struct fixture *fixture = *state;
    const struct store_chunk chunk = chunk_of(1000000, 2);
    struct store_expiry pass = pass_of(6, STORE_KEEP);
    struct store_expired out;

    fill(fixture);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_int_equal(out.rows[STORE_BATTERY], 10); /* a page of each of two devices */
    assert_true(out.reached_limit);
    assert_false(out.done);
    assert_int_equal(pass.device, 2); /* the next goes on behind it */
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_int_equal(out.rows[STORE_BATTERY], 5);
    assert_int_equal(out.rows[STORE_TEMPERATURE], 5);
}

static void test_without_anything_old_nothing_is_written(void **state)
{
    struct fixture *fixture = *state;
    const struct store_chunk chunk = chunk_of(1000000, 1000);
    struct store_expiry pass = pass_of(1, 1);
    struct store_expired out;
    int pages;

    fill(fixture);
    pages = fixture->store->wal_pages;
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_true(out.done);
    assert_int_equal(fixture->store->wal_pages, pages);
    assert_look(fixture, "SELECT count(*) FROM expired", "0");
}

/* While another program writes, a chunk does not wait, and the pass later goes on where it was. */
static void test_a_locked_database_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    const struct store_chunk chunk = chunk_of(1000000, 1000);
    struct store_expiry pass = pass_of(6, STORE_KEEP);
    struct store_expired out;
    sqlite3 *other;

    fill(fixture);
    fixture->store->busy_timeout_ms = 60000;
    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_E_RETRY);
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    assert_int_equal(pass.table, 0);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_look(fixture, counts, "[15,15,15,10,3]");
}

static void test_space_is_given_back(void **state)
{
    struct fixture *fixture = *state;
    const struct store_chunk chunk = chunk_of(1000000, 100);
    struct store_expiry pass = pass_of(19990, STORE_KEEP);
    struct store_expired out;
    uint64_t freed = 0;
    int64_t before;
    int64_t after;
    int64_t wal;
    int chunks = 0;

    begin(fixture);
    for (int64_t time_ms = 1; time_ms <= 20000; time_ms++) {
        struct foxtrackr_message message = battery("a", time_ms, 3.7);

        message.battery_extra = "{\"a\":\"some more bytes, so that there are pages to free\"}";
        put(fixture, &message);
    }
    commit(fixture);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    store_sizes(fixture->store, &before, &wal);
    assert_true(wal > 0);
    do {
        assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
        assert_true(out.pages_freed <= 25 + 1); /* of the limit, four a page */
        freed += out.pages_freed;
        chunks++;
    } while (!out.done);
    assert_true(chunks > 5);
    assert_true(freed > 100);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    store_sizes(fixture->store, &after, &wal);
    assert_int_equal(wal, 0);
    assert_true(after < before / 2);
    assert_look(fixture, "SELECT count(*) FROM battery", "11");
    assert_look(fixture, "PRAGMA integrity_check", "ok");
    /* A quarter may stay free for what comes; with less space none does. */
    assert_look(fixture,
                "SELECT freelist_count > 0 AND freelist_count <= page_count / 4"
                " FROM pragma_freelist_count, pragma_page_count",
                "1");
    pass = pass_of(STORE_KEEP, STORE_KEEP);
    pass.keep_free_percent = 0;
    do {
        assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    } while (!out.done);
    assert_look(fixture, "PRAGMA freelist_count", "0");
    assert_look(fixture, "PRAGMA integrity_check", "ok");
}

static int reset_clock(void **state)
{
    tick_us = time_us = 0;
    return fixture_make_open(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, reset_clock, fixture_remove)

/* Long rows take long to delete: the clock is read after a few of them. */
static void test_long_messages_go_few_at_a_time(void **state)
{
    static char body[256 * 1024 + 1];
    struct fixture *fixture = *state;
    struct store_chunk chunk = chunk_of(1, 1000);
    struct store_expiry pass = {.cutoff_ms = {STORE_KEEP, STORE_KEEP, 100, STORE_KEEP},
                                .keep_free_percent = 25};
    struct store_expired out;
    enum store_outcome outcome;
    uint64_t gone = 0;

    memset(body, 'x', sizeof(body) - 1);
    begin(fixture);
    for (int64_t time_ms = 1; time_ms <= TIMES; time_ms++) {
        struct foxtrackr_message message = battery("a", time_ms, 3.7);
        struct store_packet whole = packet(body);

        message.has_battery = false;
        message.has_other = true;
        assert_int_equal(store_message(fixture->store, &message, &whole, &outcome), STORE_OK);
    }
    commit(fixture);

    tick_us = 1;
    for (int chunks = 0; chunks < 4 * TIMES && gone < TIMES; chunks++) {
        assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
        gone += out.rows[STORE_MESSAGES];
        if (out.rows[STORE_MESSAGES] > 4) {
            fail_msg("%d rows went before it looked at the clock", (int)out.rows[STORE_MESSAGES]);
        }
    }
    assert_int_equal(gone, TIMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_old_rows_go_and_are_counted),
        test(test_each_table_has_its_own_cutoff),
        test(test_a_chunk_stops_when_its_time_is_used_up),
        test(test_a_chunk_stops_when_enough_pages_have_changed),
        test(test_without_anything_old_nothing_is_written),
        test(test_a_locked_database_is_not_waited_for),
        test(test_space_is_given_back),
        test(test_long_messages_go_few_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
