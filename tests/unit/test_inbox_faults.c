/*
 * The inbox when something goes wrong, at every step of a story in which it fills, swaps its lots,
 * deletes what is done, is emptied, and opens again: a batch is rolled back and made again, the
 * process dies, a statement is refused, the disk fails. In the end each message has become a row
 * once, and those of each topic in the order in which they came.
 *
 * The linker wraps what fails (see unit.mk).
 */
#include "inbox_fixture.h"

#include "faulty_vfs.h"

#define OLD INBOX_LOT_AGE_MS

static const struct chapter {
    bool opens; /* the inbox, before it */
    struct batch batch;
} chapters[] = {
    {false, {.put = "c1 x1 a1 b1 g1"}},
    {false, {.ms = OLD, .most = 3, .put = "a2 x2"}}, /* the lots are swapped */
    {false, {.most = 3, .put = "b2 x3 c2"}},         /* when x is known */
    {false, {.most = 3, .put = "a3"}},               /* again; rows are deleted */
    {false, {.most = 3}},
    {false, {.most = 2, .put = "b3"}},
    {false, {.put = "c3"}}, /* it is empty, and closed */
    {true, {.put = "b4 y1 a4"}},
    {false, {.most = 1, .lull = true}},
    {false, {.most = 1, .put = "x4 c4"}},
    {false, {0}},
    {false, {0}},
};

#define CHAPTERS (sizeof(chapters) / sizeof(chapters[0]))
#define MESSAGES 18

/* --- what fails --------------------------------------------------------------------------------
 */

int __real_sqlite3_step(sqlite3_stmt *statement);
int __real_sqlite3_extended_errcode(sqlite3 *db);
void *__real_calloc(size_t count, size_t size);
int __wrap_sqlite3_step(sqlite3_stmt *statement);
int __wrap_sqlite3_extended_errcode(sqlite3 *db);
void *__wrap_calloc(size_t count, size_t size);

static struct {
    int steps;       /* until a statement is refused; 0: none is */
    int code;        /* with what */
    bool struck;     /* one was */
    int reported;    /* the code, until it is asked for */
    int allocations; /* until one fails */
} refusal;

int __wrap_sqlite3_step(sqlite3_stmt *statement)
{
    if (refusal.steps > 0 && --refusal.steps == 0) {
        refusal.reported = refusal.code;
        refusal.struck = true;
        return refusal.code;
    }
    return __real_sqlite3_step(statement);
}

int __wrap_sqlite3_extended_errcode(sqlite3 *db)
{
    int reported = refusal.reported;

    refusal.reported = 0;
    return reported != 0 ? reported : __real_sqlite3_extended_errcode(db);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refusal.allocations > 0 && --refusal.allocations == 0 ? NULL
                                                                 : __real_calloc(count, size);
}

/* SQLite finds these before the C library's. No power fails here, and the story is told a thousand
 * times. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

/* Nothing fails until a test says so again. */
static void all_is_well(struct story *story)
{
    story->countdown = 0;
    refusal.steps = 0;
    fault.countdown = 0;
}

/* --- the story -----------------------------------------------------------------------------------
 */

enum mending {
    SAME_BATCH,   /* after a rollback */
    SAME_ARRIVED, /* the same, but without sorting: as the writer does it */
    NEW_PROCESS,
    NEW_PROCESS_IN_CATCH_UP, /* and soon the inbox is open again */
};

static void mend(struct story *story, enum mending mending, int result)
{
    all_is_well(story);
    if (mending == SAME_BATCH || mending == SAME_ARRIVED) {
        if (result != STORE_E_RETRY) {
            fail_msg("result %d: %s", result, store_error(story->fixture->store));
        }
        roll_back(story);
        return;
    }
    die(story);
    if (mending == NEW_PROCESS_IN_CATCH_UP) {
        open_inbox(story);
    }
}

/* Errors after a batch is on disk. A WAL that cannot be moved because of a full disk stays. */
static bool between_batches(struct story *story, enum mending mending)
{
    bool failed = store_checkpoint(story->fixture->store) == STORE_FATAL;

    failed |= mending >= NEW_PROCESS && strikes(story) != STORE_OK;
    if (failed) {
        mend(story, mending, STORE_OK);
    }
    return failed;
}

/* Returns how often something failed. */
static int tell(struct story *story, enum mending mending)
{
    int failed = 0;

    for (size_t i = 0; i < CHAPTERS; i++) {
        bool sort = true;
        int result;

        story->now_ms += chapters[i].batch.ms;
        if (chapters[i].opens) {
            open_inbox(story);
        }
        while ((result = make_batch(story, &chapters[i].batch, sort)) != STORE_OK) {
            failed++;
            mend(story, mending, result);
            sort = mending != SAME_ARRIVED;
        }
        failed += between_batches(story, mending);
    }
    all_is_well(story);
    drain(story, MESSAGES);
    return failed;
}

/* Those that came again, because their commit was not known to be on disk, are at most so many. */
static void assert_all_rows(const struct story *story, int again)
{
    char sql[512];

    /* One connection: each reads the schema anew. */
    snprintf(sql, sizeof(sql),
             "SELECT (SELECT count(*) FROM battery WHERE time_ms %% 10000000 > 0) || ' rows, '"
             " || (sum(stored) = (SELECT count(*) FROM battery)) || ', '"
             " || (sum(duplicate) BETWEEN 0 AND %d) || ', ' || sum(quarantined) || ', '"
             " || (SELECT group_concat(integrity_check) FROM pragma_integrity_check) FROM runs",
             again);
    assert_look(story->fixture, sql, "18 rows, 1, 1, 0, ok");
}

static void assert_once_in_order(const struct story *story, int n)
{
    unsigned last[128] = {0};

    for (size_t i = 0; i < story->on_disk; i++) {
        unsigned *number = &last[(unsigned char)story->used[i].letter];

        if (story->used[i].number != *number + 1) {
            fail_msg("step %d: %s", n, used_since(story, 0));
        }
        ++*number;
    }
    assert_int_equal(story->on_disk, MESSAGES);
    assert_all_rows(story, 0);
}

/* --- the tests
 * ------------------------------------------------------------------------------------- */

/* Each use, each put, before each commit, and for a process after it. */
static void at_every_step_of_a_batch(enum mending mending)
{
    bool clean = false;
    int n = 0;

    while (!clean) {
        struct story *story = story_begin();

        story->countdown = ++n;
        clean = tell(story, mending) == 0;
        assert_once_in_order(story, n);
        story_end(story);
    }
    assert_true(n > 2 * MESSAGES);
}

static void a_batch_that_is_rolled_back_comes_again(void **state)
{
    (void)state;
    at_every_step_of_a_batch(SAME_BATCH);
}

static void or_only_what_arrived_with_it(void **state)
{
    (void)state;
    at_every_step_of_a_batch(SAME_ARRIVED);
}

static void a_process_that_dies_is_followed_by_another(void **state)
{
    (void)state;
    at_every_step_of_a_batch(NEW_PROCESS);
}

static void or_by_one_in_a_catch_up(void **state)
{
    (void)state;
    at_every_step_of_a_batch(NEW_PROCESS_IN_CATCH_UP);
}

static void every_statement_may_be_refused(void **state)
{
    bool clean = false;
    int n = 0;

    (void)state;
    while (!clean) {
        struct story *story = story_begin();
        bool damaged = n % 2 == 1;

        refusal.steps = ++n;
        refusal.code = damaged ? SQLITE_CORRUPT : SQLITE_BUSY;
        refusal.struck = false;
        (void)tell(story, damaged ? NEW_PROCESS : n % 4 == 1 ? SAME_BATCH : SAME_ARRIVED);
        clean = !refusal.struck; /* the store can do without some statements: nothing failed then */
        assert_once_in_order(story, n);
        story_end(story);
    }
    assert_true(n > 5 * MESSAGES);
}

/* Nobody knows whether a commit is on disk whose sync failed: the messages come again. */
static void a_disk_that_fails(void **state)
{
    bool clean = false;
    int n = 0;

    (void)state;
    while (!clean) {
        struct story *story = story_begin();

        fault.countdown = ++n;
        fault.lasting = n % 2 == 0;
        fault.code = 0;
        fault.system_errno = EIO;
        clean = tell(story, n % 3 == 0 ? NEW_PROCESS : NEW_PROCESS_IN_CATCH_UP) == 0;
        assert_all_rows(story, 5);
        story_end(story);
    }
    assert_true(n > 2 * MESSAGES);
}

static void a_disk_that_is_full(void **state)
{
    bool clean = false;
    int n = 0;

    (void)state;
    while (!clean) {
        struct story *story = story_begin();

        fault.countdown = ++n;
        fault.lasting = true;
        fault.code = n % 2 == 0 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        fault.system_errno = n % 2 == 0 ? ENOSPC : EDQUOT;
        clean = tell(story, n % 3 == 0 ? SAME_BATCH : SAME_ARRIVED) == 0;
        assert_once_in_order(story, n);
        story_end(story);
    }
    assert_true(n > 2 * MESSAGES);
}

/* Two lots, each with something in it, and no process. */
static void leave_some(struct story *story)
{
    commit_batch(story, &(struct batch){.put = "c1 b1 a1 x1"});
    commit_batch(story, &(struct batch){.ms = OLD, .most = 2, .put = "b2 a2"});
    inbox_free(story->inbox);
}

static void loading_may_be_refused(void **state)
{
    bool clean = false;
    int n = 0;

    (void)state;
    while (!clean) {
        struct story *story = story_begin();

        leave_some(story);
        story->inbox = inbox_new(story->fixture->store);
        assert_non_null(story->inbox);
        refusal.steps = ++n;
        refusal.code = SQLITE_BUSY;
        clean = inbox_load(story->inbox) == STORE_OK;
        all_is_well(story);
        if (!clean) {
            roll_back(story);
            assert_int_equal(inbox_load(story->inbox), STORE_OK);
        }
        drain(story, 3);
        assert_string_equal(used_since(story, 0), "a1 b1 c1 x1 a2 b2");
        story_end(story);
    }
    assert_true(n > 7);
}

static void memory_may_be_short(void **state)
{
    struct story *story = *state;

    leave_some(story);
    refusal.allocations = 1;
    assert_null(inbox_new(story->fixture->store));
    inbox_free(NULL);
    story->inbox = inbox_new(story->fixture->store);
    for (int n = 1; n <= 7; n++) {
        refusal.allocations = n;
        assert_int_equal(inbox_load(story->inbox), INBOX_E_MEMORY);
        inbox_rolled_back(story->inbox);
        assert_int_equal(inbox_waiting(story->inbox), 0);
    }
    refusal.allocations = 8;
    assert_int_equal(inbox_load(story->inbox), STORE_OK);
    refusal.allocations = 0;
    drain(story, 3);
    assert_string_equal(used_since(story, 0), "a1 b1 c1 x1 a2 b2");
}

/* --- other programs
 * ---------------------------------------------------------------------------------- */

static void assert_fatal(struct story *story, int result, const char *words)
{
    assert_int_equal(result, STORE_FATAL);
    assert_non_null(strstr(store_error(story->fixture->store), story->fixture->path));
    assert_non_null(strstr(store_error(story->fixture->store), words));
    assert_int_equal(store_close(story->fixture->store), STORE_FATAL);
    story->fixture->store = NULL;
}

static void a_position_that_is_gone_is_not_replaced(void **state)
{
    struct story *story = *state;

    leave_some(story);
    look(story->fixture, "DELETE FROM inbox_position");
    story->inbox = inbox_new(story->fixture->store);
    assert_fatal(story, inbox_load(story->inbox), "the row of inbox_position is gone");
}

static void nor_while_it_is_used(void **state)
{
    struct story *story = *state;

    commit_batch(story, &(struct batch){.put = "a1 b1"});
    look(story->fixture, "DELETE FROM inbox_position");
    inbox_drain(story->inbox);
    assert_fatal(story, make_batch(story, &(struct batch){.most = 1}, true),
                 "the row of inbox_position is gone");
}

static void a_message_that_is_gone_is_missed(void **state)
{
    struct story *story = *state;

    /* Of b2 nothing is known but what the table has. */
    commit_batch(story, &(struct batch){.put = "a1 b2 c1"});
    look(story->fixture, "DELETE FROM inbox WHERE n = 2");
    inbox_drain(story->inbox);
    assert_fatal(story, make_batch(story, &(struct batch){0}, true),
                 "message 2 is gone from the inbox");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, story_setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_that_is_rolled_back_comes_again),
        cmocka_unit_test(or_only_what_arrived_with_it),
        cmocka_unit_test(a_process_that_dies_is_followed_by_another),
        cmocka_unit_test(or_by_one_in_a_catch_up),
        cmocka_unit_test(every_statement_may_be_refused),
        cmocka_unit_test(a_disk_that_fails),
        cmocka_unit_test(a_disk_that_is_full),
        cmocka_unit_test(loading_may_be_refused),
        TEST(memory_may_be_short),
        TEST(a_position_that_is_gone_is_not_replaced),
        TEST(nor_while_it_is_used),
        TEST(a_message_that_is_gone_is_missed),
    };

    use_faulty_vfs();
    return cmocka_run_group_tests_name("inbox_faults", tests, NULL, NULL);
}
