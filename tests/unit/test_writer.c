/* Goal: the writer publishes a message as durable after its commit and never before. With a real
 * store, and a gate without links. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "gate/gate_internal.h"
#include "pipeline/pipeline.h"
#include "writer_wait.h"

#define MESSAGES     6
#define BATCH_MAX    4
#define PAYLOAD_SIZE 256
#define RING_BYTES   65536

static const char *const client_ids[] = {"id-test-01"};

struct pipeline {
    struct watermark watermark;
    struct intake *intake;
    struct gate *gate;
    struct writer *writer;
    struct writer_status status;
    uint64_t in_flight; /* of the messages that are put */
};

/* Puts message `number`, from a device of its own, into the intake. */
static int put_message(struct pipeline *pipeline, int number)
{
    char payload[PAYLOAD_SIZE];
    struct intake_item item = {
        .kind = INTAKE_MESSAGE,
        .qos = 2,
        .received_ms = clock_wall_ms(),
        .topic = "foxtrackr/group/V3.0/bat",
        .topic_length = strlen("foxtrackr/group/V3.0/bat"),
        .payload = payload,
        .in_flight = pipeline->in_flight,
    };

    item.full_length = (size_t)snprintf(payload, sizeof(payload),
                                        "{\"messageType\":1,\"deviceId\":\"d%d\",\"version\":3,"
                                        "\"timeMs\":%lld,\"battery\":{\"voltage\":3.9}}",
                                        number, (long long)NOW_MS);
    item.payload_length = item.full_length;
    return intake_put(pipeline->intake, &item);
}

/* Puts MESSAGES messages into the intake, and then starts the writer. */
static void start(struct pipeline *pipeline, struct fixture *fixture)
{
    struct writer_limits limits = {.max_future_ms = 1000, .batch_max = BATCH_MAX};
    struct writer_parts parts;

    *pipeline = (struct pipeline){0};
    assert_int_equal(intake_new(&pipeline->intake, RING_BYTES, PAYLOAD_SIZE, &pipeline->watermark),
                     0);
    assert_int_equal(gate_new(&pipeline->gate, "broker:1", 1, true, &pipeline->watermark), 0);
    assert_int_equal(foxtrackr_fields_new(&limits.fields), 0);
    for (int i = 1; i <= MESSAGES; i++) {
        assert_int_equal(put_message(pipeline, i), INTAKE_OK);
    }
    parts = (struct writer_parts){.store = fixture->store,
                                  .intake = pipeline->intake,
                                  .gate = pipeline->gate,
                                  .watermark = &pipeline->watermark,
                                  .client_ids = client_ids,
                                  .session_count = 1};
    assert_int_equal(writer_start(&pipeline->writer, &parts, &limits, fixture->path), 0);
}

static void stop(struct pipeline *pipeline, enum writer_state expected)
{
    intake_close(pipeline->intake);
    assert_int_equal(writer_stop(pipeline->writer, UNIT_WAIT_MS), expected);
    gate_free(pipeline->gate);
    intake_free(pipeline->intake);
}

static uint64_t pending(struct pipeline *pipeline)
{
    uint64_t items;
    size_t bytes;

    intake_pending(pipeline->intake, &items, &bytes);
    return items;
}

/* Puts a message whose session had `in_flight` of late; returns whether it ended in lockstep. */
static bool lockstep_with(struct pipeline *pipeline, int number, uint64_t in_flight)
{
    pipeline->in_flight = in_flight;
    assert_int_equal(put_message(pipeline, number), INTAKE_OK);
    wait_durable(&pipeline->watermark, (uint64_t)number);
    return atomic_load(&pipeline->gate->mode.lockstep);
}

static void only_a_small_window_is_handled_in_lockstep(void **state)
{
    struct pipeline pipeline;

    start(&pipeline, *state);
    assert_true(lockstep_with(&pipeline, MESSAGES + 1, 64));
    assert_false(lockstep_with(&pipeline, MESSAGES + 2, 65));
    assert_true(lockstep_with(&pipeline, MESSAGES + 3, 1));
    stop(&pipeline, WRITER_ENDED);
}

static void what_is_published_is_on_disk(void **state)
{
    struct pipeline pipeline;

    start(&pipeline, *state);
    wait_durable(&pipeline.watermark, MESSAGES);
    assert_look(*state, "SELECT count(*) FROM battery", "6");
    assert_int_equal(pending(&pipeline), 0);
    assert_int_equal(put_message(&pipeline, MESSAGES + 1), INTAKE_OK);
    wait_durable(&pipeline.watermark, MESSAGES + 1);
    assert_look(*state, "SELECT count(*) FROM battery", "7");
    stop(&pipeline, WRITER_ENDED);
    assert_look(*state, "SELECT received || ' ' || stored FROM runs", "7 7");
}

/* Makes the first message of this device fail with an error that is not retried. */
static void make_bad(const struct fixture *fixture, const char *device_id)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "CREATE TRIGGER bad BEFORE INSERT ON devices WHEN NEW.device_id = '%s'"
             " BEGIN SELECT abs(-9223372036854775807 - (NEW.device_id = '%s')); END",
             device_id, device_id);
    look(fixture, sql);
}

/* Later messages are not stored either: an acknowledgement would count for all earlier messages. */
static void what_cannot_be_applied_holds_what_came_with_it(void **state)
{
    struct pipeline pipeline;

    make_bad(*state, "d4");
    start(&pipeline, *state);
    wait_state(pipeline.writer, WRITER_FATAL, &pipeline.status);
    assert_non_null(strstr(pipeline.status.reason, "integer overflow"));
    assert_int_equal(atomic_load(&pipeline.watermark.durable), 0);
    assert_look(*state, "SELECT count(*) FROM battery", "0");
    assert_int_equal(pending(&pipeline), MESSAGES);
    assert_int_equal(put_message(&pipeline, MESSAGES + 1), INTAKE_E_REFUSED);
    stop(&pipeline, WRITER_FATAL);
}

static void what_was_published_before_stays(void **state)
{
    struct pipeline pipeline;

    make_bad(*state, "d5");
    start(&pipeline, *state);
    wait_state(pipeline.writer, WRITER_FATAL, &pipeline.status);
    assert_int_equal(atomic_load(&pipeline.watermark.durable), BATCH_MAX);
    assert_look(*state, "SELECT count(*) FROM battery", "4");
    assert_int_equal(pending(&pipeline), MESSAGES - BATCH_MAX);
    stop(&pipeline, WRITER_FATAL);
}

/* Sets the limit on the size of files, beyond which a commit fails as on a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_the_disk_refused_is_stored_once_when_it_can(void **state)
{
    const struct fixture *fixture = *state;
    struct pipeline pipeline;
    struct stat wal;

    assert_int_equal(stat(fixture->store->wal_path, &wal), 0);
    limit_files((rlim_t)wal.st_size);
    start(&pipeline, *state);
    wait_state(pipeline.writer, WRITER_STALLED, &pipeline.status);
    assert_non_null(strstr(pipeline.status.reason, "cannot commit the batch"));
    assert_int_equal(atomic_load(&pipeline.watermark.durable), 0);
    assert_int_equal(put_message(&pipeline, MESSAGES + 1), INTAKE_E_REFUSED);
    limit_files(RLIM_INFINITY);
    wait_durable(&pipeline.watermark, MESSAGES);
    wait_state(pipeline.writer, WRITER_RUNNING, &pipeline.status);
    assert_int_equal(put_message(&pipeline, MESSAGES + 1), INTAKE_OK);
    wait_durable(&pipeline.watermark, MESSAGES + 1);
    stop(&pipeline, WRITER_ENDED);
    assert_look(*state, "SELECT received || ' ' || stored FROM runs", "7 7");
}

/* Another program's transaction, from lock() to unlock(). */
static sqlite3 *lock(const struct fixture *fixture)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void unlock(sqlite3 *db)
{
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_stop_leaves_what_the_disk_refuses_to_the_broker(void **state)
{
    struct pipeline pipeline;
    sqlite3 *other = lock(*state);

    start(&pipeline, *state);
    wait_state(pipeline.writer, WRITER_STALLED, &pipeline.status);
    stop(&pipeline, WRITER_LEFT);
    assert_int_equal(atomic_load(&pipeline.watermark.durable), 0);
    unlock(other);
    assert_look(*state, "SELECT count(*) FROM battery", "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_a_small_window_is_handled_in_lockstep,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(what_is_published_is_on_disk, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(what_cannot_be_applied_holds_what_came_with_it,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(what_was_published_before_stays, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(what_the_disk_refused_is_stored_once_when_it_can,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(a_stop_leaves_what_the_disk_refuses_to_the_broker,
                                        fixture_make_open, fixture_remove),
    };

    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
