/*
 * Checkpoints: when the WAL moves into the database.
 *
 * SQLite's own checkpoints (wal_autocheckpoint) hide their errors, so the writer makes them,
 * between two batches. Meanwhile all acknowledgements wait, and a checkpoint takes time, because
 * the WAL's pages are scattered over the database.
 *
 * A WAL of 16 MiB is moved. In a catch-up that would happen several times a second and take a third
 * of the time, so the WAL grows to 48 MiB first: more of the changes are then of pages that it
 * holds already, and each page is moved once. When no message has come for a while, 2 MiB are
 * moved: nothing waits, and the next messages find a short WAL.
 *
 * Retention adds to the WAL too, and no message may wait long for that. Retention moves a short
 * WAL, so that it stays short during a pass. A long WAL was made by messages: it is moved when it
 * reaches the size above, or in a pause. Until then retention adds only a little to it. This wait
 * ends: either messages add enough for a checkpoint, or there is a pause. A reader that holds the
 * WAL does not stop retention either: its allowance counts from the last attempt at a checkpoint,
 * even a failed one.
 *
 * After a complete checkpoint the next commit restarts the WAL at its beginning, unless a reader
 * still uses it. With overlapping readers, however short each is, there is always one, and the WAL
 * would grow without limit. So from 128 MiB on it is restarted with SQLITE_CHECKPOINT_RESTART:
 * SQLite moves everything and waits until the present readers have ended; later readers find all
 * pages in the database. Commits, and with them acknowledgements, wait for at most 5 s. After a
 * failure, which a long reader causes, the next attempt is a minute later, and further ones are
 * more and more rare.
 *
 * On a small disk the WAL is restarted as soon as it takes more than the space that is free.
 * store/sqlite/room.c keeps the space that moving it takes. After a full disk the next attempt
 * moves and truncates the WAL first, whatever its size.
 */
#include <errno.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/free_space.h"
#include "store/sqlite/room_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define CHECKPOINT_PAGES      4096
#define CHECKPOINT_PAGES_MOST 12288
#define CHECKPOINT_APART_MS   2000

#define WAL_PAGE_BYTES (4096 + 24) /* SQLite's default page and its frame header */

/* The free space is checked once for 256 KiB of WAL. */
#define SMALL_WAL_PAGES 64

/* The part of the WAL that retention has added is moved at 2 MiB, which is quicker; in a pause so
 * is any WAL. */
#define CHECKPOINT_PAGES_LEAST 512

/* A WAL above this is long: retention leaves its checkpoint to messages, and stops when it has
 * added RETENTION_PAGES_MOST. */
#define CHECKPOINT_PAGES_SHORT 1024
#define RETENTION_PAGES_MOST   256

#define SHRINK_WAIT_MS 1000 /* how long store_shrink() waits for readers */

/* A WAL of 128 MiB is restarted; how long a restart waits for readers, and when a failed one is
 * tried again.
 */
#define RESTART_PAGES          (128 * 1024 * 1024 / WAL_PAGE_BYTES)
#define RESTART_WAIT_MS        5000
#define RESTART_AGAIN_FIRST_MS 60000
#define RESTART_AGAIN_LAST_MS  3600000

static int watch_wal(void *context, sqlite3 *db, const char *schema, int pages)
{
    struct store *store = context;

    (void)db;
    (void)schema;
    if (pages > store->wal_total_pages) {
        store->commit_pages = pages - store->wal_total_pages;
    } else { /* the WAL was restarted */
        store->commit_pages = pages;
        store->base_pages = 0;
    }
    store->wal_total_pages = pages;
    store->wal_pages = pages - store->base_pages;
    return SQLITE_OK;
}

void store_watch_wal(struct store *store)
{
    store->checkpointed_ms = INT64_MIN / 2; /* so that the WAL of a crash is moved at once */
    store->checkpoint_at = CHECKPOINT_PAGES;
    store->look_at_space_at = SMALL_WAL_PAGES;
    sqlite3_wal_hook(store->db, watch_wal, store);
}

/* Notes the result of a checkpoint: `done` of the WAL's `pages` are in the database. Both are -1
 * while another program makes a checkpoint; then the next attempt gives the numbers. */
static void note_moved(struct store *store, int pages, int done)
{
    store->checkpointed_ms = clock_monotonic_ms();
    store->retention_pages = 0;
    if (pages >= 0 && pages == done) {
        store_record_base(store);
        store->base_pages = store->wal_total_pages; /* in case readers prevent the restart */
        store->wal_pages = 0;
        store->moved_pages = 0;
    } else if (pages >= 0) {
        store->moved_pages = done > store->base_pages ? done - store->base_pages : 0;
    }
    /* The pages that a reader needs stay in the WAL: try again when it has grown by as much
     * again. */
    store->checkpoint_at = store->wal_pages + CHECKPOINT_PAGES;
    store->look_at_space_at = store->wal_pages + SMALL_WAL_PAGES;
}

/* The result of a checkpoint. */
struct checkpoint {
    int pages; /* of the WAL; -1: not known */
    int done;  /* of them are in the database */
    bool busy; /* some reader or writer still needs the WAL */
};

/* Makes a checkpoint. Returns STORE_OK and sets *out, also where readers or writers were in the
 * way; or STORE_E_RETRY or STORE_FATAL. */
static int move_wal(struct store *store, int mode, struct checkpoint *out)
{
    int result = store_check_target(store);
    int code;

    if (result != STORE_OK) {
        return result;
    }
    *out = (struct checkpoint){.pages = -1, .done = -1};
    store->reserved_bytes = 0; /* a complete checkpoint gives back what is behind the end */
    errno = 0;
    code = sqlite3_wal_checkpoint_v2(store->db, "main", mode, &out->pages, &out->done);
    out->busy = code == SQLITE_BUSY;
    if (code != SQLITE_OK && !out->busy) {
        result = store_fail(store, "move the write-ahead log into the database");
    }
    if (result != STORE_FATAL) {
        store_record_file(store);
    }
    return result;
}

int store_checkpoint(struct store *store)
{
    struct checkpoint checkpoint;
    int result = move_wal(store, SQLITE_CHECKPOINT_PASSIVE, &checkpoint);

    if (result == STORE_OK) {
        note_moved(store, checkpoint.pages, checkpoint.done);
    } else {
        store->checkpointed_ms = clock_monotonic_ms();
    }
    return result;
}

int store_commit_pages(const struct store *store)
{
    return store->commit_pages;
}

/* Returns the number of pages added since the last attempt at a checkpoint. */
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
        return STORE_TURN_WAIT; /* a catch-up: messages fill the WAL faster than checkpoints empty
                                 * it */
    }
    if (worth_moving && store->wal_pages - store->moved_pages <= CHECKPOINT_PAGES_SHORT) {
        return STORE_TURN_MOVE;
    }
    return worth_moving && store->retention_pages >= RETENTION_PAGES_MOST ? STORE_TURN_WAIT
                                                                          : STORE_TURN_WORK;
}

/* Notes that the next commit restarts the WAL. */
static void note_restart(struct store *store)
{
    store->wal_total_pages = 0;
    store->base_pages = 0;
    store->wal_pages = 0;
    store->moved_pages = 0;
    store->retention_pages = 0;
    store->checkpoint_at = CHECKPOINT_PAGES;
    store->look_at_space_at = SMALL_WAL_PAGES;
}

/* The same, and waits for readers and writers, for limit_ms at most. */
static int move_wal_and_wait(struct store *store, int mode, int limit_ms, struct checkpoint *out)
{
    int result;

    store->wait_ms = store->busy_timeout_ms < limit_ms ? store->busy_timeout_ms : limit_ms;
    result = move_wal(store, mode, out);
    store->wait_ms = store->busy_timeout_ms;
    return result;
}

int sqlite_shrink(struct store *store)
{
    struct checkpoint checkpoint;
    int result;

    if (store->no_room) {
        (void)store_cut_wal(store);
    }
    result = move_wal_and_wait(store, SQLITE_CHECKPOINT_TRUNCATE, SHRINK_WAIT_MS, &checkpoint);
    if (result == STORE_OK && !checkpoint.busy) {
        note_restart(store);
        store_record_base(store);
    }
    return result;
}

/* Returns true when the WAL is to be restarted. Never in a tool, which would make the daemon
 * wait. */
static bool wal_must_restart(const struct store *store, bool outgrows_disk)
{
    return (store->wal_total_pages >= RESTART_PAGES || outgrows_disk) && !store->beside &&
           clock_monotonic_ms() >= store->restart_at_ms;
}

/* Moves the WAL and waits until no reader needs it: the next commit restarts it, and cuts the file
 * to journal_size_limit. */
static int restart_wal(struct store *store)
{
    struct checkpoint checkpoint;
    int result = move_wal_and_wait(store, SQLITE_CHECKPOINT_RESTART, RESTART_WAIT_MS, &checkpoint);

    if (result != STORE_OK) {
        return result;
    }
    note_moved(store, checkpoint.pages, checkpoint.done);
    if (!checkpoint.busy) {
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

/* Returns true when the WAL is long enough for a checkpoint; in a catch-up, with the last one just
 * done, it must be longer. */
static bool wal_is_long(const struct store *store, bool in_pause)
{
    return new_pages(store) >= (in_pause ? CHECKPOINT_PAGES_LEAST : CHECKPOINT_PAGES) &&
           (new_pages(store) >= CHECKPOINT_PAGES_MOST ||
            clock_monotonic_ms() - store->checkpointed_ms >= CHECKPOINT_APART_MS);
}

/* Returns true when the WAL takes more than the space that is free. */
static bool wal_outgrows_disk(struct store *store)
{
    int64_t free_bytes;

    if (store->wal_pages < store->look_at_space_at) {
        return false;
    }
    store->look_at_space_at = store->wal_pages + SMALL_WAL_PAGES;
    free_bytes = free_space(store->directory);
    return free_bytes >= 0 && free_bytes < store_wal_bytes(store);
}

/* After a full disk: gives back all space that can be had. */
static int make_room(struct store *store)
{
    int result = store->beside ? store_checkpoint(store) : sqlite_shrink(store);

    store->no_room = store->wal_total_pages > 0;
    return result;
}

int store_tidy_wal(struct store *store, bool in_pause)
{
    bool outgrows_disk;

    if (store->no_room) {
        return make_room(store);
    }
    outgrows_disk = wal_outgrows_disk(store);
    if (wal_must_restart(store, outgrows_disk)) {
        return restart_wal(store);
    }
    return wal_is_long(store, in_pause) || outgrows_disk ? store_checkpoint(store) : STORE_OK;
}

int64_t store_wal_bytes(const struct store *store)
{
    return (int64_t)store->wal_total_pages * WAL_PAGE_BYTES;
}
