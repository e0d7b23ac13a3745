/*
 * A database in a private server of PostgreSQL for each test. The program runs itself anew below
 * tests/postgres.py, which makes the server and tells where it is.
 */
#ifndef PG_FIXTURE_H
#define PG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/postgresql/postgresql_internal.h"

#define PG_NOW_MS INT64_C(1790000000000)

struct pg_fixture {
    char database[32];
    char uri[256];
    PGconn *super; /* of role postgres, to this database */
    struct store *store;
    const struct zone *zone; /* to open with; NULL: the database's */
    struct foxtrackr_fields *fields;
    int understood, quarantined;
    char problem[1024];
    char last_detail[FOXTRACKR_DETAIL_SIZE];
};

static inline void pg_uri(const char *role, const char *database, char *uri, size_t size)
{
    snprintf(uri, size, "postgresql:///%s?host=%s&port=%s&user=%s", database,
             getenv("FOXTRACKR_PG"), getenv("FOXTRACKR_PG_PORT"), role);
}

/* Runs SQL as role postgres: the first column of the first row, "" for NULL or no row. */
static inline const char *pg_look(PGconn *db, const char *sql)
{
    static char text[65536];
    PGresult *found = PQexec(db, sql);

    text[0] = '\0';
    if (PQresultStatus(found) != PGRES_TUPLES_OK && PQresultStatus(found) != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(db));
    }
    if (PQntuples(found) > 0) {
        snprintf(text, sizeof(text), "%s", PQgetvalue(found, 0, 0));
    }
    PQclear(found);
    return text;
}

#define assert_pg(fixture, sql, expected)                                                          \
    assert_string_equal(pg_look((fixture)->super, sql), expected)

static inline int pg_parse(void *context, const struct store_packet *packet,
                           struct foxtrackr_message *message, struct foxtrackr_problem *problem)
{
    struct pg_fixture *fixture = context;

    return foxtrackr_message_parse(fixture->fields, PG_NOW_MS, 86400000, packet->topic,
                                   packet->topic_length, packet->payload, packet->payload_length,
                                   message, problem);
}

static inline void pg_understood(void *context, int64_t time_ms)
{
    struct pg_fixture *fixture = context;

    (void)time_ms;
    fixture->understood++;
}

static inline void pg_quarantined(void *context, const struct store_packet *packet,
                                  const struct foxtrackr_problem *problem)
{
    struct pg_fixture *fixture = context;

    (void)packet;
    fixture->quarantined++;
    snprintf(fixture->last_detail, sizeof(fixture->last_detail), "%s", problem->detail);
}

static inline int pg_open_as(struct pg_fixture *fixture, const char *client_id, bool standby,
                             struct store **out)
{
    const char *const ids[] = {client_id};
    const struct store_options options = {
        .engine = CONFIG_POSTGRESQL,
        .path = fixture->database,
        .uri = fixture->uri,
        .broker = "broker:8883",
        .durability = STORE_FULL,
        .busy_timeout_ms = 5000,
        .answer_timeout_ms = 20000,
        .standby = standby,
        .zone = fixture->zone,
        .client_ids = ids,
        .client_count = 1,
    };
    const struct store_handler handler = {.parse = pg_parse,
                                          .understood = pg_understood,
                                          .quarantined = pg_quarantined,
                                          .context = fixture};
    int result = store_postgresql.open(&options, out, fixture->problem, sizeof(fixture->problem));

    if (result == STORE_OK) {
        store_attach(*out, &handler);
    }
    return result;
}

static inline int pg_make(void **state)
{
    static int number;
    struct pg_fixture *fixture = calloc(1, sizeof(*fixture));
    char sql[128];
    char uri[256];
    PGconn *super;

    if (fixture == NULL) {
        return -1;
    }
    snprintf(fixture->database, sizeof(fixture->database), "unit_%ld_%d", (long)getpid(), ++number);
    pg_uri("postgres", "postgres", uri, sizeof(uri));
    super = PQconnectdb(uri);
    snprintf(sql, sizeof(sql), "CREATE DATABASE %s OWNER foxtrackrd TEMPLATE template0",
             fixture->database);
    pg_look(super, sql);
    PQfinish(super);
    pg_uri("postgres", fixture->database, uri, sizeof(uri));
    fixture->super = PQconnectdb(uri);
    pg_uri("foxtrackrd", fixture->database, fixture->uri, sizeof(fixture->uri));
    if (foxtrackr_fields_new(&fixture->fields) != 0) {
        return -1;
    }
    *state = fixture;
    return PQstatus(fixture->super) == CONNECTION_OK ? 0 : -1;
}

static inline int pg_make_open(void **state)
{
    struct pg_fixture *fixture;

    if (pg_make(state) != 0) {
        return -1;
    }
    fixture = *state;
    if (pg_open_as(fixture, "id-a-01", false, &fixture->store) != STORE_OK ||
        store_run_begin(fixture->store, "t", PG_NOW_MS) != STORE_OK) {
        print_error("%s\n",
                    fixture->store != NULL ? store_error(fixture->store) : fixture->problem);
        return -1;
    }
    return 0;
}

static inline int pg_remove(void **state)
{
    struct pg_fixture *fixture = *state;

    if (fixture->store != NULL) {
        store_close(fixture->store);
    }
    /* Settings of the server that a test has not taken back because it failed. */
    if (PQstatus(fixture->super) == CONNECTION_OK) {
        PQclear(PQexec(fixture->super, "ALTER SYSTEM RESET ALL"));
        PQclear(PQexec(fixture->super, "SELECT pg_reload_conf()"));
    }
    PQfinish(fixture->super);
    foxtrackr_fields_free(fixture->fields);
    free(fixture);
    return 0;
}

/* Runs the program below tests/postgres.py, unless it is there. */
static inline void pg_need_server(char **argv)
{
    if (getenv("FOXTRACKR_PG") == NULL) {
        execl("/usr/bin/python3", "python3", "-B", "tests/postgres.py", argv[0], (char *)NULL);
        perror("tests/postgres.py");
        exit(1);
    }
}

#endif
