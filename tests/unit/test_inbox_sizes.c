/*
 * How large a lot of the inbox becomes, by the fleet, the database and the disk; and what happens
 * when sorting does not keep up.
 *
 * The inbox is built with small lots, and the linker wraps what it asks the store (see
 * unit.mk).
 */
#include "inbox_fixture.h"

#include <errno.h>

#include "base/log.h"
#include "store/sqlite/inbox_runs_internal.h"
#include "store/sqlite/inbox_sizes_internal.h"

#define BATCH 8

static struct {
    uint32_t devices;
    int64_t used_bytes;
    bool no_scratch;
} told;

int __wrap_store_inbox_newest_device(struct store *store, uint32_t *device);
int __wrap_store_used_bytes(struct store *store, int64_t *used_bytes);
int __real_store_inbox_scratch(const struct store *store);
int __wrap_store_inbox_scratch(const struct store *store);

int __wrap_store_inbox_newest_device(struct store *store, uint32_t *device)
{
    (void)store;
    *device = told.devices;
    return STORE_OK;
}

int __wrap_store_used_bytes(struct store *store, int64_t *used_bytes)
{
    (void)store;
    *used_bytes = told.used_bytes;
    return STORE_OK;
}

int __wrap_store_inbox_scratch(const struct store *store)
{
    errno = EOPNOTSUPP;
    return told.no_scratch ? -1 : __real_store_inbox_scratch(store);
}

/* A batch of messages of which the first has this number, which is made twice. Returns how many of
 * them the inbox took. */
static unsigned put_some(struct story *story, unsigned first)
{
    char text[16 * BATCH];
    size_t length = 0;
    size_t before = story->count;
    unsigned directly = 0;
    unsigned count;

    for (unsigned i = first; i < first + BATCH; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%c%u",
                                   length > 0 ? " " : "", "cba"[i % 3], i);
    }
    assert_int_equal(fill_batch(story, &(struct batch){.most = 1, .put = text}, true, &count), 0);
    roll_back(story);
    commit_batch(story, &(struct batch){.most = 1, .put = text});
    for (size_t i = before; i < story->count; i++) {
        directly += story->used[i].directly;
    }
    return BATCH - directly;
}

/* How many messages come before something is sorted in, so far apart. */
static unsigned fill_lot(struct story *story, int64_t ms)
{
    unsigned count = 0;

    for (; story->count == 0; count += BATCH) {
        assert_int_equal(put_some(story, count + 1), BATCH);
        story->now_ms += ms;
    }
    return count - BATCH;
}

static unsigned batches(unsigned count)
{
    return (count + BATCH - 1) / BATCH * BATCH;
}

/* As the fleet needs it; but not larger than what the tables take, or than an eighth of what is
 * free, and not for longer than is allowed. */
static void a_lot_is_as_large_as_it_may_be(void **state)
{
    enum { MUCH = 1 << 30, MESSAGE = 60, OLD = INBOX_LOT_AGE_MS, LATE = INBOX_LOT_AGE_LARGE_MS };
    static const struct {
        const char *what;
        uint32_t devices;
        int64_t used;
        int64_t free;
        int64_t ms; /* between batches */
        unsigned lot;
        unsigned fewer; /* at most */
    } cases[] = {
        {"nothing is known", 0, 0, MUCH, 1, INBOX_LOT_LEAST, 0},
        {"one device", 1, MUCH, MUCH, 1, INBOX_LOT_LEAST, 0},
        {"two", 2, MUCH, MUCH, 1, INBOX_LOT_LEAST, 0},
        {"three", 3, MUCH, MUCH, 1, 3 * INBOX_LOT_A_DEVICE, 0},
        {"seven", 7, MUCH, MUCH, 1, 7 * INBOX_LOT_A_DEVICE, 0},
        {"seven, with empty tables", 7, 0, MUCH, 1, INBOX_LOT_LEAST, 0},
        {"with some rows", 7, 500 * MESSAGE, MUCH, 1, 550, 100},
        {"on a disk with little room", 7, MUCH, 8 * 800 * MESSAGE, 1, 880, 100},
        {"on a disk with less", 7, MUCH, 0, 1, 600, 100},
        {"very many", UINT32_MAX - 1, MUCH, MUCH, 1, INBOX_LOT_MOST, 0},
        {"slow", 7, MUCH, MUCH, OLD / 10, 10 * BATCH, 0},
        {"not so slow", 7, MUCH, MUCH, OLD / (INBOX_LOT_LEAST / BATCH), 7 * INBOX_LOT_A_DEVICE, 0},
        {"at first", 7, MUCH, MUCH, OLD / (INBOX_LOT_LEAST / BATCH) + 3, INBOX_LOT_LEAST, BATCH},
        {"for too long", 100, MUCH, MUCH, OLD / (INBOX_LOT_LEAST / BATCH),
         (LATE / (OLD / (INBOX_LOT_LEAST / BATCH)) + 1) * BATCH, BATCH},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct story *story = *state;
        unsigned lot;

        story_end(story);
        *state = story = story_begin();
        told.devices = cases[i].devices;
        told.used_bytes = cases[i].used;
        inbox_note_space(story->inbox, INBOX_ROOM > cases[i].free ? INBOX_ROOM : cases[i].free);
        lot = fill_lot(story, cases[i].ms);
        if (lot > batches(cases[i].lot) || lot + cases[i].fewer < cases[i].lot) {
            fail_msg("%s: %u messages instead of %u", cases[i].what, lot, cases[i].lot);
        }
    }
}

/* Of large messages a lot has fewer. */
static void a_lot_is_not_larger_than_it_may_be_in_bytes(void **state)
{
    enum { LEAST = INBOX_LOT_LEAST_BYTES, MOST = INBOX_LOT_MOST_BYTES };
    static const struct {
        int64_t used;
        uint32_t count;
        uint64_t bytes;
        bool enough;
    } cases[] = {
        {0, 1, LEAST - 1, false},
        {0, 1, LEAST, true},
        {LEAST + 2, 1, LEAST + 1, false},
        {LEAST + 2, 1, LEAST + 2, true},
        {10 * MOST, 1, MOST - 1, false},
        {10 * MOST, 1, MOST, true},
        {10 * MOST, INBOX_LOT_LEAST, MOST - 1, false},
        {0, INBOX_LOT_LEAST - 1, 1, false},
        {0, INBOX_LOT_LEAST, 1, true},
        {INT64_MAX, 3 * INBOX_LOT_A_DEVICE - 1, 1, false},
        {INT64_MAX, 3 * INBOX_LOT_A_DEVICE, 1, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct inbox_lot lot = {.count = cases[i].count, .bytes = cases[i].bytes};
        struct inbox_sizes sizes;

        inbox_sizes_begin(&sizes);
        inbox_sizes_new_lot(&sizes, 3, cases[i].used, 0, INT64_MAX);
        if (inbox_sizes_enough(&sizes, &lot) != cases[i].enough) {
            fail_msg("case %zu", i);
        }
    }
}

/* The lot before it, for a second lot and the next ones: it is no part of the tables, though it is
 * in the database. */
static void what_waits_does_not_count(void **state)
{
    enum { MESSAGE = 60, TABLES = 500 };
    struct story *story = *state;
    unsigned before = 0; /* messages in the lots before the one that is filled */
    unsigned count = 0;

    told.devices = 7;
    for (int lot = 0; lot < 4; count += BATCH) {
        told.used_bytes = (2 * (count - before) + TABLES) * MESSAGE;
        put_some(story, count + 1);
        if (story->count > before) {
            assert_in_range(count - before, TABLES, TABLES + 100);
            before = count;
            lot++;
        }
        while (story->count > 0 && inbox_waiting(story->inbox) > count + BATCH - before) {
            commit_batch(story, &(struct batch){0});
        }
    }
}

static void without_a_file_a_lot_is_what_memory_holds(void **state)
{
    struct story *story = *state;

    told.devices = 7;
    told.used_bytes = 1 << 30;
    told.no_scratch = true;
    assert_int_equal(fill_lot(story, 1), batches(INBOX_HELD_ENOUGH));
}

/* Of a lot that is not large a quarter more is sorted in than came, of a large one less. */
static void each_batch_does_the_same(void **state)
{
    static const struct {
        uint32_t devices;
        unsigned step;
    } cases[] = {{1, BATCH + BATCH / 4 + 1},
                 {100, BATCH + BATCH * INBOX_LOT_LEAST / 4 / INBOX_LOT_MOST + 1}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct story *story = *state;
        size_t before;

        story_end(story);
        *state = story = story_begin();
        told.devices = cases[i].devices;
        told.used_bytes = 1 << 30;
        fill_lot(story, 1);
        before = story->count;
        commit_batch(story, &(struct batch){0});
        assert_int_equal(story->count - before, cases[i].step);
    }
}

/* When few messages come after many, the rest of a lot does not wait for more of them. */
static void a_lot_is_sorted_in_in_time(void **state)
{
    enum { PART_MS = INBOX_SORT_MS / 20 };
    struct story *story = *state;
    unsigned lot;

    told.devices = 100;
    told.used_bytes = 1 << 30;
    lot = fill_lot(story, 1);
    for (unsigned i = 1; i <= 20; i++) {
        assert_in_range(story->count, (i - 1) * lot / 20, (i - 1) * lot / 20 + 2 * i);
        commit_batch(story, &(struct batch){.ms = PART_MS});
    }
    assert_int_equal(story->count, lot);
}

/* A process that can make no file finds more than there is room for. */
static void what_a_crash_left_is_loaded_without_a_file(void **state)
{
    enum { LEFT = 5 * INBOX_HELD_MOST / 2 };
    struct story *story = *state;

    leave_many(story, LEFT);
    told.no_scratch = true;
    die(story);
    assert_int_equal(inbox_waiting(story->inbox), LEFT);
    drain(story, LEFT);
    assert_int_equal(story->on_disk, LEFT);
    assert_int_equal(story->used[0].number, 3); /* of a, then of b and c */
    assert_int_equal(story->used[LEFT / 2].letter, 'b');
    assert_look(story->fixture, "SELECT sum(duplicate) + sum(quarantined) FROM runs", "0");
}

static void where_there_is_no_room_it_closes(void **state)
{
    struct story *story = *state;

    inbox_note_space(story->inbox, INBOX_ROOM);
    assert_int_equal(put_some(story, 1), BATCH);
    inbox_note_space(story->inbox, INBOX_ROOM - 1);
    assert_true(inbox_is_draining(story->inbox));
    commit_batch(story, &(struct batch){0});
    assert_int_equal(put_some(story, 1 + BATCH), 0);
}

/* The lot that is filled goes on growing, up to what the file holds; then messages go to their
 * tables at once. */
static void sorting_that_does_not_keep_up(void **state)
{
    struct story *story = *state;
    unsigned count = 1;
    unsigned taken = 0;

    told.devices = 1;
    for (; taken == count - 1; count += BATCH) {
        taken += put_some(story, count);
    }
    assert_in_range(taken, INBOX_RUNS * INBOX_HELD_ENOUGH + INBOX_HELD_MOST, UINT32_MAX);
    drain(story, 100);
    assert_int_equal(story->on_disk, count - 1);
    assert_look(story->fixture, "SELECT sum(duplicate) FROM runs", "0");
}

static int setup(void **state)
{
    memset(&told, 0, sizeof(told));
    log_set_level(LOG_ERR); /* not the notice that there is no scratch file */
    return story_setup(state);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, story_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lot_is_as_large_as_it_may_be),
        cmocka_unit_test(a_lot_is_not_larger_than_it_may_be_in_bytes),
        TEST(what_waits_does_not_count),
        TEST(without_a_file_a_lot_is_what_memory_holds),
        TEST(each_batch_does_the_same),
        TEST(a_lot_is_sorted_in_in_time),
        TEST(what_a_crash_left_is_loaded_without_a_file),
        TEST(where_there_is_no_room_it_closes),
        TEST(sorting_that_does_not_keep_up),
    };

    return cmocka_run_group_tests_name("inbox: sizes", tests, NULL, NULL);
}
