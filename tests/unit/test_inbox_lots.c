/* Lots of the inbox as large as in a catch-up: when the next one begins, and what is full. */
#include "inbox_fixture.h"

#define BATCH 4096

/* A batch of messages of the devices c, b, a in turn, the first of which has number `from`; sorts
 * `most` in. Returns how many of them were taken. */
static unsigned put_many(struct story *story, unsigned from, unsigned count, uint64_t most)
{
    unsigned taken = 0;

    begin(story->fixture);
    assert_int_equal(sort_some(story, most), STORE_OK);
    for (unsigned i = from; i < from + count; i++) {
        bool one = false;

        assert_int_equal(put_in(story, "cba"[i % 3], i, &one), STORE_OK);
        taken += one;
    }
    commit(story->fixture);
    story->on_disk = story->count;
    inbox_committed(story->inbox, count, story->now_ms);
    return taken;
}

/* Each message once, each topic in order of arrival; so many went past the inbox. */
static void assert_all_used(const struct story *story, unsigned count, unsigned directly)
{
    unsigned last[3] = {0};

    assert_int_equal(story->on_disk, count);
    for (size_t i = 0; i < story->on_disk; i++) {
        const struct used *used = &story->used[i];

        directly -= used->directly;
        if (!used->directly) {
            assert_true(used->number > last[used->letter - 'a']);
            last[used->letter - 'a'] = used->number;
        }
    }
    assert_int_equal(directly, 0);
    assert_int_equal(look(story->fixture, "SELECT 1 FROM runs WHERE duplicate > 0")[0], '\0');
}

static void a_lot_begins_when_it_is_large(void **state)
{
    struct story *story = *state;
    unsigned count = 1;

    while (inbox_waiting(story->inbox) < INBOX_LOT_ENOUGH) {
        assert_int_equal(put_many(story, count, BATCH, BATCH), BATCH);
        assert_int_equal(story->count, 0);
        count += BATCH;
    }
    /* A quarter more is sorted in than comes: the devices follow one another. */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(put_many(story, count, BATCH, 2 * BATCH), BATCH);
        count += BATCH;
    }
    assert_int_equal(story->count, 5 * (BATCH + BATCH / 4 + 1));
    assert_int_equal(story->used[0].letter, 'a');
    drain(story, 300);
    assert_all_used(story, count - 1, 0);
}

/* Beyond that each message would have to be searched for, and the lot pays already. */
static void a_lot_begins_when_no_row_has_room(void **state)
{
    struct story *story = *state;
    char extra[200] = "";
    unsigned count = 1;

    memset(extra, 'x', sizeof(extra) - 1);
    extra_of_all = extra;
    while (inbox_waiting(story->inbox) < INBOX_LOT_WORTH - BATCH) {
        put_many(story, count, BATCH, BATCH);
        count += BATCH;
    }
    assert_int_equal(put_many(story, count, BATCH, 1), BATCH);
    assert_int_equal(story->count, 0); /* there is no room for long, but the lot is small */
    assert_int_equal(put_many(story, count + BATCH, BATCH, 1), BATCH);
    assert_int_equal(story->count, 1);
    extra_of_all = NULL;
    drain(story, 100);
    assert_all_used(story, count + 2 * BATCH - 1, 0);
    assert_in_range(story->rows, 1, INBOX_LOT_WORTH / 2);
}

/* When an old lot is large enough, the inbox stays open. */
static void a_lot_that_is_old_and_not_small(void **state)
{
    struct story *story = *state;
    const unsigned count = INBOX_LOT_SMALL;

    put_many(story, 1, count, 0);
    story->now_ms += INBOX_LOT_AGE_MS;
    assert_int_equal(put_many(story, count + 1, 1, count / 2), 1);
    assert_int_equal(story->count, count / 2);
    assert_int_equal(put_many(story, count + 2, 1, count), 1);
    assert_int_equal(story->count, count / 2 + 2);
    drain(story, 100);
    assert_all_used(story, count + 2, 0);
}

/* When sorting cannot keep up, messages go to their tables at once. */
static void a_full_lot_takes_nothing(void **state)
{
    struct story *story = *state;
    unsigned count = 1;
    unsigned directly = 0;

    while (count < INBOX_LOT_ENOUGH + INBOX_LOT_MOST + 3 * BATCH) {
        directly += BATCH - put_many(story, count, BATCH, 1);
        count += BATCH;
    }
    assert_int_equal(inbox_waiting(story->inbox) + story->count, count - 1);
    assert_in_range(directly, 1, 3 * BATCH);
    drain(story, 1000);
    assert_all_used(story, count - 1, directly);
}

static void more_than_a_lot_is_loaded(void **state)
{
    struct story *story = *state;
    const unsigned count = INBOX_LOT_MOST + 10000;
    char sql[512];

    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE number(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM number WHERE n <"
             " %u) INSERT INTO inbox SELECT n, 1 + n %% 3, '%s', 'foxtrackr/' || substr('abc',"
             " 1 + n %% 3, 1) || '/V3.0/bat', CAST(substr('abc', 1 + n %% 3, 1) || n AS BLOB),"
             " %lld + n FROM number",
             count, CLIENT_ID, (long long)NOW_MS);
    look(story->fixture, sql);
    die(story);
    assert_int_equal(inbox_waiting(story->inbox), count);
    commit_batch(story, &(struct batch){.most = BATCH});
    die(story);
    assert_int_equal(inbox_waiting(story->inbox), count - story->count);
    open_inbox(story);
    assert_int_equal(put_many(story, count + 1, 3, 1), 3);
    drain(story, 1000);
    assert_all_used(story, count + 3, 0);
    /* It was emptied with the last commit, and what was in it is not written again. */
    assert_in_range(store_commit_pages(story->fixture->store), 1, INBOX_LOT_MOST / 1024);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, story_setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lot_begins_when_it_is_large),   TEST(a_lot_begins_when_no_row_has_room),
        TEST(a_lot_that_is_old_and_not_small), TEST(a_full_lot_takes_nothing),
        TEST(more_than_a_lot_is_loaded),
    };

    return cmocka_run_group_tests_name("inbox: lots", tests, NULL, NULL);
}
