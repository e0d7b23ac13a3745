/*
 * The store on a disk that fails: the Nth write, sync or truncation, for every N until none fails.
 *
 * After every fault: the rows of each batch for which store_commit() returned STORE_OK are there,
 * the run's counts agree with the rows, and when all messages are stored again each has exactly one
 * row.
 */
#include "store_fixture.h"

#include "faulty_vfs.h"

#define BATCHES  6
#define MESSAGES 20 /* a batch */

static int put_batch(struct fixture *fixture, int batch)
{
    const struct store_packet whole = packet("{}");
    enum store_outcome outcome;
    char id[16];
    int result = store_begin(fixture->store);

    for (int i = 0; i < MESSAGES && result == STORE_OK; i++) {
        struct foxtrackr_message message;

        snprintf(id, sizeof(id), "d%d", i % 7);
        message = battery(id, 1000 + batch * MESSAGES + i, 3.7);
        result = store_message(fixture->store, &message, &whole, &outcome);
    }
    if (result == STORE_OK) {
        result = store_commit(fixture->store);
    }
    /* Move the WAL in between, too. */
    if (result == STORE_OK && batch % 2 == 1) {
        result = store_checkpoint(fixture->store);
    }
    return result;
}

/* Checks that the rows of the acknowledged batches are there. */
static void assert_whole(struct fixture *fixture, int batches)
{
    assert_look(fixture, "PRAGMA integrity_check", "ok");
    assert_look(fixture, "SELECT sum(received) = (SELECT count(*) FROM battery) FROM runs", "1");
    assert_true(atoi(look(fixture, "SELECT count(*) FROM battery")) >= batches * MESSAGES);
}

static void finish(struct fixture *fixture)
{
    char all[16];

    fault.countdown = 0;
    for (int batch = 0; batch < BATCHES; batch++) {
        assert_int_equal(put_batch(fixture, batch), STORE_OK);
    }
    snprintf(all, sizeof(all), "%d", BATCHES * MESSAGES);
    assert_look(fixture, "SELECT count(*) FROM battery", all);
    assert_look(fixture, "SELECT sum(stored) FROM runs", all);
    assert_look(fixture, "PRAGMA integrity_check", "ok");
}

/* Puts one batch after the other, until one fails or all are there: *batches of them. */
static int put_batches(struct fixture *fixture, int *batches)
{
    int result = STORE_OK;

    *batches = 0;
    while (*batches < BATCHES && result == STORE_OK) {
        result = put_batch(fixture, *batches);
        *batches += result == STORE_OK;
    }
    return result;
}

/* After a disk error nothing is tried again: the process would end here and open the file anew. */
static void test_disk_errors_are_fatal(void **state)
{
    int struck = 0;

    (void)state;
    for (int n = 1;; n++) {
        void *made = NULL;
        struct fixture *fixture;
        int batches;
        int result;

        assert_int_equal(fixture_make_open(&made), 0);
        fixture = made;
        fault.countdown = n;
        fault.lasting = n % 2 == 0;
        fault.code = 0;
        fault.system_errno = EIO;
        result = put_batches(fixture, &batches);
        if (result == STORE_OK) {
            fault.countdown = 0;
            fixture_remove(&made);
            break;
        }
        struck++;
        if (result != STORE_FATAL) {
            fail_msg("operation %d: result %d: %s", n, result, store_error(fixture->store));
        }
        assert_non_null(strstr(store_error(fixture->store), "Input/output error"));
        assert_int_equal(store_close(fixture->store), STORE_FATAL);

        fault.countdown = 0;
        fixture->store = NULL;
        assert_int_equal(fixture_open(fixture), STORE_OK);
        assert_whole(fixture, batches);
        assert_int_equal(store_run_begin(fixture->store, "again", NOW_MS), STORE_OK);
        finish(fixture);
        fixture_remove(&made);
    }
    assert_true(struck > 20);
}

/* A sync that fails is fatal whatever its errno, and a later one of the same file never succeeds:
 * the disk below would say yes. */
static void test_a_failed_sync_is_never_retried(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, EROFS, 0};
    int struck = 0;

    (void)state;
    for (int n = 1;; n++) {
        void *made = NULL;
        struct fixture *fixture;
        int batches;
        int result;

        assert_int_equal(fixture_make_open(&made), 0);
        fixture = made;
        fault.only_syncs = true;
        fault.countdown = n;
        fault.lasting = false;
        fault.code = 0;
        fault.system_errno = errors[n % 5];
        result = put_batches(fixture, &batches);
        if (result == STORE_OK) {
            fault.countdown = 0;
            fault.only_syncs = false;
            fixture_remove(&made);
            break;
        }
        struck++;
        if (result != STORE_FATAL) {
            fail_msg("sync %d, errno %d: result %d: %s", n, errors[n % 5], result,
                     store_error(fixture->store));
        }
        (void)store_rollback(fixture->store);
        assert_int_not_equal(put_batch(fixture, batches), STORE_OK);
        assert_int_equal(store_close(fixture->store), STORE_FATAL);
        fault.countdown = 0;
        fault.only_syncs = false;
        fixture->store = NULL;
        assert_int_equal(fixture_open(fixture), STORE_OK);
        /* Not sum(received): a batch that was there counts as duplicates when it comes again. */
        assert_look(fixture, "PRAGMA integrity_check", "ok");
        assert_look(fixture, "SELECT sum(stored) = (SELECT count(*) FROM battery) FROM runs", "1");
        assert_true(atoi(look(fixture, "SELECT count(*) FROM battery")) >= batches * MESSAGES);
        assert_int_equal(store_run_begin(fixture->store, "again", NOW_MS), STORE_OK);
        finish(fixture);
        fixture_remove(&made);
    }
    assert_true(struck >= BATCHES);
}

/* A full disk is waited for: roll back, the same batch again, on the same connection. */
static void test_a_full_disk_is_retried(void **state)
{
    int struck = 0;
    bool clean = false;

    (void)state;
    for (int n = 1; !clean; n++) {
        void *made = NULL;
        struct fixture *fixture;

        assert_int_equal(fixture_make_open(&made), 0);
        fixture = made;
        fault.countdown = n;
        fault.lasting = true;
        fault.code = n % 2 == 0 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        fault.system_errno = n % 2 == 0 ? ENOSPC : EDQUOT;
        clean = true;
        for (int batch = 0; batch < BATCHES;) {
            int result = put_batch(fixture, batch);

            if (result == STORE_OK) {
                batch++;
                continue;
            }
            clean = false;
            struck++;
            if (result != STORE_E_RETRY) {
                fail_msg("operation %d: result %d: %s", n, result, store_error(fixture->store));
            }
            assert_non_null(strstr(store_error(fixture->store), "free space"));
            assert_int_equal(store_rollback(fixture->store), STORE_OK);
            assert_whole(fixture, batch);
            fault.countdown = 0; /* someone made room */
        }
        finish(fixture);
        fixture_remove(&made);
    }
    assert_true(struck > 20);
}

/* A new database on a failing disk is refused, and is created completely once the disk works. */
static void test_creating_on_a_failing_disk(void **state)
{
    int struck = 0;
    bool clean = false;

    (void)state;
    for (int n = 1; !clean; n++) {
        void *made = NULL;
        struct fixture *fixture;
        int result;

        assert_int_equal(fixture_make(&made), 0);
        fixture = made;
        fault.countdown = n;
        fault.lasting = false;
        fault.code = n % 2 == 0 ? SQLITE_FULL : 0;
        fault.system_errno = n % 2 == 0 ? ENOSPC : EIO;
        result = fixture_open(fixture);
        clean = result == STORE_OK;
        if (!clean) {
            struck++;
            if (result != (n % 2 == 0 ? STORE_E_RETRY : STORE_FATAL)) {
                fail_msg("operation %d: result %d: %s", n, result, fixture->problem);
            }
            fault.countdown = 0;
            fixture->store = NULL;
            if (fixture_open(fixture) != STORE_OK) {
                fail_msg("operation %d, then: %s", n, fixture->problem);
            }
        }
        fault.countdown = 0;
        assert_look(fixture, "PRAGMA auto_vacuum", "2");
        assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
        finish(fixture);
        fixture_remove(&made);
    }
    assert_true(struck > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_errors_are_fatal),
        cmocka_unit_test(test_a_failed_sync_is_never_retried),
        cmocka_unit_test(test_a_full_disk_is_retried),
        cmocka_unit_test(test_creating_on_a_failing_disk),
    };

    use_faulty_vfs();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
