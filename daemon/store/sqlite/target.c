/*
 * Checks, before a checkpoint, that the database file is still the one that the WAL belongs to.
 *
 * SQLite does not check that. A checkpoint writes the pages of the WAL into the file of the open
 * descriptor: into a deleted file, and the pages are gone; into an older copy that cp has written
 * over the file, and the result is a mixture that no program can read. SQLite reports success for
 * both. So every checkpoint and the end of the run call store_check_target() first. When it fails,
 * nothing more is written, the WAL stays as it is, and the process ends with 74. The next start
 * finds WAL and file unchanged, and refuses them (store/sqlite/record.c, store/sqlite/open.c). A
 * tool that writes beside the daemon does the same, from what it found when it opened the database.
 *
 * A file whose size or time is not as this process left it is read. Another program may have made a
 * checkpoint, which is allowed: then the file is newer. The file is another one when it is no
 * database, carries the mark of a backup, has a lower change counter, or lacks messages of the run
 * that were in it (store/sqlite/base.c).
 *
 * A tool does not write to `runs`, so it has fewer proofs than the daemon: an older copy of an
 * earlier run with the same change counter, which has the same size, is not noticed.
 *
 * A file that is exchanged between the check and the checkpoint is not noticed. That window is a
 * few system calls long.
 */
#include <sys/stat.h>

#include "base/clock.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define LOOK_APART_MS 1000

/* Returns true when the change counter of the file is lower than it was; it may overflow. */
static bool counter_went_back(const struct store *store)
{
    return (int32_t)(store_base_counter(store->file_fd) - store->left_counter) < 0;
}

/* Returns why the file is another one than this process left; NULL: no proof of that. */
static const char *strange_content(const struct store *store)
{
    const struct store_base *base = &store->record.base;
    enum store_mark mark = STORE_MARK_NONE;

    if (!store_base_is_database(store->file_fd)) {
        return "it is no database any more";
    }
    if (store_mark_read(store->file_fd, &mark) == 0 &&
        (mark == STORE_MARK_BACKUP || mark == STORE_MARK_RESTORED)) {
        return "it is a backup now";
    }
    if (counter_went_back(store) || store_base_went_back(store->file_fd, base) ||
        store_base_is_older(store->file_fd, store->wal_path, base)) {
        return "it lacks what foxtrackrd has put there";
    }
    return NULL;
}

static int look(struct store *store)
{
    struct stat status;
    const char *how;

    if (!store->left || fstat(store->file_fd, &status) < 0 || store_record_fits(store, &status)) {
        return STORE_OK;
    }
    how = strange_content(store);
    if (how == NULL) {
        store_record_file(store);
        return STORE_OK;
    }
    store->broken = true;
    return store_refuse(store, STORE_FATAL,
                        "%s: another file was written into it while it was in use: %s. Nothing "
                        "more is written into it, and %s beside it is the write-ahead log of the "
                        "database that was there. Put that database back, or move this file to "
                        "another name and run foxtrackrctl restore on it",
                        store->path, how, store->wal_path);
}

int store_check_target(struct store *store)
{
    int result = store->database.known ? store_verify_names(store) : STORE_OK; /* not: opening */

    return result == STORE_OK ? look(store) : result;
}

int store_look_at_target(struct store *store)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms - store->looked_ms < LOOK_APART_MS) {
        return STORE_OK;
    }
    store->looked_ms = now_ms;
    return look(store);
}
