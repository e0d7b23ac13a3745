/*
 * Goal: an I/O error of the first read is believed when it repeats, and no other error is tried
 * again.
 *
 * The linker wraps what fails (see unit.mk).
 */
#include "store_fixture.h"

int __real_sqlite3_step(sqlite3_stmt *statement);
int __real_sqlite3_extended_errcode(sqlite3 *db);
int __wrap_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_extended_errcode(sqlite3 *db);

static struct {
    int times; /* so many steps fail */
    int code;
    int failed;
} trouble;

int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
    if (trouble.times > 0) {
        trouble.times--;
        trouble.failed++;
        return trouble.code;
    }
    return __real_sqlite3_step(statement);
}

int __wrap_sqlite3_extended_errcode(sqlite3 *db)
{
    return trouble.failed > 0 ? trouble.code : __real_sqlite3_extended_errcode(db);
}

/* Opens the database while the first `times` reads fail. Returns how many failed. */
static int open_with(struct fixture *fixture, int times, int code, int *result)
{
    const struct store_options options = {.path = fixture->path, .busy_timeout_ms = 20};
    struct store *store = NULL;

    trouble.times = times;
    trouble.code = code;
    trouble.failed = 0;
    *result = store_open(&options, &store, fixture->problem, sizeof(fixture->problem));
    trouble.times = 0;
    if (*result == STORE_OK) {
        assert_int_equal(store_run_begin(store, "t", NOW_MS), STORE_OK);
        assert_int_equal(store_close(store), STORE_OK);
    }
    return trouble.failed;
}

static void an_error_that_does_not_repeat(void **state)
{
    int result;

    assert_int_equal(open_with(*state, 1, SQLITE_IOERR_SHORT_READ, &result), 1);
    assert_int_equal(result, STORE_OK);
    assert_int_equal(open_with(*state, 2, SQLITE_IOERR_READ, &result), 2);
    assert_int_equal(result, STORE_OK);
}

static void an_error_that_repeats(void **state)
{
    struct fixture *fixture = *state;
    int result;

    assert_int_equal(open_with(fixture, 100, SQLITE_IOERR_READ, &result), 3);
    assert_int_equal(result, STORE_FATAL);
    assert_non_null(strstr(fixture->problem, "cannot read it"));
}

static void other_errors(void **state)
{
    int result;

    assert_int_equal(open_with(*state, 100, SQLITE_IOERR_FSYNC, &result), 1);
    assert_int_equal(result, STORE_FATAL);
    assert_int_equal(open_with(*state, 100, SQLITE_CORRUPT, &result), 1);
    assert_int_equal(result, STORE_FATAL);
    assert_int_equal(open_with(*state, 0, SQLITE_OK, &result), 0);
    assert_int_equal(result, STORE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_error_that_does_not_repeat, fixture_make,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(an_error_that_repeats, fixture_make, fixture_remove),
        cmocka_unit_test_setup_teardown(other_errors, fixture_make, fixture_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
