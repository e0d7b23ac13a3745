/*
 * The record of the database that last stood at this path.
 *
 * A backup of ours carries a mark. Any other copy of a database, put in its place, looks like the
 * database itself. So foxtrackrd keeps a record beside it, in PATH.lock after the process id: the
 * last run, how many of its messages were durable, whether it was stopped. Only facts that are on
 * disk already are recorded. So a database that does not contain the recorded run is an older one,
 * or another one, whatever its file looks like.
 *
 * With durability = normal messages are not on disk when a commit returns, so only the beginning
 * and the end of a run are recorded, which are always synced.
 *
 * The other case is the WAL of a killed daemon, which SQLite puts into the file that has the
 * database's name. The record holds the file's inode, size and time after foxtrackrd's last write
 * to it (the file changes only in a checkpoint). If they are unchanged, file and WAL belong
 * together, and nothing is checked. Otherwise
 *   - another file inode with the recorded WAL inode: the file was exchanged. That is certain, and
 *     refused.
 *   - the file lacks data that were in it, synced, before its WAL was begun (store/sqlite/base.c):
 *     an older copy was written into it. That is certain, too, and refused.
 *   - anything else has innocent reasons, too: killed within a checkpoint, a power failure, another
 *     program that has write access. Then the two are compared, before the first byte is written:
 *     the size of the database that the WAL's last commit names with the one in the database's
 *     first page (an older first page names another), and for a limited time SQLite's quick_check
 *     looks at the structure. Damage is refused; otherwise the caller reports the finding.
 *
 * The record is a help and not a proof: it may be missing, deleted, or from before a power failure.
 * Then no conclusion is drawn. Nothing is ever deleted or refused because the record is missing.
 */
#include "store/sqlite/record_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/plural.h"
#include "base/pulse.h"
#include "store/sqlite/frames_internal.h"
#include "store/sqlite/sqlite_internal.h"

/* base/own_file.c recognises the lock file by this form. */
#define PROCESS_SIZE   32 /* bytes of the lock file for the process number; the record follows */
#define RECORD_SIZE    416
#define PERIOD_MS      1000
#define CHECK_LIMIT_MS 20000
#define CHECK_STEPS    20000 /* of SQLite's virtual machine: some milliseconds */

#define RECORD_FORMAT                                                                              \
    "run %" PRId64 " started %" PRId64 " received %" PRId64 " moment %" PRId64 " stopped %" PRId64 \
    " device %" PRId64 " inode %" PRId64 " log %" PRId64 " size %" PRId64 " changed %" PRId64      \
    " page %" PRId64 " rows %" PRId64 " last %" PRId64 " moved %" PRId64 " end"

/* Reads "NAME NUMBER " at *at and moves behind it. Returns false when something else is there. */
static bool take_number(const char **at, const char *name, int64_t *number)
{
    size_t length = strlen(name);
    char *end;

    if (strncmp(*at, name, length) != 0 || (*at)[length] != ' ') {
        return false;
    }
    errno = 0;
    *number = strtoll(*at + length + 1, &end, 10);
    if (errno != 0 || end == *at + length + 1 || *end != ' ') {
        return false;
    }
    *at = end + 1;
    return true;
}

/* Reads the part that records of earlier versions lack. */
static bool take_base(const char **text, struct store_base *base)
{
    int64_t page;

    if (strncmp(*text, "end", 3) == 0) {
        return true;
    }
    if (!take_number(text, "page", &page) || !take_number(text, "rows", &base->rows) ||
        !take_number(text, "last", &base->run) || !take_number(text, "moved", &base->received)) {
        return false;
    }
    base->page = page > 0 && page <= UINT32_MAX ? (uint32_t)page : 0;
    return true;
}

/* Reads a record in the order of RECORD_FORMAT. Returns false when it is incomplete. */
static bool take_record(const char *text, struct store_record *record)
{
    int64_t device;
    int64_t inode;
    int64_t wal_inode;

    if (!take_number(&text, "run", &record->run) ||
        !take_number(&text, "started", &record->started_ms) ||
        !take_number(&text, "received", &record->received) ||
        !take_number(&text, "moment", &record->moment_ms) ||
        !take_number(&text, "stopped", &record->stopped_ms) ||
        !take_number(&text, "device", &device) || !take_number(&text, "inode", &inode) ||
        !take_number(&text, "log", &wal_inode) || !take_number(&text, "size", &record->size) ||
        !take_number(&text, "changed", &record->changed_ns) || !take_base(&text, &record->base) ||
        strncmp(text, "end", 3) != 0) {
        return false;
    }
    record->device = (uint64_t)device;
    record->inode = (uint64_t)inode;
    record->wal_inode = (uint64_t)wal_inode;
    return record->run > 0 && record->received >= 0;
}

void store_record_read(struct store *store)
{
    struct store_record record = {0};
    char text[RECORD_SIZE + 1];
    ssize_t length = pread(store->lock_fd, text, RECORD_SIZE, PROCESS_SIZE);

    if (length <= 0) {
        return;
    }
    text[length] = '\0';
    if (take_record(text, &record)) {
        record.known = true;
        store->record = record;
    }
}

void store_record_write(struct store *store)
{
    const struct store_record *record = &store->record;
    char text[PROCESS_SIZE + RECORD_SIZE + 1];
    int cause = errno; /* keeps the errno that the caller is about to report */
    int length;

    if (store->lock_fd < 0 || store->lock_is_other) {
        return;
    }
    length = snprintf(text, sizeof(text), "%-*ld\n", PROCESS_SIZE - 1, (long)getpid());
    if (record->known) {
        length +=
            snprintf(text + length, sizeof(text) - (size_t)length, RECORD_FORMAT, record->run,
                     record->started_ms, record->received, record->moment_ms, record->stopped_ms,
                     (int64_t)record->device, (int64_t)record->inode, (int64_t)record->wal_inode,
                     record->size, record->changed_ns, (int64_t)record->base.page,
                     record->base.rows, record->base.run, record->base.received);
        /* Padded to a fixed length, so that nothing of an older record remains behind it. */
        if (length < (int)sizeof(text) - 2) {
            memset(text + length, ' ', sizeof(text) - 2 - (size_t)length);
            length = (int)sizeof(text) - 2;
        }
        text[length++] = '\n';
    }
    (void)!pwrite(store->lock_fd, text, (size_t)length, 0);
    errno = cause;
}

void store_record_run(struct store *store, int64_t started_ms, int64_t stopped_ms)
{
    struct store_record *record = &store->record;

    record->known = true;
    if (stopped_ms == 0) {
        record->run = store->run;
        record->started_ms = started_ms;
        record->received = 0;
    } else {
        record->received = (int64_t)store->counts.received;
    }
    record->stopped_ms = stopped_ms;
    record->moment_ms = clock_wall_ms();
    store->recorded_ms = clock_monotonic_ms();
    store_record_write(store);
}

void store_record_commit(struct store *store)
{
    int64_t now_ms = clock_monotonic_ms();

    if (!store->synced || store->lock_fd < 0 || now_ms - store->recorded_ms < PERIOD_MS) {
        return;
    }
    store->recorded_ms = now_ms;
    store->record.received = (int64_t)store->counts.received;
    store->record.moment_ms = clock_wall_ms();
    store_record_write(store);
}

static int64_t changed_ns(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

void store_record_file(struct store *store)
{
    struct store_record *record = &store->record;
    struct stat status;

    if (store->file_fd < 0 || fstat(store->file_fd, &status) < 0) {
        return;
    }
    record->device = status.st_dev;
    record->inode = status.st_ino;
    record->wal_inode = store->wal.known ? store->wal.inode : 0;
    record->size = status.st_size;
    record->changed_ns = changed_ns(&status);
    store->left = store->database.known;
    store->left_counter = store_base_counter(store->file_fd);
    if (record->known) {
        store_record_write(store);
    }
}

bool store_record_fits(const struct store *store, const struct stat *status)
{
    const struct store_record *record = &store->record;

    return status->st_ino == record->inode && status->st_size == record->size &&
           changed_ns(status) == record->changed_ns;
}

void store_record_base(struct store *store)
{
    static const char *const sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'runs'";
    int root = 0;

    if (store->file_fd >= 0 && store_read_number(store, sql, &root) == STORE_OK && root > 0 &&
        store_base_read(store->file_fd, (uint32_t)root, &store->record.base) &&
        store->record.known) {
        store_record_write(store);
    }
}

/*
 * Without a WAL the file alone counts. If it does not match the recorded base, the base must be
 * removed from the record on disk before the first commit.
 */
static void forget_base(struct store *store)
{
    struct store_base *base = &store->record.base;

    if (base->page != 0 && !store_base_matches(store->file_fd, base)) {
        *base = (struct store_base){0};
        store_record_write(store);
        (void)!fdatasync(store->lock_fd);
    }
}

/* Returns true when the WAL beside the file is the recorded one, and the file lacks the state on
 * which it builds.
 */
static bool is_older_copy(const struct store *store, const struct stat *file,
                          const struct stat *wal)
{
    const struct store_record *record = &store->record;

    return file->st_dev == record->device && file->st_ino == record->inode &&
           wal->st_ino == record->wal_inode &&
           store_base_is_older(store->file_fd, store->wal_path, &record->base);
}

int store_record_check_file(struct store *store)
{
    const struct store_record *record = &store->record;
    struct stat status;
    struct stat wal;

    if (!record->known || record->inode == 0 || store->file_fd < 0 ||
        fstat(store->file_fd, &status) < 0) {
        return STORE_OK;
    }
    if (stat(store->wal_path, &wal) < 0 || wal.st_size == 0) {
        forget_base(store);
        return STORE_OK;
    }
    if (status.st_dev == record->device && status.st_ino != record->inode &&
        wal.st_ino == record->wal_inode) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: another file was put in the place of the database, and %s beside "
                            "it is still the write-ahead log of the old database; nothing was "
                            "changed. Put the old database back, or move this file to another name "
                            "and run foxtrackrctl restore on that",
                            store->path, store->wal_path);
    }
    store->strange = !store_record_fits(store, &status);
    if (store->strange && is_older_copy(store, &status, &wal)) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: an older copy was written into it: it lacks what foxtrackrd has "
                            "put there, and %s beside it is the write-ahead log of the newer "
                            "database; nothing was changed. Put the newer database back, or move "
                            "this file to another name and run foxtrackrctl restore on that",
                            store->path, store->wal_path);
    }
    store->pages_by_wal = store->strange ? store_frames_last_size(store->wal_path) : 0;
    return STORE_OK;
}

static int refuse_mixture(struct store *store, const char *how)
{
    return store_refuse(store, STORE_FATAL,
                        "%s: is damaged with the write-ahead log that stands beside it (%s); was a "
                        "copy put in its place, and the old write-ahead log left? Nothing was "
                        "changed: move the copy to another name and run foxtrackrctl restore on "
                        "that",
                        store->path, how);
}

static int watch(void *context)
{
    const int64_t *deadline_ms = context;

    pulse_beat();
    return clock_monotonic_ms() >= *deadline_ms;
}

int store_record_check_structure(struct store *store)
{
    int64_t deadline_ms = clock_monotonic_ms() + CHECK_LIMIT_MS;
    sqlite3_stmt *statement = NULL;
    const char *said = NULL;
    char how[96];
    int pages = 0;
    int result = store_read_number(store, "PRAGMA page_count", &pages);
    int code;

    if (result != STORE_OK) {
        return result;
    }
    /* Every program that writes to a database writes its size both into the WAL and into page 1. */
    if (store->pages_by_wal != 0 && store->pages_by_wal != (uint32_t)pages) {
        snprintf(how, sizeof(how), "one says that it has %d page%s, the other %" PRIu32, pages,
                 plural_s(pages), store->pages_by_wal);
        return refuse_mixture(store, how);
    }
    sqlite3_progress_handler(store->db, CHECK_STEPS, watch, &deadline_ms);
    code = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        said = (const char *)sqlite3_column_text(statement, 0);
    } else if (code != SQLITE_INTERRUPT) {
        said = sqlite3_errmsg(store->db);
    }
    if (said != NULL && strcmp(said, "ok") != 0) {
        result = refuse_mixture(store, said);
    }
    sqlite3_finalize(statement);
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    return result;
}

int store_record_is_older(struct store *store, bool *older)
{
    static const char *const sql =
        "SELECT started_ms, coalesce(stopped_ms, 0), received FROM runs WHERE run = ?1";
    const struct store_record *record = &store->record;
    sqlite3_stmt *statement = NULL;
    int code;

    *older = false;
    errno = 0;
    code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, record->run);
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_DONE) {
        *older = true;
    } else if (code == SQLITE_ROW) {
        *older =
            sqlite3_column_int64(statement, 0) != record->started_ms ||
            (record->stopped_ms != 0 && sqlite3_column_int64(statement, 1) != record->stopped_ms) ||
            sqlite3_column_int64(statement, 2) < record->received;
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? STORE_OK
                                                     : store_open_failed(store, "read its runs");
}
