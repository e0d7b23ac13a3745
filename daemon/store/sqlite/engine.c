/*
 * SQLite as an engine of the store: the table of its operations. Transactions are in store.c,
 * batches in batch.c, sessions in sessions.c, and so on; the opening comment of each file describes
 * its design.
 */
#include "store/engine.h"

#include "store/sqlite/operations_internal.h"

const struct store_engine store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .error = sqlite_error,
    .find_out = sqlite_find_out,
    .newest_ms = sqlite_newest_ms,
    .run_begin = sqlite_run_begin,
    .run_end = sqlite_run_end,
    .limit_wait = sqlite_limit_wait,
    .attach = sqlite_attach,
    .begin = sqlite_begin,
    .sorts_in = sqlite_sorts_in,
    .sort_in = sqlite_sort_in,
    .apply = sqlite_apply,
    .quarantine = sqlite_quarantine,
    .flush = sqlite_flush,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .counts = sqlite_counts,
    .waiting = sqlite_waiting,
    .session_connecting = sqlite_session_connecting,
    .session_settled = sqlite_session_settled,
    .session_established = sqlite_session_established,
    .session_durable = sqlite_session_durable,
    .subscribed = sqlite_subscribed,
    .unsubscribed = sqlite_unsubscribed,
    .session_find = sqlite_session_find,
    .sessions_unused = sqlite_sessions_unused,
    .subscriptions = sqlite_subscriptions,
    .idle = sqlite_idle,
    .shrink = sqlite_shrink,
    .measure = sqlite_measure,
    .summary = sqlite_summary,
    .quarantine_entries = sqlite_quarantine_entries,
    .attention = sqlite_attention,
    .version_of_others = sqlite_version_of_others,
    .expire = sqlite_expire,
    .survey_newest = sqlite_survey_newest,
    .survey_count = sqlite_survey_count,
    .rejudge = sqlite_rejudge,
    .restamp = sqlite_restamp,
    .set_views = sqlite_set_views,
    .look_at_views = sqlite_look_at_views,
};
