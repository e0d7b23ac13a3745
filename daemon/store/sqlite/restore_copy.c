/*
 * The copy of a restore: checks the file, copies it and verifies the copy.
 *
 * The file itself is only read. A file without a WAL is opened as immutable, so that nothing is
 * created beside it and a read-only disk suffices; a file with a WAL is read together with it,
 * unless it is a backup of foxtrackrd, which never has one.
 */
#include "store/sqlite/restore_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/free_space.h"
#include "base/moment.h"
#include "migrations.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/restored_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define STEP_PAGES 1024 /* 4 MiB: copied between two calls of the watcher, and two syncs */
#define MIB        (INT64_C(1024) * 1024)
#define ATTEMPTS   100

const char *const store_restore_companions[RESTORE_COMPANIONS] = {"-wal", "-journal"};

int store_restore_problem(struct restore *restore, const char *path, const char *doing)
{
    int result = errno == ENOSPC || errno == EDQUOT ? STORE_E_RETRY : STORE_E_PATH;

    store_refuse(restore->store, result, "%s: cannot %s: %s", path, doing, error_text(errno));
    return result;
}

int store_restore_no_memory(struct restore *restore)
{
    store_refuse(restore->store, STORE_E_RETRY, "%s: out of memory", restore->store->path);
    return STORE_E_RETRY;
}

int store_restore_stopped(struct restore *restore)
{
    return store_refuse(restore->store, STORE_E_STOPPED, "stopped; %s is as it was",
                        restore->store->path);
}

char *store_restore_join(const char *first, const char *last)
{
    char *joined;

    return asprintf(&joined, "%s%s", first, last) < 0 ? NULL : joined;
}

/* Reports an error of the file itself: it cannot be read, or is damaged. */
static int file_problem(struct restore *restore, sqlite3 *db, const char *doing)
{
    int code = sqlite3_errcode(db);
    int result = code == SQLITE_NOMEM     ? STORE_E_RETRY
                 : code == SQLITE_CORRUPT ? STORE_FATAL
                                          : STORE_E_PATH;

    return store_refuse(restore->store, result, "%s: cannot %s: %s; nothing was changed",
                        restore->request->file, doing, sqlite3_errmsg(db));
}

static int copy_problem(struct restore *restore, sqlite3 *db)
{
    int code = sqlite3_errcode(db);

    if (code == SQLITE_CORRUPT) {
        return store_refuse(restore->store, STORE_FATAL,
                            "%s: is damaged (%s); nothing was changed, restore another backup",
                            restore->request->file, sqlite3_errmsg(db));
    }
    return store_refuse(
        restore->store, code == SQLITE_FULL || code == SQLITE_NOMEM ? STORE_E_RETRY : STORE_E_PATH,
        "%s: cannot be written: %s; nothing was changed", restore->work, sqlite3_errmsg(db));
}

/* --- the file ------------------------------------------------------------------------------- */

/* Sets *size to the size of the file's WAL; 0: none. */
static int look_at_companion(struct restore *restore, const char *suffix, int64_t *size)
{
    char *path = store_restore_join(restore->request->file, suffix);
    struct stat status;

    if (path == NULL) {
        return store_restore_no_memory(restore);
    }
    *size += stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
    free(path);
    return STORE_OK;
}

/* Checks that the file can be restored; *wal_size becomes the size of its WAL. */
static int look_at_file(struct restore *restore, int64_t *size, int64_t *wal_size)
{
    const char *file = restore->request->file;
    enum store_mark mark = STORE_MARK_NONE;
    struct stat status;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int result = STORE_OK;

    if (fd < 0) {
        return store_restore_problem(restore, file, "be read");
    }
    if (fstat(fd, &status) < 0) {
        result = store_restore_problem(restore, file, "be looked at");
    } else if (!S_ISREG(status.st_mode)) {
        result = store_refuse(restore->store, STORE_E_PATH, "%s: is not a regular file", file);
    } else if (store_mark_read(fd, &mark) < 0) {
        result = store_restore_problem(restore, file, "be read");
    } else if (restore->old.st_nlink > 0 && status.st_dev == restore->old.st_dev &&
               status.st_ino == restore->old.st_ino) {
        result = store_refuse(restore->store, STORE_E_PATH,
                              "%s: is the database itself; name the backup. A backup that was "
                              "copied there is to be copied to another name first",
                              file);
    }
    close(fd);
    *size = status.st_size;
    *wal_size = 0;
    for (int i = 0; i < RESTORE_COMPANIONS && result == STORE_OK; i++) {
        result = look_at_companion(restore, store_restore_companions[i], wal_size);
    }
    if (result == STORE_OK && *wal_size > 0 &&
        (mark == STORE_MARK_BACKUP || mark == STORE_MARK_RESTORED)) {
        result = store_refuse(restore->store, STORE_E_PATH,
                              "%s: is a backup, and beside it is a write-ahead log or journal "
                              "(-wal, -journal) that is not its own; copy the backup alone to "
                              "another name, and restore that",
                              file);
    }
    return result;
}

/* Makes a URI of the name; immutable: reading creates no WAL beside it, and works on a read-only
 * disk. */
static char *file_uri(const char *path, bool immutable)
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
    sprintf(at, "%s", immutable ? "?immutable=1" : "");
    return uri;
}

static int read_number(sqlite3 *db, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return code;
}

/* Checks that it is a database of foxtrackrd, and its version. */
static int inspect(struct restore *restore, sqlite3 *file)
{
    int64_t application = 0;
    int64_t version = 0;

    if (read_number(file, "PRAGMA application_id", &application) != SQLITE_ROW ||
        read_number(file, "PRAGMA user_version", &version) != SQLITE_ROW ||
        read_number(file, "PRAGMA page_size", &restore->page_size) != SQLITE_ROW) {
        return file_problem(restore, file, "be read");
    }
    if ((application != STORE_APPLICATION_ID &&
         store_mark_of((int)application) == STORE_MARK_NONE) ||
        version < 1) {
        return store_refuse(restore->store, STORE_E_PATH, "%s: is not a foxtrackrd database",
                            restore->request->file);
    }
    if (version > sqlite_migration_count) {
        return store_refuse(restore->store, STORE_E_NEWER,
                            "%s: has schema version %lld, and this foxtrackrctl knows versions up "
                            "to %d; install a newer foxtrackrd",
                            restore->request->file, (long long)version, sqlite_migration_count);
    }
    restore->version = (int)version;
    return STORE_OK;
}

/* --- the copy ------------------------------------------------------------------------------- */

static int check_space(struct restore *restore, int64_t need)
{
    int64_t have = free_space(restore->store->directory);

    if (have < 0 || have >= need) {
        return STORE_OK;
    }
    return store_refuse(
        restore->store, STORE_E_RETRY,
        "%s: needs about %lld MiB, because the old database stays, and %lld MiB are "
        "free; make room",
        restore->store->directory, (long long)((need + MIB - 1) / MIB), (long long)(have / MIB));
}

/* Chooses unused names: PATH.restoring-TIME, and PATH.replaced-TIME for the old database. */
static int make_work(struct restore *restore)
{
    const char *path = restore->store->path;
    int64_t now_ms = clock_wall_ms();
    char stamp[MOMENT_SIZE];

    for (int i = 0; i < ATTEMPTS; i++, now_ms += 1000) {
        moment_stamp(now_ms, stamp);
        free(restore->work);
        free(restore->aside);
        if (asprintf(&restore->work, "%s.restoring-%s", path, stamp) < 0) {
            restore->work = NULL;
        }
        if (asprintf(&restore->aside, "%s.replaced-%s", path, stamp) < 0) {
            restore->aside = NULL;
        }
        if (restore->work == NULL || restore->aside == NULL) {
            return store_restore_no_memory(restore);
        }
        if (faccessat(AT_FDCWD, restore->aside, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
            continue;
        }
        restore->fd = open(restore->work, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (restore->fd >= 0 || errno != EEXIST) {
            break;
        }
    }
    return restore->fd >= 0 ? STORE_OK : store_restore_problem(restore, restore->work, "be made");
}

static int copy_pages(struct restore *restore, sqlite3 *file, sqlite3 *copy)
{
    sqlite3_backup *pages = sqlite3_backup_init(copy, "main", file, "main");
    int result = STORE_OK;
    int code;

    if (pages == NULL) {
        return copy_problem(restore, copy);
    }
    while (result == STORE_OK && sqlite3_backup_step(pages, STEP_PAGES) == SQLITE_OK) {
        int64_t total = sqlite3_backup_pagecount(pages) * restore->page_size;
        int64_t left = sqlite3_backup_remaining(pages) * restore->page_size;

        if (!restore->watcher->progress(restore->watcher->context, "copying", STORE_BYTES,
                                        total - left, total)) {
            result = store_restore_stopped(restore);
        } else if (fdatasync(restore->fd) < 0) {
            result = store_restore_problem(restore, restore->work, "be written");
        }
    }
    code = sqlite3_backup_finish(pages);
    if (result == STORE_OK && code != SQLITE_OK) {
        result = sqlite3_errcode(file) == code ? file_problem(restore, file, "be read")
                                               : copy_problem(restore, copy);
    }
    return result;
}

static int open_copy(struct restore *restore, sqlite3 **copy)
{
    return sqlite3_open_v2(restore->work, copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                           NULL) == SQLITE_OK &&
                   sqlite3_exec(*copy, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL,
                                NULL, NULL) == SQLITE_OK
               ? STORE_OK
               : copy_problem(restore, *copy);
}

static int copy_file(struct restore *restore, bool has_wal)
{
    char *uri = file_uri(restore->request->file, !has_wal);
    sqlite3 *file = NULL;
    sqlite3 *copy = NULL;
    int result;

    if (uri == NULL) {
        return store_restore_no_memory(restore);
    }
    if (sqlite3_open_v2(uri, &file, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                        NULL) != SQLITE_OK) {
        result = file_problem(restore, file, "be read");
    } else {
        sqlite3_db_config(file, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_busy_timeout(file, restore->store->busy_timeout_ms);
        result = inspect(restore, file);
    }
    if (result == STORE_OK) {
        result = open_copy(restore, &copy);
    }
    if (result == STORE_OK) {
        result = copy_pages(restore, file, copy);
    }
    sqlite3_close(copy);
    sqlite3_close(file);
    free(uri);
    return result;
}

/* Writes the mark and the moment into the copy, which has no WAL while it is written and
 * verified. */
static int mark_copy(struct restore *restore)
{
    int64_t newest_ms = 0;
    sqlite3 *copy = NULL;
    int result;

    if (store_mark_set_wal(restore->fd, false) < 0) {
        return store_restore_problem(restore, restore->work, "be written");
    }
    result = open_copy(restore, &copy);
    if (result == STORE_OK &&
        (store_newest_moment(copy, clock_wall_ms(), &newest_ms) != SQLITE_OK ||
         store_mark_copy(copy, STORE_MARK_RESTORED, newest_ms) != SQLITE_OK)) {
        result = copy_problem(restore, copy);
    }
    sqlite3_close(copy);
    return result;
}

int store_restore_make_copy(struct restore *restore)
{
    int64_t wal_size = 0;
    int64_t size = 0;
    int result = look_at_file(restore, &size, &wal_size);

    if (result == STORE_OK) {
        result = check_space(restore, size + wal_size);
    }
    if (result == STORE_OK) {
        result = make_work(restore);
    }
    if (result == STORE_OK) {
        result = copy_file(restore, wal_size > 0);
    }
    return result == STORE_OK ? mark_copy(restore) : result;
}

/* --- verification --------------------------------------------------------------------------- */

static void count_finding(void *context, const char *check, bool good, const char *detail)
{
    struct restore *restore = context;

    restore->bad += !good;
    restore->damaged |= !good && strcmp(check, "integrity") == 0;
    restore->finding(restore->context, check, good, detail);
}

/* Verifies a file of an older schema, which lacks tables that verify needs until it is migrated. */
static int verify_older(struct restore *restore)
{
    sqlite3 *copy = NULL;
    sqlite3_stmt *statement = NULL;
    int result = open_copy(restore, &copy);
    const char *said = NULL;

    if (result == STORE_OK &&
        sqlite3_prepare_v2(copy, "PRAGMA integrity_check(1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        said = (const char *)sqlite3_column_text(statement, 0);
    }
    if (result == STORE_OK) {
        count_finding(restore, "integrity", said != NULL && strcmp(said, "ok") == 0,
                      said != NULL ? said : sqlite3_errmsg(copy));
    }
    sqlite3_finalize(statement);
    sqlite3_close(copy);
    return result;
}

static int verify_current(struct restore *restore)
{
    const struct store_options options = {
        .path = restore->work, .busy_timeout_ms = 0, .read_only = true};
    struct store *copy;
    char problem[STORE_ERROR_SIZE];
    int result = sqlite_open(&options, &copy, problem, sizeof(problem));

    if (result != STORE_OK) {
        return store_refuse(restore->store, STORE_FATAL, "%s", problem);
    }
    result = sqlite_verify(copy, restore->watcher, count_finding, restore);
    if (result != STORE_OK) {
        result = result == STORE_E_STOPPED
                     ? store_restore_stopped(restore)
                     : store_refuse(restore->store, result, "%s", sqlite_error(copy));
    }
    sqlite_close(copy);
    return result;
}

int store_restore_verify(struct restore *restore)
{
    int result = restore->version == sqlite_migration_count ? verify_current(restore)
                                                            : verify_older(restore);

    if (result != STORE_OK || restore->bad == 0) {
        return result;
    }
    if (restore->damaged) {
        return store_refuse(restore->store, STORE_FATAL,
                            "%s: is damaged; nothing was changed, restore another backup",
                            restore->request->file);
    }
    return restore->request->force
               ? STORE_OK
               : store_refuse(restore->store, STORE_FATAL,
                              "%s: %d of the checks above found something; nothing was changed. "
                              "Restore another backup, or this one with --force",
                              restore->request->file, restore->bad);
}
