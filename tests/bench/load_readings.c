/*
 * Fills the tables of a new database of foxtrackrd with the readings of a fleet, in the order of
 * their keys and without syncs: for questions to a large database, not for the daemon's own work.
 *
 * usage: load_readings DATABASE DEVICES READINGS DAYS
 *
 * READINGS are shared evenly by the devices, and by battery and temperature; those of a device are
 * spread evenly over the DAYS up to now. Batteries fall from 100 to 15 % in 9 to 21 days and are
 * charged then. One device in 100 fell silent within the last third, and one in 50 made a pause of
 * a day. Ten groups have a tenth of the devices each. Prints what it has written.
 */
#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#define DAY_MS          INT64_C(86400000)
#define HOUR_MS         3600000.0
#define ROWS_TOGETHER   1000000 /* in a transaction */
#define CACHE_KIB       262144
#define SILENT_EVERY    100
#define PAUSE_EVERY     50
#define GROUPS          10
#define CHARGE_SPENT    0.85
#define MESSAGE_BATTERY 1
#define MESSAGE_CELSIUS 2

static sqlite3 *db;

struct fleet {
    int devices;
    int64_t each; /* readings of a device and type */
    int64_t begin_ms;
    int64_t step_ms;
    int64_t written;
};

static void die(const char *what) __attribute__((noreturn));

static void die(const char *what)
{
    fprintf(stderr, "load_readings: %s: %s\n", what, db != NULL ? sqlite3_errmsg(db) : "");
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
        die("a row");
    }
}

/* A number in [0, 1) that depends on the device and on nothing else. */
static double share_of(int device, unsigned kind)
{
    uint64_t z = (uint64_t)device * UINT64_C(0x9e3779b97f4a7c15) + kind;

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static int64_t time_of(const struct fleet *fleet, int device, int64_t n)
{
    return fleet->begin_ms + n * fleet->step_ms + fleet->step_ms * device / (fleet->devices + 1);
}

static int reports(const struct fleet *fleet, int device, int64_t n)
{
    int64_t from_end_ms = (fleet->each - n) * fleet->step_ms;
    int64_t span_ms = fleet->each * fleet->step_ms;

    if (device % SILENT_EVERY == 0) {
        return (double)from_end_ms > (double)span_ms / 3 * share_of(device, 1);
    }
    if (device % PAUSE_EVERY == 1) {
        int64_t pause_ms = DAY_MS + (int64_t)((double)(span_ms - DAY_MS) * share_of(device, 2));

        return from_end_ms > pause_ms || from_end_ms <= pause_ms - DAY_MS;
    }
    return 1;
}

static void add_devices(const struct fleet *fleet)
{
    sqlite3_stmt *device = prepare("INSERT INTO devices (device, family, device_id, first_seen_ms)"
                                   " VALUES (?1, 'foxtrackr', printf('%05X', ?1 * 14), ?2)");
    sqlite3_stmt *group = prepare("INSERT INTO device_groups (group_name, device, first_seen_ms)"
                                  " VALUES (printf('group-%02d', ?2), ?1, ?3)");

    run("BEGIN");
    for (int i = 1; i <= fleet->devices; i++) {
        sqlite3_bind_int(device, 1, i);
        sqlite3_bind_int64(device, 2, fleet->begin_ms);
        step(device);
        sqlite3_bind_int(group, 1, i);
        sqlite3_bind_int(group, 2, i % GROUPS);
        sqlite3_bind_int64(group, 3, fleet->begin_ms);
        step(group);
    }
    run("COMMIT");
    sqlite3_finalize(device);
    sqlite3_finalize(group);
}

static void bind_battery(sqlite3_stmt *insert, int device, int64_t time_ms, int64_t begin_ms)
{
    double discharge_h = 24 * (9 + 12 * share_of(device, 3));
    double hours = (double)(time_ms - begin_ms) / HOUR_MS + discharge_h * share_of(device, 4);
    double full = 1.0 - CHARGE_SPENT * fmod(hours, discharge_h) / discharge_h;

    sqlite3_bind_double(insert, 3, round(1000 * (3.45 + 0.7 * full)) / 1000);
    sqlite3_bind_double(insert, 4, round(100 * full));
    sqlite3_bind_int(insert, 5, MESSAGE_BATTERY);
}

static void bind_temperature(sqlite3_stmt *insert, int device, int64_t time_ms)
{
    double day = 2 * M_PI * (double)(time_ms % DAY_MS) / (double)DAY_MS;
    double celsius = 11 - 7.5 * cos(day - 1.0 + 0.8 * share_of(device, 5));

    sqlite3_bind_double(insert, 3, round(100 * celsius) / 100);
    sqlite3_bind_int(insert, 5, MESSAGE_CELSIUS);
}

static void show(const struct fleet *fleet)
{
    fprintf(stderr, "\r  %" PRId64 " million readings ...", fleet->written / 1000000);
}

static void add_readings(struct fleet *fleet, sqlite3_stmt *insert, int is_battery)
{
    int64_t together = 0;

    run("BEGIN");
    for (int device = 1; device <= fleet->devices; device++) {
        for (int64_t n = 0; n < fleet->each; n++) {
            int64_t time_ms = time_of(fleet, device, n);

            if (!reports(fleet, device, n)) {
                continue;
            }
            sqlite3_bind_int(insert, 1, device);
            sqlite3_bind_int64(insert, 2, time_ms);
            sqlite3_bind_int64(insert, 6, time_ms + 1000);
            if (is_battery) {
                bind_battery(insert, device, time_ms, fleet->begin_ms);
            } else {
                bind_temperature(insert, device, time_ms);
            }
            step(insert);
            fleet->written++;
            together++;
        }
        if (together >= ROWS_TOGETHER) {
            run("COMMIT; BEGIN");
            together = 0;
            show(fleet);
        }
    }
    run("COMMIT");
    sqlite3_finalize(insert);
}

int main(int argc, char **argv)
{
    struct fleet fleet = {0};
    struct timespec now;
    double days = argc == 5 ? atof(argv[4]) : 0;
    char sql[64];

    if (argc == 5) {
        fleet.devices = atoi(argv[2]);
        fleet.each = fleet.devices > 0 ? atoll(argv[3]) / 2 / fleet.devices : 0;
    }
    if (fleet.each < 1 || days < 2) {
        fprintf(stderr, "usage: load_readings DATABASE DEVICES READINGS DAYS\n");
        return EX_USAGE;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    fleet.step_ms = (int64_t)(days * (double)DAY_MS / (double)fleet.each);
    fleet.begin_ms = (int64_t)now.tv_sec * 1000 - fleet.each * fleet.step_ms;
    if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        die(argv[1]);
    }
    /* Without a log: who interrupts this begins anew. The daemon turns the log on again. */
    snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%d", CACHE_KIB);
    run(sql);
    run("PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE; PRAGMA locking_mode = EXCLUSIVE;"
        " PRAGMA journal_mode = OFF");
    add_devices(&fleet);
    add_readings(&fleet,
                 prepare("INSERT INTO battery (device, time_ms, voltage_v, level_pct, message_type,"
                         " received_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
                 1);
    add_readings(&fleet,
                 prepare("INSERT INTO temperature (device, time_ms, celsius, message_type,"
                         " received_ms) VALUES (?1, ?2, ?3, ?5, ?6)"),
                 0);
    if (sqlite3_close(db) != SQLITE_OK) {
        die("close");
    }
    printf("%" PRId64 "\n", fleet.written);
    return EX_OK;
}
