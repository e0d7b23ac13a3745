/*
 * Fills the tables of a new database of foxtrackrd with the readings of a fleet, in the order of
 * their keys and without syncs: for questions to a large database, not for the daemon's own work.
 *
 * usage: load_readings DATABASE DEVICES READINGS DAYS [rolled-up]
 *
 * READINGS are shared evenly by the devices, and by battery and temperature; those of a device are
 * spread evenly over the DAYS up to now. Batteries fall from 100 to 15 % in 9 to 21 days and are
 * charged then. One device in 100 fell silent within the last third, and one in 50 made a pause of
 * a day. Ten groups have a tenth of the devices each. Prints what it has written.
 *
 * With "rolled-up" it also writes the roll-ups of the days before today (of UTC), as the daemon
 * does (store/sqlite/rollup_make.c): the daemon needs an hour for a billion readings, because it
 * works in idle time. foxtrackrctl verify compares them with the readings.
 */
#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
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

/* A roll-up. `a`: volts or degrees; `b`: levels. */
struct day {
    int64_t readings;
    int64_t first_ms;
    int64_t last_ms;
    int64_t pause_ms; /* 0: none */
    double a_min, a_sum, a_max;
    double b_min, b_sum, b_max, b_first, b_last;
};

struct fleet {
    int devices;
    int64_t each; /* readings of a device and type */
    int64_t begin_ms;
    int64_t step_ms;
    int64_t written;
    int64_t first_day;
    int64_t days;     /* before today */
    struct day *made; /* of a table: days * devices; NULL: no roll-ups */
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

/* The values of a reading. */
struct reading {
    double a;
    double b;
};

static struct reading bind_battery(sqlite3_stmt *insert, int device, int64_t time_ms,
                                   int64_t begin_ms)
{
    double discharge_h = 24 * (9 + 12 * share_of(device, 3));
    double hours = (double)(time_ms - begin_ms) / HOUR_MS + discharge_h * share_of(device, 4);
    double full = 1.0 - CHARGE_SPENT * fmod(hours, discharge_h) / discharge_h;

    struct reading reading = {round(1000 * (3.45 + 0.7 * full)) / 1000, round(100 * full)};

    sqlite3_bind_double(insert, 3, reading.a);
    sqlite3_bind_double(insert, 4, reading.b);
    sqlite3_bind_int(insert, 5, MESSAGE_BATTERY);
    return reading;
}

static struct reading bind_temperature(sqlite3_stmt *insert, int device, int64_t time_ms)
{
    double day = 2 * M_PI * (double)(time_ms % DAY_MS) / (double)DAY_MS;
    double celsius = 11 - 7.5 * cos(day - 1.0 + 0.8 * share_of(device, 5));

    struct reading reading = {.a = round(100 * celsius) / 100};

    sqlite3_bind_double(insert, 3, reading.a);
    sqlite3_bind_int(insert, 5, MESSAGE_CELSIUS);
    return reading;
}

/* --- roll-ups -------------------------------------------------------------------------------- */

static void add_up(const struct fleet *fleet, int device, int64_t time_ms, int64_t before_ms,
                   struct reading reading)
{
    int64_t number = time_ms / DAY_MS - fleet->first_day;
    struct day *day;

    if (fleet->made == NULL || number >= fleet->days) {
        return;
    }
    day = &fleet->made[number * fleet->devices + device - 1];
    if (before_ms != 0 && time_ms - before_ms > day->pause_ms) {
        day->pause_ms = time_ms - before_ms;
    }
    if (day->readings++ == 0) {
        *day = (struct day){1,         time_ms,   time_ms,   day->pause_ms, reading.a, reading.a,
                            reading.a, reading.b, reading.b, reading.b,     reading.b, reading.b};
        return;
    }
    day->last_ms = time_ms;
    day->a_min = fmin(day->a_min, reading.a);
    day->a_sum += reading.a;
    day->a_max = fmax(day->a_max, reading.a);
    day->b_min = fmin(day->b_min, reading.b);
    day->b_sum += reading.b;
    day->b_max = fmax(day->b_max, reading.b);
    day->b_last = reading.b;
}

/* Binds a value, or leaves NULL. */
static void bind_unless(sqlite3_stmt *put, int at, double value, double known)
{
    if (value == known) {
        sqlite3_bind_null(put, at);
    } else {
        sqlite3_bind_double(put, at, value);
    }
}

/* Binds lowest, sum and highest as the daemon packs them; here they always are whole `parts`. */
static void bind_packed(sqlite3_stmt *put, int at, const struct day *day, double parts)
{
    int64_t least = llround(day->a_min * parts);

    sqlite3_bind_int64(put, at, least);
    sqlite3_bind_int64(put, at + 1, llround(day->a_sum * parts) - least * day->readings);
    sqlite3_bind_int64(put, at + 2, llround(day->a_max * parts) - least);
}

static void put_day(sqlite3_stmt *put, int64_t number, int device, const struct day *day)
{
    bool is_battery = sqlite3_bind_parameter_count(put) > 9;
    int64_t usual_ms =
        day->readings > 1 ? 2 * (day->last_ms - day->first_ms) / (day->readings - 1) : 0;

    sqlite3_bind_int64(put, 1, number);
    sqlite3_bind_int(put, 2, device);
    sqlite3_bind_int64(put, 3, day->readings);
    sqlite3_bind_int64(put, 4, day->first_ms - number * DAY_MS);
    sqlite3_bind_int64(put, 5, DAY_MS - (day->last_ms - number * DAY_MS));
    bind_packed(put, 6, day, is_battery ? 1000 : 100);
    if (day->pause_ms > usual_ms) {
        sqlite3_bind_int64(put, 9, day->pause_ms);
    } else {
        sqlite3_bind_null(put, 9);
    }
    if (is_battery) {
        sqlite3_bind_double(put, 10, day->b_min);
        sqlite3_bind_double(put, 11, day->b_sum);
        sqlite3_bind_double(put, 12, day->b_max);
        bind_unless(put, 13, day->b_first, day->b_max);
        bind_unless(put, 14, day->b_last, day->b_min);
    }
    step(put);
}

/* Writes the roll-ups of a table in the order of their key, and begins with those of the next. */
static void put_days(struct fleet *fleet, const char *sql)
{
    size_t count = (size_t)fleet->days * (size_t)fleet->devices;
    sqlite3_stmt *put;

    if (fleet->made == NULL) {
        return;
    }
    put = prepare(sql);
    run("BEGIN");
    for (size_t i = 0; i < count; i++) {
        if (fleet->made[i].readings > 0) {
            put_day(put, fleet->first_day + (int64_t)(i / (size_t)fleet->devices),
                    (int)(i % (size_t)fleet->devices) + 1, &fleet->made[i]);
        }
        fleet->made[i] = (struct day){0};
    }
    run("COMMIT");
    sqlite3_finalize(put);
}

static void put_state(const struct fleet *fleet)
{
    static const char calendar[] =
        "INSERT INTO calendar WITH RECURSIVE n (day) AS (SELECT ?1 UNION ALL SELECT day + 1 FROM n"
        " WHERE day + 1 < ?1 + ?2) SELECT day, date(day * 86400, 'unixepoch'), day * 86400000,"
        " (day + 1) * 86400000, date(day * 86400, 'unixepoch') FROM n";
    static const char state[] = "UPDATE rollup_state SET from_day = ?1 + ?2, until_day = ?1 + ?2,"
                                " from_ms = (?1 + ?2) * 86400000, until_ms = (?1 + ?2) * 86400000";
    const char *const both[] = {calendar, state};

    for (int i = 0; i < 2 && fleet->made != NULL; i++) {
        sqlite3_stmt *statement = prepare(both[i]);

        sqlite3_bind_int64(statement, 1, fleet->first_day);
        sqlite3_bind_int64(statement, 2, fleet->days);
        step(statement);
        sqlite3_finalize(statement);
    }
}

/* --- readings -------------------------------------------------------------------------------- */

static void show(const struct fleet *fleet)
{
    fprintf(stderr, "\r  %" PRId64 " million readings ...", fleet->written / 1000000);
}

static void add_readings(struct fleet *fleet, sqlite3_stmt *insert, int is_battery)
{
    int64_t together = 0;

    run("BEGIN");
    for (int device = 1; device <= fleet->devices; device++) {
        int64_t before_ms = 0;

        for (int64_t n = 0; n < fleet->each; n++) {
            int64_t time_ms = time_of(fleet, device, n);
            struct reading reading;

            if (!reports(fleet, device, n)) {
                continue;
            }
            sqlite3_bind_int(insert, 1, device);
            sqlite3_bind_int64(insert, 2, time_ms);
            sqlite3_bind_int64(insert, 6, time_ms + 1000);
            reading = is_battery ? bind_battery(insert, device, time_ms, fleet->begin_ms)
                                 : bind_temperature(insert, device, time_ms);
            step(insert);
            add_up(fleet, device, time_ms, before_ms, reading);
            before_ms = time_ms;
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

/* Reads the arguments. */
static void begin(struct fleet *fleet, int argc, char **argv)
{
    double days = argc == 5 || argc == 6 ? atof(argv[4]) : 0;
    struct timespec now;

    if (days >= 2) {
        fleet->devices = atoi(argv[2]);
        fleet->each = fleet->devices > 0 ? atoll(argv[3]) / 2 / fleet->devices : 0;
    }
    if (fleet->each < 1) {
        fprintf(stderr, "usage: load_readings DATABASE DEVICES READINGS DAYS [rolled-up]\n");
        exit(EX_USAGE);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    fleet->step_ms = (int64_t)(days * (double)DAY_MS / (double)fleet->each);
    fleet->begin_ms = (int64_t)now.tv_sec * 1000 - fleet->each * fleet->step_ms;
    fleet->first_day = fleet->begin_ms / DAY_MS;
    fleet->days = (int64_t)now.tv_sec * 1000 / DAY_MS - fleet->first_day;
    if (argc == 6) {
        fleet->made = calloc((size_t)fleet->days * (size_t)fleet->devices, sizeof(struct day));
        if (fleet->made == NULL) {
            die("out of memory");
        }
    }
}

int main(int argc, char **argv)
{
    struct fleet fleet = {0};
    char sql[64];

    begin(&fleet, argc, argv);
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
    put_days(&fleet, "INSERT INTO battery_days (day, device, readings, first_after_ms,"
                     " last_before_ms, voltage_min_packed, voltage_sum_packed,"
                     " voltage_max_packed, pause_max_ms,"
                     " level_pct_min, level_pct_sum, level_pct_max, level_pct_first,"
                     " level_pct_last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                     " ?13, ?14)");
    add_readings(&fleet,
                 prepare("INSERT INTO temperature (device, time_ms, celsius, message_type,"
                         " received_ms) VALUES (?1, ?2, ?3, ?5, ?6)"),
                 0);
    put_days(&fleet, "INSERT INTO temperature_days (day, device, readings, first_after_ms,"
                     " last_before_ms, celsius_min_packed, celsius_sum_packed,"
                     " celsius_max_packed, pause_max_ms)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    put_state(&fleet);
    free(fleet.made);
    if (sqlite3_close(db) != SQLITE_OK) {
        die("close");
    }
    printf("%" PRId64 "\n", fleet.written);
    return EX_OK;
}
