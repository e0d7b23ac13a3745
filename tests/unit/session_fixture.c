/* Makes and ends the parts of session_fixture.h in the order of daemon/main.c. */
#include "session_fixture.h"

#include <unistd.h>

#include "base/log.h"

#define BATCH_MAX  64
#define RING_BYTES 65536
#define STOP_MS    20000
#define LOG_SIZE   65536

static char filter_a[] = "a/#";
static char filter_b[] = "b/#";
static char *filters[FILTERS] = {filter_a, filter_b};
static char client_id[] = CLIENT;
static char host[] = FAKE_BROKER_HOST;
static char database_path[] = "memory";
static const char *const client_ids[] = {CLIENT};

/* --- making --------------------------------------------------------------------------------- */

static void set_config(struct config *config)
{
    config->broker.host = host;
    config->broker.port = fake_broker_open();
    config->broker.keepalive_s = 60;
    config->broker.protocol = CONFIG_MQTT_3_1_1;
    config->database.path = database_path;
    config->session_count = 1;
    config->sessions[0].client_id = client_id;
    config->sessions[0].filters = filters;
    config->sessions[0].filter_count = FILTERS;
    config->sessions[0].qos = 2;
    config->sessions[0].receive_maximum = 1000;
    config->sessions[0].session_expiry_ms = INT64_C(7) * 24 * 3600 * 1000;
}

int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char problem[256];
    int fd;

    assert_non_null(fixture);
    *state = fixture;
    strcpy(fixture->log_path, "/tmp/test_session.XXXXXX");
    fd = mkstemp(fixture->log_path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(
        log_open(LOG_TARGET_FILE, fixture->log_path, LOG_DEBUG, problem, sizeof(problem)), 0);
    set_config(&fixture->config);
    shifted_clock_reset();
    fixture->store = memory_store_new();
    assert_non_null(fixture->store);
    fake_mqtt_begin(fixture->store);
    return 0;
}

int fixture_remove(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_unstick();
    fixture_end(fixture);
    fake_mqtt_end();
    fake_broker_close();
    store_close(fixture->store);
    log_close();
    unlink(fixture->log_path);
    free(fixture);
    return 0;
}

/* --- what is on record ---------------------------------------------------------------------- */

void fixture_know(struct fixture *fixture)
{
    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_session_established(fixture->store, CLIENT, STORE_GAP_NONE, NULL, 1),
                     STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
    fixture_remember(fixture, filter_a, 2);
    fixture_remember(fixture, filter_b, 2);
}

void fixture_doubt(struct fixture *fixture)
{
    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_session_connecting(fixture->store, CLIENT), STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
    fake_mqtt_begin(fixture->store);
}

void fixture_remember(struct fixture *fixture, const char *filter, int qos)
{
    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_subscribed(fixture->store, CLIENT, filter, qos, 1), STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
    fake_mqtt_begin(fixture->store);
}

/* --- the daemon ----------------------------------------------------------------------------- */

static int remember(void *context, const char *filter, int qos)
{
    return session_subscriptions_add(context, filter, qos);
}

static void read_record(struct fixture *fixture)
{
    assert_int_equal(store_session_find(fixture->store, CLIENT, &fixture->record), STORE_OK);
    assert_int_equal(store_subscriptions(fixture->store, CLIENT, remember, &fixture->subscriptions),
                     STORE_OK);
    fixture->record.elsewhere = fixture->elsewhere;
    fixture->elsewhere = false;
}

void fixture_begin_pipeline(struct fixture *fixture)
{
    struct writer_limits limits = {.max_future_ms = 1000, .batch_max = BATCH_MAX};
    bool at_once = session_writes_at_once(&fixture->config);
    char target[BROKER_TARGET_SIZE];
    struct writer_parts parts;

    read_record(fixture);
    fixture->watermark = (struct watermark){0};
    assert_int_equal(intake_new(&fixture->intake, RING_BYTES, PAYLOAD_SIZE, &fixture->watermark),
                     0);
    broker_target(&fixture->config, target);
    assert_int_equal(gate_new(&fixture->gate, target, 1, at_once, &fixture->watermark), 0);
    assert_int_equal(foxtrackr_fields_new(&limits.fields), 0);
    parts = (struct writer_parts){.store = fixture->store,
                                  .intake = fixture->intake,
                                  .gate = fixture->gate,
                                  .watermark = &fixture->watermark,
                                  .client_ids = client_ids,
                                  .session_count = 1};
    assert_int_equal(writer_start(&fixture->writer, &parts, &limits, database_path), 0);
}

int fixture_start_session(struct fixture *fixture)
{
    const struct session_parts parts = {.config = &fixture->config,
                                        .gate = fixture->gate,
                                        .intake = fixture->intake,
                                        .record = fixture->record,
                                        .database_is_new = fixture->database_is_new,
                                        .subscriptions = fixture->subscriptions.entries,
                                        .subscription_count = fixture->subscriptions.count};

    return session_start(&fixture->session, &parts);
}

void fixture_begin(struct fixture *fixture)
{
    fixture_begin_pipeline(fixture);
    assert_int_equal(fixture_start_session(fixture), 0);
}

void fixture_end(struct fixture *fixture)
{
    struct session *session = fixture->session;
    struct writer *writer = fixture->writer;

    fixture->session = NULL;
    fixture->writer = NULL;
    if (session != NULL) {
        session_stop_begin(session);
        assert_true(session_stop_finish(session, clock_monotonic_ms() + STOP_MS));
    }
    if (writer != NULL) {
        intake_close(fixture->intake);
        assert_int_equal(writer_stop(writer, STOP_MS), WRITER_ENDED);
    }
    gate_free(fixture->gate);
    intake_free(fixture->intake);
    session_subscriptions_clear(&fixture->subscriptions);
    fixture->gate = NULL;
    fixture->intake = NULL;
}

void refuse_intake(void *context)
{
    intake_set_stalled(((struct fixture *)context)->intake, true);
}

void allow_intake(struct fixture *fixture)
{
    intake_set_stalled(fixture->intake, false);
}

void sever_link(void *context)
{
    gate_sever(((struct fixture *)context)->gate, 0, "the test cuts it");
}

/* --- looking -------------------------------------------------------------------------------- */

struct session_status status_of(struct fixture *fixture)
{
    struct session_status status;

    session_status(fixture->session, &status);
    return status;
}

static void assert_says(const char *text, const char *says)
{
    if (says[0] == '\0' ? text[0] != '\0' : strstr(text, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", text, says);
    }
}

void assert_state(struct fixture *fixture, enum session_state state, const char *says)
{
    struct session_status status = status_of(fixture);

    assert_int_equal(status.state, state);
    assert_says(status.reason, says);
}

void assert_last_error(struct fixture *fixture, const char *says)
{
    struct session_status status = status_of(fixture);

    assert_says(status.last_error, says);
    assert_int_equal(status.last_error_ms != 0, says[0] != '\0');
}

uint64_t losses(struct fixture *fixture, enum loss_cause cause)
{
    return status_of(fixture).lost[cause];
}

void assert_granted(struct fixture *fixture, int a, int b)
{
    int granted[FILTERS];

    session_granted(fixture->session, granted);
    assert_int_equal(granted[0], a);
    assert_int_equal(granted[1], b);
}

void wait_subscribed(struct fixture *fixture)
{
    assert_int_equal(fake_mqtt_next_wait(), -1);
    assert_state(fixture, SESSION_SUBSCRIBED, "");
}

int wait_partial(struct fixture *fixture)
{
    int wait_ms = fake_mqtt_next_wait();

    assert_int_equal(status_of(fixture).state, SESSION_PARTIAL);
    return wait_ms;
}

int wait_backoff(struct fixture *fixture)
{
    int wait_ms = fake_mqtt_next_wait();

    assert_int_equal(status_of(fixture).state, SESSION_WAITING);
    return wait_ms;
}

void retry(struct fixture *fixture)
{
    assert_int_equal(status_of(fixture).state, SESSION_WAITING);
    session_retry_now(fixture->session);
}

void begin_subscribed(struct fixture *fixture)
{
    fixture_begin(fixture);
    wait_subscribed(fixture);
}

void retry_subscribed(struct fixture *fixture)
{
    retry(fixture);
    wait_subscribed(fixture);
}

void lose_and_return(struct fixture *fixture)
{
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    retry_subscribed(fixture);
}

void assert_conversation(struct fixture *fixture, const char *expected)
{
    fixture_end(fixture);
    assert_string_equal(fake_mqtt_notes(), expected);
}

unsigned logged(const struct fixture *fixture, const char *text)
{
    static char log[LOG_SIZE];
    FILE *file = fopen(fixture->log_path, "r");
    unsigned count = 0;
    size_t length;

    assert_non_null(file);
    length = fread(log, 1, sizeof(log) - 1, file);
    fclose(file);
    log[length] = '\0';
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}
