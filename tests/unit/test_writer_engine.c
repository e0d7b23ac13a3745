/*
 * The writer over an engine in memory whose operations fail when a test wants it. Goal: the writer
 * publishes messages after their commit only, applies them again after a refused batch, and ends
 * after a fatal error. tests/unit/test_writer.c does a part of this with a real database.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "memory_engine.h"
#include "pipeline/pipeline.h"
#include "store/sessions.h"
#include "writer_wait.h"

#define NOW_MS       INT64_C(1700000000000)
#define MESSAGES     6
#define BATCH_MAX    4
#define PAYLOAD_SIZE 256
#define RING_BYTES   65536

static const char *const client_ids[] = {"id-test-01", "id-test-02"};

struct pipeline {
    struct watermark watermark;
    struct store *store;
    struct intake *intake;
    struct gate *gate;
    struct writer *writer;
    struct writer_status status;
    bool early; /* a commit found published what was not on disk yet */
};

static int put_payload(struct pipeline *pipeline, const char *payload)
{
    const struct intake_item item = {
        .kind = INTAKE_MESSAGE,
        .qos = 2,
        .received_ms = NOW_MS,
        .topic = "foxtrackr/group/V3.0/bat",
        .topic_length = strlen("foxtrackr/group/V3.0/bat"),
        .payload = payload,
        .payload_length = strlen(payload),
        .full_length = strlen(payload),
    };

    return intake_put(pipeline->intake, &item);
}

static int put_message(struct pipeline *pipeline, int number)
{
    char payload[PAYLOAD_SIZE];

    snprintf(payload, sizeof(payload),
             "{\"deviceId\":\"d%d\",\"messageType\":1,\"version\":3,"
             "\"timeMs\":%lld,\"battery\":{\"voltage\":3.9}}",
             number, (long long)NOW_MS);
    return put_payload(pipeline, payload);
}

static int put_event(struct pipeline *pipeline, enum intake_kind kind, unsigned session,
                     const char *filter)
{
    const struct intake_item item = {.kind = kind,
                                     .session = session,
                                     .qos = 1,
                                     .gap = STORE_GAP_LOST,
                                     .protocol = 4 + (int)session,
                                     .protocol_asked_ms = 6,
                                     .received_ms = 5,
                                     .topic = filter,
                                     .topic_length = strlen(filter)};

    return intake_put(pipeline->intake, &item);
}

/* Checks at a commit that none of its messages is published yet: `durable` is as after the last
 * commit. */
static void look_at_watermark(void *context)
{
    struct pipeline *pipeline = context;
    uint64_t durable = atomic_load(&pipeline->watermark.durable);

    if (durable > memory_settled(pipeline->store)) {
        pipeline->early = true;
    }
}

/* Makes an intake, a gate without links and an empty store; start() starts the writer. */
static int make(void **state)
{
    struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

    if (pipeline == NULL) {
        return -1;
    }
    *state = pipeline;
    pipeline->store = memory_store_new();
    if (pipeline->store != NULL) {
        memory_watch_commits(pipeline->store, look_at_watermark, pipeline);
    }
    return pipeline->store == NULL ||
                   intake_new(&pipeline->intake, RING_BYTES, PAYLOAD_SIZE, &pipeline->watermark) ||
                   gate_new(&pipeline->gate, "broker:1", 2, true, &pipeline->watermark)
               ? -1
               : 0;
}

static int end(void **state)
{
    struct pipeline *pipeline = *state;

    gate_free(pipeline->gate);
    intake_free(pipeline->intake);
    store_close(pipeline->store);
    free(pipeline);
    return 0;
}

static void start(struct pipeline *pipeline)
{
    struct writer_limits limits = {.max_future_ms = 1000, .batch_max = BATCH_MAX};
    const struct writer_parts parts = {.store = pipeline->store,
                                       .intake = pipeline->intake,
                                       .gate = pipeline->gate,
                                       .watermark = &pipeline->watermark,
                                       .client_ids = client_ids,
                                       .session_count = 2};

    assert_int_equal(foxtrackr_fields_new(&limits.fields), 0);
    assert_int_equal(writer_start(&pipeline->writer, &parts, &limits, "memory"), 0);
}

static void put_some(struct pipeline *pipeline)
{
    for (int i = 1; i <= MESSAGES; i++) {
        assert_int_equal(put_message(pipeline, i), INTAKE_OK);
    }
}

static void stop(struct pipeline *pipeline, enum writer_state expected)
{
    intake_close(pipeline->intake);
    assert_int_equal(writer_stop(pipeline->writer, UNIT_WAIT_MS), expected);
    assert_false(pipeline->early);
}

static void assert_history(struct pipeline *pipeline, const char *expected)
{
    char *history = memory_history(pipeline->store);

    assert_non_null(history);
    assert_string_equal(history, expected);
    free(history);
}

static uint64_t pending(struct pipeline *pipeline)
{
    uint64_t items;
    size_t bytes;

    intake_pending(pipeline->intake, &items, &bytes);
    return items;
}

/* --- tests --------------------------------------------------------------------------------- */

static void what_is_committed_is_published_after_it(void **state)
{
    struct pipeline *pipeline = *state;

    put_some(pipeline);
    start(pipeline);
    wait_durable(&pipeline->watermark, MESSAGES);
    assert_int_equal(pending(pipeline), 0);
    stop(pipeline, WRITER_ENDED);
    assert_history(pipeline, "+d1 +d2 +d3 +d4 durable(id-test-01) +d5 +d6 durable(id-test-01) ");
}

/* The messages of a refused commit are applied again in the same order, and each has one row. */
static void what_a_commit_refuses_is_applied_again(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_COMMIT, 1, 1, STORE_E_RETRY);
    put_some(pipeline);
    start(pipeline);
    wait_state(pipeline->writer, WRITER_STALLED, &pipeline->status);
    assert_string_equal(pipeline->status.reason, "the script says so");
    assert_int_equal(atomic_load(&pipeline->watermark.durable), BATCH_MAX);
    assert_int_equal(pending(pipeline), MESSAGES - BATCH_MAX);
    assert_int_equal(put_message(pipeline, MESSAGES + 1), INTAKE_E_REFUSED);
    wait_durable(&pipeline->watermark, MESSAGES);
    wait_state(pipeline->writer, WRITER_RUNNING, &pipeline->status);
    stop(pipeline, WRITER_ENDED);
    assert_history(pipeline, "+d1 +d2 +d3 +d4 durable(id-test-01) +d5 +d6 durable(id-test-01) ");
    assert_int_equal(memory_calls(pipeline->store, MEMORY_ROLLBACK), 1);
}

/* A COMMIT may fail and be on disk all the same: then every row is there already. */
static void what_a_failed_commit_has_left_is_no_second_row(void **state)
{
    struct pipeline *pipeline = *state;

    memory_commit_in_secret(pipeline->store, true);
    memory_fail(pipeline->store, MEMORY_COMMIT, 0, 1, STORE_E_RETRY);
    assert_int_equal(put_message(pipeline, 1), INTAKE_OK);
    start(pipeline);
    wait_durable(&pipeline->watermark, 1);
    stop(pipeline, WRITER_ENDED);
    assert_history(pipeline, "+d1 durable(id-test-01) =d1 durable(id-test-01) ");
    assert_int_equal(memory_rows(pipeline->store), 1);
}

static void what_cannot_be_applied_now_takes_its_batch_back(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_APPLY, 2, 1, STORE_E_RETRY);
    put_some(pipeline);
    start(pipeline);
    wait_durable(&pipeline->watermark, MESSAGES);
    stop(pipeline, WRITER_ENDED);
    assert_history(pipeline, "+d1 +d2 +d3 +d4 durable(id-test-01) +d5 +d6 durable(id-test-01) ");
    assert_int_equal(memory_calls(pipeline->store, MEMORY_APPLY), 3 + MESSAGES);
}

static void a_fatal_commit_ends_it_unpublished(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_COMMIT, 1, -1, STORE_FATAL);
    put_some(pipeline);
    start(pipeline);
    wait_state(pipeline->writer, WRITER_FATAL, &pipeline->status);
    assert_int_equal(atomic_load(&pipeline->watermark.durable), BATCH_MAX);
    assert_int_equal(put_message(pipeline, MESSAGES + 1), INTAKE_E_REFUSED);
    stop(pipeline, WRITER_FATAL);
    assert_int_equal(memory_calls(pipeline->store, MEMORY_ROLLBACK), 0); /* nothing is written */
}

/* The exit status of the process tells the two apart. */
static void sessions_that_another_daemon_has_end_it(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_BEGIN, 1, -1, STORE_E_LOST);
    put_some(pipeline);
    start(pipeline);
    wait_state(pipeline->writer, WRITER_LOST, &pipeline->status);
    assert_int_equal(put_message(pipeline, MESSAGES + 1), INTAKE_E_REFUSED);
    stop(pipeline, WRITER_LOST);
}

static void a_rollback_that_fails_is_fatal(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_BEGIN, 0, 1, STORE_E_RETRY);
    memory_fail(pipeline->store, MEMORY_ROLLBACK, 0, 1, STORE_E_RETRY);
    put_some(pipeline);
    start(pipeline);
    wait_state(pipeline->writer, WRITER_FATAL, &pipeline->status);
    stop(pipeline, WRITER_FATAL);
    assert_int_equal(atomic_load(&pipeline->watermark.durable), 0);
}

static void nothing_is_taken_before_the_store_is_attached(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_ATTACH, 0, 1, STORE_E_RETRY);
    put_some(pipeline);
    start(pipeline);
    wait_durable(&pipeline->watermark, MESSAGES);
    assert_int_equal(memory_calls(pipeline->store, MEMORY_ATTACH), 2);
    stop(pipeline, WRITER_ENDED);
}

static void a_stop_during_a_stall_leaves_the_rest_to_the_broker(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_COMMIT, 0, -1, STORE_E_RETRY);
    put_some(pipeline);
    start(pipeline);
    wait_state(pipeline->writer, WRITER_STALLED, &pipeline->status);
    stop(pipeline, WRITER_LEFT);
    assert_int_equal(atomic_load(&pipeline->watermark.durable), 0);
    assert_int_equal(memory_rows(pipeline->store), 0);
}

static bool beats(void *context)
{
    return memory_calls(((struct pipeline *)context)->store, MEMORY_BEAT) >= 2;
}

/* While nothing can be stored the store hears of the daemon, which another one might take for one
 * that hangs. */
static void a_stalled_daemon_tells_that_it_lives(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_COMMIT, 0, -1, STORE_E_RETRY);
    put_some(pipeline);
    start(pipeline);
    wait_state(pipeline->writer, WRITER_STALLED, &pipeline->status);
    unit_wait(beats, pipeline, "beats in a stall");
    stop(pipeline, WRITER_LEFT);
}

static bool has_rows(void *context)
{
    return memory_rows(((struct pipeline *)context)->store) == MESSAGES;
}

/* Messages that wait in the store are durable and published; they become rows even if no further
 * message arrives. */
static void what_waits_is_sorted_in_by_later_batches(void **state)
{
    struct pipeline *pipeline = *state;

    memory_watch_commits(pipeline->store, NULL, NULL); /* rows come later here */
    memory_put_off(pipeline->store, true);
    put_some(pipeline);
    start(pipeline);
    wait_durable(&pipeline->watermark, MESSAGES);
    unit_wait(has_rows, pipeline, "rows of what waited");
    assert_int_equal(atomic_load(&pipeline->watermark.durable), MESSAGES);
    stop(pipeline, WRITER_ENDED);
    assert_int_equal(memory_rows(pipeline->store), MESSAGES);
}

static bool is_quarantined(void *context)
{
    struct pipeline *pipeline = context;

    writer_status(pipeline->writer, &pipeline->status);
    return pipeline->status.quarantined[FOXTRACKR_E_JSON] == 1 &&
           pipeline->status.counts.received == 2;
}

/* The same if the store parses a message in a later batch than the one that brought it. */
static void quarantine_and_the_newest_reading_are_told(void **state)
{
    struct pipeline *pipeline = *state;

    memory_watch_commits(pipeline->store, NULL, NULL);
    memory_put_off(pipeline->store, true);
    assert_int_equal(put_payload(pipeline, "{no json"), INTAKE_OK);
    assert_int_equal(put_message(pipeline, 1), INTAKE_OK);
    start(pipeline);
    unit_wait(is_quarantined, pipeline, "a message in quarantine and a row");
    assert_int_equal(pipeline->status.newest_time_ms, NOW_MS);
    stop(pipeline, WRITER_ENDED);
}

static void assert_protocol(struct pipeline *pipeline, const char *client_id, int version,
                            int64_t asked_ms)
{
    struct store_session session;

    assert_int_equal(store_session_find(pipeline->store, client_id, &session), STORE_OK);
    assert_int_equal(session.protocol.version, version);
    assert_int_equal(session.protocol.asked_ms, asked_ms);
}

static void events_reach_the_store_in_their_order(void **state)
{
    struct pipeline *pipeline = *state;

    memory_watch_commits(pipeline->store, NULL, NULL);
    assert_int_equal(put_event(pipeline, INTAKE_CONNECTING, 0, ""), INTAKE_OK);
    assert_int_equal(put_event(pipeline, INTAKE_ESTABLISHED, 0, ""), INTAKE_OK);
    assert_int_equal(put_event(pipeline, INTAKE_SUBSCRIBED, 0, "fox/#"), INTAKE_OK);
    assert_int_equal(put_message(pipeline, 1), INTAKE_OK);
    assert_int_equal(put_event(pipeline, INTAKE_UNSUBSCRIBED, 0, "a/b"), INTAKE_OK);
    assert_int_equal(put_event(pipeline, INTAKE_CONNECTING, 1, ""), INTAKE_OK);
    assert_int_equal(put_event(pipeline, INTAKE_SETTLED, 1, ""), INTAKE_OK);
    assert_int_equal(put_event(pipeline, INTAKE_REFUSED, 1, ""), INTAKE_OK);
    start(pipeline);
    wait_durable(&pipeline->watermark, 8);
    stop(pipeline, WRITER_ENDED);
    assert_history(pipeline, "connecting(id-test-01) established(id-test-01,lost,5) "
                             "subscribed(id-test-01,fox/#,1,5) +d1 durable(id-test-01) "
                             "unsubscribed(id-test-01,a/b) connecting(id-test-02) "
                             "settled(id-test-02,lost,5) settled(id-test-02,none,0) ");
    assert_protocol(pipeline, "id-test-01", 4, 6);
    assert_protocol(pipeline, "id-test-02", 5, 6);
}

static bool was_idle_often(void *context)
{
    return memory_calls(((struct pipeline *)context)->store, MEMORY_IDLE) >= 20;
}

/* An engine that asks to be called again after 10 ms is called 20 times in much less than 20 of the
 * writer's own waits, which take half a second. */
static void an_idle_store_is_called_when_it_wants(void **state)
{
    struct pipeline *pipeline = *state;

    start(pipeline);
    unit_wait(was_idle_often, pipeline, "the store's turns");
    stop(pipeline, WRITER_ENDED);
}

/* Work that fails in idle time is said once, and tried again; and so is its end. */
static void work_that_is_put_off_is_said(void **state)
{
    struct pipeline *pipeline = *state;
    char path[] = "/tmp/foxtrackr-writer-XXXXXX";
    char text[4096];
    char problem[256];
    static const char said[] = "work in idle time is put off: the script says so";
    static const char over[] = "work in idle time goes on";
    const char *line;
    size_t length;
    FILE *log;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(log_open(LOG_TARGET_FILE, path, LOG_INFO, problem, sizeof(problem)), 0);
    memory_fail(pipeline->store, MEMORY_IDLE, 2, 10, STORE_E_RETRY);
    start(pipeline);
    unit_wait(was_idle_often, pipeline, "the store's turns");
    stop(pipeline, WRITER_ENDED);
    log_close();
    log = fdopen(fd, "r");
    assert_non_null(log);
    length = fread(text, 1, sizeof(text) - 1, log);
    text[length] = '\0';
    fclose(log);
    unlink(path);
    line = strstr(text, said);
    assert_non_null(line);
    assert_null(strstr(line + strlen(said), "put off"));
    line = strstr(line, over);
    assert_non_null(line);
    assert_null(strstr(line + strlen(over), over));
}

static bool was_idle_again(void *context)
{
    struct pipeline *pipeline = context;
    static int number;

    number = number % 100 + 1; /* the memory holds no more rows than 256 */
    assert_int_equal(put_message(pipeline, number), INTAKE_OK);
    return memory_calls(pipeline->store, MEMORY_IDLE) >= 2;
}

/* A message comes every few milliseconds, sooner than the writer's wait is over. */
static void a_busy_store_gets_a_turn_too(void **state)
{
    struct pipeline *pipeline = *state;

    start(pipeline);
    unit_wait(was_idle_again, pipeline, "the store's turns");
    stop(pipeline, WRITER_ENDED);
}

#define WITH_PIPELINE(test) cmocka_unit_test_setup_teardown(test, make, end)

/* Limits with views, for the writer to take over. */
static void set_views(struct pipeline *pipeline)
{
    struct writer_limits limits = {.max_future_ms = 1000, .batch_max = BATCH_MAX};

    limits.views = calloc(1, sizeof(*limits.views));
    assert_non_null(limits.views);
    assert_int_equal(foxtrackr_fields_new(&limits.fields), 0);
    writer_set_limits(pipeline->writer, &limits);
}

static bool has_tried_again(void *context)
{
    return memory_calls(context, MEMORY_SET_VIEWS) == 2;
}

/* Views that cannot be made stop no message, and new limits are a reason to try at once. */
static void views_do_not_stop_messages(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_SET_VIEWS, 0, 1, STORE_E_RETRY);
    start(pipeline);
    set_views(pipeline);
    put_some(pipeline);
    wait_durable(&pipeline->watermark, MESSAGES);
    assert_true(memory_calls(pipeline->store, MEMORY_SET_VIEWS) >= 1);
    writer_status(pipeline->writer, &pipeline->status);
    assert_int_equal(pipeline->status.state, WRITER_RUNNING);

    set_views(pipeline);
    unit_wait(has_tried_again, pipeline->store, "another try");
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(put_message(pipeline, MESSAGES + i), INTAKE_OK);
        wait_durable(&pipeline->watermark, (uint64_t)MESSAGES + (uint64_t)i);
    }
    assert_true(has_tried_again(pipeline->store)); /* that one has succeeded */
    stop(pipeline, WRITER_ENDED);
}

/* A database that fails meanwhile ends the thread, as any other failure does. */
static void views_may_find_a_failing_database(void **state)
{
    struct pipeline *pipeline = *state;

    memory_fail(pipeline->store, MEMORY_SET_VIEWS, 0, -1, STORE_FATAL);
    start(pipeline);
    set_views(pipeline);
    wait_state(pipeline->writer, WRITER_FATAL, &pipeline->status);
    stop(pipeline, WRITER_FATAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PIPELINE(what_is_committed_is_published_after_it),
        WITH_PIPELINE(what_a_commit_refuses_is_applied_again),
        WITH_PIPELINE(what_a_failed_commit_has_left_is_no_second_row),
        WITH_PIPELINE(what_cannot_be_applied_now_takes_its_batch_back),
        WITH_PIPELINE(a_fatal_commit_ends_it_unpublished),
        WITH_PIPELINE(sessions_that_another_daemon_has_end_it),
        WITH_PIPELINE(a_rollback_that_fails_is_fatal),
        WITH_PIPELINE(nothing_is_taken_before_the_store_is_attached),
        WITH_PIPELINE(a_stop_during_a_stall_leaves_the_rest_to_the_broker),
        WITH_PIPELINE(a_stalled_daemon_tells_that_it_lives),
        WITH_PIPELINE(what_waits_is_sorted_in_by_later_batches),
        WITH_PIPELINE(quarantine_and_the_newest_reading_are_told),
        WITH_PIPELINE(events_reach_the_store_in_their_order),
        WITH_PIPELINE(an_idle_store_is_called_when_it_wants),
        WITH_PIPELINE(work_that_is_put_off_is_said),
        WITH_PIPELINE(a_busy_store_gets_a_turn_too),
        WITH_PIPELINE(views_do_not_stop_messages),
        WITH_PIPELINE(views_may_find_a_failing_database),
    };

    return cmocka_run_group_tests_name("writer over an engine in memory", tests, NULL, NULL);
}
