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
    assert_int_equal(inbox_finish(story->inbox), STORE_OK);
    commit(story->fixture);
    story->on_disk = story->count;
    inbox_committed(story->inbox, count, story->now_ms);
    return taken;
}

/* Each message once, each topic in order of arrival; none went past the inbox. */
static void assert_all_used(const struct story *story, unsigned count)
{
    unsigned last[3] = {0};

    assert_int_equal(story->on_disk, count);
    for (size_t i = 0; i < story->on_disk; i++) {
        const struct used *used = &story->used[i];

        assert_false(used->directly);
        assert_true(used->number > last[used->letter - 'a']);
        last[used->letter - 'a'] = used->number;
    }
    assert_int_equal(look(story->fixture, "SELECT 1 FROM runs WHERE duplicate > 0")[0], '\0');
}

static void a_lot_begins_when_it_is_large(void **state)
{
    struct story *story = *state;
    unsigned count = 1;

    while (inbox_waiting(story->inbox) < INBOX_LOT_LEAST) {
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
    assert_all_used(story, count - 1);
}

/* Messages until something is sorted in. */
static void fill_lot(struct story *story, unsigned *count)
{
    while (story->count == 0) {
        assert_int_equal(put_many(story, *count, BATCH, 1), BATCH);
        *count += BATCH;
    }
}

/* Beyond that each message would have to be searched for: what is in memory goes to the disk. */
static void memory_is_full_when_no_row_has_room(void **state)
{
    struct story *story = *state;
    char xs[200] = "";
    unsigned count = 1;

    memset(xs, 'x', sizeof(xs) - 1);
    padding = xs;
    fill_lot(story, &count);
    drain(story, 100);
    padding = NULL;
    assert_look(story->fixture,
                "SELECT count(*) FROM battery WHERE time_ms % 10000000 > 0 AND"
                " json_extract(extra, '$.number') IS NOT time_ms % 10000000",
                "0");
    assert_all_used(story, count - 1);
    assert_in_range(story->rows, INBOX_LOT_LEAST / 8, INBOX_LOT_LEAST / 2);
}

/* When an old lot is large enough, the inbox stays open. Of small batches only some sort in, as
 * many as have come since the last one, and a quarter. */
static void a_lot_that_is_old_and_not_small(void **state)
{
    struct story *story = *state;
    enum { FEW = 20, DUE = FEW + FEW / 4 + 1 };
    unsigned count = INBOX_LOT_SMALL;
    unsigned sorted = count / 2;

    put_many(story, 1, count, 0);
    story->now_ms += INBOX_LOT_AGE_MS;
    assert_int_equal(put_many(story, count + 1, 1, count / 2), 1);
    assert_int_equal(story->count, sorted);
    for (unsigned due = 2; due < INBOX_STEP_WORTH; due += DUE) {
        assert_int_equal(story->count, sorted);
        put_many(story, count + 2, FEW, count);
        count += FEW;
    }
    put_many(story, count + 2, FEW, count);
    count += FEW;
    assert_in_range(story->count - sorted, INBOX_STEP_WORTH, INBOX_STEP_WORTH + DUE);
    drain(story, 100);
    assert_all_used(story, count + 1);
}

static unsigned first_in_table(const struct story *story)
{
    return (unsigned)atoi(look(story->fixture, "SELECT min(n) FROM inbox"));
}

/* While the writer is idle each batch sorts twice as many in as came. What is done leaves some
 * pages at a time all the same. */
static void few_are_enough_while_the_writer_is_idle(void **state)
{
    struct story *story = *state;
    enum { FEW = 20, DUE = 2 * FEW + 1, LOT = 3 * INBOX_LOT_SMALL };
    unsigned count = LOT;
    unsigned steps = 0;
    unsigned deletions = 0;

    story->idle = true;
    put_many(story, 1, count, 0);
    story->now_ms += INBOX_LOT_AGE_MS;
    while (story->count < LOT + INBOX_LOT_SMALL / 2) {
        size_t before = story->count;
        unsigned first = first_in_table(story);
        unsigned deleted;

        put_many(story, count + 1, FEW, steps == 0 ? DUE : BATCH);
        count += FEW;
        steps += story->count == before + DUE;
        deleted = first_in_table(story) - first;
        assert_true(deleted == 0 || deleted >= INBOX_STEP_WORTH);
        deletions += deleted > 0;
        story->now_ms += INBOX_SORT_MS / (LOT / FEW);
    }
    assert_in_range(steps, story->count / DUE - 20, story->count / DUE);
    assert_in_range(deletions, 5, steps / 10);
    drain(story, 100);
    assert_all_used(story, count);
}

static void more_than_memory_holds_is_loaded(void **state)
{
    struct story *story = *state;
    const unsigned count = 3 * INBOX_HELD_MOST + 10000;

    leave_many(story, count);
    die(story);
    assert_int_equal(inbox_waiting(story->inbox), count);
    commit_batch(story, &(struct batch){.most = BATCH});
    die(story);
    assert_int_equal(inbox_waiting(story->inbox), count - story->count);
    open_inbox(story);
    assert_int_equal(put_many(story, count + 1, 3, 1), 3);
    drain(story, 1000);
    assert_all_used(story, count + 3);
    /* The last commit has emptied the inbox, and does not write the deleted messages again. */
    assert_in_range(store_commit_pages(story->fixture->store), 1, INBOX_HELD_MOST / 1024);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, story_setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lot_begins_when_it_is_large),    TEST(memory_is_full_when_no_row_has_room),
        TEST(a_lot_that_is_old_and_not_small),  TEST(few_are_enough_while_the_writer_is_idle),
        TEST(more_than_memory_holds_is_loaded),
    };

    return cmocka_run_group_tests_name("inbox: lots", tests, NULL, NULL);
}
