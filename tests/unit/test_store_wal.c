/*
 * Goal: gathering the writes of the WAL changes only their number. When a commit returns, its
 * frames are in the file, whatever its size and the durability.
 */
#include "store_fixture.h"

#include "store/sqlite/wal_vfs_internal.h"

/* The default VFS, with counts of the writes to the WAL and their sizes. */
static const sqlite3_io_methods *original;
static sqlite3_io_methods watched;
static sqlite3_vfs *original_vfs;
static sqlite3_vfs watched_vfs;
static int writes;
static int largest;

static int count_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    writes++;
    largest = length > largest ? length : largest;
    return original->xWrite(file, bytes, length, offset);
}

static int open_watched(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                        int *out_flags)
{
    int code = original_vfs->xOpen(original_vfs, name, file, flags, out_flags);

    (void)vfs;
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        original = file->pMethods;
        watched = *file->pMethods;
        watched.xWrite = count_write;
        file->pMethods = &watched;
    }
    return code;
}

/* Installs that VFS below the tested one, which uses the default VFS of the moment of its first
 * use.
 */
static int watch_writes(void **state)
{
    (void)state;
    original_vfs = sqlite3_vfs_find(NULL);
    watched_vfs = *original_vfs;
    watched_vfs.zName = "watched";
    watched_vfs.xOpen = open_watched;
    return sqlite3_vfs_register(&watched_vfs, 1) == SQLITE_OK && store_wal_vfs() != NULL ? 0 : -1;
}

static void open_with(struct fixture *fixture, enum store_durability durability)
{
    const struct store_options options = {
        .path = fixture->path, .durability = durability, .busy_timeout_ms = 20};

    assert_int_equal(
        store_open(&options, &fixture->store, fixture->problem, sizeof(fixture->problem)),
        STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
}

/* Commits a batch of `count` devices; each changes a page of its own once there are many rows. */
static void put_batch(struct fixture *fixture, int count, int64_t time_ms)
{
    char device[16];

    begin(fixture);
    for (int i = 0; i < count; i++) {
        const struct foxtrackr_message message = battery(device, time_ms, 4.0);

        snprintf(device, sizeof(device), "%d", i);
        assert_int_equal(put(fixture, &message), STORE_STORED);
    }
    commit(fixture);
}

static void check_visible(struct fixture *fixture, enum store_durability durability)
{
    char expected[16];
    int total = 0;

    open_with(fixture, durability);
    for (int i = 0; i < 40; i++) {
        int count = i % 3 == 0 ? 1 : 40 * i;

        put_batch(fixture, count, NOW_MS + i);
        total += count;
        snprintf(expected, sizeof(expected), "%d", total);
        assert_look(fixture, "SELECT count(*) FROM battery", expected);
    }
    assert_look(fixture, "PRAGMA integrity_check", "ok");
    fixture_close(fixture);
}

/* Goal: after every commit another process sees all of its rows, small or large, synced or not. */
static void test_visible_at_once_full(void **state)
{
    check_visible(*state, STORE_FULL);
}

static void test_visible_at_once_normal(void **state)
{
    check_visible(*state, STORE_NORMAL);
}

/* Goal: a commit of hundreds of pages takes a few writes, and none larger than SQLite's VFS takes.
 */
static void test_few_writes(void **state)
{
    struct fixture *fixture = *state;
    int before;

    open_with(fixture, STORE_FULL);
    for (int i = 0; i < 120; i++) {
        put_batch(fixture, 300, NOW_MS + i); /* by now every device has a page or so */
    }
    before = writes;
    put_batch(fixture, 300, NOW_MS + 1000);
    assert_in_range(writes - before, 1, 20);
    assert_in_range(largest, 4096, 0x1ffff);
    fixture_close(fixture);
}

/* Goal: a batch that spills from the cache before it is rolled back leaves nothing, and the next is
 * whole. */
static void test_rollback_after_a_spill(void **state)
{
    struct fixture *fixture = *state;
    char device[16];

    open_with(fixture, STORE_FULL);
    sqlite3_exec(fixture->store->db, "PRAGMA cache_size = 10", NULL, NULL, NULL);
    put_batch(fixture, 500, NOW_MS);
    begin(fixture);
    for (int i = 0; i < 3000; i++) {
        const struct foxtrackr_message message = battery(device, NOW_MS + 1, 4.0);

        snprintf(device, sizeof(device), "new-%d", i);
        put(fixture, &message);
    }
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM battery", "500");
    put_batch(fixture, 500, NOW_MS + 2);
    assert_look(fixture, "SELECT count(*) FROM battery", "1000");
    assert_look(fixture, "PRAGMA integrity_check", "ok");
    fixture_close(fixture);
}

/* Goal: a batch that has changed pages again after they had spilled is whole in the files when its
 * commit returns, for whoever finds them after a kill -9. */
static void test_whole_after_a_kill(void **state)
{
    struct fixture *fixture = *state;
    struct fixture found = *fixture;
    char command[1024];

    open_with(fixture, STORE_NORMAL);
    sqlite3_exec(fixture->store->db, "PRAGMA cache_size = 10", NULL, NULL, NULL);
    put_batch(fixture, 500, NOW_MS);
    snprintf(found.path, sizeof(found.path), "%s/found.db", fixture->directory);
    snprintf(command, sizeof(command), "cp '%s' '%s' && cp '%s-wal' '%s-wal'", fixture->path,
             found.path, fixture->path, found.path);
    assert_int_equal(system(command), 0);
    assert_look(&found, "SELECT count(*) FROM battery", "500");
    fixture_close(fixture);
}

/* Goal: frames that were rolled back do not overwrite those that another process commits later. */
static void test_others_commit_after_a_rollback(void **state)
{
    struct fixture *fixture = *state;
    char device[16];

    open_with(fixture, STORE_FULL);
    sqlite3_exec(fixture->store->db, "PRAGMA cache_size = 60", NULL, NULL, NULL);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK); /* nothing is read from the WAL */
    begin(fixture);
    for (int i = 0; i < 3000; i++) {
        const struct foxtrackr_message message = battery(device, NOW_MS, 4.0);

        snprintf(device, sizeof(device), "%d", i);
        put(fixture, &message);
    }
    /* As SQLite does it after some errors. */
    assert_int_equal(sqlite3_exec(fixture->store->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    look(fixture, "CREATE TABLE theirs AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL"
                  " SELECT x + 1 FROM n WHERE x < 1000) SELECT x, hex(zeroblob(1000)) FROM n");
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    put_batch(fixture, 500, NOW_MS);
    assert_look(fixture, "PRAGMA integrity_check", "ok");
    assert_look(fixture, "SELECT sum(x) FROM theirs", "500500");
    assert_look(fixture, "SELECT count(*) FROM battery", "500");
    fixture_close(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_visible_at_once_full, fixture_make, fixture_remove),
        cmocka_unit_test_setup_teardown(test_visible_at_once_normal, fixture_make, fixture_remove),
        cmocka_unit_test_setup_teardown(test_few_writes, fixture_make, fixture_remove),
        cmocka_unit_test_setup_teardown(test_rollback_after_a_spill, fixture_make, fixture_remove),
        cmocka_unit_test_setup_teardown(test_whole_after_a_kill, fixture_make, fixture_remove),
        cmocka_unit_test_setup_teardown(test_others_commit_after_a_rollback, fixture_make,
                                        fixture_remove),
    };

    return cmocka_run_group_tests(tests, watch_writes, NULL);
}
