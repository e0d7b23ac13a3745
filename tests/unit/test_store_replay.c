/* Goal: replay keeps its transactions short, so that other writers do not wait long. */
#include "store_fixture.h"

#include <inttypes.h>

#include "foxtrackr.h"
#include "store/sqlite/replay_internal.h"
#include "store/tools.h"

#define MESSAGES    16
#define BODY_LENGTH (100 * 1024)

static bool go_on(void *context, const char *what, enum store_unit unit, int64_t done,
                  int64_t total)
{
    (void)context, (void)what, (void)unit, (void)done, (void)total;
    return true;
}

static int count_commit(void *context)
{
    ++*(int *)context;
    return 0;
}

/* Messages so long that a few of them are enough for one transaction. */
static void put_large_ones(struct fixture *fixture)
{
    static char body[BODY_LENGTH + 1];
    struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "no"};

    begin(fixture);
    for (int i = 0; i < MESSAGES; i++) {
        struct store_packet whole;
        int used = snprintf(body, sizeof(body),
                            "{\"messageType\":1,\"deviceId\":\"1\",\"version\":3,"
                            "\"timeMs\":%" PRId64 ",\"battery\":{\"voltage\":3,\"text\":\"",
                            NOW_MS - i);

        memset(body + used, 'x', (size_t)(BODY_LENGTH - used - 3));
        memcpy(body + BODY_LENGTH - 3, "\"}}", 4);
        whole = packet(body);
        assert_int_equal(store_quarantine(fixture->store, &problem, &whole), STORE_OK);
    }
    commit(fixture);
}

static void test_large_messages_go_few_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_fields *fields = NULL;
    struct store_replay replay = {.max_future_ms = 1000};
    const struct store_watcher watcher = {.progress = go_on};
    int commits = 0;

    assert_int_equal(foxtrackr_fields_new(&fields), 0);
    replay.fields = fields;
    put_large_ones(fixture);
    sqlite3_commit_hook(fixture->store->db, count_commit, &commits);
    assert_int_equal(store_replay(fixture->store, &replay, &watcher), STORE_OK);
    foxtrackr_fields_free(fields);
    assert_int_equal(replay.counts[FOXTRACKR_E_JSON].moved, MESSAGES);
    assert_look(fixture, "SELECT count(*) FROM quarantine", "0");
    assert_look(fixture, "SELECT count(*) FROM battery", "16");
    if (commits < MESSAGES * BODY_LENGTH / ((int)REPLAY_HOLD_BYTES + BODY_LENGTH)) {
        fail_msg("%d messages of %d bytes in %d transactions", MESSAGES, BODY_LENGTH, commits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_large_messages_go_few_at_a_time, fixture_make_open,
                                        fixture_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
