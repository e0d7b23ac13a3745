/* A store in a directory of its own, a second connection to look at it, and messages to put in. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite/sqlite_internal.h"

#define NOW_MS INT64_C(1700000000000)

struct fixture {
    char directory[64];
    char path[192];
    char problem[512];
    struct store *store;
};

static inline int fixture_open(struct fixture *fixture)
{
    const struct store_options options = {
        .path = fixture->path, .durability = STORE_FULL, .busy_timeout_ms = 20};

    return store_open(&options, &fixture->store, fixture->problem, sizeof(fixture->problem));
}

static inline void fixture_close(struct fixture *fixture)
{
    assert_int_equal(store_close(fixture->store), STORE_OK);
    fixture->store = NULL;
}

static inline int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL)
        return -1;
    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/foxtrackr-store.XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    snprintf(fixture->path, sizeof(fixture->path), "%s/fox.db", fixture->directory);
    *state = fixture;
    return 0;
}

static inline int fixture_make_open(void **state)
{
    struct fixture *fixture;

    if (fixture_make(state) != 0)
        return -1;
    fixture = *state;
    return fixture_open(fixture) == STORE_OK && store_run_begin(fixture->store, "t", NOW_MS) == 0
               ? 0
               : -1;
}

static inline int fixture_remove_one(const char *path, const struct stat *status, int type,
                                     struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static inline int fixture_remove(void **state)
{
    struct fixture *fixture = *state;
    int result;

    store_close(fixture->store);
    result = nftw(fixture->directory, fixture_remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return result;
}

/* The bytes of a database that was opened once and closed. They live until the process ends. */
static inline const void *fixture_template(size_t *length)
{
    static char bytes[4 * 1024 * 1024];
    static size_t got;

    if (got == 0) {
        void *made = NULL;
        FILE *file;

        assert_int_equal(fixture_make(&made), 0);
        assert_int_equal(fixture_open(made), STORE_OK);
        fixture_close(made);
        file = fopen(((struct fixture *)made)->path, "rb");
        assert_non_null(file);
        got = fread(bytes, 1, sizeof(bytes), file);
        assert_in_range(got, 1, sizeof(bytes) - 1);
        fclose(file);
        assert_int_equal(fixture_remove(&made), 0);
    }
    *length = got;
    return bytes;
}

/* As fixture_make_open(), with a copy of a database that has the schema: making one takes most of
 * the time of a short test. For tests that tell a story many times. */
static inline int fixture_make_copy(void **state)
{
    size_t length;
    const void *bytes = fixture_template(&length);
    struct fixture *fixture;
    FILE *file;

    if (fixture_make(state) != 0)
        return -1;
    fixture = *state;
    file = fopen(fixture->path, "wb");
    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0 ||
        chmod(fixture->path, 0640) != 0)
        return -1;
    return fixture_open(fixture) == STORE_OK && store_run_begin(fixture->store, "t", NOW_MS) == 0
               ? 0
               : -1;
}

/* Runs a query through another connection: the first column of the first row, "" for NULL or no
 * row. */
static inline const char *look(const struct fixture *fixture, const char *sql)
{
    static char text[16384];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    text[0] = '\0';
    assert_int_equal(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL)
        snprintf(text, sizeof(text), "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

#define assert_look(fixture, sql, expected) assert_string_equal(look(fixture, sql), expected)

static inline struct foxtrackr_message battery(const char *device_id, int64_t time_ms, double volts)
{
    return (struct foxtrackr_message){
        .family = "foxtrackr",
        .device_id = device_id,
        .type = "bat",
        .version = "V3.0",
        .time_ms = time_ms,
        .message_type = 5,
        .has_battery = true,
        .voltage_v = volts,
        .level_pct = NAN,
        .celsius = NAN,
    };
}

static inline struct store_packet packet(const char *payload)
{
    return (struct store_packet){.topic = "foxtrackr/1/V3.0/bat",
                                 .topic_length = 20,
                                 .payload = payload,
                                 .payload_length = strlen(payload),
                                 .received_ms = NOW_MS};
}

/* Put one message into the open batch and tell what became of it. */
static inline enum store_outcome
put_received(struct fixture *fixture, const struct foxtrackr_message *message, int64_t received_ms)
{
    struct store_packet whole = packet("{\"as\":\"it came\"}");
    enum store_outcome outcome = STORE_QUARANTINED;

    whole.received_ms = received_ms;
    if (store_message(fixture->store, message, &whole, &outcome) != STORE_OK)
        fail_msg("%s", store_error(fixture->store));
    return outcome;
}

static inline enum store_outcome put(struct fixture *fixture,
                                     const struct foxtrackr_message *message)
{
    return put_received(fixture, message, NOW_MS);
}

static inline void begin(struct fixture *fixture)
{
    if (store_begin(fixture->store) != STORE_OK)
        fail_msg("%s", store_error(fixture->store));
}

static inline void commit(struct fixture *fixture)
{
    if (store_commit(fixture->store) != STORE_OK)
        fail_msg("%s", store_error(fixture->store));
}

static inline void assert_counts(const struct fixture *fixture, uint64_t stored, uint64_t duplicate,
                                 uint64_t quarantined)
{
    struct store_counts counts;

    store_counts(fixture->store, &counts);
    assert_int_equal(counts.stored, stored);
    assert_int_equal(counts.duplicate, duplicate);
    assert_int_equal(counts.quarantined, quarantined);
    assert_int_equal(counts.received, stored + duplicate + quarantined);
}

#endif
