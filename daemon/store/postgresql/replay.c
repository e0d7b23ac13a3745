/*
 * Replay: parses messages again that were not accepted when they came.
 *
 * Messages are read and parsed a page at a time, outside of any transaction. Each one that changes
 * something is written in a transaction of its own, so that a daemon waits for a single message at
 * most. The transaction is not synced: the next commit of a batch syncs it too; after an earlier
 * crash of the server the message is back where it was.
 *
 * Exactly once, however the process ends: the rows of a message appear in the transaction that
 * removes it from its old place. Rows are idempotent, so that two replays at once, or one after the
 * other, do no harm either.
 *
 * A message is judged by the clock of now and not of its arrival: a time that lay in the future
 * then was perhaps right, and our clock behind. Its rows say received_ms = first_received_ms. The
 * daemon itself does so with those whose time has come (rejudge.c).
 *
 * `runs` does not change: it counts the results at the messages' arrival.
 */
#include "store/postgresql/replay_internal.h"

#include <stdlib.h>
#include <string.h>

#include "store/postgresql/operations_internal.h"

#define PAGE 100

bool pg_replay_go_on(struct store *store, const struct store_watcher *watcher, const char *what,
                     int64_t done, int64_t total)
{
    if (watcher->progress(watcher->context, what, STORE_ROWS, done, total)) {
        return true;
    }
    pg_refuse(store, STORE_E_STOPPED, "stopped; run it again to go on");
    return false;
}

/* The key of the last row that was read. */
struct cursor {
    bool begun;
    uint8_t digest[DIGEST_SIZE];
    int64_t device;
    int64_t time_ms;
    char *type; /* owned */
};

/* Reads a table of messages page by page. */
struct source {
    const char *what;
    int (*read)(struct store *store, const struct store_replay *replay, const struct cursor *after,
                PGresult **rows);
    int (*take)(struct store *store, const struct store_replay *replay, const PGresult *rows,
                int row, struct pg_item *item);
};

static int read_quarantine(struct store *store, const struct store_replay *replay,
                           const struct cursor *after, PGresult **rows)
{
    struct pg_args args = {.count = 0};

    pg_arg_bytes(&args, (const char *)after->digest, after->begun ? DIGEST_SIZE : 0);
    pg_arg_text(&args, replay->reason == 0 ? "" : foxtrackr_reason_name(replay->reason));
    return pg_query(store,
                    "SELECT " PG_QUARANTINE_COLUMNS " FROM quarantine WHERE digest > $1::bytea"
                    " AND ($2::text = '' OR reason = $2::text) ORDER BY digest"
                    " LIMIT " PG_REPLAY_PAGE,
                    "read from quarantine", &args, rows);
}

static int read_messages(struct store *store, const struct store_replay *replay,
                         const struct cursor *after, PGresult **rows)
{
    struct pg_args args = {.count = 0};

    (void)replay;
    pg_arg_int8(&args, after->begun ? after->device : INT64_MIN);
    pg_arg_int8(&args, after->time_ms);
    pg_arg_text(&args, after->begun ? after->type : "");
    pg_arg_bytes(&args, (const char *)after->digest, after->begun ? DIGEST_SIZE : 0);
    return pg_query(store,
                    "SELECT m.device, m.time_ms, m.type, m.digest, d.family, m.version, m.body,"
                    " m.received_ms FROM (SELECT * FROM messages"
                    " WHERE (device, time_ms, type, digest)"
                    " > ($1::int8, $2::int8, $3::text, $4::bytea)"
                    " ORDER BY device, time_ms, type, digest LIMIT " PG_REPLAY_PAGE ") AS m"
                    " LEFT JOIN devices AS d USING (device)"
                    " ORDER BY m.device, m.time_ms, m.type, m.digest",
                    "read messages", &args, rows);
}

static int advance(struct store *store, struct cursor *cursor, const struct pg_item *item)
{
    free(cursor->type);
    *cursor = (struct cursor){.begun = true, .device = item->device, .time_ms = item->time_ms};
    memcpy(cursor->digest, item->digest, DIGEST_SIZE);
    cursor->type = strdup(item->type != NULL ? item->type : "");
    return cursor->type != NULL ? STORE_OK : pg_replay_no_memory(store);
}

static int walk_page(struct store *store, struct store_replay *replay, const struct source *source,
                     const PGresult *rows, struct cursor *cursor,
                     const struct store_watcher *watcher, int64_t done, int64_t total)
{
    int result = STORE_OK;

    for (int row = 0; result == STORE_OK && row < PQntuples(rows); row++) {
        struct pg_item item = {.verdict = PG_KEEP};

        if (!pg_replay_go_on(store, watcher, source->what, done + row, total)) {
            return STORE_E_STOPPED;
        }
        result = source->take(store, replay, rows, row, &item);
        if (result == STORE_OK) {
            result = pg_item_write(store, &item, replay);
        }
        if (result == STORE_OK) {
            result = advance(store, cursor, &item);
        }
        pg_item_clear(&item);
    }
    return result;
}

static int walk(struct store *store, struct store_replay *replay, const struct source *source,
                int64_t total, const struct store_watcher *watcher)
{
    struct cursor cursor = {.begun = false, .time_ms = INT64_MIN};
    int64_t done = 0;
    bool end = false;
    int result = STORE_OK;

    while (result == STORE_OK && !end) {
        PGresult *rows = NULL;

        result = source->read(store, replay, &cursor, &rows);
        if (result == STORE_OK) {
            end = PQntuples(rows) < PAGE;
            result = walk_page(store, replay, source, rows, &cursor, watcher, done, total);
            done += PQntuples(rows);
        }
        PQclear(rows);
    }
    free(cursor.type);
    return result;
}

/* Counts the messages to replay, for the watcher. */
static int count_work(struct store *store, const struct store_replay *replay, int64_t *quarantine,
                      int64_t *messages)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_text(&args, replay->reason == 0 ? "" : foxtrackr_reason_name(replay->reason));
    result = pg_query(store,
                      "SELECT (SELECT count(*) FROM quarantine WHERE $1::text = ''"
                      " OR reason = $1::text),"
                      " (SELECT count(*) FROM messages WHERE $1::text = '')",
                      "count what is in quarantine", &args, &found);
    if (result == STORE_OK) {
        *quarantine = pg_int8(found, 0, 0);
        *messages = pg_int8(found, 0, 1);
    }
    PQclear(found);
    return result;
}

int postgresql_replay(struct store *store, struct store_replay *replay,
                      const struct store_watcher *watcher)
{
    static const struct source quarantined = {"quarantine", read_quarantine, pg_item_quarantined};
    static const struct source stored = {"messages", read_messages, pg_item_message};
    int64_t quarantine = 0;
    int64_t messages = 0;
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = count_work(store, replay, &quarantine, &messages);
    }
    if (result == STORE_OK) {
        result = walk(store, replay, &quarantined, quarantine, watcher);
    }
    if (result == STORE_OK && replay->reason == 0) {
        result = walk(store, replay, &stored, messages, watcher);
    }
    if (result == STORE_OK && replay->reason == 0) {
        result = pg_replay_extras(store, replay, watcher);
    }
    return result;
}
