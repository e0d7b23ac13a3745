/*
 * A copy of the database while the daemon writes.
 *
 * The copy is made page by page with SQLite's backup API in one read transaction. Without the
 * transaction the copy would restart at each commit of the daemon and never end; with it, the copy
 * is the database's state at the beginning. A reader never blocks the writer of a WAL, but it has
 * two effects, both bounded:
 *
 *  - The WAL cannot be reset while we read, so it grows by the daemon's writes. We read as fast as
 *    the disk allows, and give up when the free space beside the database falls to the size of the
 *    WAL.
 *  - Our writes compete with the daemon's syncs. The copy is synced every few MiB, so that the disk
 *    never has a long queue of our pages when the daemon syncs.
 *
 * VACUUM INTO would need more work for the same result, and reports no progress.
 *
 * The copy is made under another name in the directory of the backup, checked there, and renamed
 * last: until then nothing of the wanted name has changed. It is a complete database: the same
 * pages, WAL mode included. Only its header says that it is a backup, and a table says of which
 * moment, so that a daemon recognises it in the place of its database (store/sqlite/mark.c).
 *
 * The directory may belong to another user, who can exchange every name in it at any moment. So the
 * directory and the copy are opened once and held: SQLite writes and reads the file that is held
 * (store/sqlite/held.c), names are only looked up in the directory that is held, no symbolic link
 * is followed, and a name is used only while it leads to the file that is held.
 */
#include "store/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/free_space.h"
#include "store/sqlite/held_internal.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define BACKUP_MODE  0640
#define STEP_PAGES   1024 /* 4 MiB: copied between two checks and syncs */
#define PROGRESS_OPS 100000
#define MIB          (INT64_C(1024) * 1024)

#define NAME_ATTEMPTS 100
#define BASE_SHOWN    200 /* bytes of the wanted name that the copy's name contains */

struct backup {
    struct store *store;
    const struct store_watcher *watcher;
    const char *file;
    bool force;
    const char *base;             /* the file's name in its directory */
    char *directory;              /* for people */
    int directory_fd;             /* or -1 */
    char temporary[NAME_MAX + 1]; /* the copy's name in the directory; "": it has none */
    int fd;                       /* of the copy, or -1; closed after SQLite has closed its own */
    int64_t page_size;            /* bytes */
    int64_t bytes;
    int64_t taken_ms; /* wall clock: the copy contains all earlier commits */
};

static int path_problem(struct backup *backup, const char *path, const char *doing)
{
    int result = errno == ENOSPC || errno == EDQUOT ? STORE_E_RETRY : STORE_E_PATH;

    store_refuse(backup->store, result, "%s: cannot %s: %s", path, doing, error_text(errno));
    return result;
}

/* Reports a failed sync as a fault of the disk, whatever its errno; it is not tried again. */
static int sync_problem(struct backup *backup, const char *path)
{
    return store_refuse(backup->store, STORE_FATAL,
                        "%s: cannot be synced to disk: %s; do not use it, and look at the kernel's "
                        "log, the free space and the quota of its file system",
                        path, error_text(errno));
}

static int stopped(struct backup *backup)
{
    return store_refuse(backup->store, STORE_E_STOPPED, "stopped; %s is as it was", backup->file);
}

static bool go_on(const struct backup *backup, const char *what, int64_t done, int64_t total)
{
    return backup->watcher->progress(backup->watcher->context, what, STORE_BYTES, done, total);
}

/* Returns true when a name in the directory leads to the copy. */
static bool leads_to_copy(const struct backup *backup, const char *name)
{
    struct stat copy;
    struct stat named;

    return fstat(backup->fd, &copy) == 0 &&
           fstatat(backup->directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           copy.st_dev == named.st_dev && copy.st_ino == named.st_ino;
}

static int name_exchanged(struct backup *backup, const char *name)
{
    return store_refuse(backup->store, STORE_E_PATH,
                        "%s: somebody exchanged %s in its directory while the copy was made; "
                        "choose a directory that only you can write to",
                        backup->file, name);
}

/* --- the wanted name ------------------------------------------------------------------------ */

/* Refuses a name that SQLite uses for the WAL or the journal of the database beside it. */
static int check_base(struct backup *backup)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    size_t length = strlen(backup->base);

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        size_t tail = strlen(suffixes[i]);

        if (length >= tail && strcmp(backup->base + length - tail, suffixes[i]) == 0) {
            return store_refuse(backup->store, STORE_E_PATH,
                                "%s: SQLite uses names that end in %s for files of a database "
                                "beside it; choose another name for the backup",
                                backup->file, suffixes[i]);
        }
    }
    return STORE_OK;
}

/* Refuses a name beside which a WAL or journal exists: SQLite would apply it to the backup. */
static int check_companion(struct backup *backup, const char *suffix)
{
    char name[NAME_MAX + 16];
    struct stat status;

    snprintf(name, sizeof(name), "%s%s", backup->base, suffix);
    if (fstatat(backup->directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        return store_refuse(backup->store, STORE_E_PATH,
                            "%s%s: is there: %s is in use, or was when its program died; choose "
                            "another name for the backup",
                            backup->file, suffix, backup->file);
    }
    return errno == ENOENT || errno == ENAMETOOLONG ? STORE_OK
                                                    : path_problem(backup, backup->file, "be used");
}

/* Returns true when the file is the database or one of its companions. */
static bool is_database(const struct backup *backup, const struct stat *target)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[PATH_MAX + 16];
        struct stat source;

        snprintf(path, sizeof(path), "%s%s", backup->store->path, suffixes[i]);
        if (stat(path, &source) == 0 && source.st_dev == target->st_dev &&
            source.st_ino == target->st_ino) {
            return true;
        }
    }
    return false;
}

/* Checks whether the wanted name is free, or its file may be replaced. */
static int check_target(struct backup *backup)
{
    struct stat target;
    int result = check_base(backup);

    if (result != STORE_OK) {
        return result;
    }
    if (fstatat(backup->directory_fd, backup->base[0] != '\0' ? backup->base : ".", &target,
                AT_SYMLINK_NOFOLLOW) == 0) {
        if (is_database(backup, &target)) {
            return store_refuse(backup->store, STORE_E_PATH,
                                "%s: is the database itself, or belongs to it; choose another "
                                "name for the backup",
                                backup->file);
        }
        if (!S_ISREG(target.st_mode)) {
            return store_refuse(backup->store, STORE_E_PATH,
                                "%s: is not a regular file; give the name of a file", backup->file);
        }
        if (!backup->force) {
            return store_refuse(backup->store, STORE_E_PATH,
                                "%s: is there already; choose another name, or --force to replace "
                                "it",
                                backup->file);
        }
    } else if (errno != ENOENT) {
        return path_problem(backup, backup->file, "be used");
    }
    result = check_companion(backup, "-wal");
    return result == STORE_OK ? check_companion(backup, "-journal") : result;
}

static char *directory_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    if (slash == NULL) {
        return strdup(".");
    }
    return slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
}

static int open_directory(struct backup *backup)
{
    const char *slash = strrchr(backup->file, '/');

    backup->base = slash == NULL ? backup->file : slash + 1;
    backup->directory = directory_of(backup->file);
    if (backup->directory == NULL) {
        store_refuse(backup->store, STORE_E_RETRY, "%s: out of memory", backup->file);
        return STORE_E_RETRY;
    }
    backup->directory_fd = open(backup->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return backup->directory_fd < 0 ? path_problem(backup, backup->directory, "be used") : STORE_OK;
}

/* Creates the copy's file under an unused name. */
static int make_temporary(struct backup *backup)
{
    for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
        uint32_t number;
        char name[NAME_MAX + 1];

        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
            return path_problem(backup, backup->file, "be named");
        }
        snprintf(name, sizeof(name), "%.*s.part-%08" PRIx32, BASE_SHOWN, backup->base, number);
        backup->fd = openat(backup->directory_fd, name,
                            O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (backup->fd >= 0) {
            snprintf(backup->temporary, sizeof(backup->temporary), "%s", name);
            break;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    if (backup->fd < 0) {
        return path_problem(backup, backup->file, "be made");
    }
    if (fchmod(backup->fd, BACKUP_MODE) < 0) {
        return path_problem(backup, backup->file, "get its mode");
    }
    return STORE_OK;
}

/* --- the copy ------------------------------------------------------------------------------- */

static int check_space(struct backup *backup)
{
    int64_t database_bytes;
    int64_t wal_bytes;
    long long need;
    long long have = free_space_fd(backup->directory_fd);

    store_sizes(backup->store, &database_bytes, &wal_bytes);
    need = database_bytes + (wal_bytes > 0 ? wal_bytes : 0);
    if (have < 0 || have >= need) {
        return STORE_OK;
    }
    return store_refuse(backup->store, STORE_E_RETRY,
                        "%s: needs about %lld MiB, and %lld MiB are free there; make room, or "
                        "choose another file system",
                        backup->file, (need + MIB - 1) / MIB, have / MIB);
}

/* Ends the backup before the WAL, which grows while we read, fills the disk. */
static int check_wal(struct backup *backup)
{
    int64_t database_bytes;
    int64_t wal_bytes;
    int64_t have = free_space(backup->store->directory);

    store_sizes(backup->store, &database_bytes, &wal_bytes);
    if (have < 0 || wal_bytes <= have) {
        return STORE_OK;
    }
    return store_refuse(backup->store, STORE_E_RETRY,
                        "%s: given up, because the write-ahead log of the database has grown to "
                        "%lld MiB and space there gets short; make room, or try when less arrives",
                        backup->file, (long long)(wal_bytes / MIB));
}

/* Reports SQLite's error about the copy. */
static int copy_problem(struct backup *backup, sqlite3 *copy, const char *doing)
{
    int code = sqlite3_errcode(copy);

    return store_refuse(backup->store,
                        code == SQLITE_FULL || code == SQLITE_NOMEM ? STORE_E_RETRY : STORE_E_PATH,
                        "%s: cannot %s: %s", backup->file, doing, sqlite3_errmsg(copy));
}

static int copy_pages(struct backup *backup, sqlite3_backup *pages)
{
    for (;;) {
        int code = sqlite3_backup_step(pages, STEP_PAGES);
        int64_t total = (int64_t)sqlite3_backup_pagecount(pages) * backup->page_size;
        int64_t left = (int64_t)sqlite3_backup_remaining(pages) * backup->page_size;
        int result;

        if (code == SQLITE_DONE) {
            backup->bytes = total;
            return STORE_OK;
        }
        if (code != SQLITE_OK) {
            return STORE_E_PATH; /* the caller finds out which file the error belongs to */
        }
        if (!go_on(backup, "copying", total - left, total)) {
            return stopped(backup);
        }
        if (fdatasync(backup->fd) < 0) {
            return sync_problem(backup, backup->file);
        }
        result = check_wal(backup);
        if (result != STORE_OK) {
            return result;
        }
    }
}

/* The last row that begins the copy. */
static int note_page_size(void *context, int columns, char **values, char **names)
{
    struct backup *backup = context;

    (void)columns;
    (void)names;
    backup->page_size = strtoll(values[0], NULL, 10);
    return 0;
}

/* Copies all pages of one state of the database, in one read transaction. */
static int copy_database(struct backup *backup, sqlite3 *copy)
{
    sqlite3 *source = backup->store->db;
    sqlite3_backup *pages;
    int result;
    int code;

    backup->taken_ms = clock_wall_ms();
    errno = 0;
    if (sqlite3_exec(source, "BEGIN; SELECT count(*) FROM sqlite_schema; PRAGMA page_size",
                     note_page_size, backup, NULL) != SQLITE_OK) {
        return store_fail(backup->store, "read it");
    }
    pages = sqlite3_backup_init(copy, "main", source, "main");
    if (pages == NULL) {
        result = copy_problem(backup, copy, "begin the copy");
    } else {
        backup->store->error[0] = '\0';
        errno = 0;
        result = copy_pages(backup, pages);
        code = sqlite3_backup_finish(pages);
        if (code != SQLITE_OK && backup->store->error[0] == '\0') {
            bool ours = sqlite3_errcode(source) == code && sqlite3_errcode(copy) != code;

            result = ours ? store_fail(backup->store, "read it")
                          : copy_problem(backup, copy, "be written");
        }
    }
    sqlite3_exec(source, "COMMIT", NULL, NULL, NULL);
    return result;
}

static int copy_damaged(struct backup *backup, const char *how)
{
    return store_refuse(backup->store, STORE_FATAL,
                        "%s: the copy is damaged (%s), so nothing was kept; see whether the "
                        "database is: foxtrackrctl verify",
                        backup->file, how);
}

/* Marks the copy as a backup. WAL mode is off meanwhile, so that no WAL is created. */
static int mark_copy(struct backup *backup)
{
    sqlite3 *copy = NULL;
    int result = STORE_OK;

    if (store_mark_set_wal(backup->fd, false) < 0) {
        return path_problem(backup, backup->file, "be marked as a backup");
    }
    if (store_held_open(backup->fd, false, &copy) != SQLITE_OK ||
        sqlite3_exec(copy, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL,
                     NULL) != SQLITE_OK ||
        store_mark_copy(copy, STORE_MARK_BACKUP, backup->taken_ms) != SQLITE_OK) {
        result = sqlite3_errcode(copy) == SQLITE_CORRUPT
                     ? copy_damaged(backup, sqlite3_errmsg(copy))
                     : copy_problem(backup, copy, "be marked as a backup");
    }
    sqlite3_close(copy);
    if (result == STORE_OK && store_mark_set_wal(backup->fd, true) < 0) {
        result = path_problem(backup, backup->file, "be marked as a backup");
    }
    return result;
}

static int make_copy(struct backup *backup)
{
    sqlite3 *copy = NULL;
    int result;

    if (store_held_open(backup->fd, false, &copy) != SQLITE_OK) {
        result = copy_problem(backup, copy, "open the copy");
    } else {
        /* No program reads the copy before it is complete, and then it is synced. */
        sqlite3_exec(copy, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL);
        result = copy_database(backup, copy);
    }
    sqlite3_close(copy);
    if (result == STORE_OK) {
        result = mark_copy(backup);
    }
    if (result == STORE_OK && fsync(backup->fd) < 0) {
        result = sync_problem(backup, backup->file);
    }
    return result;
}

static int watch_check(void *context)
{
    return !go_on(context, "verifying", 0, 0);
}

/* Runs a check that succeeds if its first row is "ok" or it has no rows. */
static int run_check(struct backup *backup, sqlite3 *copy, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int result = STORE_OK;
    int code = sqlite3_prepare_v2(copy, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_INTERRUPT) {
        result = stopped(backup);
    } else if (code != SQLITE_DONE &&
               (code != SQLITE_ROW ||
                strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)) {
        result = copy_damaged(backup, code == SQLITE_ROW
                                          ? (const char *)sqlite3_column_text(statement, 0)
                                          : sqlite3_errmsg(copy));
    }
    sqlite3_finalize(statement);
    return result;
}

/* Verifies the copy, opened as immutable, so that reading creates no WAL beside it. */
static int verify_copy(struct backup *backup)
{
    sqlite3 *copy = NULL;
    int result;

    if (store_held_open(backup->fd, true, &copy) != SQLITE_OK) {
        result = copy_problem(backup, copy, "open the copy");
    } else {
        sqlite3_progress_handler(copy, PROGRESS_OPS, watch_check, backup);
        result = run_check(backup, copy, "PRAGMA integrity_check(1)");
        if (result == STORE_OK) {
            result = run_check(backup, copy, "PRAGMA foreign_key_check");
        }
    }
    sqlite3_close(copy);
    return result;
}

/* --- the name of the copy ------------------------------------------------------------------- */

/* Gives the copy its name. Without --force, a file created meanwhile is not replaced. On a file
 * system without such a rename (NFS) the copy gets the name as a second link, then loses the
 * first. */
static int rename_copy(const struct backup *backup)
{
    int directory = backup->directory_fd;
    unsigned flags = backup->force ? 0 : RENAME_NOREPLACE;

    if (renameat2(directory, backup->temporary, directory, backup->base, flags) == 0) {
        return 0;
    }
    if (backup->force || (errno != EINVAL && errno != ENOSYS) ||
        linkat(directory, backup->temporary, directory, backup->base, 0) < 0) {
        return -1;
    }
    unlinkat(directory, backup->temporary, 0);
    return 0;
}

static int give_name(struct backup *backup)
{
    if (!go_on(backup, "verifying", 0, 0)) {
        return stopped(backup);
    }
    if (!leads_to_copy(backup, backup->temporary)) {
        return name_exchanged(backup, backup->temporary);
    }
    if (rename_copy(backup) < 0) {
        return path_problem(backup, backup->file, "get its name");
    }
    backup->temporary[0] = '\0';
    if (!leads_to_copy(backup, backup->base)) {
        return name_exchanged(backup, backup->base);
    }
    if (fsync(backup->directory_fd) < 0 && errno != EINVAL) {
        return sync_problem(backup, backup->directory);
    }
    return STORE_OK;
}

/* Removes the copy if it did not get its name. */
static void clear(struct backup *backup)
{
    if (backup->fd >= 0) {
        if (backup->temporary[0] != '\0' && leads_to_copy(backup, backup->temporary)) {
            unlinkat(backup->directory_fd, backup->temporary, 0);
        }
        close(backup->fd);
    }
    if (backup->directory_fd >= 0) {
        close(backup->directory_fd);
    }
    free(backup->directory);
}

int sqlite_backup(struct store *store, const char *file, bool force,
                  const struct store_watcher *watcher, int64_t *bytes)
{
    struct backup backup = {.store = store,
                            .watcher = watcher,
                            .file = file,
                            .force = force,
                            .directory_fd = -1,
                            .fd = -1};
    int result = open_directory(&backup);

    if (result == STORE_OK) {
        result = check_target(&backup);
    }
    if (result == STORE_OK) {
        result = make_temporary(&backup);
    }
    if (result == STORE_OK) {
        result = check_space(&backup);
    }
    if (result == STORE_OK) {
        result = make_copy(&backup);
    }
    if (result == STORE_OK) {
        result = verify_copy(&backup);
    }
    if (result == STORE_OK) {
        result = give_name(&backup);
    }
    clear(&backup);
    if (result == STORE_OK) {
        *bytes = backup.bytes;
    }
    return result;
}
