/* Goal: the WAL moves into the database when it should, and only commits of messages wait for the
 * disk. */
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"

#define MIB           256 /* pages of the WAL */
#define PAYLOAD_BYTES 200000
#define LONG_AGO_MS   60000

/* SQLite calls these in place of the C library's functions. */
static int syncs;

int fdatasync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fsync, fd);
}

/* A batch of some 50 pages. */
static void put_much(struct fixture *fixture)
{
    static char payload[PAYLOAD_BYTES];
    static unsigned number;
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "no"};
    struct store_packet bad;

    memset(payload, 'x', sizeof(payload) - 1);
    snprintf(payload, sizeof(payload), "%u", number++);
    payload[strlen(payload)] = 'x';
    bad = packet(payload);
    begin(fixture);
    assert_int_equal(store_quarantine(fixture->store, &problem, &bad), STORE_OK);
    commit(fixture);
}

static void time_passes(const struct fixture *fixture)
{
    fixture->store->checkpointed_ms = clock_monotonic_ms() - LONG_AGO_MS;
}

/* Commits batches until the WAL has `pages`; returns how often it was restarted meanwhile. In a
 * catch-up no time passes between the batches. */
static int fill_wal(struct fixture *fixture, bool catch_up, int pages)
{
    int moved = 0;

    while (fixture->store->wal_pages < pages) {
        int before = fixture->store->wal_pages;

        if (catch_up) {
            fixture->store->checkpointed_ms = clock_monotonic_ms();
        }
        put_much(fixture);
        moved += fixture->store->wal_pages < before;
        if (moved > 2) {
            break;
        }
    }
    return moved;
}

static void test_a_wal_of_16_mib_moves(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fill_wal(fixture, false, 16 * MIB), 0); /* the first time, at once */
    put_much(fixture);
    assert_in_range(fixture->store->wal_pages, 1, MIB);
    time_passes(fixture);
    assert_int_equal(fill_wal(fixture, false, 16 * MIB), 0);
    put_much(fixture);
    assert_in_range(fixture->store->wal_pages, 1, MIB);
}

static void test_in_a_catch_up_it_grows_to_48_mib(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fill_wal(fixture, true, 48 * MIB), 0);
    put_much(fixture);
    assert_in_range(fixture->store->wal_pages, 1, MIB);
}

static void test_what_a_catch_up_leaves_moves_when_nobody_waits(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(fill_wal(fixture, true, 20 * MIB), 0);
    fixture->store->checkpointed_ms = clock_monotonic_ms();
    assert_int_equal(store_tidy_wal(fixture->store, false), STORE_OK);
    assert_true(fixture->store->wal_pages >= 20 * MIB);
    time_passes(fixture);
    assert_int_equal(store_tidy_wal(fixture->store, false), STORE_OK);
    assert_int_equal(fixture->store->wal_pages, 0);
}

static int64_t no_time(void)
{
    return 0;
}

static void expire_pages(struct fixture *fixture, int64_t before_ms, int limit_pages,
                         bool nobody_waits, struct store_expired *out)
{
    const struct store_chunk chunk = {.budget_us = 1,
                                      .limit_pages = limit_pages,
                                      .now_ms = NOW_MS,
                                      .nobody_waits = nobody_waits,
                                      .clock_us = no_time};
    struct store_expiry pass = {.cutoff_ms = {before_ms, before_ms, before_ms, STORE_KEEP},
                                .keep_free_percent = 25};

    assert_int_equal(store_expire(fixture->store, &pass, &chunk, out), STORE_OK);
}

static void expire(struct fixture *fixture, int64_t before_ms, struct store_expired *out)
{
    expire_pages(fixture, before_ms, 1000, false, out);
}

/* Retention would have to move the WAL first, and messages would wait for that. */
static void test_retention_waits_for_the_end_of_a_catch_up(void **state)
{
    struct fixture *fixture = *state;
    const struct foxtrackr_message message = battery("a", 1, 3.7);
    struct store_expired out;

    begin(fixture);
    put(fixture, &message);
    commit(fixture);
    assert_int_equal(fill_wal(fixture, true, 17 * MIB), 0);
    fixture->store->checkpointed_ms = clock_monotonic_ms();
    expire(fixture, 2, &out);
    assert_true(out.later);
    assert_false(out.done);
    assert_true(fixture->store->wal_pages >= 17 * MIB);

    time_passes(fixture);
    expire(fixture, 2, &out);
    assert_int_equal(fixture->store->wal_pages, 0);
    expire(fixture, 2, &out);
    assert_true(out.done);
    assert_int_equal(out.rows[STORE_BATTERY], 1);
}

#define OLD_ROWS 20000

/* Stores rows from before OLD_ROWS, for hundreds of small chunks, and empties the WAL. */
static void put_old_rows(struct fixture *fixture)
{
    begin(fixture);
    for (int64_t time_ms = 0; time_ms < OLD_ROWS; time_ms++) {
        const struct foxtrackr_message message = battery("a", time_ms, 3.7);

        put(fixture, &message);
    }
    commit(fixture);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    assert_int_equal(fixture->store->wal_pages, 0);
}

/* Does small chunks until retention waits; returns how many of them deleted rows. */
static int expire_until_later(struct fixture *fixture)
{
    struct store_expired out;
    int chunks = 0;

    for (expire_pages(fixture, OLD_ROWS, 1, false, &out); !out.later;
         expire_pages(fixture, OLD_ROWS, 1, false, &out)) {
        assert_false(out.done);
        assert_true(out.rows[STORE_BATTERY] > 0);
        chunks++;
    }
    return chunks;
}

static void test_retention_moves_a_short_wal(void **state)
{
    struct fixture *fixture = *state;
    struct store_expired out;

    put_old_rows(fixture);
    assert_int_equal(fill_wal(fixture, false, 2 * MIB), 0);
    expire(fixture, OLD_ROWS, &out);
    assert_int_equal(fixture->store->wal_pages, 0);
    assert_int_equal(out.rows[STORE_BATTERY], 0); /* that was the chunk */
    assert_false(out.done || out.later);
    expire(fixture, OLD_ROWS, &out);
    assert_true(out.rows[STORE_BATTERY] > 0);
}

/* Moving the part of the WAL that messages have filled would delay other messages. */
static void test_retention_leaves_a_long_wal_and_adds_little(void **state)
{
    struct fixture *fixture = *state;
    int pages;

    put_old_rows(fixture);
    assert_int_equal(fill_wal(fixture, false, 10 * MIB), 0);
    pages = fixture->store->wal_pages;
    assert_true(expire_until_later(fixture) > 10);
    assert_in_range(fixture->store->wal_pages, pages + MIB, pages + MIB + 10);
    assert_int_equal(expire_until_later(fixture), 0);

    /* Messages move it when they have made it long enough, and retention goes on. */
    time_passes(fixture);
    assert_int_equal(fill_wal(fixture, false, 16 * MIB), 0);
    put_much(fixture);
    assert_in_range(fixture->store->wal_pages, 1, MIB);
    assert_true(fill_wal(fixture, false, 10 * MIB) == 0 && expire_until_later(fixture) > 10);
}

static void test_in_a_pause_2_mib_move(void **state)
{
    struct fixture *fixture = *state;

    put_old_rows(fixture);
    time_passes(fixture);
    put_much(fixture);
    assert_int_equal(store_tidy_wal(fixture->store, true), STORE_OK);
    assert_true(fixture->store->wal_pages > 0);

    assert_int_equal(fill_wal(fixture, false, 10 * MIB), 0);
    expire_until_later(fixture);
    assert_int_equal(store_tidy_wal(fixture->store, false), STORE_OK);
    assert_true(fixture->store->wal_pages >= 10 * MIB);
    assert_int_equal(store_tidy_wal(fixture->store, true), STORE_OK);
    assert_int_equal(fixture->store->wal_pages, 0);
    assert_true(fill_wal(fixture, false, 10 * MIB) == 0 && expire_until_later(fixture) > 10);
}

/* While no message is accepted for lack of space, a WAL of any length is moved, which gives space
 * back. */
static void test_when_nobody_waits_retention_moves_any_wal(void **state)
{
    struct fixture *fixture = *state;
    struct store_expired out;

    put_old_rows(fixture);
    assert_int_equal(fill_wal(fixture, true, 20 * MIB), 0);
    fixture->store->checkpointed_ms = clock_monotonic_ms();
    expire_pages(fixture, OLD_ROWS, 1, true, &out);
    assert_int_equal(fixture->store->wal_pages, 0);
    expire_pages(fixture, OLD_ROWS, 1, true, &out);
    assert_true(out.rows[STORE_BATTERY] > 0);
}

/* Returns a connection with an open read transaction: until it is closed, later frames stay in the
 * WAL. */
static sqlite3 *hold_wal(struct fixture *fixture)
{
    sqlite3 *reader;

    put_much(fixture);
    assert_int_equal(sqlite3_open(fixture->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM devices", NULL, NULL, NULL),
                     SQLITE_OK);
    return reader;
}

static void test_a_reader_does_not_stop_retention(void **state)
{
    struct fixture *fixture = *state;
    struct store_expired out;
    sqlite3 *reader;
    int64_t tried_ms;
    int chunks = 0;
    int pages;

    put_old_rows(fixture);
    reader = hold_wal(fixture);
    assert_int_equal(fill_wal(fixture, false, 10 * MIB), 0);
    expire_until_later(fixture);
    time_passes(fixture);
    assert_int_equal(store_tidy_wal(fixture->store, true), STORE_OK); /* in vain */
    pages = fixture->store->wal_pages;
    assert_true(pages >= 10 * MIB);
    assert_int_equal(fill_wal(fixture, false, pages + 10 * MIB), 0);
    assert_true(expire_until_later(fixture) > 10);

    /* The next attempt comes only when more pages were written. */
    time_passes(fixture);
    assert_int_equal(store_tidy_wal(fixture->store, true), STORE_OK);
    time_passes(fixture);
    tried_ms = fixture->store->checkpointed_ms;
    assert_int_equal(store_tidy_wal(fixture->store, true), STORE_OK);
    assert_int_equal(fixture->store->checkpointed_ms, tried_ms);

    for (int i = 0; i < 10; i++) { /* for want of space: every second one at least deletes */
        expire_pages(fixture, OLD_ROWS, 1, true, &out);
        assert_false(out.later);
        chunks += out.rows[STORE_BATTERY] > 0;
    }
    assert_true(chunks >= 5);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
}

static void test_what_a_reader_has_held_is_a_long_wal(void **state)
{
    struct fixture *fixture = *state;
    struct store_expired out;
    sqlite3 *reader;
    int pages;

    put_old_rows(fixture);
    reader = hold_wal(fixture);
    assert_int_equal(fill_wal(fixture, false, 10 * MIB), 0);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    pages = fixture->store->wal_pages;
    assert_int_equal(fill_wal(fixture, false, pages + 2 * MIB), 0);
    pages = fixture->store->wal_pages;
    expire(fixture, OLD_ROWS, &out);
    assert_true(out.rows[STORE_BATTERY] > 0);
    assert_true(fixture->store->wal_pages > pages);
}

/* A message's commit waits for the disk, a chunk of retention does not, and the next message's
 * does again. */
static void test_only_messages_wait_for_the_disk(void **state)
{
    struct fixture *fixture = *state;
    struct store_expired out;

    for (int64_t time_ms = 1; time_ms <= 3; time_ms++) {
        const struct foxtrackr_message message = battery("a", time_ms, 3.7);

        begin(fixture);
        put(fixture, &message);
        syncs = 0;
        commit(fixture);
        assert_int_equal(syncs, 1);
        syncs = 0;
        expire(fixture, time_ms, &out);
        assert_int_equal(out.rows[STORE_BATTERY], time_ms > 1);
        assert_int_equal(syncs, 0);
    }
}

/* --- readers that never leave a moment without one ------------------------------------------- */

#define LONG_WAL      (128 * MIB)
#define LARGE_BYTES   4000000
#define READ_US       100000
#define BUSY_LIMIT_MS 5000

/* A batch of some thousand pages. */
static void put_very_much(struct fixture *fixture)
{
    static char payload[LARGE_BYTES + 1];
    static unsigned number;
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "no"};
    struct store_packet bad;

    memset(payload, 'x', LARGE_BYTES);
    payload[snprintf(payload, 20, "%u", number++)] = 'x';
    bad = packet(payload);
    begin(fixture);
    assert_int_equal(store_quarantine(fixture->store, &problem, &bad), STORE_OK);
    commit(fixture);
}

/* Reads, in another process, with two connections in turn, so that there is always a short read
 * transaction, until that process is killed. */
static void read_without_pause(const char *path)
{
    sqlite3 *readers[2] = {NULL, NULL};

    for (unsigned turn = 0;; turn ^= 1) {
        if (readers[turn] == NULL && (sqlite3_open(path, &readers[turn]) != SQLITE_OK ||
                                      sqlite3_busy_timeout(readers[turn], 1000) != SQLITE_OK))
            _exit(1);
        if (sqlite3_exec(readers[turn], "BEGIN; SELECT count(*) FROM devices", NULL, NULL, NULL) !=
            SQLITE_OK)
            _exit(2);
        if (readers[turn ^ 1] != NULL &&
            sqlite3_exec(readers[turn ^ 1], "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
            _exit(3);
        usleep(READ_US);
    }
}

static void test_readers_that_overlap_do_not_make_it_grow(void **state)
{
    struct fixture *fixture = *state;
    int64_t database_bytes;
    int64_t wal_bytes;
    int most = 0;
    pid_t child = fork();

    if (child == 0)
        read_without_pause(fixture->path);
    assert_true(child > 0);
    fixture->store->busy_timeout_ms = BUSY_LIMIT_MS;
    for (int i = 0; i < 50; i++) { /* 200 MB */
        put_very_much(fixture);
        most = fixture->store->wal_total_pages > most ? fixture->store->wal_total_pages : most;
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_in_range(most, 1, LONG_WAL + 16 * MIB);
    store_sizes(fixture->store, &database_bytes, &wal_bytes);
    assert_in_range(wal_bytes, 1, INT64_C(160) << 20);
}

/* A restart waits for a reader that stays, no longer than it may, and not again within a minute. */
static void test_a_reader_that_stays_is_waited_for_once(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader = hold_wal(fixture);
    int64_t begun_ms;

    fixture->store->busy_timeout_ms = 100;
    fixture->store->restart_at_ms = INT64_MAX;
    while (fixture->store->wal_total_pages < LONG_WAL) {
        put_very_much(fixture);
    }
    fixture->store->restart_at_ms = 0;
    begun_ms = clock_monotonic_ms();
    assert_int_equal(store_tidy_wal(fixture->store, false), STORE_OK);
    assert_in_range(clock_monotonic_ms() - begun_ms, 100, BUSY_LIMIT_MS);
    assert_in_range(fixture->store->restart_at_ms, begun_ms + 60000, begun_ms + 70000);
    assert_true(store_wal_bytes(fixture->store) >= INT64_C(127) << 20);

    begun_ms = clock_monotonic_ms();
    for (int i = 0; i < 3; i++) {
        put_much(fixture);
    }
    assert_true(fixture->store->wal_total_pages > LONG_WAL);
    fixture->store->restart_at_ms = begun_ms; /* the minute is over */
    assert_int_equal(store_tidy_wal(fixture->store, false), STORE_OK);
    assert_in_range(fixture->store->restart_at_ms, begun_ms + 120000, begun_ms + 130000);

    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    fixture->store->restart_at_ms = begun_ms;
    put_much(fixture);
    assert_in_range(fixture->store->wal_total_pages, 1, MIB);
    assert_int_equal(fixture->store->restart_again_ms, 0);
}

/* Pages that were moved stay in the WAL while there are readers; they are no reason for a
 * checkpoint with every batch. */
static void test_what_has_moved_and_stays_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader;

    assert_int_equal(fill_wal(fixture, true, 40 * MIB), 0);
    reader = hold_wal(fixture);
    time_passes(fixture);
    assert_int_equal(store_tidy_wal(fixture->store, false), STORE_OK); /* moves all pages */
    assert_int_equal(fixture->store->wal_pages, 0);
    for (int i = 0; i < 5; i++) {
        put_much(fixture);
        assert_in_range(store_commit_pages(fixture->store), 40, MIB);
        assert_in_range(fixture->store->wal_pages, 1, 5 * MIB);
        assert_true(fixture->store->wal_total_pages > 40 * MIB);
    }
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
}

/* Takes or releases the lock of a checkpoint: byte WAL_CKPT_LOCK of the shared memory, see
 * "WAL-mode File Format" of SQLite's documentation, section 2.3.2. */
static void lock_moving(int shm, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = 121, .l_len = 1};

    assert_int_equal(fcntl(shm, F_OFD_SETLK, &lock), 0);
}

static void test_while_another_program_moves_it_nothing_counts_as_moved(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    int pages;
    int shm; /* stays open: to close it would end all locks of this process on that file */

    snprintf(path, sizeof(path), "%s-shm", fixture->path);
    put_much(fixture);
    pages = fixture->store->wal_pages;
    assert_true(pages > 0);
    shm = open(path, O_RDWR | O_CLOEXEC);
    assert_true(shm >= 0);
    lock_moving(shm, F_WRLCK);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    assert_int_equal(fixture->store->wal_pages, pages);
    lock_moving(shm, F_UNLCK);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    assert_int_equal(fixture->store->wal_pages, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_wal_of_16_mib_moves),
        TEST(test_in_a_catch_up_it_grows_to_48_mib),
        TEST(test_what_a_catch_up_leaves_moves_when_nobody_waits),
        TEST(test_in_a_pause_2_mib_move),
        TEST(test_retention_waits_for_the_end_of_a_catch_up),
        TEST(test_retention_moves_a_short_wal),
        TEST(test_retention_leaves_a_long_wal_and_adds_little),
        TEST(test_when_nobody_waits_retention_moves_any_wal),
        TEST(test_a_reader_does_not_stop_retention),
        TEST(test_what_a_reader_has_held_is_a_long_wal),
        TEST(test_only_messages_wait_for_the_disk),
        TEST(test_readers_that_overlap_do_not_make_it_grow),
        TEST(test_a_reader_that_stays_is_waited_for_once),
        TEST(test_what_has_moved_and_stays_does_not_count),
        TEST(test_while_another_program_moves_it_nothing_counts_as_moved),
    };

    return cmocka_run_group_tests_name("store_checkpoint", tests, NULL, NULL);
}
