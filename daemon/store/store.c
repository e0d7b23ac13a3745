/*
 * Passes each operation of the store on to the engine that keeps it. There is one function for each
 * operation of struct store_engine, in its order; nothing is decided here.
 */
#include "store/store.h"

#include "store/engine.h"
#include "store/load.h"

static const struct store_engine *engine_of(const struct store *store)
{
    const struct store_handle *handle = (const void *)store;

    return handle->engine;
}

const char *store_table_name(enum store_table table)
{
    static const char *const names[STORE_TABLES] = {
        [STORE_BATTERY] = "battery",
        [STORE_TEMPERATURE] = "temperature",
        [STORE_MESSAGES] = "messages",
        [STORE_QUARANTINE] = "quarantine",
    };

    return names[table];
}

struct store_options store_options_of(const struct config *config)
{
    return (struct store_options){
        .engine = config->database.engine,
        .path = config->database.path,
        .uri = config->database.uri,
        .password = config->database.password,
        .answer_timeout_ms = config->database.answer_timeout_ms,
        .standby = config->session_count > 0 && config->sessions[0].standby,
        .durability = config->database.durability_full ? STORE_FULL : STORE_NORMAL,
        .busy_timeout_ms = config->database.busy_timeout_ms,
    };
}

int store_check(const struct store_options *options, char *problem, size_t problem_size)
{
    const struct store_engine *engine;
    int result = store_load(options->engine, &engine, problem, problem_size);

    return result != STORE_OK ? result : engine->check(options, problem, problem_size);
}

int store_open(const struct store_options *options, struct store **out, char *problem,
               size_t problem_size)
{
    const struct store_engine *engine;
    int result = store_load(options->engine, &engine, problem, problem_size);

    return result != STORE_OK ? result : engine->open(options, out, problem, problem_size);
}

int store_close(struct store *store)
{
    return store != NULL ? engine_of(store)->close(store) : STORE_OK;
}

const char *store_error(const struct store *store)
{
    return engine_of(store)->error(store);
}

int store_find_out(struct store *store, struct store_found *out)
{
    return engine_of(store)->find_out(store, out);
}

int store_newest_ms(struct store *store, int64_t *newest_ms)
{
    return engine_of(store)->newest_ms(store, newest_ms);
}

int store_run_begin(struct store *store, const char *version, int64_t now_ms)
{
    return engine_of(store)->run_begin(store, version, now_ms);
}

int store_run_end(struct store *store, int64_t now_ms)
{
    return engine_of(store)->run_end(store, now_ms);
}

void store_limit_wait(struct store *store, int wait_ms)
{
    engine_of(store)->limit_wait(store, wait_ms);
}

int store_attach(struct store *store, const struct store_handler *handler)
{
    return engine_of(store)->attach(store, handler);
}

int store_begin(struct store *store)
{
    return engine_of(store)->begin(store);
}

bool store_sorts_in(const struct store *store)
{
    return engine_of(store)->sorts_in(store);
}

int store_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us)
{
    return engine_of(store)->sort_in(store, idle, most, wait_us);
}

int store_apply(struct store *store, const struct store_packet *packet)
{
    return engine_of(store)->apply(store, packet);
}

int store_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                     const struct store_packet *packet)
{
    return engine_of(store)->quarantine(store, problem, packet);
}

int store_flush(struct store *store)
{
    return engine_of(store)->flush(store);
}

int store_commit(struct store *store)
{
    return engine_of(store)->commit(store);
}

int store_rollback(struct store *store)
{
    return engine_of(store)->rollback(store);
}

void store_counts(const struct store *store, struct store_counts *out)
{
    engine_of(store)->counts(store, out);
}

uint64_t store_waiting(const struct store *store)
{
    return engine_of(store)->waiting(store);
}

int store_session_connecting(struct store *store, const char *client_id)
{
    return engine_of(store)->session_connecting(store, client_id);
}

int store_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                          const struct store_protocol *protocol, int64_t now_ms)
{
    return engine_of(store)->session_settled(store, client_id, gap, protocol, now_ms);
}

int store_session_established(struct store *store, const char *client_id, enum store_gap gap,
                              const struct store_protocol *protocol, int64_t now_ms)
{
    return engine_of(store)->session_established(store, client_id, gap, protocol, now_ms);
}

int store_session_durable(struct store *store, const char *client_id, int64_t now_ms)
{
    return engine_of(store)->session_durable(store, client_id, now_ms);
}

int store_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                     int64_t now_ms)
{
    return engine_of(store)->subscribed(store, client_id, filter, qos, now_ms);
}

int store_unsubscribed(struct store *store, const char *client_id, const char *filter)
{
    return engine_of(store)->unsubscribed(store, client_id, filter);
}

int store_session_find(struct store *store, const char *client_id, struct store_session *out)
{
    return engine_of(store)->session_find(store, client_id, out);
}

int store_sessions_unused(struct store *store, const char *const client_ids[], unsigned count,
                          store_unused_fn *each, void *context)
{
    return engine_of(store)->sessions_unused(store, client_ids, count, each, context);
}

int store_subscriptions(struct store *store, const char *client_id,
                        int (*each)(void *context, const char *filter, int qos), void *context)
{
    return engine_of(store)->subscriptions(store, client_id, each, context);
}

int store_idle(struct store *store, int *again_ms)
{
    return engine_of(store)->idle(store, again_ms);
}

int store_shrink(struct store *store)
{
    return engine_of(store)->shrink(store);
}

int store_measure(struct store *store, struct store_measures *out)
{
    return engine_of(store)->measure(store, out);
}

int store_summary(struct store *store, struct store_summary *out)
{
    return engine_of(store)->summary(store, out);
}

int64_t store_quarantine_entries(const struct store *store)
{
    return engine_of(store)->quarantine_entries(store);
}

int store_attention(struct store *store, struct store_attention *pass,
                    const struct store_chunk *chunk)
{
    return engine_of(store)->attention(store, pass, chunk);
}

int store_version_of_others(struct store *store, int64_t *version)
{
    return engine_of(store)->version_of_others(store, version);
}

int store_expire(struct store *store, struct store_expiry *expiry, const struct store_chunk *chunk,
                 struct store_expired *out)
{
    return engine_of(store)->expire(store, expiry, chunk, out);
}

int store_survey_newest(struct store *store, struct store_newest *newest,
                        const struct store_chunk *chunk)
{
    return engine_of(store)->survey_newest(store, newest, chunk);
}

int store_survey_count(struct store *store, struct store_tally *tally,
                       const struct store_chunk *chunk)
{
    return engine_of(store)->survey_count(store, tally, chunk);
}

int store_rejudge(struct store *store, struct store_rejudge *pass, bool *done)
{
    return engine_of(store)->rejudge(store, pass, done);
}

int store_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done)
{
    return engine_of(store)->restamp(store, from_ms, to_ms, now_ms, done);
}

int store_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                    void *context)
{
    return engine_of(store)->set_views(store, views, each, context);
}

int store_look_at_views(struct store *store, const struct config_views *views, store_view_fn *each,
                        void *context)
{
    return engine_of(store)->look_at_views(store, views, each, context);
}

int store_take(struct store *store, struct store_holder *holder)
{
    return engine_of(store)->take(store, holder);
}

void store_beat(struct store *store)
{
    engine_of(store)->beat(store);
}
