/*
 * PostgreSQL as an engine of the store: the table of its operations. The connection is in
 * connect.c, batches in batch.c, the commit in commit.c, the locks in lock.c, retention in
 * expire.c; what has nothing to do here is in nothing.c. The opening comment of each file describes
 * its design.
 */
#include "store/engine.h"

#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

static const struct store_tools tools = {
    .is_backup = postgresql_is_backup,
    .schema_version = postgresql_schema_version,
    .links = postgresql_links,
    .backup = postgresql_backup,
    .verify = postgresql_verify,
    .restore = postgresql_restore,
    .is_held = postgresql_is_held,
    .growth = postgresql_growth,
    .quarantine_reasons = postgresql_quarantine_reasons,
    .replay = postgresql_replay,
    .server = postgresql_server,
};

static const struct store_answers answers = {
    .relations = postgresql_relations,
    .relation_read = postgresql_relation_read,
    .query_named = postgresql_query_named,
    .query_select = postgresql_query_select,
    .query_next = postgresql_query_next,
    .query_again = postgresql_query_again,
    .query_rest = postgresql_query_rest,
    .query_count = postgresql_query_count,
    .query_column = postgresql_query_column,
    .query_close = postgresql_query_close,
    .read_begin = postgresql_read_begin,
    .read_begin_both = postgresql_read_begin_both,
    .read_of_all = postgresql_read_of_all,
    .read_end = postgresql_read_end,
};

static const struct store_transfer transfer = {
    .begin = postgresql_transfer_begin,
    .position = postgresql_transfer_position,
    .batch = postgresql_transfer_batch,
    .row = postgresql_transfer_row,
    .end = postgresql_transfer_end,
    .finish = postgresql_transfer_finish,
};

const struct store_engine store_postgresql = {
    .name = "postgresql",
    .check = postgresql_check,
    .open = postgresql_open,
    .close = postgresql_close,
    .error = postgresql_error,
    .find_out = postgresql_find_out,
    .newest_ms = postgresql_newest_ms,
    .run_begin = postgresql_run_begin,
    .run_end = postgresql_run_end,
    .limit_wait = postgresql_limit_wait,
    .attach = postgresql_attach,
    .begin = postgresql_begin,
    .sorts_in = postgresql_sorts_in,
    .sort_in = postgresql_sort_in,
    .apply = postgresql_apply,
    .quarantine = postgresql_quarantine,
    .flush = postgresql_flush,
    .commit = postgresql_commit,
    .rollback = postgresql_rollback,
    .counts = postgresql_counts,
    .waiting = postgresql_waiting,
    .session_connecting = postgresql_session_connecting,
    .session_settled = postgresql_session_settled,
    .session_established = postgresql_session_established,
    .session_durable = postgresql_session_durable,
    .subscribed = postgresql_subscribed,
    .unsubscribed = postgresql_unsubscribed,
    .session_find = postgresql_session_find,
    .sessions_unused = postgresql_sessions_unused,
    .subscriptions = postgresql_subscriptions,
    .idle = postgresql_idle,
    .shrink = postgresql_shrink,
    .measure = postgresql_measure,
    .summary = postgresql_summary,
    .quarantine_entries = postgresql_quarantine_entries,
    .attention = postgresql_attention,
    .version_of_others = postgresql_version_of_others,
    .expire = postgresql_expire,
    .survey_newest = postgresql_survey_newest,
    .survey_count = postgresql_survey_count,
    .rejudge = postgresql_rejudge,
    .restamp = postgresql_restamp,
    .set_views = postgresql_set_views,
    .look_at_views = postgresql_look_at_views,
    .take = postgresql_take,
    .beat = postgresql_beat,
    .tools = &tools,
    .answers = &answers,
    .transfer = &transfer,
};
