/* The engine of memory_engine.h. It has its content twice, with the open batch and as of the last
 * commit, and a script of results for the operations that may fail. */
#include "memory_engine.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_nothing.h"
#include "memory_records.h"

#define ROWS         256
#define NAME_SIZE    160
#define HISTORY_SIZE 16384

/* The content that a transaction changes and a rollback restores. */
struct content {
    char rows[ROWS][NAME_SIZE];
    unsigned row_count;
    char waiting[ROWS][NAME_SIZE]; /* of these, the first waiting_done have become rows */
    int64_t waiting_ms[ROWS];      /* their received_ms */
    unsigned waiting_count;
    unsigned waiting_done;
    struct store_counts counts;
    struct memory_records records;
    char history[HISTORY_SIZE];
};

struct fault {
    int calls;
    int passes;
    int fails;
    int result;
};

struct store {
    struct store_handle handle;
    struct store_engine engine;
    pthread_mutex_t mutex;
    struct content open;      /* with the changes of the open batch */
    struct content committed; /* as of the last commit */
    struct fault faults[MEMORY_OPERATIONS];
    struct store_handler handler;
    void (*watch)(void *context);
    void *watch_context;
    bool in_secret;
    bool put_off;
    bool in_batch;
    char error[64];
};

/* --- the operations ------------------------------------------------------------------------ */

static int strike(struct store *store, enum memory_operation operation)
{
    struct fault *fault = &store->faults[operation];
    int result = STORE_OK;

    pthread_mutex_lock(&store->mutex);
    fault->calls++;
    if (fault->passes > 0) {
        fault->passes--;
    } else if (fault->fails != 0) {
        fault->fails -= fault->fails > 0;
        result = fault->result;
        snprintf(store->error, sizeof(store->error), "the script says so");
    }
    pthread_mutex_unlock(&store->mutex);
    return result;
}

static void note(struct store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct store *store, const char *format, ...)
{
    size_t length = strlen(store->open.history);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(store->open.history + length, HISTORY_SIZE - length, format, arguments);
    va_end(arguments);
}

static int memory_open(const struct store_options *options, struct store **out, char *problem,
                       size_t problem_size)
{
    (void)options;
    (void)problem;
    (void)problem_size;
    *out = memory_store_new();
    return *out != NULL ? STORE_OK : STORE_E_RETRY;
}

static int memory_close(struct store *store)
{
    pthread_mutex_destroy(&store->mutex);
    free(store);
    return STORE_OK;
}

static const char *memory_error(const struct store *store)
{
    return store->error;
}

static int memory_attach(struct store *store, const struct store_handler *handler)
{
    store->handler = *handler;
    return strike(store, MEMORY_ATTACH);
}

static int memory_begin(struct store *store)
{
    int result = strike(store, MEMORY_BEGIN);

    store->in_batch = result == STORE_OK;
    return result;
}

static bool memory_sorts_in(const struct store *store)
{
    return store->open.waiting_done < store->open.waiting_count;
}

static bool is_row(const struct content *content, const char *name)
{
    for (unsigned i = 0; i < content->row_count; i++) {
        if (strcmp(content->rows[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Writes a message's name: the beginning of its payload. */
static void name_of(const struct store_packet *packet, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%.*s", (int)packet->payload_length, (const char *)packet->payload);
}

static int put_row(struct store *store, const struct store_packet *packet)
{
    struct content *content = &store->open;
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    char name[NAME_SIZE];
    int parsed = store->handler.parse(store->handler.context, packet, &message, &problem);

    if (parsed < 0) {
        return STORE_E_RETRY;
    }
    name_of(packet, name);
    content->counts.received++;
    if (parsed > 0) {
        content->counts.quarantined++;
        note(store, "?%s ", foxtrackr_reason_name(problem.reason));
        store->handler.quarantined(store->handler.context, packet, &problem);
        return STORE_OK;
    }
    if (is_row(content, name)) {
        content->counts.duplicate++;
        note(store, "=%s ", message.device_id);
    } else {
        snprintf(content->rows[content->row_count++], NAME_SIZE, "%s", name);
        content->counts.stored++;
        note(store, "+%s ", message.device_id);
    }
    store->handler.understood(store->handler.context, message.time_ms);
    foxtrackr_message_clear(&message);
    return STORE_OK;
}

static int memory_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us)
{
    const char *payload = store->open.waiting[store->open.waiting_done];
    const struct store_packet packet = {.topic = "foxtrackr/group/V3.0/bat",
                                        .topic_length = strlen("foxtrackr/group/V3.0/bat"),
                                        .payload = payload,
                                        .payload_length = strlen(payload),
                                        .received_ms =
                                            store->open.waiting_ms[store->open.waiting_done]};

    (void)idle;
    (void)most;
    *wait_us = 0;
    if (!memory_sorts_in(store)) {
        return STORE_OK;
    }
    store->open.waiting_done++;
    return put_row(store, &packet);
}

static int memory_apply(struct store *store, const struct store_packet *packet)
{
    int result = strike(store, MEMORY_APPLY);

    if (result != STORE_OK) {
        return result;
    }
    if (!store->put_off) {
        return put_row(store, packet);
    }
    store->open.waiting_ms[store->open.waiting_count] = packet->received_ms;
    name_of(packet, store->open.waiting[store->open.waiting_count++]);
    return STORE_OK;
}

static int memory_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                             const struct store_packet *packet)
{
    (void)packet;
    store->open.counts.received++;
    store->open.counts.quarantined++;
    note(store, "?%s ", foxtrackr_reason_name(problem->reason));
    return STORE_OK;
}

static int memory_flush(struct store *store)
{
    (void)store;
    return STORE_OK;
}

static int memory_commit(struct store *store)
{
    int result;

    if (store->watch != NULL) {
        store->watch(store->watch_context);
    }
    result = strike(store, MEMORY_COMMIT);
    if (result == STORE_OK || store->in_secret) {
        pthread_mutex_lock(&store->mutex);
        store->committed = store->open;
        pthread_mutex_unlock(&store->mutex);
    }
    store->in_batch = store->in_batch && result != STORE_OK;
    return result;
}

static int memory_rollback(struct store *store)
{
    int result = strike(store, MEMORY_ROLLBACK);

    store->open = store->committed;
    store->in_batch = false;
    return result;
}

static void memory_counts(const struct store *store, struct store_counts *out)
{
    *out = store->open.counts;
}

static uint64_t memory_waiting(const struct store *store)
{
    return store->open.waiting_count - store->open.waiting_done;
}

/* The names of enum store_gap in the history. */
static const char *const gaps[] = {
    [STORE_GAP_NONE] = "none",
    [STORE_GAP_LOST] = "lost",
    [STORE_GAP_UNCERTAIN] = "uncertain",
    [STORE_GAP_MOVED] = "moved",
};

static int memory_session_connecting(struct store *store, const char *client_id)
{
    memory_records_connecting(&store->open.records, client_id);
    note(store, "connecting(%s) ", client_id);
    return STORE_OK;
}

static int memory_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                                  const struct store_protocol *protocol, int64_t now_ms)
{
    memory_records_settled(&store->open.records, client_id, protocol, now_ms);
    note(store, "settled(%s,%s,%d) ", client_id, gaps[gap], (int)now_ms);
    return STORE_OK;
}

static int memory_session_established(struct store *store, const char *client_id,
                                      enum store_gap gap, const struct store_protocol *protocol,
                                      int64_t now_ms)
{
    memory_records_established(&store->open.records, client_id, protocol);
    note(store, "established(%s,%s,%d) ", client_id, gaps[gap], (int)now_ms);
    return STORE_OK;
}

static int memory_session_durable(struct store *store, const char *client_id, int64_t now_ms)
{
    (void)now_ms;
    note(store, "durable(%s) ", client_id);
    return STORE_OK;
}

static int memory_subscribed(struct store *store, const char *client_id, const char *filter,
                             int qos, int64_t now_ms)
{
    memory_records_subscribed(&store->open.records, client_id, filter, qos);
    note(store, "subscribed(%s,%s,%d,%d) ", client_id, filter, qos, (int)now_ms);
    return STORE_OK;
}

static int memory_unsubscribed(struct store *store, const char *client_id, const char *filter)
{
    memory_records_unsubscribed(&store->open.records, client_id, filter);
    note(store, "unsubscribed(%s,%s) ", client_id, filter);
    return STORE_OK;
}

static int memory_session_find(struct store *store, const char *client_id,
                               struct store_session *out)
{
    memory_records_find(&store->open.records, client_id, out);
    return STORE_OK;
}

static int memory_subscriptions(struct store *store, const char *client_id,
                                int (*each)(void *context, const char *filter, int qos),
                                void *context)
{
    return memory_records_subscriptions(&store->open.records, client_id, each, context);
}

static int memory_idle(struct store *store, int *again_ms)
{
    *again_ms = 10;
    return strike(store, MEMORY_IDLE);
}

static int64_t memory_quarantine_entries(const struct store *store)
{
    return (int64_t)store->committed.counts.quarantined;
}

static int memory_set_views(struct store *store, const struct config_views *views,
                            store_view_fn *each, void *context)
{
    (void)views;
    (void)each;
    (void)context;
    return strike(store, MEMORY_SET_VIEWS);
}

static void memory_beat(struct store *store)
{
    strike(store, MEMORY_BEAT);
}

/* The engine: what follows, and nothing for the rest. */
static struct store_engine make_engine(void)
{
    struct store_engine engine = memory_nothing;

    engine.open = memory_open;
    engine.close = memory_close;
    engine.error = memory_error;
    engine.attach = memory_attach;
    engine.begin = memory_begin;
    engine.sorts_in = memory_sorts_in;
    engine.sort_in = memory_sort_in;
    engine.apply = memory_apply;
    engine.quarantine = memory_quarantine;
    engine.flush = memory_flush;
    engine.commit = memory_commit;
    engine.rollback = memory_rollback;
    engine.counts = memory_counts;
    engine.waiting = memory_waiting;
    engine.session_connecting = memory_session_connecting;
    engine.session_settled = memory_session_settled;
    engine.session_established = memory_session_established;
    engine.session_durable = memory_session_durable;
    engine.subscribed = memory_subscribed;
    engine.unsubscribed = memory_unsubscribed;
    engine.session_find = memory_session_find;
    engine.subscriptions = memory_subscriptions;
    engine.idle = memory_idle;
    engine.quarantine_entries = memory_quarantine_entries;
    engine.set_views = memory_set_views;
    engine.beat = memory_beat;
    return engine;
}

/* --- for tests ----------------------------------------------------------------------------- */

struct store *memory_store_new(void)
{
    struct store *store = calloc(1, sizeof(*store));

    if (store != NULL) {
        store->engine = make_engine();
        store->handle.engine = &store->engine;
        pthread_mutex_init(&store->mutex, NULL);
    }
    return store;
}

void memory_fail(struct store *store, enum memory_operation operation, int passes, int fails,
                 int result)
{
    pthread_mutex_lock(&store->mutex);
    store->faults[operation].passes = passes;
    store->faults[operation].fails = fails;
    store->faults[operation].result = result;
    pthread_mutex_unlock(&store->mutex);
}

void memory_commit_in_secret(struct store *store, bool in_secret)
{
    store->in_secret = in_secret;
}

void memory_watch_commits(struct store *store, void (*watch)(void *context), void *context)
{
    store->watch = watch;
    store->watch_context = context;
}

void memory_put_off(struct store *store, bool put_off)
{
    store->put_off = put_off;
}

uint64_t memory_rows(struct store *store)
{
    uint64_t rows;

    pthread_mutex_lock(&store->mutex);
    rows = store->committed.row_count;
    pthread_mutex_unlock(&store->mutex);
    return rows;
}

uint64_t memory_settled(struct store *store)
{
    uint64_t settled;

    pthread_mutex_lock(&store->mutex);
    settled = store->committed.row_count + store->committed.counts.duplicate;
    pthread_mutex_unlock(&store->mutex);
    return settled;
}

int memory_calls(struct store *store, enum memory_operation operation)
{
    int calls;

    pthread_mutex_lock(&store->mutex);
    calls = store->faults[operation].calls;
    pthread_mutex_unlock(&store->mutex);
    return calls;
}

char *memory_history(struct store *store)
{
    char *history;

    pthread_mutex_lock(&store->mutex);
    history = strdup(store->committed.history);
    pthread_mutex_unlock(&store->mutex);
    return history;
}
