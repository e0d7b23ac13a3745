/*
 * Goal: the store notices when other programs delete or replace the database while it is in use,
 * write into its file, or write to it through SQLite.
 */
#include "store_fixture.h"

#include <sys/stat.h>

#include "store/sqlite/mark_internal.h"

/* Runs a shell command with the database's path in $DB. */
static void shell(const struct fixture *fixture, const char *text)
{
    char command[600];

    snprintf(command, sizeof(command), "DB='%s'; %s", fixture->path, text);
    assert_int_equal(system(command), 0);
}

static void store_some(struct fixture *fixture, const char *device_id, int count)
{
    static int64_t time_ms = 1000;

    for (int i = 0; i < count; i++) {
        struct foxtrackr_message message = battery(device_id, ++time_ms, 3.7);

        begin(fixture);
        assert_int_equal(put(fixture, &message), STORE_STORED);
        commit(fixture);
    }
}

static int64_t wal_size(const struct fixture *fixture)
{
    struct stat status;
    char wal[256];

    snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
    return stat(wal, &status) == 0 ? (int64_t)status.st_size : -1;
}

/* --- it is deleted or replaced -------------------------------------------------------------- */

/* A commit into a deleted file succeeds for SQLite, but its rows cannot be found any more. */
static void test_a_deleted_database_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);
    struct stat status;
    char wal[256];

    snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
    begin(fixture);
    put(fixture, &message);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(store_commit(fixture->store), STORE_FATAL);
    assert_non_null(strstr(store_error(fixture->store), "deleted or replaced"));

    /* Closing leaves the WAL, which may have the only copy of some rows. */
    assert_int_equal(store_close(fixture->store), STORE_FATAL);
    fixture->store = NULL;
    assert_int_equal(stat(wal, &status), 0);
    assert_true(status.st_size > 0);
    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "is missing or empty, but its write-ahead log"));
}

/* Without further commits, the end of the run notices the deletion. */
static void test_a_database_deleted_in_a_pause_keeps_its_wal(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("d", 1000, 3.7);
    struct stat before;
    struct stat after;
    char wal[256];

    snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
    begin(fixture);
    put(fixture, &message);
    commit(fixture);
    assert_int_equal(stat(wal, &before), 0);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(store_checkpoint(fixture->store), STORE_FATAL);
    fixture->store->broken = false; /* each of them sees it by itself */
    assert_int_equal(store_shrink(fixture->store), STORE_FATAL);
    fixture->store->broken = false;
    assert_int_equal(store_run_end(fixture->store, NOW_MS + 1), STORE_FATAL);
    assert_non_null(strstr(store_error(fixture->store), "deleted or replaced"));
    fixture->store->broken = false;
    assert_int_equal(store_close(fixture->store), STORE_FATAL);
    fixture->store = NULL;
    assert_int_equal(stat(wal, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
}

static void test_a_deleted_wal_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    char wal[256];

    snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
    begin(fixture);
    assert_int_equal(unlink(wal), 0);
    assert_int_equal(store_commit(fixture->store), STORE_FATAL);
    assert_non_null(strstr(store_error(fixture->store), "fox.db-wal"));

    shell(fixture, "echo of someone else > $DB-wal"); /* whose name SQLite would delete */
    assert_int_equal(store_close(fixture->store), STORE_FATAL);
    fixture->store = NULL;
    assert_int_equal(access(wal, F_OK), 0);
}

/* Another program moves the database aside and puts another database, in use, in its place. */
static void test_a_replaced_database_is_noticed_and_not_harmed(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("ours", 1000, 3.7);
    struct fixture other = *fixture;
    struct store *ours;
    char aside[128];
    char wal[256];
    char shm[256];
    char lock[256];
    char wal_aside[256];

    snprintf(aside, sizeof(aside), "%s/aside.db", fixture->directory);
    snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
    snprintf(shm, sizeof(shm), "%s-shm", fixture->path);
    snprintf(wal_aside, sizeof(wal_aside), "%s-wal", aside);
    begin(fixture);
    put(fixture, &message);
    assert_int_equal(rename(fixture->path, aside), 0);
    assert_int_equal(rename(wal, wal_aside), 0);
    assert_int_equal(unlink(shm), 0);
    snprintf(lock, sizeof(lock), "%s.lock", fixture->path);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(fixture_open(&other), STORE_OK);
    assert_int_equal(store_run_begin(other.store, "other", 1), STORE_OK);

    assert_int_equal(store_commit(fixture->store), STORE_FATAL);
    assert_non_null(strstr(store_error(fixture->store), "deleted or replaced"));
    ours = fixture->store;
    fixture->store = other.store;
    assert_int_equal(store_close(ours), STORE_FATAL);
    assert_int_equal(access(wal, F_OK), 0); /* the other's WAL has not been deleted by its name */
    begin(fixture);
    commit(fixture);
    assert_look(fixture, "SELECT version FROM runs", "other");
    snprintf(other.path, sizeof(other.path), "%s", aside);
    assert_look(&other, "SELECT device_id FROM devices", "ours"); /* ours is complete, elsewhere */
}

/* --- into its file --------------------------------------------------------------------------- */

static void assert_refused(struct fixture *fixture, int (*step)(struct store *), const char *words)
{
    assert_int_equal(step(fixture->store), STORE_FATAL);
    if (strstr(store_error(fixture->store), words) == NULL) {
        fail_msg("%s", store_error(fixture->store));
    }
    fixture->store->broken = false;
}

static int end_run(struct store *store)
{
    return store_run_end(store, NOW_MS + 1);
}

/* Every function that would move the WAL into the file refuses to, and so does the next start. */
static void assert_left_alone(struct fixture *fixture, const char *words)
{
    int64_t wal = wal_size(fixture);

    shell(fixture, "cp $DB $DB.then");
    assert_refused(fixture, store_checkpoint, words);
    assert_refused(fixture, store_shrink, words);
    assert_refused(fixture, end_run, words);
    assert_int_equal(store_close(fixture->store), STORE_FATAL);
    fixture->store = NULL;
    assert_int_equal(wal_size(fixture), wal);
    shell(fixture, "cmp $DB $DB.then");
    assert_int_not_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(wal_size(fixture), wal);
    shell(fixture, "cmp $DB $DB.then");
}

static void test_an_older_copy_of_the_run_is_not_written_to(void **state)
{
    struct fixture *fixture = *state;

    store_some(fixture, "a", 20);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    shell(fixture, "cp $DB $DB.copy");
    store_some(fixture, "a", 20);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    store_some(fixture, "a", 1);
    shell(fixture, "cp $DB.copy $DB");
    assert_left_alone(fixture, "lacks what foxtrackrd has put there");
}

static void test_an_older_copy_of_another_run_is_not_written_to(void **state)
{
    struct fixture *fixture = *state;

    store_some(fixture, "a", 20);
    fixture_close(fixture);
    shell(fixture, "cp $DB $DB.copy");
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS + 5), STORE_OK);
    store_some(fixture, "b", 20);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    store_some(fixture, "b", 20);
    shell(fixture, "cp $DB.copy $DB");
    assert_left_alone(fixture, "lacks what foxtrackrd has put there");
}

static void test_a_backup_is_not_written_to(void **state)
{
    struct fixture *fixture = *state;
    char copy[256];
    sqlite3 *db;

    store_some(fixture, "a", 20);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    shell(fixture, "cp $DB $DB.copy");
    snprintf(copy, sizeof(copy), "%s.copy", fixture->path);
    assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
    assert_int_equal(store_mark_copy(db, STORE_MARK_BACKUP, NOW_MS), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    store_some(fixture, "a", 20);
    shell(fixture, "cp $DB.copy $DB");
    assert_left_alone(fixture, "it is a backup now");
}

static void test_a_file_that_is_no_database_is_not_written_to(void **state)
{
    struct fixture *fixture = *state;

    store_some(fixture, "a", 20);
    assert_int_equal(store_shrink(fixture->store), STORE_OK); /* or the WAL had all of it */
    store_some(fixture, "a", 20);
    shell(fixture, "echo my notes > $DB");
    assert_left_alone(fixture, "it is no database any more");
}

/* A commit checks the file too, once a second. */
static void test_a_commit_notices_it(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("a", 1, 3.7);

    store_some(fixture, "a", 20);
    shell(fixture, "echo my notes > $DB");
    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    fixture->store->looked_ms = 0;
    assert_int_equal(store_commit(fixture->store), STORE_FATAL);
}

/* Another program may make a checkpoint, or write: then the file is newer, and the store goes on.
 */
static void test_what_others_may_do(void **state)
{
    static const char *const acts[] = {
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "CREATE TABLE notes (text); PRAGMA wal_checkpoint(PASSIVE)",
        "INSERT INTO notes VALUES (randomblob(200000)); PRAGMA wal_checkpoint(TRUNCATE)",
        "DROP TABLE notes; PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)",
        "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
        "ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)",
    };
    struct fixture *fixture = *state;
    sqlite3 *db;

    for (size_t i = 0; i < 3 * sizeof(acts) / sizeof(acts[0]); i++) {
        store_some(fixture, "a", 10);
        if (i % 2 == 0) {
            assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
        }
        assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
        if (sqlite3_exec(db, acts[i % 6], NULL, NULL, NULL) != SQLITE_OK) {
            fail_msg("%s: %s", acts[i % 6], sqlite3_errmsg(db));
        }
        sqlite3_close(db);
        fixture->store->looked_ms = 0;
        store_some(fixture, "a", 1);
        assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    }
    assert_int_equal(store_run_end(fixture->store, NOW_MS + 1), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM gaps", "0");
}

/* --- into its file, beside a tool ------------------------------------------------------------ */

static struct store *open_tool(struct fixture *fixture)
{
    const struct store_options options = {
        .path = fixture->path, .durability = STORE_NORMAL, .busy_timeout_ms = 20, .beside = true};
    struct store *tool = NULL;

    if (store_open(&options, &tool, fixture->problem, sizeof(fixture->problem)) != STORE_OK) {
        fail_msg("%s", fixture->problem);
    }
    return tool;
}

/* Commits a row by the tool. */
static int write_beside(struct store *tool)
{
    static const char *const sql =
        "INSERT INTO gaps VALUES ('a', 1, (SELECT count(*) FROM gaps), 'test')";

    assert_int_equal(store_transaction_begin(tool), STORE_OK);
    if (sqlite3_exec(tool->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s", sqlite3_errmsg(tool->db));
    }
    return store_transaction_commit(tool);
}

/* `act` puts another file into the database's while a tool has it open: the tool leaves it as it
 * is, and the WAL too. */
static void assert_tool_leaves_alone(struct fixture *fixture, const char *act, const char *words)
{
    struct store *tool = open_tool(fixture);
    int64_t wal;

    assert_int_equal(write_beside(tool), STORE_OK);
    assert_int_equal(store_checkpoint(tool), STORE_OK);
    assert_int_equal(write_beside(tool), STORE_OK);
    shell(fixture, act);
    shell(fixture, "cp $DB $DB.then");
    wal = wal_size(fixture);
    assert_true(wal > 0);
    assert_int_equal(store_checkpoint(tool), STORE_FATAL);
    if (strstr(store_error(tool), words) == NULL) {
        fail_msg("%s", store_error(tool));
    }
    tool->broken = false;
    assert_int_equal(store_close(tool), STORE_FATAL);
    assert_int_equal(wal_size(fixture), wal);
    shell(fixture, "cmp $DB $DB.then");
}

/* A database with a run of 40 messages, and $DB.copy of it after 20. */
static void make_copy(struct fixture *fixture)
{
    store_some(fixture, "a", 20);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    shell(fixture, "cp $DB $DB.copy");
    store_some(fixture, "a", 20);
    fixture_close(fixture);
}

static void test_a_tool_leaves_an_older_copy_alone(void **state)
{
    struct fixture *fixture = *state;

    make_copy(fixture);
    assert_tool_leaves_alone(fixture, "cp $DB.copy $DB", "lacks what foxtrackrd has put there");
}

static void test_a_tool_leaves_a_copy_of_another_run_alone(void **state)
{
    struct fixture *fixture = *state;

    make_copy(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS + 5), STORE_OK);
    store_some(fixture, "b", 500);
    fixture_close(fixture);
    assert_tool_leaves_alone(fixture, "cp $DB.copy $DB", "lacks what foxtrackrd has put there");
}

static void test_a_tool_leaves_what_is_no_database_alone(void **state)
{
    struct fixture *fixture = *state;

    make_copy(fixture);
    assert_tool_leaves_alone(fixture, "echo my notes > $DB", "it is no database any more");
}

/* A commit of the tool checks the file too, once a second. */
static void test_a_commit_of_a_tool_notices_it(void **state)
{
    struct fixture *fixture = *state;
    struct store *tool;

    make_copy(fixture);
    tool = open_tool(fixture);
    assert_int_equal(write_beside(tool), STORE_OK);
    shell(fixture, "cp $DB.copy $DB");
    tool->looked_ms = 0;
    assert_int_equal(write_beside(tool), STORE_FATAL);
    assert_int_equal(store_close(tool), STORE_FATAL);
}

/* The daemon moves the WAL while the tool is at work. */
static void test_a_tool_beside_the_daemon_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct store *tool;

    store_some(fixture, "a", 20);
    tool = open_tool(fixture);
    for (int i = 0; i < 20; i++) {
        store_some(fixture, "a", 10);
        assert_int_equal(write_beside(tool), STORE_OK);
        if (i % 2 == 0) {
            assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
        }
        tool->looked_ms = 0;
        assert_int_equal(write_beside(tool), STORE_OK);
        assert_int_equal(store_checkpoint(tool), STORE_OK);
    }
    assert_int_equal(store_close(tool), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM gaps", "40");
}

/* --- through SQLite -------------------------------------------------------------------------- */

static void act(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    sqlite3_close(db);
}

static void assert_run_missed(struct fixture *fixture)
{
    struct foxtrackr_message message = battery("a", 1, 3.7);

    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    assert_int_equal(store_commit(fixture->store), STORE_FATAL);
    assert_non_null(strstr(store_error(fixture->store), "the row of this run"));
    assert_int_equal(store_rollback(fixture->store), STORE_FATAL);
    assert_int_equal(store_close(fixture->store), STORE_FATAL);
    fixture->store = NULL;
}

/* `.restore` of sqlite3 writes through the WAL, so the file itself is without fault. */
static void test_a_restore_through_sqlite_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    char copy[256];
    sqlite3_backup *backup;
    sqlite3 *from;
    sqlite3 *to;

    store_some(fixture, "a", 5);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    shell(fixture, "cp $DB $DB.copy");
    store_some(fixture, "a", 5);
    snprintf(copy, sizeof(copy), "%s.copy", fixture->path);
    assert_int_equal(sqlite3_open(copy, &from), SQLITE_OK);
    assert_int_equal(sqlite3_open(fixture->path, &to), SQLITE_OK);
    backup = sqlite3_backup_init(to, "main", from, "main");
    assert_non_null(backup);
    assert_int_equal(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    assert_int_equal(sqlite3_backup_finish(backup), SQLITE_OK);
    sqlite3_close(from);
    sqlite3_close(to);
    fixture->store->record.received = 10; /* as a second later */
    store_record_write(fixture->store);
    assert_run_missed(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM battery", "5");
    assert_int_equal(fixture->store->restoration.kind, STORE_RESTORED_OLDER);
}

static void test_a_run_that_is_gone_is_noticed(void **state)
{
    struct fixture *fixture = *state;

    store_some(fixture, "a", 5);
    act(fixture, "DELETE FROM runs");
    assert_run_missed(fixture);
}

/* The next new device gets the number of a deleted one. */
static void test_a_deleted_device_leaves_its_number(void **state)
{
    struct fixture *fixture = *state;

    store_some(fixture, "a", 1);
    store_some(fixture, "b", 1);
    act(fixture, "DELETE FROM battery WHERE device = 2; DELETE FROM devices WHERE device = 2");
    store_some(fixture, "c", 1);
    store_some(fixture, "b", 2);
    assert_look(fixture,
                "SELECT group_concat(device_id || n, ' ') FROM (SELECT device_id, count(*) AS n "
                "FROM battery JOIN devices USING (device) GROUP BY 1 ORDER BY 1)",
                "a1 b2 c1");
}

static void test_a_deleted_group_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct foxtrackr_message message = battery("a", 1, 3.7);

    message.group = "herd";
    for (int i = 0; i < 2; i++) {
        message.time_ms++;
        begin(fixture);
        assert_int_equal(put(fixture, &message), STORE_STORED);
        commit(fixture);
        assert_look(fixture, "SELECT count(*) FROM device_groups", "1");
        act(fixture, "DELETE FROM device_groups");
    }
}

#define test_open(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_open(test_a_deleted_database_is_noticed),
        test_open(test_a_database_deleted_in_a_pause_keeps_its_wal),
        test_open(test_a_deleted_wal_is_noticed),
        test_open(test_a_replaced_database_is_noticed_and_not_harmed),
        test_open(test_an_older_copy_of_the_run_is_not_written_to),
        test_open(test_an_older_copy_of_another_run_is_not_written_to),
        test_open(test_a_backup_is_not_written_to),
        test_open(test_a_file_that_is_no_database_is_not_written_to),
        test_open(test_a_commit_notices_it),
        test_open(test_what_others_may_do),
        test_open(test_a_tool_leaves_an_older_copy_alone),
        test_open(test_a_tool_leaves_a_copy_of_another_run_alone),
        test_open(test_a_tool_leaves_what_is_no_database_alone),
        test_open(test_a_commit_of_a_tool_notices_it),
        test_open(test_a_tool_beside_the_daemon_goes_on),
        test_open(test_a_restore_through_sqlite_is_noticed),
        test_open(test_a_run_that_is_gone_is_noticed),
        test_open(test_a_deleted_device_leaves_its_number),
        test_open(test_a_deleted_group_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
