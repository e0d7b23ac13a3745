/*
 * Rewrites the WAL of an earlier process, byte for byte, before anything is added to it.
 *
 * A process that ends with 74 after a failed sync leaves frames in the WAL that exist only in the
 * kernel's page cache: the kernel could not write them, keeps them readable, and treats them as
 * clean. The next process recovers them, adds frames behind them, and its syncs succeed. After a
 * power loss SQLite stops at the first missing frame, so all later frames are lost, although they
 * were synced and acknowledged. A process that is killed after a failed background write leaves the
 * same WAL without having seen an error.
 *
 * Writing the same bytes to the same places makes the pages dirty again, and the following sync
 * reports whether they are on the disk. Nothing else changes: readers see the same frames all the
 * time, and after a power loss in the middle each frame has the old bytes or the same new ones. The
 * write lock keeps other programs from adding frames meanwhile. The database file needs no such
 * care: pages that a checkpoint wrote there stay in the WAL until a sync of the database succeeds.
 *
 * A tool that writes beside the daemon does the same: after an end with 74 it may be the next
 * process, or may be faster than the daemon that starts. Its checkpoint would move pages into the
 * database whose frames a power loss takes out of the WAL again, and leave a mixture of both.
 *
 * Cost: reading and writing the WAL once, 48 MiB after a kill in a catch-up; nothing after a clean
 * stop.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/error_text.h"
#include "base/pulse.h"
#include "store/sqlite/sqlite_internal.h"

#define WAL_HEADER_SIZE 32
#define STEP_SIZE       65536

/* Sets *file to the open WAL, or to NULL when none is open. */
static int find_wal(struct store *store, sqlite3_file **file)
{
    *file = NULL;
    return sqlite3_file_control(store->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, file);
}

static int rewrite_wal(sqlite3_file *file, unsigned char *bytes)
{
    sqlite3_int64 size = 0;
    int code = file->pMethods->xFileSize(file, &size);

    for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += STEP_SIZE) {
        int length = size - at < STEP_SIZE ? (int)(size - at) : STEP_SIZE;

        pulse_beat();
        code = file->pMethods->xRead(file, bytes, length, at);
        if (code == SQLITE_OK) {
            code = file->pMethods->xWrite(file, bytes, length, at);
        }
    }
    return code == SQLITE_OK && size > WAL_HEADER_SIZE
               ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL)
               : code;
}

static int fail(struct store *store, int code)
{
    int cause = errno;
    int result = store_classify(code, cause);

    if (result == STORE_FATAL) {
        store->broken = true;
    }
    return store_refuse(store, result, "%s: cannot be written anew before use: %s%s%s",
                        store->wal_path, sqlite3_errstr(code), cause != 0 ? ": " : "",
                        cause != 0 ? error_text(cause) : "");
}

int store_renew_wal(struct store *store)
{
    unsigned char *bytes = malloc(STEP_SIZE);
    sqlite3_file *file = NULL;
    int code;

    if (bytes == NULL) {
        return store_refuse(store, STORE_E_RETRY, "%s: out of memory", store->path);
    }
    errno = 0;
    if (sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        free(bytes);
        return store_open_failed(store, "take its write lock");
    }
    errno = 0;
    code = find_wal(store, &file);
    if (code == SQLITE_OK && file != NULL && file->pMethods != NULL) {
        code = rewrite_wal(file, bytes);
    }
    free(bytes);
    if (code != SQLITE_OK) {
        int result = fail(store, code);

        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        return result;
    }
    errno = 0;
    return sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK
               ? STORE_OK
               : store_open_failed(store, "give its write lock back");
}
