/* See memory_nothing.h. Passes over the database are done at once, and have found nothing. */
#include "memory_nothing.h"

static int check(const struct store_options *options, char *problem, size_t problem_size)
{
    (void)options;
    (void)problem;
    (void)problem_size;
    return STORE_OK;
}

static int find_out(struct store *store, struct store_found *out)
{
    (void)store;
    *out = (struct store_found){0};
    return STORE_OK;
}

static int newest_ms(struct store *store, int64_t *newest_ms)
{
    (void)store;
    *newest_ms = 0;
    return STORE_OK;
}

static int run_begin(struct store *store, const char *version, int64_t now_ms)
{
    (void)store;
    (void)version;
    (void)now_ms;
    return STORE_OK;
}

static int run_end(struct store *store, int64_t now_ms)
{
    (void)store;
    (void)now_ms;
    return STORE_OK;
}

static void limit_wait(struct store *store, int wait_ms)
{
    (void)store;
    (void)wait_ms;
}

static int shrink(struct store *store)
{
    (void)store;
    return STORE_OK;
}

static int measure(struct store *store, struct store_measures *out)
{
    (void)store;
    *out = (struct store_measures){.free_bytes = INT64_C(1) << 40, .names = 1};
    return STORE_OK;
}

static int summary(struct store *store, struct store_summary *out)
{
    (void)store;
    *out = (struct store_summary){0};
    return STORE_OK;
}

static int attention(struct store *store, struct store_attention *pass,
                     const struct store_chunk *chunk)
{
    (void)store;
    (void)chunk;
    pass->done = true;
    return STORE_OK;
}

static int version_of_others(struct store *store, int64_t *version)
{
    (void)store;
    *version = 0;
    return STORE_OK;
}

static int expire(struct store *store, struct store_expiry *expiry, const struct store_chunk *chunk,
                  struct store_expired *out)
{
    (void)store;
    (void)expiry;
    (void)chunk;
    *out = (struct store_expired){.done = true};
    return STORE_OK;
}

static int survey_newest(struct store *store, struct store_newest *newest,
                         const struct store_chunk *chunk)
{
    (void)store;
    (void)chunk;
    newest->done = true;
    return STORE_OK;
}

static int survey_count(struct store *store, struct store_tally *tally,
                        const struct store_chunk *chunk)
{
    (void)store;
    (void)chunk;
    tally->done = true;
    return STORE_OK;
}

static int rejudge(struct store *store, struct store_rejudge *pass, bool *done)
{
    (void)store;
    (void)pass;
    *done = true;
    return STORE_OK;
}

static int restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done)
{
    (void)store;
    (void)from_ms;
    (void)to_ms;
    (void)now_ms;
    *done = true;
    return STORE_OK;
}

static int look_at_views(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context)
{
    (void)store;
    (void)views;
    (void)each;
    (void)context;
    return STORE_OK;
}

static int take(struct store *store, struct store_holder *holder)
{
    (void)store;
    (void)holder;
    return STORE_OK;
}

const struct store_engine memory_nothing = {
    .name = "memory",
    .check = check,
    .find_out = find_out,
    .newest_ms = newest_ms,
    .run_begin = run_begin,
    .run_end = run_end,
    .limit_wait = limit_wait,
    .shrink = shrink,
    .measure = measure,
    .summary = summary,
    .attention = attention,
    .version_of_others = version_of_others,
    .expire = expire,
    .survey_newest = survey_newest,
    .survey_count = survey_count,
    .rejudge = rejudge,
    .restamp = restamp,
    .look_at_views = look_at_views,
    .take = take,
};
