/* Goal: a database is opened, created or refused as it should be, and a refused one is unchanged.
 */
#include "store_fixture.h"

#include "store/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/digest.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void digest_file(const char *path, char hex[2 * DIGEST_SIZE + 1])
{
    static char bytes[1 << 20];
    uint8_t digest[DIGEST_SIZE];
    FILE *file = fopen(path, "r");
    size_t length;

    assert_non_null(file);
    length = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_int_equal(digest_sha256(bytes, length, NULL, 0, digest), 0);
    digest_hex(digest, hex);
}

/* Makes a database with SQLite alone, without the store. */
static void make_database(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s", sqlite3_errmsg(db));
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Returns a connection, as of another program, that holds the write lock. */
static sqlite3 *hold(const struct fixture *fixture)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void test_a_new_database(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    int64_t bytes;
    int64_t wal_bytes;
    char wal[256];
    char index[256];

    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
    assert_int_equal(stat(wal, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_look(fixture, "PRAGMA journal_mode", "wal");
    assert_look(fixture, "PRAGMA auto_vacuum", "2");
    assert_look(fixture, "PRAGMA application_id", "1179605076");
    store_sizes(fixture->store, &bytes, &wal_bytes);
    assert_true(bytes >= 4096 && wal_bytes > 0);
    fixture_close(fixture);
    /* Everything is in the database. WAL and index stay, for readers who could not create them. */
    assert_int_equal(stat(wal, &status), 0);
    assert_int_equal(status.st_size, 0);
    snprintf(index, sizeof(index), "%s-shm", fixture->path);
    assert_int_equal(stat(index, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_look(fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'battery'", "1");
}

static void test_an_empty_file_becomes_a_database(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture->path, "");
    assert_int_equal(fixture_open(fixture), STORE_OK);
    fixture_close(fixture);
    assert_look(fixture, "PRAGMA auto_vacuum", "2");
}

static void test_durability_is_what_was_asked_for(void **state)
{
    struct fixture *fixture = *state;
    const enum store_durability wanted[] = {STORE_FULL, STORE_NORMAL};

    for (int i = 0; i < 2; i++) {
        const struct store_options options = {.path = fixture->path, .durability = wanted[i]};
        sqlite3_stmt *statement;

        assert_int_equal(store_open(&options, &fixture->store, fixture->problem, 512), STORE_OK);
        assert_int_equal(
            sqlite3_prepare_v2(fixture->store->db, "PRAGMA synchronous", -1, &statement, NULL), 0);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(statement, 0), i == 0 ? 2 : 1);
        sqlite3_finalize(statement);
        fixture_close(fixture);
    }
}

static void test_a_second_daemon_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct fixture second;
    char name[128];
    char process[32];

    assert_int_equal(fixture_open(fixture), STORE_OK);
    second = *fixture;
    assert_int_equal(fixture_open(&second), STORE_E_LOCKED);
    snprintf(process, sizeof(process), "process %ld", (long)getpid());
    assert_non_null(strstr(second.problem, process));
    assert_non_null(strstr(second.problem, "fox.db.lock"));

    /* A symbolic link leads to the same database, and so to the same lock. */
    snprintf(name, sizeof(name), "%s/link.db", fixture->directory);
    assert_int_equal(symlink("fox.db", name), 0);
    snprintf(second.path, sizeof(second.path), "%s", name);
    assert_int_equal(fixture_open(&second), STORE_E_LOCKED);

    fixture_close(fixture);
    assert_int_equal(fixture_open(&second), STORE_OK);
    assert_int_equal(store_close(second.store), STORE_OK);
}

/* A second name (hard link) of the file would have a lock file and a WAL of its own. */
static void test_a_second_name_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct store_options reading = {.path = fixture->path, .read_only = true};
    struct fixture second = *fixture;
    char lock[256];
    char link_path[192];

    snprintf(link_path, sizeof(link_path), "%s/link.db", fixture->directory);
    snprintf(second.path, sizeof(second.path), "%s", link_path);
    snprintf(lock, sizeof(lock), "%s.lock", link_path);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_links(fixture->store), 1);
    assert_int_equal(link(fixture->path, link_path), 0);
    assert_int_equal(store_links(fixture->store), 2);
    assert_int_equal(fixture_open(&second), STORE_E_PATH);
    assert_non_null(strstr(second.problem, "2 names"));
    assert_int_equal(access(lock, F_OK), -1); /* before anything is made */
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_int_equal(store_open(&reading, &fixture->store, fixture->problem, 512), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(fixture_open(fixture), STORE_OK);
}

/* The inode is locked, whatever path leads to it. This is how a bind mount looks. */
static void test_the_file_itself_is_locked(void **state)
{
    struct fixture *fixture = *state;
    struct fixture second = *fixture;

    snprintf(second.path, sizeof(second.path), "%s/moved.db", fixture->directory);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(rename(fixture->path, second.path), 0);
    assert_int_equal(fixture_open(&second), STORE_E_LOCKED);
    assert_non_null(strstr(second.problem, "by another name"));
    assert_int_equal(rename(second.path, fixture->path), 0);
    fixture_close(fixture);
    assert_int_equal(rename(fixture->path, second.path), 0);
    assert_int_equal(fixture_open(&second), STORE_OK);
    assert_int_equal(store_close(second.store), STORE_OK);
}

static void test_tools_read_beside_the_daemon(void **state)
{
    struct fixture *fixture = *state;
    const struct store_options options = {.path = fixture->path, .read_only = true};
    struct store *reader = NULL;
    struct store_session session = {.known = true};

    assert_int_equal(store_open(&options, &reader, fixture->problem, 512), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "No such file"));
    assert_int_equal(access(fixture->path, F_OK), -1); /* and none was made */

    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_open(&options, &reader, fixture->problem, 512), STORE_OK);
    assert_int_equal(store_session_find(reader, "id-a-01", &session), STORE_OK);
    assert_false(session.known);
    assert_int_equal(store_run_begin(reader, "r", 1), STORE_E_RETRY); /* read-only */
    assert_int_equal(store_close(reader), STORE_OK);
    fixture_close(fixture);
}

static void test_paths_that_cannot_be(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = *fixture;

    assert_int_equal(mkdir(fixture->path, 0755), 0);
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "is a directory"));
    assert_int_equal(rmdir(fixture->path), 0);

    snprintf(other.path, sizeof(other.path), "%s/missing/fox.db", fixture->directory);
    assert_int_equal(fixture_open(&other), STORE_E_PATH);
    assert_non_null(strstr(other.problem, "create it"));

    snprintf(other.path, sizeof(other.path), "%s/", fixture->directory);
    assert_int_equal(fixture_open(&other), STORE_E_PATH);

    assert_int_equal(mkfifo(fixture->path, 0644), 0);
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "not a regular file"));
    assert_int_equal(unlink(fixture->path), 0);

    write_file(fixture->path, "these are my notes, not a database");
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "is not a database"));
    snprintf(other.path, sizeof(other.path), "%s/fox.db/below", fixture->directory);
    assert_int_equal(fixture_open(&other), STORE_E_PATH);
    assert_non_null(strstr(other.problem, "Not a directory"));
}

/* Opens the store in a child process without privileges, with these modes of file and directory. */
static void open_as_nobody(struct fixture *fixture, mode_t directory_mode, mode_t file_mode,
                           const char *expected)
{
    pid_t child;
    int status;

    assert_int_equal(chmod(fixture->path, file_mode), 0);
    assert_int_equal(chmod(fixture->directory, directory_mode), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int result;

        if (geteuid() == 0 && setuid(65534) != 0) {
            _exit(3);
        }
        result = fixture_open(fixture);
        if (result != STORE_E_PATH || strstr(fixture->problem, expected) == NULL) {
            fprintf(stderr, "%d: %s\n", result, fixture->problem);
        }
        _exit(result == STORE_E_PATH && strstr(fixture->problem, expected) != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(fixture->directory, 0755), 0);
}

static void test_no_permission(void **state)
{
    struct fixture *fixture = *state;
    char lock[256];

    assert_int_equal(fixture_open(fixture), STORE_OK);
    fixture_close(fixture);
    snprintf(lock, sizeof(lock), "%s.lock", fixture->path);
    assert_int_equal(chmod(lock, 0666), 0);
    open_as_nobody(fixture, 0777, 0444, "may be read but not written");
    open_as_nobody(fixture, 0777, 0000, "unable to open");
    assert_int_equal(unlink(lock), 0);
    open_as_nobody(fixture, 0555, 0644, "must be writable");
    open_as_nobody(fixture, 0000, 0644, "Permission denied");
}

static void test_a_newer_schema_is_left_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    char before[65];
    char after[65];

    assert_int_equal(fixture_open(fixture), STORE_OK);
    fixture_close(fixture);
    make_database(fixture, "PRAGMA journal_mode = DELETE; PRAGMA user_version = 99;"
                           "CREATE TABLE future (x); PRAGMA journal_mode = WAL");
    digest_file(fixture->path, before);
    assert_int_equal(fixture_open(fixture), STORE_E_NEWER);
    assert_non_null(strstr(fixture->problem, "schema version 99"));
    digest_file(fixture->path, after);
    assert_string_equal(before, after);

    /* The same when the newer daemon was killed, and its schema is in the WAL only. */
    {
        char wal[256];
        sqlite3 *db;

        make_database(fixture, "PRAGMA user_version = 1");
        assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
        digest_file(fixture->path, before);
        assert_int_equal(fixture_open(fixture), STORE_E_NEWER);
        digest_file(fixture->path, after);
        assert_string_equal(before, after);
        assert_int_equal(access(wal, F_OK), 0);
        assert_look(fixture, "PRAGMA user_version", "999");
    }
}

static void test_databases_of_others_are_left_as_they_are(void **state)
{
    static const char *const made_by[] = {
        "CREATE TABLE notes (text)",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 1; CREATE TABLE battery (x)",
        "PRAGMA application_id = 42; CREATE TABLE t (x); DROP TABLE t",
    };
    struct fixture *fixture = *state;
    char before[65];
    char after[65];

    for (size_t i = 0; i < sizeof(made_by) / sizeof(made_by[0]); i++) {
        unlink(fixture->path);
        make_database(fixture, made_by[i]);
        digest_file(fixture->path, before);
        assert_int_equal(fixture_open(fixture), STORE_E_PATH);
        assert_non_null(strstr(fixture->problem, "is not a foxtrackrd database"));
        digest_file(fixture->path, after);
        assert_string_equal(before, after);
    }
}

/* SQLite would delete a WAL without a database, although it may hold readings. */
static void test_a_wal_without_its_database_is_kept(void **state)
{
    struct fixture *fixture = *state;
    char wal[256];

    snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
    write_file(wal, "frames");
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "move the write-ahead log away"));
    assert_int_equal(access(wal, F_OK), 0);
    assert_int_equal(access(fixture->path, F_OK), -1);
}

static void test_another_writer_makes_us_wait(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);
    sqlite3 *other = hold(fixture);

    assert_int_equal(store_begin(fixture->store), STORE_E_RETRY);
    assert_non_null(strstr(store_error(fixture->store), fixture->path));
    assert_non_null(strstr(store_error(fixture->store), "database is locked"));
    assert_non_null(strstr(store_error(fixture->store), "fuser"));
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);

    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    commit(fixture);
    assert_look(fixture, "SELECT count(*) FROM battery", "1");
}

static void test_a_full_database_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    const struct store_packet whole = packet("{}");
    enum store_outcome outcome;
    struct foxtrackr_message message;
    int64_t time_ms = 0;
    int result = STORE_OK;

    assert_int_equal(sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 30", 0, 0, 0), 0);
    begin(fixture);
    while (result == STORE_OK && ++time_ms < 100000) {
        message = battery("d", time_ms, 3.7);
        result = store_message(fixture->store, &message, &whole, &outcome);
    }
    assert_int_equal(result, STORE_E_RETRY);
    assert_non_null(strstr(store_error(fixture->store), "free space"));
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    assert_counts(fixture, 0, 0, 0);

    assert_int_equal(sqlite3_exec(fixture->store->db, "PRAGMA max_page_count = 10000", 0, 0, 0), 0);
    begin(fixture);
    for (int64_t i = 1; i <= time_ms; i++) {
        message = battery("d", i, 3.7);
        assert_int_equal(put(fixture, &message), STORE_STORED);
    }
    commit(fixture);
    assert_look(fixture, "PRAGMA integrity_check", "ok");
}

static void test_errors_have_one_meaning(void **state)
{
    static const struct {
        int code, system_errno, result;
    } cases[] = {
        {SQLITE_BUSY, 0, STORE_E_RETRY},
        {SQLITE_BUSY_SNAPSHOT, 0, STORE_E_RETRY},
        {SQLITE_LOCKED, 0, STORE_E_RETRY},
        {SQLITE_PROTOCOL, 0, STORE_E_RETRY},
        {SQLITE_FULL, ENOSPC, STORE_E_RETRY},
        {SQLITE_NOMEM, 0, STORE_E_RETRY},
        {SQLITE_IOERR_NOMEM, 0, STORE_E_RETRY},
        {SQLITE_READONLY, 0, STORE_E_RETRY},
        {SQLITE_READONLY_DIRECTORY, 0, STORE_E_RETRY},
        {SQLITE_READONLY_DBMOVED, 0, STORE_FATAL},
        {SQLITE_IOERR_WRITE, EIO, STORE_FATAL},
        {SQLITE_IOERR_WRITE, EDQUOT, STORE_E_RETRY},
        {SQLITE_IOERR_WRITE, EROFS, STORE_E_RETRY},
        {SQLITE_IOERR_WRITE, EFBIG, STORE_E_RETRY},
        {SQLITE_IOERR_FSYNC, EIO, STORE_FATAL},
        {SQLITE_IOERR_FSYNC, ENOSPC, STORE_FATAL},
        {SQLITE_IOERR_FSYNC, EDQUOT, STORE_FATAL},
        {SQLITE_IOERR_FSYNC, EROFS, STORE_FATAL},
        {SQLITE_IOERR_FSYNC, EFBIG, STORE_FATAL},
        {SQLITE_IOERR_FSYNC, 0, STORE_FATAL},
        {SQLITE_IOERR_DIR_FSYNC, EIO, STORE_FATAL},
        {SQLITE_IOERR_DIR_FSYNC, ENOSPC, STORE_FATAL},
        {SQLITE_IOERR_TRUNCATE, ENOSPC, STORE_E_RETRY},
        {SQLITE_IOERR_SHMSIZE, ENOSPC, STORE_E_RETRY},
        {SQLITE_IOERR_READ, EIO, STORE_FATAL},
        {SQLITE_IOERR_SHORT_READ, 0, STORE_FATAL},
        {SQLITE_CORRUPT, 0, STORE_FATAL},
        {SQLITE_NOTADB, 0, STORE_FATAL},
        {SQLITE_CANTOPEN, EACCES, STORE_FATAL},
        {SQLITE_CONSTRAINT, 0, STORE_E_RETRY},
        {SQLITE_ERROR, 0, STORE_FATAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (store_classify(cases[i].code, cases[i].system_errno) != cases[i].result) {
            fail_msg("code %d, errno %d", cases[i].code, cases[i].system_errno);
        }
    }
}

/* If the record says that there was a database, the daemon does not begin a new one in its place.
 */
static void test_a_database_that_was_there_is_not_begun_anew(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);
    struct stat status;
    char companion[256];

    begin(fixture);
    put(fixture, &message);
    commit(fixture);
    fixture_close(fixture);

    assert_int_equal(truncate(fixture->path, 0), 0);
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "is empty, and"));
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_size, 0);

    assert_int_equal(unlink(fixture->path), 0);
    for (int start = 0; start < 2; start++) {
        assert_int_equal(fixture_open(fixture), STORE_E_PATH);
        assert_non_null(strstr(fixture->problem, "is missing, and"));
        assert_non_null(strstr(fixture->problem, "fox.db.lock"));
        assert_int_equal(access(fixture->path, F_OK), -1);
    }

    snprintf(companion, sizeof(companion), "%s-wal", fixture->path);
    assert_int_equal(unlink(companion), 0);
    snprintf(companion, sizeof(companion), "%s-shm", fixture->path);
    assert_int_equal(unlink(companion), 0);
    make_database(fixture, "PRAGMA journal_mode = WAL; VACUUM");
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "holds nothing, and"));
    assert_int_equal(unlink(fixture->path), 0);

    snprintf(companion, sizeof(companion), "%s.lock", fixture->path);
    assert_int_equal(unlink(companion), 0);
    assert_int_equal(fixture_open(fixture), STORE_OK);
}

/* A start that failed before its run, on a full disk, leaves the record of the run before. */
static void test_a_run_that_did_not_begin_does_not_end(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);

    begin(fixture);
    put(fixture, &message);
    commit(fixture);
    assert_int_equal(store_run_end(fixture->store, NOW_MS + 1), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_end(fixture->store, NOW_MS + 2), STORE_OK);
    assert_int_equal(fixture->store->record.received, 1);
    assert_int_equal(fixture->store->record.stopped_ms, NOW_MS + 1);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM gaps", "0");
}

static void test_the_wal_does_not_grow_without_end(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message;
    char extra[512];
    int64_t time_ms = 0;
    int64_t bytes;
    int64_t wal;

    snprintf(extra, sizeof(extra), "{\"text\":\"%0400d\"}", 0);
    for (int batch = 0; batch < 300; batch++) { /* of half a MiB */
        begin(fixture);
        for (int i = 0; i < 1000; i++) {
            message = battery("d", ++time_ms, 3.7);
            message.battery_extra = extra;
            put(fixture, &message);
        }
        commit(fixture);
        store_sizes(fixture->store, &bytes, &wal);
        assert_true(wal < 56 * 1024 * 1024);
        if (bytes > 60 * 1024 * 1024) {
            return; /* more than a WAL of that size could have brought: it began anew */
        }
    }
    fail_msg("the database stayed at %lld bytes", (long long)bytes);
}

#define test_closed(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)
#define test_open(name)   cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_closed(test_a_new_database),
        test_closed(test_an_empty_file_becomes_a_database),
        test_closed(test_durability_is_what_was_asked_for),
        test_closed(test_a_second_daemon_is_refused),
        test_closed(test_a_second_name_is_refused),
        test_closed(test_the_file_itself_is_locked),
        test_closed(test_tools_read_beside_the_daemon),
        test_closed(test_paths_that_cannot_be),
        test_closed(test_no_permission),
        test_closed(test_a_newer_schema_is_left_as_it_is),
        test_closed(test_databases_of_others_are_left_as_they_are),
        test_closed(test_a_wal_without_its_database_is_kept),
        test_open(test_another_writer_makes_us_wait),
        test_open(test_a_full_database_is_tried_again),
        cmocka_unit_test(test_errors_have_one_meaning),
        test_open(test_a_database_that_was_there_is_not_begun_anew),
        test_open(test_a_run_that_did_not_begin_does_not_end),
        test_open(test_the_wal_does_not_grow_without_end),
    };

    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
