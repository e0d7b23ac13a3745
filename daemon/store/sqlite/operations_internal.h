/* The operations of the SQLite engine; their contracts are those of store/engine.h. */
#ifndef STORE_SQLITE_OPERATIONS_INTERNAL_H
#define STORE_SQLITE_OPERATIONS_INTERNAL_H

#include "store/answers.h"
#include "store/measures.h"
#include "store/retention.h"
#include "store/store.h"
#include "store/tools.h"
#include "store/views.h"

int sqlite_check(const struct store_options *options, char *problem, size_t problem_size);
int sqlite_open(const struct store_options *options, struct store **out, char *problem,
                size_t problem_size);
int sqlite_close(struct store *store);
const char *sqlite_error(const struct store *store);
int sqlite_find_out(struct store *store, struct store_found *out);
int sqlite_newest_ms(struct store *store, int64_t *newest_ms);
int sqlite_run_begin(struct store *store, const char *version, int64_t now_ms);
int sqlite_run_end(struct store *store, int64_t now_ms);
void sqlite_limit_wait(struct store *store, int wait_ms);
int sqlite_attach(struct store *store, const struct store_handler *handler);
int sqlite_begin(struct store *store);
bool sqlite_sorts_in(const struct store *store);
int sqlite_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us);
int sqlite_apply(struct store *store, const struct store_packet *packet);
int sqlite_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                      const struct store_packet *packet);
int sqlite_flush(struct store *store);
int sqlite_commit(struct store *store);
int sqlite_rollback(struct store *store);
void sqlite_counts(const struct store *store, struct store_counts *out);
uint64_t sqlite_waiting(const struct store *store);
int sqlite_session_connecting(struct store *store, const char *client_id);
int sqlite_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                           const struct store_protocol *protocol, int64_t now_ms);
int sqlite_session_established(struct store *store, const char *client_id, enum store_gap gap,
                               const struct store_protocol *protocol, int64_t now_ms);
int sqlite_session_durable(struct store *store, const char *client_id, int64_t now_ms);
int sqlite_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                      int64_t now_ms);
int sqlite_unsubscribed(struct store *store, const char *client_id, const char *filter);
int sqlite_session_find(struct store *store, const char *client_id, struct store_session *out);
int sqlite_sessions_unused(struct store *store, const char *const client_ids[], unsigned count,
                           store_unused_fn *each, void *context);
int sqlite_subscriptions(struct store *store, const char *client_id,
                         int (*each)(void *context, const char *filter, int qos), void *context);
int sqlite_idle(struct store *store, int *again_ms);
int sqlite_shrink(struct store *store);
int sqlite_measure(struct store *store, struct store_measures *out);
int sqlite_summary(struct store *store, struct store_summary *out);
int64_t sqlite_quarantine_entries(const struct store *store);
int sqlite_attention(struct store *store, struct store_attention *pass,
                     const struct store_chunk *chunk);
int sqlite_version_of_others(struct store *store, int64_t *version);
int sqlite_expire(struct store *store, struct store_expiry *expiry, const struct store_chunk *chunk,
                  struct store_expired *out);
int sqlite_survey_newest(struct store *store, struct store_newest *newest,
                         const struct store_chunk *chunk);
int sqlite_survey_count(struct store *store, struct store_tally *tally,
                        const struct store_chunk *chunk);
int sqlite_rejudge(struct store *store, struct store_rejudge *pass, bool *done);
int sqlite_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done);
int sqlite_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                     void *context);
int sqlite_look_at_views(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context);
int sqlite_take(struct store *store, struct store_holder *holder);
void sqlite_beat(struct store *store);

/* For foxtrackrctl: store/tools.h and store/answers.h. */
bool sqlite_is_backup(struct store *store, int64_t *taken_ms);
int sqlite_schema_version(void);
unsigned sqlite_links(const struct store *store);
int sqlite_backup(struct store *store, const char *file, bool force,
                  const struct store_watcher *watcher, int64_t *bytes);
int sqlite_verify(struct store *store, const struct store_watcher *watcher,
                  store_finding_fn finding, void *context);
int sqlite_restore(const struct store_options *options, struct store_restore *request,
                   const struct store_watcher *watcher, store_finding_fn finding, void *context,
                   char *problem, size_t problem_size);
bool sqlite_is_held(const struct store_options *options, struct store_holder *holder);
int sqlite_growth(struct store *store, int64_t since_ms, int64_t now_ms, struct store_growth *out);
int sqlite_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                              int64_t counts[FOXTRACKR_E_FIELD]);
int sqlite_replay(struct store *store, struct store_replay *replay,
                  const struct store_watcher *watcher);
int sqlite_server(struct store *store, struct store_server *out);
int sqlite_relations(struct store *store, void (*each)(void *context, const char *name, bool view),
                     void *context);
int sqlite_relation_read(struct store *store, const char *name, struct store_relation **out);
int sqlite_query_named(struct store *store, enum store_named named, const struct store_cell *values,
                       int count, struct store_query **out);
int sqlite_query_select(struct store *store, const struct store_select *select,
                        struct store_query **out);
int sqlite_query_next(struct store_query *query, const struct store_cell **row);
int sqlite_query_again(struct store_query *query, const struct store_cell *values, int count);
int sqlite_query_rest(struct store_query *query);
int sqlite_query_count(const struct store_query *query);
const char *sqlite_query_column(const struct store_query *query, int index);
void sqlite_query_close(struct store_query *query);
int sqlite_read_begin(struct store *store);
int sqlite_read_begin_both(struct store *store, struct store *other, bool *same);
void sqlite_read_of_all(struct store *store);
int sqlite_read_end(struct store *store);

#endif
