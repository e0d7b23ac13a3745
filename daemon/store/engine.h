/*
 * An engine of the store: the operations that store/store.c calls for the functions of store.h,
 * sessions.h, upkeep.h, retention.h, measures.h, views.h, start.h and take.h, store/tools.c for
 * those of tools.h, and store/answers.c for those of answers.h. Each operation keeps the contract
 * of the function of its name. Only the engines include this header, and tests that bring an engine
 * of their own.
 */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include "store/answers.h"
#include "store/measures.h"
#include "store/retention.h"
#include "store/sessions.h"
#include "store/start.h"
#include "store/store.h"
#include "store/take.h"
#include "store/tools.h"
#include "store/transfer.h"
#include "store/upkeep.h"
#include "store/views.h"

/* The work of foxtrackrctl. No operation is NULL. */
struct store_tools {
    bool (*is_backup)(struct store *store, int64_t *taken_ms);
    int (*schema_version)(void);
    unsigned (*links)(const struct store *store);
    int (*backup)(struct store *store, const char *file, bool force,
                  const struct store_watcher *watcher, int64_t *bytes);
    int (*verify)(struct store *store, const struct store_watcher *watcher,
                  store_finding_fn finding, void *context);
    int (*restore)(const struct store_options *options, struct store_restore *request,
                   const struct store_watcher *watcher, store_finding_fn finding, void *context,
                   char *problem, size_t problem_size);
    bool (*is_held)(const struct store_options *options, struct store_holder *holder);
    int (*growth)(struct store *store, int64_t since_ms, int64_t now_ms, struct store_growth *out);
    int (*quarantine_reasons)(struct store *store, const struct store_watcher *watcher,
                              int64_t counts[FOXTRACKR_E_FIELD]);
    int (*replay)(struct store *store, struct store_replay *replay,
                  const struct store_watcher *watcher);
    int (*server)(struct store *store, struct store_server *out);
};

/* The queries of foxtrackrctl. No operation is NULL. */
struct store_answers {
    int (*relations)(struct store *store, void (*each)(void *context, const char *name, bool view),
                     void *context);
    int (*relation_read)(struct store *store, const char *name, struct store_relation **out);
    int (*query_named)(struct store *store, enum store_named named, const struct store_cell *values,
                       int count, struct store_query **out);
    int (*query_select)(struct store *store, const struct store_select *select,
                        struct store_query **out);
    int (*query_next)(struct store_query *query, const struct store_cell **row);
    int (*query_again)(struct store_query *query, const struct store_cell *values, int count);
    int (*query_rest)(struct store_query *query);
    int (*query_count)(const struct store_query *query);
    const char *(*query_column)(const struct store_query *query, int index);
    void (*query_close)(struct store_query *query);
    int (*read_begin)(struct store *store);
    int (*read_begin_both)(struct store *store, struct store *other, bool *same);
    void (*read_of_all)(struct store *store);
    int (*read_end)(struct store *store);
};

/* No operation is NULL. */
struct store_engine {
    const char *name;
    int (*check)(const struct store_options *options, char *problem, size_t problem_size);
    int (*open)(const struct store_options *options, struct store **out, char *problem,
                size_t problem_size);
    int (*close)(struct store *store);
    const char *(*error)(const struct store *store);
    int (*find_out)(struct store *store, struct store_found *out);
    int (*newest_ms)(struct store *store, int64_t *newest_ms);
    int (*run_begin)(struct store *store, const char *version, int64_t now_ms);
    int (*run_end)(struct store *store, int64_t now_ms);
    void (*limit_wait)(struct store *store, int wait_ms);
    int (*attach)(struct store *store, const struct store_handler *handler);
    int (*begin)(struct store *store);
    bool (*sorts_in)(const struct store *store);
    int (*sort_in)(struct store *store, bool idle, uint64_t most, int64_t *wait_us);
    int (*apply)(struct store *store, const struct store_packet *packet);
    int (*quarantine)(struct store *store, const struct foxtrackr_problem *problem,
                      const struct store_packet *packet);
    int (*flush)(struct store *store);
    int (*commit)(struct store *store);
    int (*rollback)(struct store *store);
    void (*counts)(const struct store *store, struct store_counts *out);
    uint64_t (*waiting)(const struct store *store);
    int (*session_connecting)(struct store *store, const char *client_id);
    int (*session_settled)(struct store *store, const char *client_id, enum store_gap gap,
                           const struct store_protocol *protocol, int64_t now_ms);
    int (*session_established)(struct store *store, const char *client_id, enum store_gap gap,
                               const struct store_protocol *protocol, int64_t now_ms);
    int (*session_durable)(struct store *store, const char *client_id, int64_t now_ms);
    int (*subscribed)(struct store *store, const char *client_id, const char *filter, int qos,
                      int64_t now_ms);
    int (*unsubscribed)(struct store *store, const char *client_id, const char *filter);
    int (*session_find)(struct store *store, const char *client_id, struct store_session *out);
    int (*sessions_unused)(struct store *store, const char *const client_ids[], unsigned count,
                           store_unused_fn *each, void *context);
    int (*subscriptions)(struct store *store, const char *client_id,
                         int (*each)(void *context, const char *filter, int qos), void *context);
    int (*idle)(struct store *store, int *again_ms);
    int (*shrink)(struct store *store);
    int (*measure)(struct store *store, struct store_measures *out);
    int (*summary)(struct store *store, struct store_summary *out);
    int64_t (*quarantine_entries)(const struct store *store);
    int (*attention)(struct store *store, struct store_attention *pass,
                     const struct store_chunk *chunk);
    int (*version_of_others)(struct store *store, int64_t *version);
    int (*expire)(struct store *store, struct store_expiry *expiry, const struct store_chunk *chunk,
                  struct store_expired *out);
    int (*survey_newest)(struct store *store, struct store_newest *newest,
                         const struct store_chunk *chunk);
    int (*survey_count)(struct store *store, struct store_tally *tally,
                        const struct store_chunk *chunk);
    int (*rejudge)(struct store *store, struct store_rejudge *pass, bool *done);
    int (*restamp)(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done);
    int (*set_views)(struct store *store, const struct config_views *views, store_view_fn *each,
                     void *context);
    int (*look_at_views)(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context);
    int (*take)(struct store *store, struct store_holder *holder);
    void (*beat)(struct store *store);
    const struct store_tools *tools; /* like the next one, NULL in an engine of the tests */
    const struct store_answers *answers;
    const struct store_transfer *transfer; /* NULL: nothing can be moved into it */
};

/* Each engine has a `struct store` of its own, which begins with this. */
struct store_handle {
    const struct store_engine *engine;
};

/* Each engine has a `struct store_query` of its own, which begins with this. */
struct store_query_handle {
    const struct store_answers *answers;
};

/* The engine that keeps the database in one file; store/sqlite/engine.c. */
extern const struct store_engine store_sqlite;

#endif
