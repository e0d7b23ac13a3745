/*
 * Retention: deletes old rows, in chunks so short that acknowledgements are not delayed noticeably.
 *
 * A pass visits the tables one after the other, and in a table every device in the order of its
 * number. The primary keys begin with (device, time_ms), so a device's old rows are found by one
 * seek, and a device without old rows costs just that seek. A chunk stops when its time is used up
 * or enough pages have changed: the pages are what its commit has to write. The pass notes the
 * device, and the next chunk continues there.
 *
 * A chunk's writes bring the next checkpoint forward, and a message that arrives during a
 * checkpoint waits for it. So a chunk may be the checkpoint of a short WAL instead. A long WAL was
 * filled by messages, and its checkpoint would be too much for a chunk: the pass waits for it; see
 * store/sqlite/checkpoint.c.
 *
 * Deleted rows leave free pages, which new rows use again. Free pages beyond keep_free_percent are
 * given back to the file system at the end of the pass, page by page and under the same limits.
 *
 * Every deletion is counted in `expired` by the same transaction.
 */
#include "store/sqlite/sqlite_internal.h"

/* Upper bound on the rows of one statement: the time is checked after each statement. A row with a
 * payload can have a long chain of pages. */
#define STEP_ROWS      64
#define STEP_ROWS_LONG 4

/* Moving a page changes the page, the page that points to it, the free list and the pointer map. */
#define PAGES_OF_A_MOVE 4

static const struct {
    const char *name;
    enum store_statement statement;
    int step_rows;
    int rows_of_a_page; /* rows in one page, which are deleted together */
    int pages_of_a_row; /* in tables with several B-trees */
} tables[STORE_TABLES] = {
    [STORE_BATTERY] = {"battery", STATEMENT_BATTERY_EXPIRE, STEP_ROWS, 32, 0},
    [STORE_TEMPERATURE] = {"temperature", STATEMENT_TEMPERATURE_EXPIRE, STEP_ROWS, 32, 0},
    [STORE_MESSAGES] = {"messages", STATEMENT_MESSAGES_EXPIRE, STEP_ROWS_LONG, 32, 1},
    [STORE_QUARANTINE] = {"quarantine", STATEMENT_QUARANTINE_EXPIRE, STEP_ROWS_LONG, 1, 2},
};

struct work {
    struct store_expiry place;
    const struct store_chunk *chunk;
    struct store_expired *out;
    int64_t deadline_us;
    int pages; /* about how many pages were changed */
};

static bool used_up(struct work *work)
{
    work->out->reached_limit = work->pages >= work->chunk->limit_pages;
    return work->out->reached_limit || work->chunk->clock_us() >= work->deadline_us;
}

static void next_table(struct store_expiry *place)
{
    place->table++;
    place->device = 0;
}

/* Deletes some old rows of one device, or of quarantine, with one statement. */
static int delete_some(struct store *store, struct work *work)
{
    struct store_expiry *place = &work->place;
    bool by_device = place->table != STORE_QUARANTINE;
    int64_t device = 0;
    int result = STORE_OK;
    int deleted;

    if (place->cutoff_ms[place->table] == STORE_KEEP) {
        next_table(place);
        return STORE_OK;
    }
    if (by_device) {
        result = store_next_device(store, place->device, &device);
        if (result != STORE_OK || device == 0) {
            next_table(place);
            return result;
        }
    }

    {
        const struct store_value values[] = {store_integer(device),
                                             store_integer(place->cutoff_ms[place->table]),
                                             store_integer(tables[place->table].step_rows)};

        result = store_execute(store, tables[place->table].statement, values, 3);
    }
    if (result != STORE_OK) {
        return result;
    }
    deleted = sqlite3_changes(store->db);
    work->out->rows[place->table] += (uint64_t)deleted;
    if (place->table == STORE_QUARANTINE) {
        store_note_entries(store, -deleted);
    }
    if (deleted > 0) {
        work->pages += 1 + deleted / tables[place->table].rows_of_a_page +
                       deleted * tables[place->table].pages_of_a_row;
    }
    if (deleted > 0 && place->table <= STORE_TEMPERATURE && !place->keep_rollups) {
        result = rollup_expired(
            store, place->table == STORE_BATTERY ? ROLLUP_BATTERY : ROLLUP_TEMPERATURE, device,
            place->cutoff_ms[place->table], deleted < tables[place->table].step_rows);
    }
    if (deleted < tables[place->table].step_rows) {
        if (by_device) {
            place->device = device;
        } else {
            next_table(place);
        }
    }
    return result;
}

/* Counts the free pages to give back so that at most keep_free_percent of the remaining pages are
 * free. */
static int count_surplus(struct store *store, int keep_free_percent, int64_t *surplus)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_PAGES];
    bool row = false;
    int result = store_step(store, STATEMENT_PAGES, NULL, 0, &row);

    *surplus = 0;
    if (result == STORE_OK && row) {
        int64_t free_pages = sqlite3_column_int64(statement, 0);
        int64_t pages = sqlite3_column_int64(statement, 1);

        *surplus = (free_pages * 100 - pages * keep_free_percent + 99 - keep_free_percent) /
                   (100 - keep_free_percent);
    }
    store_reset(store, STATEMENT_PAGES);
    return result;
}

/* Gives surplus pages back. Each step of the statement moves one page from the file's end. */
static int give_back(struct store *store, struct work *work)
{
    int64_t surplus = 0;
    bool row = true;
    int result = count_surplus(store, work->place.keep_free_percent, &surplus);

    while (result == STORE_OK && row && surplus > 0 && !used_up(work)) {
        result = store_step(store, STATEMENT_VACUUM, NULL, 0, &row);
        if (row) {
            surplus--;
            work->out->pages_freed++;
            work->pages += PAGES_OF_A_MOVE;
        }
    }
    store_reset(store, STATEMENT_VACUUM);
    /* No row: the file was made without auto_vacuum and cannot shrink. */
    work->out->done = surplus <= 0 || !row;
    return result;
}

static int count_expired(struct store *store, const struct work *work)
{
    int result = STORE_OK;

    for (int i = 0; i < STORE_TABLES && result == STORE_OK; i++) {
        const struct store_value values[] = {
            store_integer(store->run),
            store_text(tables[i].name),
            store_integer((int64_t)work->out->rows[i]),
            store_integer(work->place.cutoff_ms[i]),
            store_integer(work->chunk->now_ms),
        };

        if (work->out->rows[i] > 0) {
            result = store_execute(store, STATEMENT_EXPIRED_ADD, values, 5);
        }
    }
    return result;
}

/* Deletes roll-ups that have outlived their readings for long enough. */
static int delete_rollups(struct store *store, struct work *work, bool *done)
{
    bool more = false;
    int result;

    do {
        int rows = 0;

        result = rollup_expire(store, &work->place, &more, &rows);
        work->pages += rows > 0 ? 1 + rows / 32 : 0;
    } while (result == STORE_OK && more && !used_up(work));
    *done = !more;
    return result;
}

int store_chunk_begin(struct store *store)
{
    int result = store_set_synced(store, false);

    if (result == STORE_OK) {
        store->wait_ms = 0;
        result = store_execute(store, STATEMENT_BEGIN, NULL, 0);
        store->wait_ms = store->busy_timeout_ms;
    }
    return result == STORE_OK ? store_note_others(store) : result;
}

int store_chunk_commit(struct store *store, int before)
{
    int result = store_transaction_commit(store);

    if (result == STORE_OK) {
        /* After a restart the WAL is shorter than before. */
        store->retention_pages += store->wal_pages > before ? store->wal_pages - before : 0;
    }
    return result;
}

static int delete_chunk(struct store *store, struct store_expiry *expiry,
                        const struct store_chunk *chunk, struct store_expired *out)
{
    struct work work = {.place = *expiry,
                        .chunk = chunk,
                        .out = out,
                        .deadline_us = chunk->clock_us() + chunk->budget_us};
    int before = store->wal_pages;
    int changes = sqlite3_total_changes(store->db);
    bool ready = false;
    int result = store_chunk_begin(store);

    if (result == STORE_OK) {
        result = rollup_may_expire(store, &work.place, work.deadline_us, &ready);
    }
    while (result == STORE_OK && ready && work.place.table < STORE_TABLES) {
        result = delete_some(store, &work);
        if (used_up(&work)) {
            break;
        }
    }
    if (result == STORE_OK && work.place.table == STORE_TABLES) {
        result = delete_rollups(store, &work, &ready);
    }
    if (result == STORE_OK && ready && work.place.table == STORE_TABLES) {
        result = give_back(store, &work);
    }
    if (result == STORE_OK && sqlite3_total_changes(store->db) == changes &&
        out->pages_freed == 0) {
        /* The chunk changed nothing: nothing to count or sync. */
        result = store_execute(store, STATEMENT_COMMIT, NULL, 0);
    } else if (result == STORE_OK) {
        result = count_expired(store, &work);
        if (result == STORE_OK) {
            result = store_chunk_commit(store, before);
        }
    }
    if (result == STORE_OK) {
        *expiry = work.place;
    }
    return result;
}

int sqlite_expire(struct store *store, struct store_expiry *expiry, const struct store_chunk *chunk,
                  struct store_expired *out)
{
    *out = (struct store_expired){0};
    switch (store_retention_turn(store, chunk->nobody_waits)) {
    case STORE_TURN_WAIT:
        out->later = true;
        return store_tidy_wal(store, false);
    case STORE_TURN_MOVE:
        /* A failed checkpoint stays due; its error is returned, because otherwise it would be tried
         * again at once, for ever. */
        return store_checkpoint(store);
    default:
        return delete_chunk(store, expiry, chunk, out);
    }
}
