/*
 * Transactions: begin, commit and roll back, the meaning of errors, and when data are on disk.
 *
 * The idea. One connection, one thread, one transaction at a time. The writer begins a batch,
 * applies messages and commits. After any error in between it rolls back and applies the same
 * messages again. Every row has a natural key, so it is harmless to apply a message twice, even
 * after a COMMIT that failed and took effect all the same.
 *
 * Invariants.
 *
 * - A commit returns STORE_OK only when SQLite has synced the WAL, and the names of the database
 *   and of the WAL still lead to the open files. A database that was deleted or replaced takes
 *   every write without an error, but its rows cannot be found afterwards. When the names cannot
 *   be checked (a directory without permission for a moment), the batch is not acknowledged, and
 *   is applied again. store_transaction_begin() turns syncing on if another function had turned
 *   it off.
 *
 * - The run's counts are written by the transaction that they count, so that received = stored +
 *   duplicate + quarantined is as durable as the rows. After a rollback the counts are read from
 *   the database again and not calculated.
 *
 * - No error is ignored. SQLite's automatic checkpoint would ignore an I/O error, so it is turned
 *   off: store_transaction_begin() makes a checkpoint when the WAL has grown
 *   (store/sqlite/checkpoint.c), at a moment when no acknowledgement waits for it.
 *
 * - After an I/O error nothing more is written, not even by closing: the WAL stays as it is, for
 *   SQLite's recovery at the next start.
 *
 * - A failed sync is such an error whatever its errno, ENOSPC and EDQUOT included. The kernel may
 *   drop the pages that it could not write and report success to the next sync, so a retried
 *   COMMIT could return while earlier frames (a chunk of retention, a batch with durability =
 *   normal, a replay) are lost. Errors of write, open and truncate may be retried: the program
 *   still has the bytes and writes them again. store/sqlite/disk.c refuses every later write to a
 *   file whose sync has failed, and store/sqlite/renew.c rewrites the WAL at the next start, so
 *   that no frame exists in the page cache only.
 *
 * Closing leaves the WAL, empty, and its shared index in the directory: NO_CKPT_ON_CLOSE keeps
 * SQLite from deleting them. A reader without write permission to the directory could not create
 * them, and without them could not open the database.
 *
 * Waits are bounded by busy_timeout. Readers never block the writer of a WAL; another writer does,
 * for as long as its transaction lasts.
 */
#include "store/sqlite/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "store/sqlite/inbox_internal.h"
#include "store/sqlite/room_internal.h"
#include "store/sqlite/wal_vfs_internal.h"

int store_refuse(struct store *store, int result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(store->error, sizeof(store->error), format, arguments);
    va_end(arguments);
    return result;
}

const char *sqlite_error(const struct store *store)
{
    return store->error;
}

int store_classify(int code, int system_errno)
{
    switch (code & 0xff) {
    case SQLITE_READONLY:
        /* SQLite's own code for a database that was moved away. */
        return code == SQLITE_READONLY_DBMOVED ? STORE_FATAL : STORE_E_RETRY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* a race for the WAL's locks, lost many times */
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_CONSTRAINT: /* a trigger, or an index, that somebody has added */
        return STORE_E_RETRY;
    case SQLITE_INTERRUPT: /* a progress handler of store/tools.h */
        return STORE_E_STOPPED;
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM) {
            return STORE_E_RETRY;
        }
        if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
            return STORE_FATAL; /* whatever errno is: see the opening of this file */
        }
        /* SQLite calls only some of these "full"; the disk is as sound as with SQLITE_FULL. */
        return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EROFS ||
                       system_errno == EFBIG
                   ? STORE_E_RETRY
                   : STORE_FATAL;
    default:
        return STORE_FATAL;
    }
}

/* Returns advice to the operator for an error. */
static const char *advice(int code, int system_errno)
{
    if ((code & 0xff) == SQLITE_IOERR && system_errno == EFBIG) {
        return "raise the limit on file sizes (LimitFSIZE=, ulimit -f)";
    }
    if ((code & 0xff) == SQLITE_IOERR && system_errno == EROFS) {
        code = SQLITE_READONLY;
    } else if ((code & 0xff) == SQLITE_IOERR &&
               store_classify(code, system_errno) == STORE_E_RETRY) {
        code = code == SQLITE_IOERR_NOMEM ? SQLITE_NOMEM : SQLITE_FULL;
    }

    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return "another program is writing to it: end that program's transaction (fuser -v on the "
               "file names the programs that have it open)";
    case SQLITE_FULL:
        return "free space on its file system, or raise the quota";
    case SQLITE_NOMEM:
        return "the system is out of memory";
    case SQLITE_READONLY:
        return "make the file, its directory and its file system writable";
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
            return "what was written since the last sync may not be on the disk, so it is not "
                   "tried again: see the kernel's log, and the free space and quota of its file "
                   "system";
        }
        return "see the kernel's log for what the disk reported";
    case SQLITE_CANTOPEN:
        return "see that the file and its directory are there and may be used";
    case SQLITE_CONSTRAINT:
        return "drop the index or the trigger that refuses it, which foxtrackrd has not made "
               "(.indexes and .schema in sqlite3 show them)";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "the file is damaged: keep it, and restore a backup";
    default:
        return "this should not happen: please report it";
    }
}

bool store_is_stopped(const struct store *store)
{
    return store->stopped != NULL && store->stopped();
}

int store_fail(struct store *store, const char *doing)
{
    /* Not sqlite3_system_errno(): after a failed COMMIT it may hold the errno of an earlier
     * error. */
    int cause = errno;
    int code = sqlite3_extended_errcode(store->db);
    bool from_system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
    int system_errno = from_system ? cause : 0;
    int result = store_classify(code, system_errno);

    store->failed_code = code;
    store_note_full(store, code, system_errno);
    if (result == STORE_FATAL) {
        store->broken = true;
    } else if (store_is_stopped(store)) {
        return store_refuse(store, STORE_E_STOPPED, "stopped; run it again to go on");
    }
    return store_refuse(store, result, "%s: cannot %s: %s%s%s%s; %s", store->path, doing,
                        sqlite3_errmsg(store->db), system_errno != 0 ? " (" : "",
                        system_errno != 0 ? error_text(system_errno) : "",
                        system_errno != 0 ? ")" : "", advice(code, system_errno));
}

int store_check_stored(struct store *store, const char *table, int rows)
{
    return sqlite3_changes(store->db) == rows ? STORE_OK : store_refuse_ignored(store, table);
}

int store_refuse_ignored(struct store *store, const char *table)
{
    return store_refuse(store, STORE_E_RETRY,
                        "%s: a row was put into the table %s and is not there; drop the trigger "
                        "that ignores it, which foxtrackrd has not made (.schema %s in sqlite3 "
                        "shows it)",
                        store->path, table, table);
}

int store_set_synced(struct store *store, bool synced)
{
    const char *sql = synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL";

    if (synced == store->synced) {
        return STORE_OK;
    }
    errno = 0;
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return store_fail(store, "set how it is synced");
    }
    store->synced = synced;
    return STORE_OK;
}

/*
 * Checks after every commit that a name leads to the open file. Not by stat(), which reads the
 * times too: Linux (from 6.13 on, "multigrain timestamps") gives a file whose times were read a new
 * time at its very next write, instead of once a tick. Each commit would then change the WAL's
 * inode, and fdatasync would wait for a second write where the inode is written with the data (ext4
 * without a journal).
 */
static int look_at(const char *path, const struct store_identity *identity)
{
    struct statx status;

    if (statx(AT_FDCWD, path, AT_STATX_SYNC_AS_STAT, STATX_INO, &status) != 0) {
        return errno;
    }
    return makedev(status.stx_dev_major, status.stx_dev_minor) == identity->device &&
                   status.stx_ino == identity->inode
               ? 0
               : ENOENT;
}

/*
 * Checks that a name still leads to the open file. A directory that cannot be searched for a moment
 * gives no answer, and is tried again; a disk that fails is not.
 */
static int verify_name(struct store *store, const char *path, const struct store_identity *identity)
{
    int error = identity->known ? look_at(path, identity) : 0;

    switch (error) {
    case 0:
        return STORE_OK;
    case ENOENT:
    case ENOTDIR:
        return store_refuse(store, STORE_FATAL,
                            "%s: was deleted or replaced while in use; what came since then is "
                            "not in the file of that name",
                            path);
    case EIO:
    case ESTALE:
        return store_refuse(store, STORE_FATAL, "%s: cannot be looked at: %s; see the kernel's log",
                            path, error_text(error));
    default:
        return store_refuse(store, STORE_E_RETRY,
                            "%s: cannot be looked at: %s; nothing is acknowledged until it is "
                            "known to be the file in use: mend the permissions on the way to it",
                            path, error_text(error));
    }
}

int store_verify_names(struct store *store)
{
    int result = verify_name(store, store->given_path, &store->database);

    if (result == STORE_OK && strcmp(store->path, store->given_path) != 0) {
        result = verify_name(store, store->path, &store->database);
    }
    if (result == STORE_OK) {
        result = verify_name(store, store->wal_path, &store->wal);
    }
    store->unverified = result == STORE_E_RETRY;
    if (result == STORE_FATAL) {
        store->broken = true; /* the WAL stays: it may have the only copy of some rows */
    }
    return result;
}

/*
 * Empties the cache when another program has written since the last batch: that program may have
 * deleted a device, whose number the next new device gets, or the row of a group. Runs in the open
 * batch, while no other program can write.
 */
int store_note_others(struct store *store)
{
    int64_t version = 0;
    int result = store_version_of_others(store, &version);

    if (result == STORE_OK && version != store->data_version) {
        store->data_version = version;
        store->foreign_writes++;
        store_cache_clear(&store->cache);
        rollup_forget(&store->rollup);
    }
    return result;
}

int store_transaction_begin(struct store *store)
{
    /* A batch that was committed but could not be verified is applied again, which adds no rows;
     * but not before the names can be verified. */
    int result = store->unverified ? store_verify_names(store) : STORE_OK;

    if (result != STORE_OK) {
        return result;
    }
    result = store_tidy_wal(store, false);
    /* A checkpoint on a full disk does not stop the batch, which may still fit into the WAL. */
    if (result != STORE_FATAL) {
        result = store_set_synced(store, store->durability == STORE_FULL);
    }
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_BEGIN, NULL, 0);
    }
    return result == STORE_OK ? store_note_others(store) : result;
}

void sqlite_limit_wait(struct store *store, int wait_ms)
{
    if (wait_ms < store->busy_timeout_ms) {
        store->busy_timeout_ms = wait_ms;
        store->wait_ms = wait_ms;
    }
}

/* Refuses a database in which the row of this run is not as this process wrote it. */
static int refuse_run(struct store *store)
{
    store->broken = true;
    return store_refuse(store, STORE_FATAL,
                        "%s: the row of this run in its table runs is missing, or is not as "
                        "foxtrackrd wrote it: an older copy was put into the database while it was "
                        "in use (.restore of sqlite3 does that), or the row was changed; nothing "
                        "more is acknowledged. The next start compares the database with its "
                        "record",
                        store->path);
}

static int write_counts(struct store *store)
{
    const struct store_value values[] = {
        store_integer(store->run),
        store_integer((int64_t)store->counts.received),
        store_integer((int64_t)store->counts.stored),
        store_integer((int64_t)store->counts.duplicate),
        store_integer((int64_t)store->counts.quarantined),
        store_integer((int64_t)store->received_durable),
    };
    int result = STORE_OK;

    if (store->run != 0) { /* a tool has none */
        result = store_execute(store, STATEMENT_RUN_COUNT, values, 6);
        if (result == STORE_OK && sqlite3_changes(store->db) != 1) {
            result = refuse_run(store);
        }
    }
    return result;
}

int store_transaction_commit(struct store *store)
{
    int result = write_counts(store);

    if (result == STORE_OK) {
        result = store_reserve_room(store);
    }
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_COMMIT, NULL, 0);
    }
    if (result != STORE_OK) {
        return result;
    }
    store->no_room = false;
    store->entries_durable = store->entries;
    store->received_durable = store->counts.received;
    result = store_verify_names(store);
    if (result == STORE_OK) {
        result = store_look_at_target(store);
    }
    if (result == STORE_OK) {
        store_record_commit(store);
    }
    return result;
}

int store_transaction_rollback(struct store *store)
{
    const struct store_value run = store_integer(store->run);
    sqlite3_stmt *statement = store->statements[STATEMENT_RUN_READ];
    bool row = false;
    int result = STORE_OK;

    store_cache_clear(&store->cache);
    rollup_forget(&store->rollup);
    store_wal_forget(store->db);
    store->entries = store->entries_durable;
    /* After some errors SQLite has rolled back already. */
    if (!sqlite3_get_autocommit(store->db)) {
        result = store_execute(store, STATEMENT_ROLLBACK, NULL, 0);
    }
    if (result != STORE_OK) {
        return result;
    }

    result = store_step(store, STATEMENT_RUN_READ, &run, 1, &row);
    if (result == STORE_OK) {
        store->counts = (struct store_counts){0};
        if (row) {
            store->counts.received = (uint64_t)sqlite3_column_int64(statement, 0);
            store->counts.stored = (uint64_t)sqlite3_column_int64(statement, 1);
            store->counts.duplicate = (uint64_t)sqlite3_column_int64(statement, 2);
            store->counts.quarantined = (uint64_t)sqlite3_column_int64(statement, 3);
        }
    }
    store_reset(store, STATEMENT_RUN_READ);
    if (result == STORE_OK && store->counts.received < store->received_durable) {
        return refuse_run(store);
    }
    store->received_durable = store->counts.received;
    return result;
}

void sqlite_counts(const struct store *store, struct store_counts *out)
{
    *out = store->counts;
}

void store_discard(struct store *store)
{
    if (store == NULL) {
        return;
    }
    inbox_free(store->inbox);
    rollup_free(&store->rollup);
    store_finalize(store);
    sqlite3_close(store->db);
    if (store->file_fd >= 0) {
        close(store->file_fd); /* after SQLite's own, whose locks this drops too */
    }
    store_readers_close(&store->readers); /* not earlier: it would drop SQLite's locks */
    if (store->lock_fd >= 0) {
        close(store->lock_fd); /* last: until here the database was locked */
    }
    free(store->given_path);
    free(store->broker);
    free(store->path);
    free(store->wal_path);
    free(store->directory);
    free(store);
}

int sqlite_close(struct store *store)
{
    int result = STORE_OK;

    if (store == NULL) {
        return STORE_OK;
    }
    store_finalize(store);
    if (store->beside && !store->broken) {
        /* The daemon may be running: do not wait for it nor delay it, and leave the rest of the WAL
         * to it. */
        if (store_checkpoint(store) == STORE_FATAL) {
            result = STORE_FATAL;
        }
    } else if (!store->read_only && !store->broken) {
        /* If a reader is in the way for more than a second, or the disk is full, the WAL stays for
         * the next start: a stop has no more time. */
        if (sqlite_shrink(store) == STORE_FATAL) {
            result = STORE_FATAL;
        }
    }
    if (store->broken) {
        result = STORE_FATAL;
    }
    store_discard(store);
    return result;
}
