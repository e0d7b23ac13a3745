/*
 * Passes the functions of store/tools.h on to the engine that keeps the database. Two of them have
 * no open store: the engine is that of the options.
 */
#include "store/tools.h"

#include "store/engine.h"
#include "store/load.h"

#define PROBLEM_SIZE 512

static const struct store_tools *tools_of(const struct store *store)
{
    const struct store_handle *handle = (const void *)store;

    return handle->engine->tools;
}

bool store_is_backup(struct store *store, int64_t *taken_ms)
{
    return tools_of(store)->is_backup(store, taken_ms);
}

int store_schema_version(const struct store *store)
{
    return tools_of(store)->schema_version();
}

unsigned store_links(const struct store *store)
{
    return tools_of(store)->links(store);
}

int store_backup(struct store *store, const char *file, bool force,
                 const struct store_watcher *watcher, int64_t *bytes)
{
    return tools_of(store)->backup(store, file, force, watcher, bytes);
}

int store_verify(struct store *store, const struct store_watcher *watcher, store_finding_fn finding,
                 void *context)
{
    return tools_of(store)->verify(store, watcher, finding, context);
}

int store_restore(const struct store_options *options, struct store_restore *request,
                  const struct store_watcher *watcher, store_finding_fn finding, void *context,
                  char *problem, size_t problem_size)
{
    const struct store_engine *engine;
    int result = store_load(options->engine, &engine, problem, problem_size);

    return result != STORE_OK ? result
                              : engine->tools->restore(options, request, watcher, finding, context,
                                                       problem, problem_size);
}

bool store_is_held(const struct store_options *options, struct store_holder *holder)
{
    const struct store_engine *engine;
    char problem[PROBLEM_SIZE];

    *holder = (struct store_holder){0};
    return store_load(options->engine, &engine, problem, sizeof(problem)) == STORE_OK &&
           engine->tools->is_held(options, holder);
}

int store_growth(struct store *store, int64_t since_ms, int64_t now_ms, struct store_growth *out)
{
    return tools_of(store)->growth(store, since_ms, now_ms, out);
}

int store_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                             int64_t counts[FOXTRACKR_E_FIELD])
{
    return tools_of(store)->quarantine_reasons(store, watcher, counts);
}

int store_replay(struct store *store, struct store_replay *replay,
                 const struct store_watcher *watcher)
{
    return tools_of(store)->replay(store, replay, watcher);
}

int store_server(struct store *store, struct store_server *out)
{
    return tools_of(store)->server(store, out);
}
