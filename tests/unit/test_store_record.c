/* The record of the last database, the marks of backups, and the database size in a WAL. */
#include "store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "store/sqlite/frames_internal.h"
#include "store/sqlite/mark_internal.h"

static void companion(const struct fixture *fixture, const char *suffix, char path[256])
{
    snprintf(path, 256, "%s%s", fixture->path, suffix);
}

static void copy_file(const char *from, const char *to)
{
    char command[600];

    snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static void store_one(struct fixture *fixture, int64_t time_ms)
{
    struct foxtrackr_message message = battery("d", time_ms, 3.7);

    begin(fixture);
    assert_int_equal(put(fixture, &message), STORE_STORED);
    assert_int_equal(store_session_durable(fixture->store, "id-a-01", NOW_MS + time_ms), STORE_OK);
    fixture->store->recorded_ms = 0; /* a second ago */
    commit(fixture);
}

/* Ends the store as a kill does: no checkpoint, the WAL stays. */
static void end_killed(struct fixture *fixture)
{
    fixture->store->broken = true;
    assert_int_equal(store_close(fixture->store), STORE_FATAL);
    fixture->store = NULL;
}

static void test_frames_are_read_like_sqlite(void **state)
{
    struct fixture *fixture = *state;
    char wal[256];
    char whole[300];
    struct stat status;

    companion(fixture, "-wal", wal);
    assert_int_equal(store_frames_last_size(wal), 0); /* none */
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
    store_one(fixture, 1);
    for (int i = 0; i < 40; i++) {
        char pages[16];

        snprintf(pages, sizeof(pages), "%u", store_frames_last_size(wal));
        assert_look(fixture, "PRAGMA page_count", pages);
        assert_int_equal(sqlite3_exec(fixture->store->db,
                                      i % 10 == 9
                                          ? "DELETE FROM messages; PRAGMA incremental_vacuum"
                                          : "INSERT INTO messages SELECT 1, 'x', random(), 'V3.0',"
                                            " 1, hex(zeroblob(9000)), randomblob(32), 0",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        if (i == 20) { /* the WAL begins anew, and old frames lie behind its end */
            assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
        }
    }
    /* Frames that are cut or changed do not count; earlier frames do. */
    snprintf(whole, sizeof(whole), "%s.whole", wal);
    copy_file(wal, whole);
    assert_int_equal(stat(whole, &status), 0);
    for (off_t size = status.st_size; size >= 0; size -= 1999) {
        assert_int_equal(truncate(whole, size), 0);
        (void)store_frames_last_size(whole);
    }
    assert_int_equal(store_frames_last_size(whole), 0);
}

/* --- a file that is older than its WAL ------------------------------------------------------- */

static void run_of(struct fixture *fixture, int messages)
{
    /* A long text, so that the page of `runs` splits from time to time. */
    static const char version[] = "a version that is as long as some distribution may make one: "
                                  "1.2.3-4~really1.2.2+git20261129.0abcdef-5build6";
    static int64_t time_ms;

    assert_int_equal(store_run_begin(fixture->store, version, NOW_MS), STORE_OK);
    for (int i = 0; i < messages; i++) {
        store_one(fixture, ++time_ms);
    }
}

static bool judge(const struct fixture *fixture, const char *file, const struct store_base *base)
{
    char wal[256];
    int fd = open(file, O_RDONLY);
    bool older;

    companion(fixture, "-wal", wal);
    assert_true(fd >= 0);
    older = store_base_is_older(fd, wal, base);
    close(fd);
    return older;
}

/* Writes a state after a power failure within a checkpoint: each sector is the old or the new one.
 */
static void mix(const char *old_file, const char *new_file, const char *out, int sector)
{
    FILE *old = fopen(old_file, "rb");
    FILE *new = fopen(new_file, "rb");
    FILE *file = fopen(out, "wb");
    char one[4096];
    char other[4096];
    bool more = true;

    assert_true(old != NULL && new != NULL &&file != NULL);
    while (more) {
        size_t got = fread(one, 1, (size_t)sector, old);
        size_t got_other = fread(other, 1, (size_t)sector, new);

        more = got + got_other > 0;
        if (got_other > 0 && (got == 0 || rand() % 2 == 0)) {
            fwrite(other, 1, got_other, file);
        } else {
            fwrite(one, 1, got, file);
        }
    }
    fclose(old);
    fclose(new);
    fclose(file);
}

/* Writes the database as it is after a checkpoint of its WAL. */
static void checkpoint_elsewhere(const struct fixture *fixture, const char *out)
{
    char wal[256];
    char command[600];
    sqlite3 *db;

    companion(fixture, "-wal", wal);
    copy_file(fixture->path, out);
    snprintf(command, sizeof(command), "cp '%.250s' '%.250s-wal'", wal, out);
    assert_int_equal(system(command), 0);
    assert_int_equal(sqlite3_open(out, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", 0, 0, 0), SQLITE_OK);
    sqlite3_close(db);
}

/* The base, the database after a checkpoint of its WAL, and mixtures of both are never older. */
static void assert_legitimate(const struct fixture *fixture, const struct store_base *base)
{
    char after[256];
    char mixture[256];

    companion(fixture, ".after", after);
    companion(fixture, ".mixture", mixture);
    checkpoint_elsewhere(fixture, after);
    assert_false(judge(fixture, fixture->path, base));
    assert_false(judge(fixture, after, base));
    for (int i = 0; i < 20; i++) {
        mix(fixture->path, after, mixture, i % 2 == 0 ? 512 : 4096);
        assert_false(judge(fixture, mixture, base));
    }
}

/* Copies of earlier generations are older, whatever the WAL holds, unless the page of `runs` was
 * split meanwhile: then nothing is certain. */
static void test_what_is_older_than_its_wal(void **state)
{
    enum { GENERATIONS = 90, PAIRS = GENERATIONS * (GENERATIONS - 1) / 2 };
    struct fixture *fixture = *state;
    uint32_t page = 0;
    char suffix[16];
    char copy[256];
    int told = 0;
    int splits = 0;

    srand(1);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    for (int i = 0; i < GENERATIONS; i++) {
        const struct store_base *base = &fixture->store->record.base;

        run_of(fixture, 1);
        assert_int_equal(store_shrink(fixture->store), STORE_OK);
        assert_true(base->run == fixture->store->run && base->received == 1);
        splits += i > 0 && base->page != page;
        page = base->page;
        snprintf(suffix, sizeof(suffix), ".%d", i);
        companion(fixture, suffix, copy);
        copy_file(fixture->path, copy);
        run_of(fixture, i % 3); /* in the WAL of this generation */
        for (int earlier = 0; earlier < i; earlier++) {
            snprintf(suffix, sizeof(suffix), ".%d", earlier);
            companion(fixture, suffix, copy);
            told += judge(fixture, copy, base);
        }
        assert_legitimate(fixture, base);
    }
    assert_true(splits > 0);
    if (told < PAIRS * 8 / 10) {
        fail_msg("%d of %d older copies were told", told, PAIRS);
    }
}

/* A copy from within the run is older, but only if the WAL proves it. */
static void test_an_older_copy_of_one_run(void **state)
{
    struct fixture *fixture = *state;
    struct store_base base;
    char copy[256];
    char wal[256];

    companion(fixture, ".copy", copy);
    companion(fixture, "-wal", wal);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    run_of(fixture, 3);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    copy_file(fixture->path, copy);
    store_one(fixture, 1000);
    store_one(fixture, 1001);
    assert_int_equal(store_checkpoint(fixture->store), STORE_OK);
    base = fixture->store->record.base;
    assert_int_equal(base.received, 5);
    assert_false(judge(fixture, copy, &base)); /* the WAL goes back behind the bound */
    store_one(fixture, 1002);                  /* and begins anew */
    assert_true(judge(fixture, copy, &base));
    base.page++;
    assert_false(judge(fixture, copy, &base));
    base.page--;
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    base.rows++;
    assert_false(judge(fixture, copy, &base)); /* no WAL */
    base.page = 0;
    assert_false(judge(fixture, copy, &base));
}

static void test_a_record_that_makes_no_sense_is_none(void **state)
{
    static const char *const records[] = {
        "",
        "x",
        "12345\n",
        "12345                           \nrun 9 started 1 received 9 moment 1",
        "12345                          \nrun -1 started 1 received 9 moment 1 stopped 0 device 1 "
        "inode 1 "
        "log "
        "1 size 1 changed 1 end",
        "12345                          \nrun 9 started 1 received 9 moment 1 stopped 0 device 1 "
        "inode 1 "
        "log "
        "1 size 1 changed 1 emd",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff"
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        "\xff",
    };
    struct fixture *fixture = *state;
    char lock[256];

    companion(fixture, ".lock", lock);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
    store_one(fixture, 1);
    fixture_close(fixture);
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        FILE *file = fopen(lock, "w");

        assert_non_null(file);
        fputs(records[i], file);
        fclose(file);
        assert_int_equal(fixture_open(fixture), STORE_OK);
        assert_int_equal(fixture->store->restoration.kind, STORE_NOT_RESTORED);
        assert_false(fixture->store->record.known);
        fixture_close(fixture);
    }
    assert_look(fixture, "SELECT count(*) FROM gaps", "0");
}

/* A copy of the same run that is put back after a kill lacks messages that the record counts. */
static void test_an_older_copy_is_noted_once(void **state)
{
    struct fixture *fixture = *state;
    char wal[256];
    char copy[256];

    companion(fixture, "-wal", wal);
    companion(fixture, ".copy", copy);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
    store_one(fixture, 1);
    assert_int_equal(store_shrink(fixture->store), STORE_OK);
    copy_file(fixture->path, copy);
    store_one(fixture, 2);
    end_killed(fixture);
    copy_file(copy, fixture->path);
    assert_int_equal(unlink(wal), 0);

    for (int start = 0; start < 2; start++) { /* the first is killed before it begins a run */
        assert_int_equal(fixture_open(fixture), STORE_OK);
        assert_int_equal(fixture->store->restoration.kind,
                         start == 0 ? STORE_RESTORED_OLDER : STORE_NOT_RESTORED);
        assert_look(
            fixture,
            "SELECT group_concat(client_id || ' ' || reason || ' ' || last_durable_ms) FROM "
            "gaps",
            "id-a-01 older database 1700000000001");
        end_killed(fixture);
    }
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(fixture->store->restoration.kind, STORE_NOT_RESTORED);
}

/* The transaction that accepts a backup is in the WAL, and the process is killed before it moves.
 */
static void test_a_backup_is_accepted_once(void **state)
{
    struct fixture *fixture = *state;
    const char *clients[] = {"id-a-01", "id-new-02"};
    const struct store_options options = {
        .path = fixture->path, .client_ids = clients, .client_count = 2};
    enum store_mark mark = STORE_MARK_NONE;
    sqlite3 *reader = NULL;
    sqlite3 *db;
    int64_t taken_ms = NOW_MS + 77;
    int fd;

    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
    store_one(fixture, 1);
    fixture_close(fixture);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(store_mark_copy(db, STORE_MARK_BACKUP, taken_ms), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);

    /* A reader keeps the WAL from moving into the file. */
    assert_int_equal(sqlite3_open(fixture->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM runs", 0, 0, 0), SQLITE_OK);
    assert_int_equal(store_open(&options, &fixture->store, fixture->problem, 512), STORE_OK);
    assert_int_equal(fixture->store->restoration.kind, STORE_RESTORED_BACKUP);
    assert_int_equal(fixture->store->restoration.from_ms, taken_ms);
    assert_int_equal(fixture->store->restoration.clients, 2);
    end_killed(fixture);
    fd = open(fixture->path, O_RDONLY);
    assert_int_equal(store_mark_read(fd, &mark), 0);
    close(fd);
    assert_int_equal(mark, STORE_MARK_TAKEN); /* and its own WAL is there: not refused */
    assert_int_equal(store_open(&options, &fixture->store, fixture->problem, 512), STORE_OK);
    assert_int_equal(fixture->store->restoration.kind, STORE_NOT_RESTORED);
    assert_look(fixture,
                "SELECT group_concat(client_id || ' ' || reason || ' ' || last_durable_ms)"
                " FROM (SELECT * FROM gaps ORDER BY client_id)",
                "id-a-01 restored 1700000000077,id-new-02 restored 1700000000077");
    assert_look(fixture, "SELECT count(*) FROM sqlite_schema WHERE name = 'foxtrackr_backup'", "0");
    sqlite3_close(reader);
}

/* A backup whose moment lies ahead of our clock counts as one of an unknown moment. */
static void test_a_backup_from_the_future(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *db;

    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
    store_one(fixture, 1);
    fixture_close(fixture);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(store_mark_copy(db, STORE_MARK_BACKUP, clock_wall_ms() + 86400000), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(fixture->store->restoration.kind, STORE_RESTORED_BACKUP);
    assert_int_equal(fixture->store->restoration.from_ms, NOW_MS + 1);
}

/* A backup beside a WAL is refused unchanged, for the daemon and for tools. */
static void test_a_backup_beside_a_wal_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct store_options reading = {.path = fixture->path, .read_only = true};
    const struct store_options beside = {.path = fixture->path, .beside = true};
    struct store *store = NULL;
    char wal[256];
    char second[300];
    sqlite3 *db;
    int fd;

    companion(fixture, "-wal", wal);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(store_mark_copy(db, STORE_MARK_RESTORED, 1), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    fd = open(wal, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, "frames", 6), 6);
    close(fd);

    assert_int_equal(fixture_open(fixture), STORE_E_PATH);
    assert_non_null(strstr(fixture->problem, "foxtrackrctl restore"));
    assert_int_equal(store_open(&reading, &store, fixture->problem, 512), STORE_E_PATH);
    assert_int_equal(store_open(&beside, &store, fixture->problem, 512), STORE_E_PATH);
    assert_int_equal(access(wal, F_OK), 0);

    /* With a second name nothing is lost: foxtrackrctl restore was killed in between. */
    snprintf(second, sizeof(second), "%s.second", wal);
    assert_int_equal(link(wal, second), 0);
    assert_int_equal(store_open(&reading, &store, fixture->problem, 512), STORE_E_PATH);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(fixture->store->restoration.kind, STORE_RESTORED_BACKUP);
    assert_int_equal(access(second, F_OK), 0);
}

#define test_closed(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_closed(test_frames_are_read_like_sqlite),
        test_closed(test_what_is_older_than_its_wal),
        test_closed(test_an_older_copy_of_one_run),
        test_closed(test_a_record_that_makes_no_sense_is_none),
        test_closed(test_an_older_copy_is_noted_once),
        test_closed(test_a_backup_is_accepted_once),
        test_closed(test_a_backup_from_the_future),
        test_closed(test_a_backup_beside_a_wal_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
