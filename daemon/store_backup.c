/*
 * A copy of the database while the daemon writes.
 *
 * Page by page with SQLite's backup API, all of it in one read transaction. Without that the copy
 * would begin again each time the daemon commits, and never end; with it, what is copied is one
 * state of the database, that of the beginning. A reader never blocks the writer of a write-ahead
 * log. Two things it does do, and both are bounded:
 *  - The log cannot be emptied while we read, so it grows by what the daemon writes meanwhile. We
 *    read as fast as the disk allows, and give up when the free space beside the database falls to
 *    the size of its log.
 *  - What we write competes with the daemon's syncs. The copy is synced every few MiB, so that the
 *    disk never has a long queue of our pages when the daemon's sync comes.
 * VACUUM INTO would do the same with more work for the same reader, and cannot tell how far it is.
 *
 * The copy is made under another name in the directory of the backup, checked there, and renamed
 * last: until then nothing of the wanted name has changed. It is a database in every respect: the
 * same pages, log mode included.
 */
#include "store_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store_internal.h"

#define BACKUP_MODE  0640
#define STEP_PAGES   1024 /* 4 MiB: between two looks at the world, and two syncs */
#define PROGRESS_OPS 100000
#define MIB          (INT64_C(1024) * 1024)

struct backup {
    struct store *store;
    const struct store_watcher *watcher;
    const char *file;
    bool force;
    char *temporary;
    char *directory;
    int fd;            /* of the temporary file; closed after SQLite has closed its own */
    int64_t page_size; /* bytes */
    int64_t bytes;
};

static int path_problem(struct backup *backup, const char *path, const char *doing)
{
    int result = errno == ENOSPC || errno == EDQUOT ? STORE_E_RETRY : STORE_E_PATH;

    store_refuse(backup->store, result, "%s: cannot %s: %s", path, doing, strerrordesc_np(errno));
    return result;
}

static int stopped(struct backup *backup)
{
    return store_refuse(backup->store, STORE_E_STOPPED, "stopped; %s is as it was", backup->file);
}

static bool go_on(const struct backup *backup, const char *what, int64_t done, int64_t total)
{
    return backup->watcher->progress(backup->watcher->context, what, STORE_BYTES, done, total);
}

static char *join(const char *first, const char *last)
{
    char *joined;

    return asprintf(&joined, "%s%s", first, last) < 0 ? NULL : joined;
}

/* A log of that name would be taken for the backup's own, and change it. */
static int check_companion(struct backup *backup, const char *suffix)
{
    char *path = join(backup->file, suffix);
    struct stat status;
    int result = STORE_OK;

    if (path == NULL) {
        return store_refuse(backup->store, STORE_E_RETRY, "%s: out of memory", backup->file);
    }
    if (stat(path, &status) == 0) {
        result = store_refuse(backup->store, STORE_E_PATH,
                              "%s: is there: %s is in use, or was when its program died; choose "
                              "another name for the backup",
                              path, backup->file);
    }
    free(path);
    return result;
}

/* What stands at the wanted name, and whether it may go. */
static int check_target(struct backup *backup)
{
    struct stat target;
    struct stat source;
    int result;

    if (stat(backup->file, &target) == 0) {
        if (stat(backup->store->path, &source) == 0 && source.st_dev == target.st_dev &&
            source.st_ino == target.st_ino) {
            return store_refuse(backup->store, STORE_E_PATH,
                                "%s: is the database itself; choose another name for the backup",
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
        return path_problem(backup, backup->file, "use it");
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

static int make_temporary(struct backup *backup)
{
    backup->directory = directory_of(backup->file);
    if (backup->directory != NULL) {
        backup->temporary = join(backup->file, ".part-XXXXXX");
    }
    if (backup->temporary == NULL) {
        store_refuse(backup->store, STORE_E_RETRY, "%s: out of memory", backup->file);
        return STORE_E_RETRY;
    }
    backup->fd = mkostemp(backup->temporary, O_CLOEXEC);
    if (backup->fd < 0) {
        free(backup->temporary);
        backup->temporary = NULL;
        return path_problem(backup, backup->file, "be made");
    }
    if (fchmod(backup->fd, BACKUP_MODE) < 0) {
        return path_problem(backup, backup->temporary, "get its mode");
    }
    return STORE_OK;
}

/* Bytes that may still be written beside `path`. */
static int64_t free_beside(const char *path)
{
    struct statvfs fs;

    return statvfs(path, &fs) == 0 ? (int64_t)fs.f_bavail * (int64_t)fs.f_frsize : INT64_MAX;
}

static int check_space(struct backup *backup)
{
    int64_t database_bytes;
    int64_t wal_bytes;
    long long need;
    long long have = free_beside(backup->directory);

    store_sizes(backup->store, &database_bytes, &wal_bytes);
    need = database_bytes + (wal_bytes > 0 ? wal_bytes : 0);
    if (have >= need) {
        return STORE_OK;
    }
    return store_refuse(backup->store, STORE_E_RETRY,
                        "%s: needs about %lld MiB, and %lld MiB are free there; make room, or "
                        "choose another file system",
                        backup->file, (need + MIB - 1) / MIB, have / MIB);
}

/* The log grows while we read it: never until the disk is full. */
static int check_log(struct backup *backup)
{
    int64_t database_bytes;
    int64_t wal_bytes;

    store_sizes(backup->store, &database_bytes, &wal_bytes);
    if (wal_bytes <= free_beside(backup->store->directory)) {
        return STORE_OK;
    }
    return store_refuse(backup->store, STORE_E_RETRY,
                        "%s: given up, because the log of the database has grown to %lld MiB and "
                        "space there gets short; make room, or try when less arrives",
                        backup->file, (long long)(wal_bytes / MIB));
}

/* What SQLite says about the copy. */
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
            return STORE_E_PATH; /* whose error it is, the caller finds out */
        }
        if (!go_on(backup, "copying", total - left, total)) {
            return stopped(backup);
        }
        if (fdatasync(backup->fd) < 0) {
            return path_problem(backup, backup->file, "be written");
        }
        result = check_log(backup);
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

/* All pages of one state of the database, in one read transaction. */
static int copy_database(struct backup *backup, sqlite3 *copy)
{
    sqlite3 *source = backup->store->db;
    sqlite3_backup *pages;
    int result;
    int code;

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

static int make_copy(struct backup *backup)
{
    sqlite3 *copy = NULL;
    int result;

    if (sqlite3_open_v2(backup->temporary, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        result = copy_problem(backup, copy, "open the copy");
    } else {
        /* Nobody reads it before it is whole, and then we sync it ourselves. */
        sqlite3_exec(copy, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL);
        result = copy_database(backup, copy);
    }
    sqlite3_close(copy);
    if (result == STORE_OK && fsync(backup->fd) < 0) {
        result = path_problem(backup, backup->file, "be made durable");
    }
    return result;
}

static int watch_check(void *context)
{
    return !go_on(context, "verifying", 0, 0);
}

/* Run a check whose first row says "ok", or that gives no row. */
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
        result = store_refuse(
            backup->store, STORE_FATAL,
            "%s: the copy is damaged (%s), so nothing was kept; see whether the database is: "
            "foxtrackrctl verify",
            backup->file,
            code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0)
                               : sqlite3_errmsg(copy));
    }
    sqlite3_finalize(statement);
    return result;
}

/* The name in an URI: immutable, so that looking at it makes no log beside it. */
static char *immutable_uri(const char *path)
{
    size_t size = sizeof("file:?immutable=1") + 3 * strlen(path);
    char *uri = malloc(size);
    char *at = uri;

    if (uri == NULL) {
        return NULL;
    }
    at += sprintf(at, "file:");
    for (; *path != '\0'; path++) {
        at += strchr("%?#", *path) != NULL ? sprintf(at, "%%%02X", (unsigned char)*path)
                                           : sprintf(at, "%c", *path);
    }
    sprintf(at, "?immutable=1");
    return uri;
}

/* Read it back. */
static int verify_copy(struct backup *backup)
{
    char *uri = immutable_uri(backup->temporary);
    sqlite3 *copy = NULL;
    int result;

    if (uri == NULL) {
        return store_refuse(backup->store, STORE_E_RETRY, "%s: out of memory", backup->file);
    }
    if (sqlite3_open_v2(uri, &copy, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                        NULL) != SQLITE_OK) {
        result = copy_problem(backup, copy, "open the copy");
    } else {
        sqlite3_progress_handler(copy, PROGRESS_OPS, watch_check, backup);
        result = run_check(backup, copy, "PRAGMA integrity_check(1)");
        if (result == STORE_OK) {
            result = run_check(backup, copy, "PRAGMA foreign_key_check");
        }
    }
    sqlite3_close(copy);
    free(uri);
    return result;
}

/* Without --force, a file that has appeared meanwhile stays. Not every file system can rename like
 * that (NFS cannot); there a second name is given, and then the first one taken away. */
static int rename_copy(const struct backup *backup)
{
    unsigned flags = backup->force ? 0 : RENAME_NOREPLACE;

    if (renameat2(AT_FDCWD, backup->temporary, AT_FDCWD, backup->file, flags) == 0) {
        return 0;
    }
    if (backup->force || (errno != EINVAL && errno != ENOSYS) ||
        link(backup->temporary, backup->file) < 0) {
        return -1;
    }
    unlink(backup->temporary);
    return 0;
}

static int give_name(struct backup *backup)
{
    int fd;

    if (!go_on(backup, "verifying", 0, 0)) {
        return stopped(backup);
    }
    if (rename_copy(backup) < 0) {
        return path_problem(backup, backup->file, "get its name");
    }
    free(backup->temporary);
    backup->temporary = NULL;

    fd = open(backup->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL)) {
        int result = path_problem(backup, backup->directory, "be synced to disk");

        if (fd >= 0) {
            close(fd);
        }
        return result;
    }
    close(fd);
    return STORE_OK;
}

int store_backup(struct store *store, const char *file, bool force,
                 const struct store_watcher *watcher, int64_t *bytes)
{
    struct backup backup = {
        .store = store, .watcher = watcher, .file = file, .force = force, .fd = -1};
    int result = check_target(&backup);

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
    if (backup.temporary != NULL) {
        unlink(backup.temporary);
    }
    if (backup.fd >= 0) {
        close(backup.fd);
    }
    free(backup.temporary);
    free(backup.directory);
    if (result == STORE_OK) {
        *bytes = backup.bytes;
    }
    return result;
}
