/*
 * Operations that are not built yet. Those that a batch needs answer as if there were nothing to
 * do; all others fail with a sentence.
 */
#include "migrations.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

static int unbuilt(struct store *store, const char *what)
{
    return pg_refuse(store, STORE_FATAL, "%s: %s is not built yet for PostgreSQL", store->shown,
                     what);
}

int postgresql_find_out(struct store *store, struct store_found *out)
{
    (void)store;
    *out = (struct store_found){0};
    return STORE_OK;
}

bool postgresql_sorts_in(const struct store *store)
{
    (void)store;
    return false;
}

int postgresql_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us)
{
    (void)store;
    (void)idle;
    (void)most;
    *wait_us = -1;
    return STORE_OK;
}

uint64_t postgresql_waiting(const struct store *store)
{
    (void)store;
    return 0;
}

int postgresql_idle(struct store *store, int *again_ms)
{
    (void)store;
    *again_ms = 1000;
    return STORE_OK;
}

int postgresql_shrink(struct store *store)
{
    (void)store;
    return STORE_OK;
}

int postgresql_attention(struct store *store, struct store_attention *pass,
                         const struct store_chunk *chunk)
{
    (void)store;
    (void)chunk;
    pass->done = true;
    return STORE_OK;
}

int postgresql_version_of_others(struct store *store, int64_t *version)
{
    (void)store;
    *version = 0;
    return STORE_OK;
}

int postgresql_expire(struct store *store, struct store_expiry *expiry,
                      const struct store_chunk *chunk, struct store_expired *out)
{
    (void)chunk;
    for (int table = 0; table < STORE_TABLES; table++) {
        if (expiry->cutoff_ms[table] != STORE_KEEP) {
            return unbuilt(store, "retention");
        }
    }
    *out = (struct store_expired){.done = true};
    return STORE_OK;
}

int postgresql_survey_count(struct store *store, struct store_tally *tally,
                            const struct store_chunk *chunk)
{
    (void)store;
    (void)chunk;
    tally->done = true; /* nothing is old: expire() refuses what is */
    return STORE_OK;
}

int postgresql_rejudge(struct store *store, struct store_rejudge *pass, bool *done)
{
    (void)store;
    (void)pass;
    *done = true;
    return STORE_OK;
}

int postgresql_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms,
                       bool *done)
{
    (void)store;
    (void)from_ms;
    (void)to_ms;
    (void)now_ms;
    *done = true;
    return STORE_OK;
}

int postgresql_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context)
{
    (void)each;
    (void)context;
    return views == NULL || views->count == 0 ? STORE_OK : unbuilt(store, "set_views");
}

int postgresql_look_at_views(struct store *store, const struct config_views *views,
                             store_view_fn *each, void *context)
{
    (void)each;
    (void)context;
    return views == NULL || views->count == 0 ? STORE_OK : unbuilt(store, "look_at_views");
}

bool postgresql_is_backup(struct store *store, int64_t *taken_ms)
{
    (void)store;
    (void)taken_ms;
    return false;
}

int postgresql_schema_version(void)
{
    return postgresql_migration_count;
}

unsigned postgresql_links(const struct store *store)
{
    (void)store;
    return 1;
}

int postgresql_backup(struct store *store, const char *file, bool force,
                      const struct store_watcher *watcher, int64_t *bytes)
{
    (void)file;
    (void)force;
    (void)watcher;
    (void)bytes;
    return unbuilt(store, "backup");
}

int postgresql_verify(struct store *store, const struct store_watcher *watcher,
                      store_finding_fn finding, void *context)
{
    (void)watcher;
    (void)finding;
    (void)context;
    return unbuilt(store, "verify");
}

int postgresql_restore(const struct store_options *options, struct store_restore *request,
                       const struct store_watcher *watcher, store_finding_fn finding, void *context,
                       char *problem, size_t problem_size)
{
    (void)options;
    (void)request;
    (void)watcher;
    (void)finding;
    (void)context;
    (void)problem;
    (void)problem_size;
    return STORE_FATAL;
}

bool postgresql_is_held(const struct store_options *options, struct store_holder *holder)
{
    (void)options;
    (void)holder;
    return false;
}

int postgresql_growth(struct store *store, int64_t since_ms, int64_t now_ms,
                      struct store_growth *out)
{
    (void)since_ms;
    (void)now_ms;
    (void)out;
    return unbuilt(store, "growth");
}

int postgresql_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                                  int64_t counts[FOXTRACKR_E_FIELD])
{
    (void)watcher;
    (void)counts;
    return unbuilt(store, "quarantine_reasons");
}

int postgresql_replay(struct store *store, struct store_replay *replay,
                      const struct store_watcher *watcher)
{
    (void)replay;
    (void)watcher;
    return unbuilt(store, "replay");
}

int postgresql_server(struct store *store, struct store_server *out)
{
    (void)out;
    return unbuilt(store, "server");
}
