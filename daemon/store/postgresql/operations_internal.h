/* The operations of the PostgreSQL engine; their contracts are those of store/engine.h. */
#ifndef STORE_POSTGRESQL_OPERATIONS_INTERNAL_H
#define STORE_POSTGRESQL_OPERATIONS_INTERNAL_H

#include "store/answers.h"
#include "store/measures.h"
#include "store/retention.h"
#include "store/sessions.h"
#include "store/store.h"
#include "store/take.h"
#include "store/tools.h"
#include "store/transfer.h"
#include "store/upkeep.h"
#include "store/views.h"

int postgresql_check(const struct store_options *options, char *problem, size_t problem_size);
int postgresql_open(const struct store_options *options, struct store **out, char *problem,
                    size_t problem_size);
int postgresql_close(struct store *store);
const char *postgresql_error(const struct store *store);
int postgresql_find_out(struct store *store, struct store_found *out);
int postgresql_newest_ms(struct store *store, int64_t *newest_ms);
int postgresql_run_begin(struct store *store, const char *version, int64_t now_ms);
int postgresql_run_end(struct store *store, int64_t now_ms);
void postgresql_limit_wait(struct store *store, int wait_ms);
int postgresql_attach(struct store *store, const struct store_handler *handler);
int postgresql_begin(struct store *store);
bool postgresql_sorts_in(const struct store *store);
int postgresql_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us);
int postgresql_apply(struct store *store, const struct store_packet *packet);
int postgresql_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                          const struct store_packet *packet);
int postgresql_flush(struct store *store);
int postgresql_commit(struct store *store);
int postgresql_rollback(struct store *store);
void postgresql_counts(const struct store *store, struct store_counts *out);
uint64_t postgresql_waiting(const struct store *store);
int postgresql_session_connecting(struct store *store, const char *client_id);
int postgresql_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                               const struct store_protocol *protocol, int64_t now_ms);
int postgresql_session_established(struct store *store, const char *client_id, enum store_gap gap,
                                   const struct store_protocol *protocol, int64_t now_ms);
int postgresql_session_durable(struct store *store, const char *client_id, int64_t now_ms);
int postgresql_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                          int64_t now_ms);
int postgresql_unsubscribed(struct store *store, const char *client_id, const char *filter);
int postgresql_session_find(struct store *store, const char *client_id, struct store_session *out);
int postgresql_sessions_unused(struct store *store, const char *const client_ids[], unsigned count,
                               store_unused_fn *each, void *context);
int postgresql_subscriptions(struct store *store, const char *client_id,
                             int (*each)(void *context, const char *filter, int qos),
                             void *context);
int postgresql_idle(struct store *store, int *again_ms);
int postgresql_shrink(struct store *store);
int postgresql_measure(struct store *store, struct store_measures *out);
int postgresql_summary(struct store *store, struct store_summary *out);
int64_t postgresql_quarantine_entries(const struct store *store);
int postgresql_attention(struct store *store, struct store_attention *pass,
                         const struct store_chunk *chunk);
int postgresql_version_of_others(struct store *store, int64_t *version);
int postgresql_expire(struct store *store, struct store_expiry *expiry,
                      const struct store_chunk *chunk, struct store_expired *out);
int postgresql_survey_newest(struct store *store, struct store_newest *newest,
                             const struct store_chunk *chunk);
int postgresql_survey_count(struct store *store, struct store_tally *tally,
                            const struct store_chunk *chunk);
int postgresql_rejudge(struct store *store, struct store_rejudge *pass, bool *done);
int postgresql_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms,
                       bool *done);
int postgresql_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context);
int postgresql_look_at_views(struct store *store, const struct config_views *views,
                             store_view_fn *each, void *context);
int postgresql_take(struct store *store, struct store_holder *holder);
void postgresql_beat(struct store *store);

/* For foxtrackrctl: store/tools.h and store/answers.h. */
bool postgresql_is_backup(struct store *store, int64_t *taken_ms);
int postgresql_schema_version(void);
unsigned postgresql_links(const struct store *store);
int postgresql_backup(struct store *store, const char *file, bool force,
                      const struct store_watcher *watcher, int64_t *bytes);
int postgresql_verify(struct store *store, const struct store_watcher *watcher,
                      store_finding_fn finding, void *context);
int postgresql_restore(const struct store_options *options, struct store_restore *request,
                       const struct store_watcher *watcher, store_finding_fn finding, void *context,
                       char *problem, size_t problem_size);
bool postgresql_is_held(const struct store_options *options, struct store_holder *holder);
int postgresql_growth(struct store *store, int64_t since_ms, int64_t now_ms,
                      struct store_growth *out);
int postgresql_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                                  int64_t counts[FOXTRACKR_E_FIELD]);
int postgresql_replay(struct store *store, struct store_replay *replay,
                      const struct store_watcher *watcher);
int postgresql_server(struct store *store, struct store_server *out);
int postgresql_relations(struct store *store,
                         void (*each)(void *context, const char *name, bool view), void *context);
int postgresql_relation_read(struct store *store, const char *name, struct store_relation **out);
int postgresql_query_named(struct store *store, enum store_named named,
                           const struct store_cell *values, int count, struct store_query **out);
int postgresql_query_select(struct store *store, const struct store_select *select,
                            struct store_query **out);
int postgresql_query_next(struct store_query *query, const struct store_cell **row);
int postgresql_query_again(struct store_query *query, const struct store_cell *values, int count);
int postgresql_query_rest(struct store_query *query);
int postgresql_query_count(const struct store_query *query);
const char *postgresql_query_column(const struct store_query *query, int index);
void postgresql_query_close(struct store_query *query);
int postgresql_read_begin(struct store *store);
int postgresql_read_begin_both(struct store *store, struct store *other, bool *same);
void postgresql_read_of_all(struct store *store);
int postgresql_read_end(struct store *store);

/* transfer.c */
int postgresql_transfer_begin(struct store *store, const char *origin, int64_t *finished_ms);
int postgresql_transfer_position(struct store *store, const char *table,
                                 struct store_position *out);
int postgresql_transfer_batch(struct store *store, const char *table, const char *const *columns);
int postgresql_transfer_row(struct store *store, const struct store_cell *cells);
int postgresql_transfer_end(struct store *store, const struct store_position *position);
int postgresql_transfer_finish(struct store *store, int64_t now_ms);

#endif
