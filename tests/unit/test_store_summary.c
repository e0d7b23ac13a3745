/* The summary of the database's content for status. */
#include "store_fixture.h"

#include "store/tools.h"

static struct store_summary summary_of(struct fixture *fixture)
{
    struct store_summary summary;

    if (store_summary(fixture->store, &summary) != STORE_OK)
        fail_msg("%s", store_error(fixture->store));
    return summary;
}

static int64_t used_of(struct fixture *fixture)
{
    int64_t used_bytes = 0;

    if (store_used_bytes(fixture->store, &used_bytes) != STORE_OK)
        fail_msg("%s", store_error(fixture->store));
    return used_bytes;
}

static void an_empty_database_has_nothing_to_tell(void **state)
{
    struct store_summary summary = summary_of(*state);

    assert_int_equal(summary.gaps, 0);
    assert_string_equal(summary.gap_client_id, "");
    assert_int_equal(summary.gap_to_ms, 0);
    assert_int_equal(summary.quarantine_entries, 0);
}

static void the_last_gap_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct store_summary summary;

    begin(fixture);
    store_session_established(fixture->store, "id-a-01", STORE_GAP_NONE, NULL, NOW_MS);
    store_session_durable(fixture->store, "id-a-01", NOW_MS + 5);
    store_session_established(fixture->store, "id-a-01", STORE_GAP_LOST, NULL, NOW_MS + 20);
    store_session_established(fixture->store, "id-b-01", STORE_GAP_UNCERTAIN, NULL, NOW_MS + 10);
    commit(fixture);
    summary = summary_of(fixture);
    assert_int_equal(summary.gaps, 2);
    assert_string_equal(summary.gap_client_id, "id-a-01");
    assert_string_equal(summary.gap_reason, "session lost");
    assert_int_equal(summary.gap_from_ms, NOW_MS + 5);
    assert_int_equal(summary.gap_to_ms, NOW_MS + 20);

    begin(fixture);
    store_session_established(fixture->store, "id-new", STORE_GAP_LOST, NULL, NOW_MS + 30);
    commit(fixture);
    summary = summary_of(fixture);
    assert_int_equal(summary.gaps, 3);
    assert_string_equal(summary.gap_client_id, "id-new");
    assert_int_equal(summary.gap_from_ms, 0); /* unknown */
}

static void the_last_restoration_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct store_summary summary = summary_of(fixture);

    assert_false(summary.restored);
    look(fixture, "INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason) VALUES"
                  " ('a', 5, 10, 'restored'), ('b', 5, 10, 'restored'), ('a', 1, 3, 'restored'),"
                  " ('a', 8, 99, 'session lost')");
    summary = summary_of(fixture);
    assert_true(summary.restored);
    assert_true(summary.restored_backup);
    assert_int_equal(summary.restored_ms, 10);
    assert_int_equal(summary.restored_from_ms, 5);
    look(fixture, "INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason) VALUES"
                  " ('a', NULL, 200, 'older database')");
    summary = summary_of(fixture);
    assert_true(summary.restored);
    assert_false(summary.restored_backup);
    assert_int_equal(summary.restored_ms, 200);
    assert_int_equal(summary.restored_from_ms, 0);
}

static void a_quarantine_is_counted_by_entries(void **state)
{
    struct fixture *fixture = *state;
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "why"};
    const struct store_packet one = packet("{");
    const struct store_packet other = packet("}");

    begin(fixture);
    store_quarantine(fixture->store, &problem, &one);
    store_quarantine(fixture->store, &problem, &one); /* the same again: no other entry */
    store_quarantine(fixture->store, &problem, &other);
    commit(fixture);
    assert_int_equal(summary_of(fixture).quarantine_entries, 2);
}

static void entries_are_counted_as_they_come_and_go(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "why"};
    const struct store_packet one = packet("{");
    const struct store_packet other = packet("}");
    int64_t version;
    int64_t later;

    assert_int_equal(store_quarantine_entries(store), -1);
    summary_of(fixture);
    assert_int_equal(store_quarantine_entries(store), 0);
    begin(fixture);
    store_quarantine(store, &problem, &one);
    store_quarantine(store, &problem, &one);
    assert_int_equal(store_quarantine_entries(store), 0); /* not committed */
    commit(fixture);
    assert_int_equal(store_quarantine_entries(store), 1);

    begin(fixture);
    store_quarantine(store, &problem, &other);
    assert_int_equal(store_rollback(store), STORE_OK);
    assert_int_equal(store_quarantine_entries(store), 1);

    /* Changes of other programs are noticed, and the next summary counts them. */
    assert_int_equal(store_version_of_others(store, &version), STORE_OK);
    begin(fixture);
    store_quarantine(store, &problem, &other);
    commit(fixture);
    assert_int_equal(store_quarantine_entries(store), 2);
    assert_int_equal(store_version_of_others(store, &later), STORE_OK);
    assert_int_equal(version, later);
    look(fixture, "DELETE FROM quarantine");
    assert_int_equal(store_version_of_others(store, &later), STORE_OK);
    assert_int_not_equal(version, later);
    assert_int_equal(summary_of(fixture).quarantine_entries, 0);
    assert_int_equal(store_quarantine_entries(store), 0);
}

static void a_wild_quarantine_is_not_counted_to_its_end(void **state)
{
    struct fixture *fixture = *state;

    look(fixture, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100001)"
                  " INSERT INTO quarantine SELECT CAST(i AS BLOB), 't', x'', 'json', 'd', 1, 1, 1"
                  " FROM n");
    assert_look(fixture, "SELECT count(*) FROM quarantine", "100001");
    assert_int_equal(summary_of(fixture).quarantine_entries, STORE_QUARANTINE_COUNTED);
}

static bool until(void *context, const char *what, enum store_unit unit, int64_t done,
                  int64_t total)
{
    const int64_t *end = context;

    assert_string_equal(what, "quarantine");
    assert_int_equal(unit, STORE_ROWS);
    assert_int_equal(total, 0);
    return done < *end;
}

static void reasons_are_counted_to_the_end_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    int64_t end = INT64_MAX;
    const struct store_watcher watcher = {until, &end};
    int64_t counts[FOXTRACKR_E_FIELD];

    look(fixture, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100001)"
                  " INSERT INTO quarantine SELECT CAST(i AS BLOB), 't', x'',"
                  " CASE WHEN i < 8 THEN 'topic' ELSE 'oversize' END, 'd', 1, 1, 5 FROM n");
    assert_int_equal(store_quarantine_reasons(fixture->store, &watcher, counts), STORE_OK);
    for (int reason = 1; reason < FOXTRACKR_E_FIELD; reason++) {
        assert_int_equal(counts[reason], reason == FOXTRACKR_E_TOPIC      ? 7
                                         : reason == FOXTRACKR_E_OVERSIZE ? 99994
                                                                          : 0);
    }
    end = 50;
    memset(counts, -1, sizeof(counts));
    assert_int_equal(store_quarantine_reasons(fixture->store, &watcher, counts), STORE_E_STOPPED);
    assert_int_equal(counts[FOXTRACKR_E_TOPIC], -1);
    end = INT64_MAX; /* and again from the beginning */
    assert_int_equal(store_quarantine_reasons(fixture->store, &watcher, counts), STORE_OK);
    assert_int_equal(counts[FOXTRACKR_E_TOPIC], 7);
}

/* used_bytes includes rows that are still in the WAL, and no pages that were freed. */
static void used_bytes_follow_the_rows(void **state)
{
    struct fixture *fixture = *state;
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "why"};
    static char payload[100001];
    struct store_packet large;
    int64_t before = used_of(fixture);

    memset(payload, 'x', sizeof(payload) - 1);
    large = packet(payload);
    begin(fixture);
    store_quarantine(fixture->store, &problem, &large);
    commit(fixture);
    assert_true(used_of(fixture) >= before + 90000);
    look(fixture, "DELETE FROM quarantine");
    assert_true(used_of(fixture) < before + 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_database_has_nothing_to_tell, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(the_last_gap_is_told, fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(the_last_restoration_is_told, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(a_quarantine_is_counted_by_entries, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(entries_are_counted_as_they_come_and_go, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(a_wild_quarantine_is_not_counted_to_its_end,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(reasons_are_counted_to_the_end_or_not_at_all,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(used_bytes_follow_the_rows, fixture_make_open,
                                        fixture_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
