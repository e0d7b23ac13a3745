/*
 * Room on the disk for the WAL to move into the database.
 *
 * The problem. A checkpoint makes the database file grow by the pages that are in the WAL only.
 * Until all frames are moved the WAL cannot be restarted, and keeps its own space. If the WAL
 * takes the last free space of the disk, both are stuck: the database cannot grow because the WAL
 * has the space, and the WAL cannot give its space back because the database cannot grow. On a
 * disk of 4 MiB one reader that held the WAL for some 20 ms was enough: meanwhile the WAL grew
 * from 117 to 855 frames (3.5 MB), and the 7 pages that the database had to grow by had no space.
 *
 * The invariant. When a commit returns, the disk blocks of all pages of the database are allocated
 * in the database file, those that are still in the WAL included. store_reserve_room() allocates
 * them before COMMIT, behind the end of the file, which keeps its size. If that fails, the
 * transaction is rolled back. So a checkpoint succeeds on a full disk, and ends by giving the
 * WAL's space back.
 *
 * Exceptions.
 *
 * - While much space is free nothing is allocated. A program that fills the disk within one batch
 *   can then leave the database without the space that it must grow by.
 *
 * - A quota does not show in the free space, so the first time a quota is exhausted is such a
 *   case. Afterwards everything is allocated.
 *
 * - Some file systems cannot allocate, and a tool that writes beside the daemon may not write to
 *   the file itself. Then a commit needs twice as much free space as the database must grow by.
 *   File systems that write each block to a new place (btrfs, ZFS) need space for a checkpoint in
 *   any case.
 *
 * - A complete checkpoint of another program gives back what was allocated behind the end of the
 *   file; until the next checkpoint of this process, up to AHEAD_BYTES may be missing.
 *
 * If space is missing all the same, every commit fails before it writes anything to the WAL, with a
 * sentence that says how much must be freed. When that is free, the next attempt succeeds.
 *
 * A failed transaction leaves frames at the end of the WAL's file, which nothing uses, and which
 * may occupy all space that was free. store_cut_wal() gives that space back, as SQLite does by
 * itself for a WAL above journal_size_limit: under the write lock, behind the last commit. Readers
 * and checkpoints use only frames up to the last commit. If the process is killed at any moment,
 * recovery finds the same frames as before.
 */
#include "store/sqlite/room_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/free_space.h"
#include "base/pulse.h"
#include "store/sqlite/sqlite_internal.h"

#define SCARCE_BYTES (INT64_C(256) << 20) /* of free space beside the WAL's size */
#define AHEAD_BYTES  (INT64_C(1) << 20)   /* allocated beyond what is needed, at most */
#define AHEAD_PART   16                   /* and at most this part of the free space */
#define BLOCK_BYTES  512                  /* of st_blocks */

/* "WAL-Index File Format" of SQLite's documentation, section 2.1: the header, which is there twice.
 * Numbers are in the byte order of the machine. */
#define INDEX_BYTES        32768
#define INDEX_HEADER_BYTES 48
#define INDEX_IS_INIT      12 /* one byte */
#define INDEX_PAGE_BYTES   14 /* two bytes; 1 stands for 65536 */
#define INDEX_LAST_FRAME   16 /* four bytes: mxFrame */

#define WAL_HEADER_BYTES   32
#define FRAME_HEADER_BYTES 24

/* --- reserving ----------------------------------------------------------------------------- */

static int refuse(struct store *store, int64_t missing)
{
    store->no_room = true;
    store->was_full = true;
    return store_refuse(store, STORE_E_RETRY,
                        "%s: the disk is full: %" PRId64 " KiB are missing that the database needs "
                        "to take what is in its write-ahead log; free space on its file system, or "
                        "raise the quota",
                        store->path, (missing + 1023) / 1024);
}

/* Allocates blocks of the database file without changing its size. Returns 0 or an errno. */
static int allocate(const struct store *store, int64_t from, int64_t to)
{
    int error;

    do {
        pulse_wait_begin();
        error = fallocate(store->file_fd, FALLOC_FL_KEEP_SIZE, from, to - from) == 0 ? 0 : errno;
        pulse_wait_end();
    } while (error == EINTR);
    return error;
}

static bool is_no_space(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* Allocates the blocks for a database of `size` bytes, with a file of `status`. */
static int reserve(struct store *store, const struct stat *status, int64_t size, int64_t free_bytes)
{
    int64_t allocated = (int64_t)status->st_blocks * BLOCK_BYTES;
    int64_t missing = size > allocated ? size - allocated : 0;
    int64_t from = allocated < status->st_size ? 0 : status->st_size; /* a file with holes: all */
    int64_t ahead = free_bytes / AHEAD_PART < AHEAD_BYTES ? free_bytes / AHEAD_PART : AHEAD_BYTES;
    int result = store_check_target(store); /* allocating may change the file's time */
    int error = EBADF;

    if (result != STORE_OK) {
        return result;
    }
    if (!store->beside) {
        error = allocate(store, from, size + ahead);
        if (is_no_space(error)) {
            ahead = 0;
            error = allocate(store, from, size);
        }
        if (store->database.known) {
            store_record_file(store);
        }
    }
    if (error == 0) {
        store->reserved_bytes = size + ahead;
        return STORE_OK;
    }
    if (is_no_space(error)) {
        return refuse(store, missing);
    }
    return missing > free_bytes / 2 ? refuse(store, 2 * missing - free_bytes) : STORE_OK;
}

/* Sets *size to the size of the database after this transaction. */
static int future_size(struct store *store, int64_t *size)
{
    int pages = 0;
    int result = STORE_OK;

    if (store->page_bytes == 0) {
        result = store_read_number(store, "PRAGMA page_size", &store->page_bytes);
    }
    if (result == STORE_OK) {
        result = store_read_number(store, "PRAGMA page_count", &pages);
    }
    *size = (int64_t)pages * store->page_bytes;
    return result == STORE_OK || result == STORE_FATAL ? result : STORE_E_RETRY;
}

int store_reserve_room(struct store *store)
{
    int64_t free_bytes = store->file_fd >= 0 ? free_space_fd(store->file_fd) : -1;
    struct stat status;
    int64_t size;
    int result;

    if (free_bytes < 0 ||
        (!store->was_full && free_bytes >= SCARCE_BYTES + store_wal_bytes(store))) {
        return STORE_OK;
    }
    result = future_size(store, &size);
    if (result != STORE_OK || size <= store->reserved_bytes || fstat(store->file_fd, &status) < 0 ||
        (size <= status.st_size && (int64_t)status.st_blocks * BLOCK_BYTES >= status.st_size)) {
        return result;
    }
    return reserve(store, &status, size, free_bytes);
}

void store_note_full(struct store *store, int code, int system_errno)
{
    if ((code & 0xff) == SQLITE_FULL ||
        ((code & 0xff) == SQLITE_IOERR && is_no_space(system_errno))) {
        store->no_room = true;
        store->was_full = true;
    }
}

/* --- giving back --------------------------------------------------------------------------- */

/* Sets *used_bytes to the length of the WAL up to its last commit. Called with the write lock, so
 * that no other process changes that. Returns false when it is not known. */
static bool measure_wal(sqlite3_file *database, sqlite3_int64 *used_bytes)
{
    unsigned char header[INDEX_HEADER_BYTES];
    void volatile *memory = NULL;
    uint16_t page_bytes;
    uint32_t frames;

    if (database->pMethods == NULL || database->pMethods->iVersion < 2 ||
        database->pMethods->xShmMap(database, 0, INDEX_BYTES, 0, &memory) != SQLITE_OK ||
        memory == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof(header); i++) {
        header[i] = ((const unsigned char volatile *)memory)[i];
        if (header[i] != ((const unsigned char volatile *)memory)[sizeof(header) + i]) {
            return false;
        }
    }
    memcpy(&page_bytes, header + INDEX_PAGE_BYTES, sizeof(page_bytes));
    memcpy(&frames, header + INDEX_LAST_FRAME, sizeof(frames));
    *used_bytes =
        frames == 0
            ? 0
            : WAL_HEADER_BYTES + (sqlite3_int64)frames *
                                     (FRAME_HEADER_BYTES + (page_bytes == 1 ? 65536 : page_bytes));
    return header[INDEX_IS_INIT] == 1 && page_bytes != 0;
}

static bool cut(struct store *store)
{
    sqlite3_file *database = NULL;
    sqlite3_file *wal = NULL;
    sqlite3_int64 used_bytes;
    sqlite3_int64 size = 0;

    sqlite3_file_control(store->db, "main", SQLITE_FCNTL_FILE_POINTER, &database);
    sqlite3_file_control(store->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    return database != NULL && wal != NULL && wal->pMethods != NULL &&
           measure_wal(database, &used_bytes) &&
           wal->pMethods->xFileSize(wal, &size) == SQLITE_OK && size > used_bytes &&
           wal->pMethods->xTruncate(wal, used_bytes) == SQLITE_OK;
}

bool store_cut_wal(struct store *store)
{
    bool done = false;

    /* A tool would wait for the daemon here, and leaves this to it. */
    if (store->beside || store->broken || !sqlite3_get_autocommit(store->db)) {
        return false;
    }
    store->wait_ms = 0;
    if (sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) {
        done = cut(store);
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    store->wait_ms = store->busy_timeout_ms;
    return done;
}
