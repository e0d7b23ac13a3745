/*
 * When the log moves into the database.
 *
 * SQLite would do it by itself (wal_autocheckpoint), but hides its errors; so the writer does,
 * between two batches. It waits meanwhile, and with it everybody who waits for an acknowledgement:
 * what is in the log is scattered all over the database.
 *
 * A log of 16 MiB moves. In a catch-up that would be several times a second, and the moving a third
 * of the time. Then it grows to 48 MiB first: of so many changes more are changes of a page that
 * the log holds already, and each page is moved once. When no message has come for a while, 2 MiB
 * move: nobody waits, and the next ones find a short log.
 *
 * Retention adds to the log too, and no message may wait long for that. It moves a log that is
 * short, so that the log stays short as long as a pass lasts. A long one was made by messages: it
 * moves when they have made it long enough, or a pause lets it. Until then retention adds just a
 * little to it. It need not wait for ever: what messages add makes the log move, and when they add
 * nothing there is a pause. Nor does a reader stop it that holds the log: what it may add counts
 * from the last attempt to move the log, whatever came of it.
 *
 * A log that has moved begins anew with the next commit, unless a reader still uses it. Readers
 * that overlap, however short each is, leave no moment without one, and the log would grow without
 * end. So from 128 MiB on it is restarted (SQLITE_CHECKPOINT_RESTART): SQLite moves everything and
 * waits until the readers of that moment have ended; later ones find all pages in the database and
 * read only there. Commits, and with them acknowledgements, wait for 5 s at most. If that was not
 * enough, a reader stays for long: the next attempt is a minute later, and then more and more
 * rarely.
 */
#include <errno.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/free_space.h"
#include "store/sqlite/sqlite_internal.h"

#define CHECKPOINT_PAGES      4096
#define CHECKPOINT_PAGES_MOST 12288
#define CHECKPOINT_APART_MS   2000

#define LOG_PAGE_BYTES (4096 + 24) /* SQLite's default page and its frame header */

/* The free space is looked at once for 1 MiB of log. */
#define SMALL_LOG_PAGES 256

/* What retention adds to the log moves at 2 MiB, in less time, and so does any log in a pause. */
#define CHECKPOINT_PAGES_LEAST 512

/* More than this is a long log: retention leaves the moving of it to messages, and adds no chunk
 * to it when it has added so much. */
#define CHECKPOINT_PAGES_SHORT 1024
#define RETENTION_PAGES_MOST   256

#define SHRINK_WAIT_MS 1000 /* for readers */

/* 128 MiB. A restart waits so long for readers; one that was in vain is tried again so much later.
 */
#define RESTART_PAGES          (128 * 1024 * 1024 / LOG_PAGE_BYTES)
#define RESTART_WAIT_MS        5000
#define RESTART_AGAIN_FIRST_MS 60000
#define RESTART_AGAIN_LAST_MS  3600000

static int watch_log(void *context, sqlite3 *db, const char *schema, int pages)
{
    struct store *store = context;

    (void)db;
    (void)schema;
    if (pages > store->log_pages) {
        store->commit_pages = pages - store->log_pages;
    } else { /* it has begun anew */
        store->commit_pages = pages;
        store->base_pages = 0;
    }
    store->log_pages = pages;
    store->wal_pages = pages - store->base_pages;
    return SQLITE_OK;
}

void store_watch_log(struct store *store)
{
    store->checkpointed_ms = INT64_MIN / 2; /* what a crash has left moves at once */
    store->checkpoint_at = CHECKPOINT_PAGES;
    store->look_at_space_at = SMALL_LOG_PAGES;
    sqlite3_wal_hook(store->db, watch_log, store);
}

/* After an attempt to move the log: of `pages` in it, `done` are in the database. Both are -1 while
 * another program moves it: how far that is, the next attempt tells. */
static void note_moved(struct store *store, int pages, int done)
{
    store->checkpointed_ms = clock_monotonic_ms();
    store->retention_pages = 0;
    if (pages >= 0 && pages == done) {
        store_record_base(store);
        store->base_pages = store->log_pages; /* should readers keep it from beginning anew */
        store->wal_pages = 0;
        store->moved_pages = 0;
    } else if (pages >= 0) {
        store->moved_pages = done > store->base_pages ? done - store->base_pages : 0;
    }
    /* What a reader still needs stays in the log: try again when as much more has come. */
    store->checkpoint_at = store->wal_pages + CHECKPOINT_PAGES;
    store->look_at_space_at = store->wal_pages + SMALL_LOG_PAGES;
}

int store_checkpoint(struct store *store)
{
    int pages = -1;
    int done = -1;
    int code;

    errno = 0;
    code = sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    if (code != SQLITE_OK && code != SQLITE_BUSY) {
        store->checkpointed_ms = clock_monotonic_ms();
        return store_fail(store, "move the log into the database");
    }
    store_record_file(store);
    note_moved(store, pages, done);
    return STORE_OK;
}

int store_commit_pages(const struct store *store)
{
    return store->commit_pages;
}

/* Pages that have come since the last attempt to move the log. */
static int new_pages(const struct store *store)
{
    return store->wal_pages - (store->checkpoint_at - CHECKPOINT_PAGES);
}

enum store_turn store_retention_turn(const struct store *store, bool nobody_waits)
{
    bool worth_moving = new_pages(store) >= CHECKPOINT_PAGES_LEAST;

    if (nobody_waits) {
        return worth_moving ? STORE_TURN_MOVE : STORE_TURN_WORK;
    }
    if (new_pages(store) > CHECKPOINT_PAGES) {
        return STORE_TURN_WAIT; /* a catch-up: messages come faster than the log moves */
    }
    if (worth_moving && store->wal_pages - store->moved_pages <= CHECKPOINT_PAGES_SHORT) {
        return STORE_TURN_MOVE;
    }
    return worth_moving && store->retention_pages >= RETENTION_PAGES_MOST ? STORE_TURN_WAIT
                                                                          : STORE_TURN_WORK;
}

/* The next commit begins the log anew. */
static void note_restart(struct store *store)
{
    store->log_pages = 0;
    store->base_pages = 0;
    store->wal_pages = 0;
    store->moved_pages = 0;
    store->retention_pages = 0;
    store->checkpoint_at = CHECKPOINT_PAGES;
    store->look_at_space_at = SMALL_LOG_PAGES;
}

int store_shrink(struct store *store)
{
    int pages = -1;
    int done = -1;
    int code;

    errno = 0;
    store->wait_ms =
        store->busy_timeout_ms < SHRINK_WAIT_MS ? store->busy_timeout_ms : SHRINK_WAIT_MS;
    code = sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_TRUNCATE, &pages, &done);
    store->wait_ms = store->busy_timeout_ms;
    store_record_file(store);
    if (code != SQLITE_OK && code != SQLITE_BUSY) {
        return store_fail(store, "move the log into the database");
    }
    if (code == SQLITE_OK) {
        note_restart(store);
        store_record_base(store);
    }
    return STORE_OK;
}

/* Only the daemon: a tool that writes beside it must not make it wait. */
static bool log_must_restart(const struct store *store)
{
    return store->log_pages >= RESTART_PAGES && !store->beside &&
           clock_monotonic_ms() >= store->restart_at_ms;
}

/* Move the log, and wait until no reader needs it any more: the next commit begins it anew, and
 * cuts the file to journal_size_limit. */
static int restart_log(struct store *store)
{
    int pages = -1;
    int done = -1;
    int code;

    errno = 0;
    store->wait_ms =
        store->busy_timeout_ms < RESTART_WAIT_MS ? store->busy_timeout_ms : RESTART_WAIT_MS;
    code = sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_RESTART, &pages, &done);
    store->wait_ms = store->busy_timeout_ms;
    store_record_file(store);
    if (code != SQLITE_OK && code != SQLITE_BUSY) {
        return store_fail(store, "move the log into the database");
    }
    note_moved(store, pages, done);
    if (code == SQLITE_OK) {
        note_restart(store);
        store->restart_again_ms = 0;
        return STORE_OK;
    }
    store->restart_again_ms = store->restart_again_ms == 0 ? RESTART_AGAIN_FIRST_MS
                              : store->restart_again_ms < RESTART_AGAIN_LAST_MS / 2
                                  ? 2 * store->restart_again_ms
                                  : RESTART_AGAIN_LAST_MS;
    store->restart_at_ms = clock_monotonic_ms() + store->restart_again_ms;
    return STORE_OK;
}

/* Long enough to move; not yet in a catch-up, in which it was moved just now. */
static bool log_is_long(const struct store *store, bool in_pause)
{
    return new_pages(store) >= (in_pause ? CHECKPOINT_PAGES_LEAST : CHECKPOINT_PAGES) &&
           (new_pages(store) >= CHECKPOINT_PAGES_MOST ||
            clock_monotonic_ms() - store->checkpointed_ms >= CHECKPOINT_APART_MS);
}

/*
 * Whether the log has grown past what is free on the disk. The database may have to grow by as much
 * as the log holds, and a log that has filled the disk could never move: it would be full for good,
 * whoever makes room.
 */
static bool log_outgrows_disk(struct store *store)
{
    int64_t free_bytes;

    if (store->wal_pages < store->look_at_space_at) {
        return false;
    }
    store->look_at_space_at = store->wal_pages + SMALL_LOG_PAGES;
    free_bytes = free_space(store->directory);
    return free_bytes >= 0 && free_bytes < (int64_t)store->wal_pages * LOG_PAGE_BYTES;
}

int store_tidy_log(struct store *store, bool in_pause)
{
    if (log_must_restart(store)) {
        return restart_log(store);
    }
    return log_is_long(store, in_pause) || log_outgrows_disk(store) ? store_checkpoint(store)
                                                                    : STORE_OK;
}

int64_t store_log_bytes(const struct store *store)
{
    return (int64_t)store->log_pages * LOG_PAGE_BYTES;
}
