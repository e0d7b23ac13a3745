/*
 * Measures the least that SQLite takes for a message: appends rows like those of the inbox to one
 * table, BATCH of them in each synced transaction, and nothing else.
 *
 * usage: sqlite_floor DATABASE ROWS BATCH        prints µs of CPU, and of time, a row
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

#define TOPIC   "foxtrackr/FXT-1000000/V3.0/bat"
#define PAYLOAD "{\"ts\":1764180000000,\"mt\":5,\"bat\":{\"v\":3.701,\"pct\":81},\"seq\":1000000}"

static sqlite3 *db;

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "sqlite_floor: %s: %s\n", what, db != NULL ? sqlite3_errmsg(db) : "");
    exit(EX_UNAVAILABLE);
}

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        die(sql);
    }
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        die(sql);
    }
    return statement;
}

static void step(sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK) {
        die("a statement");
    }
}

static double cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    long rows = argc == 4 ? atol(argv[2]) : 0;
    long batch = argc == 4 ? atol(argv[3]) : 0;
    sqlite3_stmt *begin, *insert, *commit;
    double cpu, time;

    if (rows < 1 || batch < 1) {
        fprintf(stderr, "usage: sqlite_floor DATABASE ROWS BATCH\n");
        return EX_USAGE;
    }
    if (sqlite3_open(argv[1], &db) != SQLITE_OK) {
        die(argv[1]);
    }
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        " CREATE TABLE inbox (n INTEGER PRIMARY KEY, device INTEGER NOT NULL, client_id TEXT NOT "
        "NULL,"
        " topic TEXT NOT NULL, payload BLOB NOT NULL, received_ms INTEGER NOT NULL)");
    begin = prepare("BEGIN IMMEDIATE");
    insert = prepare("INSERT INTO inbox VALUES (?1, ?2, 'bench', ?3, ?4, ?5)");
    commit = prepare("COMMIT");
    cpu = cpu_us();
    time = now_us();
    for (long n = 1; n <= rows; n++) {
        if (n % batch == 1 || batch == 1) {
            step(begin);
        }
        sqlite3_bind_int64(insert, 1, n);
        sqlite3_bind_int64(insert, 2, n % 1000);
        sqlite3_bind_text(insert, 3, TOPIC, sizeof(TOPIC) - 1, SQLITE_STATIC);
        sqlite3_bind_blob(insert, 4, PAYLOAD, sizeof(PAYLOAD) - 1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 5, 1764180000000 + n);
        step(insert);
        if (n % batch == 0 || n == rows) {
            step(commit);
        }
    }
    printf("%.3f %.3f\n", (cpu_us() - cpu) / (double)rows, (now_us() - time) / (double)rows);
    return 0;
}
