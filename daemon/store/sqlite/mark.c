/*
 * The mark of a backup.
 *
 * A backup is a database, and any program may open it as one. Must never happen: it is copied over
 * the daemon's database while that database's WAL still exists, and SQLite puts the WAL's pages
 * into it without an error. The result would be a mixture of two states, or the state that the
 * operator wanted to leave. A database file does not say which WAL belongs to it. So a backup
 * carries a mark that is read before SQLite opens the file; and since a backup never has a WAL of
 * its own, any WAL beside it is another database's.
 *
 * The mark is PRAGMA application_id, bytes 68 to 71 of the file: "FOXB" instead of "FOXT". SQLite
 * keeps it through every change, VACUUM included, and does not interpret it; a foxtrackrd too old
 * to know marks takes the file for another program's and refuses it. The moment of the backup is a
 * row in the table foxtrackr_backup, which only a backup has.
 *
 * To take over a backup, its daemon must write a transaction, and so a WAL, and may be killed at
 * any moment. Therefore
 *    1. "FOXB" becomes "FOXA" by a synced write to the file, only while there is no WAL. From now
 *       on a WAL beside the file is its own.
 *    2. One transaction writes the gaps, removes the table and makes the number "FOXT" again
 *       (store/sqlite/restored.c). It happens once: a start that finds "FOXA" in the file asks
 *       SQLite for the number, and SQLite reads it from the WAL if the transaction was committed.
 *
 * `foxtrackrctl restore` cannot exchange a database and its WAL in one step either. First the WAL
 * gets a second name; then the new database, "FOXR", takes the old one's place in one step; then
 * the WAL's first name is removed. Killed in between, it leaves a WAL with two names beside "FOXR",
 * and the next program that opens the database removes the first name, without a loss.
 */
#include "store/sqlite/mark_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_text.h"
#include "store/sqlite/sqlite_internal.h"

#define MAGIC          "SQLite format 3"
#define VERSIONS_AT    18 /* of the file format: 2 with a WAL, 1 without, one byte each */
#define APPLICATION_AT 68
#define HEADER_SIZE    100

static const int applications[] = {
    [STORE_MARK_NONE] = STORE_APPLICATION_ID,
    [STORE_MARK_BACKUP] = 0x464f5842,   /* FOXB */
    [STORE_MARK_RESTORED] = 0x464f5852, /* FOXR */
    [STORE_MARK_TAKEN] = 0x464f5841,    /* FOXA */
};

#define MARKS ((int)(sizeof(applications) / sizeof(applications[0])))

enum store_mark store_mark_of(int application_id)
{
    for (int i = 1; i < MARKS; i++) {
        if (applications[i] == application_id) {
            return (enum store_mark)i;
        }
    }
    return STORE_MARK_NONE;
}

int store_mark_read(int fd, enum store_mark *mark)
{
    unsigned char header[HEADER_SIZE];
    ssize_t length = pread(fd, header, sizeof(header), 0);
    const unsigned char *at = header + APPLICATION_AT;

    *mark = STORE_MARK_NONE;
    if (length < 0) {
        return -1;
    }
    if (length == HEADER_SIZE && memcmp(header, MAGIC, sizeof(MAGIC)) == 0) {
        *mark = store_mark_of(
            (int)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]));
    }
    return 0;
}

static int write_header(int fd, const unsigned char *bytes, size_t length, off_t offset)
{
    ssize_t written = pwrite(fd, bytes, length, offset);

    if (written >= 0 && written != (ssize_t)length) {
        errno = EIO;
    }
    return written == (ssize_t)length ? 0 : -1;
}

int store_mark_write(int fd, enum store_mark mark)
{
    unsigned number = (unsigned)applications[mark];
    const unsigned char bytes[] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16),
                                   (unsigned char)(number >> 8), (unsigned char)number};

    return write_header(fd, bytes, sizeof(bytes), APPLICATION_AT) == 0 && fsync(fd) == 0 ? 0 : -1;
}

int store_mark_set_wal(int fd, bool wal)
{
    const unsigned char versions[] = {wal ? 2 : 1, wal ? 2 : 1};

    return write_header(fd, versions, sizeof(versions), VERSIONS_AT);
}

/* --- before SQLite opens the file ----------------------------------------------------------- */

static const char *const companion_suffixes[] = {"-wal", "-journal"};

enum { COMPANIONS = sizeof(companion_suffixes) / sizeof(companion_suffixes[0]) };

/* Removes names of WALs and journals that also have another name. */
static int drop_companions(struct store *store, char *const names[COMPANIONS])
{
    for (int i = 0; i < COMPANIONS; i++) {
        if (names[i] != NULL && unlink(names[i]) < 0 && errno != ENOENT) {
            return store_refuse(store, STORE_E_PATH, "%s: cannot be removed: %s", names[i],
                                error_text(errno));
        }
    }
    return store_sync_directory(store);
}

static int refuse_companion(struct store *store, const char *companion, enum store_mark mark)
{
    if (mark == STORE_MARK_BACKUP) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: is a backup, and %s beside it belongs to another database; "
                            "nothing was changed. If this backup was to be restored, copy it to "
                            "another name or take the file it came from, and run foxtrackrctl "
                            "restore on that; it sets both files aside",
                            store->path, companion);
    }
    return store_refuse(store, STORE_E_PATH,
                        "%s: foxtrackrctl restore put it here and did not come to its end, and %s "
                        "beside it belongs to another database; nothing was changed. Run "
                        "foxtrackrctl restore again",
                        store->path, companion);
}

/* Checks for a WAL or journal beside a backup. An owner may remove the name of one that also has
 * another name. */
static int check_companions(struct store *store, enum store_mark mark)
{
    bool owns = !store->read_only && !store->beside;
    char *names[COMPANIONS] = {NULL};
    int result = STORE_OK;
    bool drop = false;

    for (int i = 0; i < COMPANIONS && result == STORE_OK; i++) {
        struct stat status;

        if (asprintf(&names[i], "%s%s", store->path, companion_suffixes[i]) < 0) {
            names[i] = NULL;
            result = store_refuse(store, STORE_E_RETRY, "%s: out of memory", store->path);
        } else if (lstat(names[i], &status) < 0) {
            if (errno != ENOENT) {
                result = store_refuse(store, STORE_E_PATH, "%s: cannot be looked at: %s", names[i],
                                      error_text(errno));
            }
            free(names[i]);
            names[i] = NULL;
        } else if (status.st_size > 0) {
            if (owns && mark == STORE_MARK_RESTORED && status.st_nlink > 1) {
                drop = true;
            } else {
                result = refuse_companion(store, names[i], mark);
            }
        } else {
            free(names[i]); /* SQLite may use it */
            names[i] = NULL;
        }
    }
    if (result == STORE_OK && drop) {
        result = drop_companions(store, names);
    }
    for (int i = 0; i < COMPANIONS; i++) {
        free(names[i]);
    }
    return result;
}

int store_check_mark(struct store *store)
{
    enum store_mark mark = STORE_MARK_NONE;
    int result;

    if (store->file_fd < 0) {
        return STORE_OK; /* SQLite reports why the file cannot be opened */
    }
    if (store_mark_read(store->file_fd, &mark) < 0) {
        return store_refuse(store, STORE_FATAL, "%s: cannot be read: %s", store->path,
                            error_text(errno));
    }
    if (mark != STORE_MARK_BACKUP && mark != STORE_MARK_RESTORED) {
        return STORE_OK;
    }
    result = check_companions(store, mark);
    if (result == STORE_OK && !store->read_only && !store->beside &&
        store_mark_write(store->file_fd, STORE_MARK_TAKEN) < 0) {
        return store_refuse(store, errno == EBADF ? STORE_E_PATH : STORE_FATAL,
                            "%s: is a backup, and cannot be marked as taken over: %s", store->path,
                            error_text(errno));
    }
    return result;
}

/* --- through SQLite ------------------------------------------------------------------------- */

static int read_integer(sqlite3 *db, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            *number = sqlite3_column_int64(statement, 0);
        }
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int store_mark_moment(sqlite3 *db, int64_t *taken_ms)
{
    int64_t tables = 0;
    int code = read_integer(db,
                            "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                            " AND name = 'foxtrackr_backup'",
                            &tables);

    *taken_ms = 0;
    if (code == SQLITE_OK && tables > 0) {
        code = read_integer(db, "SELECT taken_ms FROM foxtrackr_backup", taken_ms);
        if (code == SQLITE_ERROR) { /* a table of that name, but not ours */
            code = SQLITE_OK;
        }
    }
    return code;
}

static int write_moment(sqlite3 *copy, int64_t taken_ms)
{
    static const char *const make =
        "DROP TABLE IF EXISTS foxtrackr_backup;"
        "CREATE TABLE foxtrackr_backup (\n"
        "    -- This file is a backup: what arrived later is not in it.\n"
        "    taken_ms INTEGER -- when it was made; ms since 1970 UTC, our clock; NULL: not known\n"
        ") STRICT";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_exec(copy, make, NULL, NULL, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(copy, "INSERT INTO foxtrackr_backup VALUES (nullif(?1, 0))", -1,
                                  &statement, NULL);
    }
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, taken_ms);
        code = sqlite3_step(statement);
        code = code == SQLITE_DONE ? SQLITE_OK : code;
    }
    sqlite3_finalize(statement);
    return code;
}

int store_mark_copy(sqlite3 *copy, enum store_mark mark, int64_t taken_ms)
{
    char sql[64];
    int64_t application = 0;
    int code = read_integer(copy, "PRAGMA application_id", &application);

    if (code == SQLITE_OK && store_mark_of((int)application) == STORE_MARK_NONE) {
        code = write_moment(copy, taken_ms);
    }
    if (code == SQLITE_OK) {
        /* A pragma takes no bound values. */
        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", applications[mark]);
        code = sqlite3_exec(copy, sql, NULL, NULL, NULL);
    }
    return code;
}
