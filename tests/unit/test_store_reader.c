/* Goal: the process that holds a read transaction is found, and the search leaves SQLite's locks as
 * they are. */
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/process_name.h"

#define WRITE_LOCK 120 /* the byte of the index that a writer locks */
#define DMS_LOCK   128 /* the one that everybody locks who has the database open */

struct reader {
    pid_t pid;
    int from; /* a byte from it: done */
    int to;   /* a byte to it: begin a new transaction */
};

/* Another process, with a read transaction for each byte that it is sent. */
static struct reader start_reader(const char *path)
{
    struct reader reader;
    int to[2];
    int from[2];

    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    reader.pid = fork();
    assert_true(reader.pid >= 0);
    if (reader.pid == 0) {
        sqlite3 *db = NULL;
        char byte;

        close(to[1]);
        if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
            _exit(1);
        sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
        while (read(to[0], &byte, 1) == 1) {
            sqlite3_exec(db, "COMMIT; BEGIN; SELECT count(*) FROM devices", NULL, NULL, NULL);
            if (write(from[1], &byte, 1) != 1)
                _exit(2);
        }
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    reader.to = to[1];
    reader.from = from[0];
    return reader;
}

static void read_anew(const struct reader *reader)
{
    char byte = 'r';

    assert_int_equal(write(reader->to, &byte, 1), 1);
    assert_int_equal(read(reader->from, &byte, 1), 1);
}

static void end_reader(struct reader *reader)
{
    close(reader->to);
    close(reader->from);
    kill(reader->pid, SIGKILL);
    assert_int_equal(waitpid(reader->pid, NULL, 0), reader->pid);
}

static void put_one(struct fixture *fixture)
{
    static int64_t time_ms = 1;
    const struct foxtrackr_message message = battery("d", time_ms++, 3.7);

    begin(fixture);
    put(fixture, &message);
    commit(fixture);
}

static struct store_reader look_at(struct fixture *fixture, int64_t now_ms)
{
    struct store_reader found;

    store_readers_look(&fixture->store->readers, now_ms, &found);
    return found;
}

static void test_the_reader_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct store_reader found;
    struct reader first;
    struct reader second;
    char text[PROCESS_TEXT_SIZE];
    char expected[PROCESS_TEXT_SIZE];

    put_one(fixture);
    assert_false(look_at(fixture, 0).held); /* our own locks are none */
    first = start_reader(fixture->path);
    second = start_reader(fixture->path);
    read_anew(&first);
    put_one(fixture);
    for (int64_t now_ms = 1000; now_ms <= 5000; now_ms += 1000) {
        read_anew(&second); /* short ones, each of which sees more */
        put_one(fixture);
        found = look_at(fixture, now_ms);
        assert_true(found.held);
        assert_int_equal(found.pid, first.pid);
        assert_int_equal(found.for_ms, now_ms - 1000);
    }
    snprintf(expected, sizeof(expected), "process %d (test_store_read)", (int)first.pid);
    assert_string_equal(process_text(found.pid, NULL, text), expected);

    /* A new transaction of the same process is another reader. */
    read_anew(&first);
    put_one(fixture);
    assert_in_range(look_at(fixture, 6000).for_ms, 0, 1000);
    end_reader(&first);
    end_reader(&second);
    assert_false(look_at(fixture, 7000).held);
}

/* The process that holds the lock of this byte, seen from another one; 0: none. */
static pid_t holder(const struct fixture *fixture, int byte)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1, .l_pid = 0};
    char path[256];
    int ends[2];
    pid_t found = -1;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof(path), "%s-shm", fixture->path);
    child = fork();
    if (child == 0) {
        int fd = open(path, O_RDONLY);

        if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0)
            _exit(1);
        found = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
        _exit(write(ends[1], &found, sizeof(found)) == (ssize_t)sizeof(found) ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &found, sizeof(found)), sizeof(found));
    close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return found;
}

static void test_asking_drops_no_lock(void **state)
{
    struct fixture *fixture = *state;

    put_one(fixture);
    assert_int_equal(holder(fixture, WRITE_LOCK), 0);
    assert_int_equal(holder(fixture, DMS_LOCK), getpid());
    begin(fixture);
    assert_int_equal(holder(fixture, WRITE_LOCK), getpid());
    for (int i = 0; i < 3; i++) {
        (void)look_at(fixture, i);
        assert_int_equal(holder(fixture, WRITE_LOCK), getpid());
        assert_int_equal(holder(fixture, DMS_LOCK), getpid());
    }
    commit(fixture);
    fixture_close(fixture);
    assert_int_equal(holder(fixture, DMS_LOCK), 0);
}

static void test_processes_in_words(void **state)
{
    char text[PROCESS_TEXT_SIZE];
    char name[PROCESS_NAME_SIZE];

    (void)state;
    assert_string_equal(process_text(0, NULL, text),
                        "a process of a container or of another machine");
    assert_string_equal(process_text(4711, "sqlite3", text), "process 4711 (sqlite3)");
    assert_string_equal(process_text(INT32_MAX, NULL, text), "process 2147483647");
    assert_string_equal(process_name(INT32_MAX, name), "");
    assert_string_equal(process_name(-1, name), "");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_reader_is_named),
        TEST(test_asking_drops_no_lock),
        cmocka_unit_test(test_processes_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
