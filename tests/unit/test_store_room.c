/*
 * Goal: a WAL that fills the disk can always be moved into the database, so the store goes on as
 * soon as the reader that held the WAL has ended, or another program has made room.
 */
#include "store_fixture.h"

#include "small_disk.h"
#include "store/upkeep.h"

#define MIB           (INT64_C(1) << 20)
#define MUCH          (INT64_C(1) << 40)
#define PAYLOAD_BYTES 200000 /* a batch of 50 pages, by which the database grows */
#define SMALL_BYTES   3000   /* one page */
#define LARGE_BYTES   3000000
#define BATCHES_MOST  100

static int put_payload(struct fixture *fixture, int length)
{
    static char payload[LARGE_BYTES + 1];
    static unsigned number;
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "no"};
    struct store_packet bad;
    int result = store_begin(fixture->store);

    memset(payload, 'x', (size_t)length);
    payload[length] = '\0';
    payload[snprintf(payload, 16, "%u", number++)] = 'x';
    bad = packet(payload);
    if (result == STORE_OK) {
        result = store_quarantine(fixture->store, &problem, &bad);
    }
    return result == STORE_OK ? store_commit(fixture->store) : result;
}

static void put_batch(struct fixture *fixture, int length)
{
    if (put_payload(fixture, length) != STORE_OK)
        fail_msg("%s", store_error(fixture->store));
}

/* Undoes a batch for which there is no space, and the sentence says so. */
static void undo(struct fixture *fixture, int result)
{
    assert_int_equal(result, STORE_E_RETRY);
    assert_non_null(strstr(store_error(fixture->store), "free space on its file system"));
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
}

static void put_in_vain(struct fixture *fixture, int length)
{
    undo(fixture, put_payload(fixture, length));
}

/* Batches until one finds no space; returns how many were stored. */
static int fill_disk(struct fixture *fixture, int length)
{
    for (int batches = 0; batches < BATCHES_MOST; batches++) {
        int result = put_payload(fixture, length);

        if (result != STORE_OK) {
            undo(fixture, result);
            return batches;
        }
    }
    return BATCHES_MOST;
}

/* Returns a connection with an open read transaction: until it is closed, the WAL cannot be
 * moved. */
static sqlite3 *hold_wal(struct fixture *fixture)
{
    sqlite3 *reader;

    put_batch(fixture, SMALL_BYTES);
    assert_int_equal(sqlite3_open(fixture->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM devices", NULL, NULL, NULL),
                     SQLITE_OK);
    return reader;
}

static void assert_stored(struct fixture *fixture, int batches)
{
    char expected[16];

    snprintf(expected, sizeof(expected), "%d", batches);
    assert_look(fixture, "SELECT count(*) FROM quarantine", expected);
    assert_look(fixture, "PRAGMA integrity_check", "ok");
}

/* While a reader holds the WAL, batches fill the disk. When the reader has ended, the WAL moves
 * although no byte was freed. */
static void fill_and_go_on(struct fixture *fixture, int length, int before)
{
    sqlite3 *reader = hold_wal(fixture);
    int batches = fill_disk(fixture, length);

    assert_in_range(batches, 1, BATCHES_MOST - 1);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    put_batch(fixture, length);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    assert_stored(fixture, before + 1 + batches + 1);
}

static void test_a_wal_that_has_filled_the_disk_moves(void **state)
{
    disk.free_bytes = 3 * MIB / 2;
    fill_and_go_on(*state, PAYLOAD_BYTES, 0);
}

/* A checkpoint gives back what was allocated for later batches. */
static void test_small_batches_after_a_checkpoint(void **state)
{
    struct fixture *fixture = *state;

    disk.free_bytes = 3 * MIB / 2;
    put_batch(fixture, PAYLOAD_BYTES);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    disk.free_bytes = MIB / 4;
    fill_and_go_on(fixture, SMALL_BYTES, 1);
}

/* A batch takes some 205,000 bytes of WAL, so the fifth one has the space that the database needs
 * at that moment, but not after it. */
static void test_a_file_system_that_cannot_allocate(void **state)
{
    disk.free_bytes = 4 * (PAYLOAD_BYTES + 205000) + 3 * PAYLOAD_BYTES / 2;
    disk.cannot_allocate = true;
    fill_and_go_on(*state, PAYLOAD_BYTES, 0);
}

/* A quota does not show in the free space: the first time it is exhausted, someone must raise
 * it. */
static void test_a_quota_is_learnt(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader = hold_wal(fixture);
    int batches;

    disk.free_bytes = MIB;
    disk.quota = true;
    batches = 1 + fill_disk(fixture, PAYLOAD_BYTES);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    put_in_vain(fixture, PAYLOAD_BYTES);
    disk.free_bytes += 2 * MIB;
    put_batch(fixture, PAYLOAD_BYTES);
    assert_stored(fixture, batches + 1);

    disk.free_bytes = 3 * MIB / 2;
    fill_and_go_on(fixture, PAYLOAD_BYTES, batches + 1);
}

/* A batch that does not fit leaves its frames in the WAL's file; their space comes back before the
 * next batch, also while a reader holds the WAL. */
static void test_a_failed_batch_gives_its_space_back(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader = hold_wal(fixture);
    int64_t free_bytes;

    disk.free_bytes = free_bytes = 7 * LARGE_BYTES / 4; /* too little for WAL and database */
    put_in_vain(fixture, LARGE_BYTES);
    assert_in_range(disk.free_bytes, 0, LARGE_BYTES);
    put_batch(fixture, SMALL_BYTES);
    assert_in_range(disk.free_bytes, free_bytes - MIB, free_bytes);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    assert_stored(fixture, 2);
}

/* Another program takes all space while the WAL holds much that is not in the database. Until that
 * has room, nothing is added to the WAL, and the sentence says how much is missing. */
static void test_another_program_fills_the_disk(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader = hold_wal(fixture);
    int64_t database_bytes;
    int64_t wal_bytes;
    int64_t wal_later;

    for (int i = 0; i < 20; i++) {
        put_batch(fixture, PAYLOAD_BYTES);
    }
    disk.free_bytes = 0;
    store_sizes(fixture->store, &database_bytes, &wal_bytes);
    put_in_vain(fixture, PAYLOAD_BYTES);
    assert_non_null(strstr(store_error(fixture->store), "KiB are missing"));
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    put_in_vain(fixture, PAYLOAD_BYTES);
    disk.free_bytes = MIB; /* too little for 20 batches */
    put_in_vain(fixture, PAYLOAD_BYTES);
    store_sizes(fixture->store, &database_bytes, &wal_later);
    assert_in_range(wal_later, 1, wal_bytes);
    disk.free_bytes += 4 * MIB;
    put_batch(fixture, PAYLOAD_BYTES);
    assert_stored(fixture, 22);
}

/* A run ended while a reader held the WAL, which had filled the disk. The next run begins, although
 * no byte was freed. */
static void test_a_run_begins_on_a_disk_that_the_wal_has_filled(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader = hold_wal(fixture);
    int batches;

    sqlite3_db_config(reader, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    disk.free_bytes = 3 * MIB / 2;
    batches = fill_disk(fixture, PAYLOAD_BYTES);
    assert_int_equal(store_begin(fixture->store), STORE_OK); /* gives back what the last one left */
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    store_close(fixture->store);
    fixture->store = NULL;
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    disk.free_bytes = 0; /* another program has taken the rest */
    assert_int_equal(fixture_open(fixture), STORE_OK);
    if (store_run_begin(fixture->store, "next", NOW_MS) != STORE_OK)
        fail_msg("%s", store_error(fixture->store));
    assert_stored(fixture, 1 + batches);
}

static int make(void **state)
{
    disk.free_bytes = MUCH;
    disk.taken[SMALL_DATABASE] = disk.taken[SMALL_WAL] = 0;
    disk.quota = disk.cannot_allocate = false;
    return fixture_make_open(state);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_wal_that_has_filled_the_disk_moves),
        TEST(test_small_batches_after_a_checkpoint),
        TEST(test_a_file_system_that_cannot_allocate),
        TEST(test_a_quota_is_learnt),
        TEST(test_a_failed_batch_gives_its_space_back),
        TEST(test_another_program_fills_the_disk),
        TEST(test_a_run_begins_on_a_disk_that_the_wal_has_filled),
    };

    use_small_disk();
    return cmocka_run_group_tests_name("store_room", tests, NULL, NULL);
}
