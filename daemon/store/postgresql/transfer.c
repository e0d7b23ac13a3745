/*
 * The target of `foxtrackrctl migrate`. A batch is one transaction: the months that its rows need,
 * a COPY in text, and the note how far the table is. So a kill leaves a batch whole or not at all,
 * and the next run goes on behind the noted key.
 *
 * The notes are in foxtrackr_transfer, which stays: it says that this database was moved here, and
 * from what. While it has no moment of the end, daemons refuse the database (pg_transfer_check()):
 * what they would add could not be told from what was moved.
 */
#include "store/transfer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/json_internal.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define DOING    "move rows"
#define WAIT_MS  (3600 * 1000) /* an index of a large table, ANALYZE */
#define COLUMNS  16
#define NO_INDEX (-1)

/* An open batch. */
struct pg_transfer {
    FILE *out; /* rows in COPY's text format, into `text` */
    char *text;
    size_t length;
    const char *table;
    char columns[512];
    int count;
    int topic; /* index of quarantine.topic, a text or bytes, of which PostgreSQL makes two columns
                */
    int time;  /* of time_ms, in a table of months */
    int document; /* of the column that is json */
};

/* --- SQL ------------------------------------------------------------------------------------- */

/* Runs a statement with parameters in text. */
static int ask(struct store *store, const char *sql, int count, const char *const *values,
               PGresult **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (store->db == NULL ||
        PQsendQueryParams(store->db, sql, count, NULL, values, NULL, NULL, 0) != 1) {
        return pg_fail(store, NULL, DOING);
    }
    return pg_results(store, DOING, out);
}

/* Ends the transaction, keeping the sentence of what went wrong. */
static int give_up(struct store *store, int result)
{
    char error[PG_ERROR_SIZE];

    if (result != STORE_OK && store->db != NULL && store->in_transaction) {
        snprintf(error, sizeof(error), "%s", store->error);
        pg_simple(store, "ROLLBACK", "roll back", NULL);
        snprintf(store->error, sizeof(store->error), "%s", error);
    }
    store->in_transaction = false;
    return result;
}

/* Commits. What a failure leaves behind is learned from the note by the next run. */
static int commit(struct store *store)
{
    PGresult *answer = NULL;
    int result = pg_simple(store, "COMMIT", "commit rows", &answer);

    if (result == STORE_OK && strcmp(PQcmdStatus(answer), "COMMIT") != 0) {
        result = pg_refuse(store, STORE_E_RETRY, "%s: the transaction had failed", store->shown);
    }
    PQclear(answer);
    store->in_transaction = false;
    return result;
}

/* --- begin ----------------------------------------------------------------------------------- */

/* Reads the row of the notes about the whole. *origin is for free(); NULL: nothing was moved. */
static int read_origin(struct store *store, char **origin, int64_t *finished_ms)
{
    /* A reader's role may read the daemon's tables alone: such a tool knows nothing of a move. */
    const char *there = store->read_only ? "SELECT coalesce(has_table_privilege(to_regclass("
                                           "'foxtrackr_transfer'), 'SELECT'), false)"
                                         : "SELECT to_regclass('foxtrackr_transfer') IS NOT NULL";
    PGresult *found = NULL;
    int result = pg_simple(store, there, DOING, &found);
    bool made = result == STORE_OK && PQgetvalue(found, 0, 0)[0] == 't';

    *origin = NULL;
    *finished_ms = 0;
    PQclear(found);
    if (result != STORE_OK || !made) {
        return result;
    }
    result = pg_simple(store, "SELECT note, number FROM foxtrackr_transfer WHERE item = 'origin'",
                       DOING, &found);
    if (result == STORE_OK && PQntuples(found) == 1) {
        *origin = strdup(PQgetvalue(found, 0, 0));
        *finished_ms = strtoll(PQgetvalue(found, 0, 1), NULL, 10);
        if (*origin == NULL) {
            result = pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
        }
    }
    PQclear(found);
    return result;
}

int pg_transfer_check(struct store *store)
{
    char *origin = NULL;
    int64_t finished_ms = 0;
    int result = read_origin(store, &origin, &finished_ms);

    if (result == STORE_OK && origin != NULL && finished_ms == 0) {
        result = pg_refuse(store, STORE_E_PATH,
                           "%s: a database is being moved there, or that was interrupted: run "
                           "foxtrackrctl migrate again, which completes it",
                           store->shown);
    }
    free(origin);
    return result;
}

/* The first of our tables that has a row; *table "": none. */
static int find_rows(struct store *store, char table[PG_NAME_SIZE])
{
    PGresult *found = NULL;
    int result =
        pg_simple(store,
                  "SELECT name FROM (SELECT 'devices' AS name WHERE EXISTS (SELECT FROM devices)"
                  " UNION ALL SELECT 'quarantine' WHERE EXISTS (SELECT FROM quarantine)"
                  " UNION ALL SELECT 'runs' WHERE EXISTS (SELECT FROM runs)"
                  " UNION ALL SELECT 'sessions' WHERE EXISTS (SELECT FROM sessions)"
                  " UNION ALL SELECT 'gaps' WHERE EXISTS (SELECT FROM gaps)"
                  " UNION ALL SELECT 'limits' WHERE EXISTS (SELECT FROM limits)) AS t LIMIT 1",
                  DOING, &found);

    table[0] = '\0';
    if (result == STORE_OK && PQntuples(found) > 0) {
        snprintf(table, PG_NAME_SIZE, "%s", PQgetvalue(found, 0, 0));
    }
    PQclear(found);
    return result;
}

static int note_origin(struct store *store, const char *origin)
{
    const char *const values[] = {origin};
    int result = batch_transaction(store);

    if (result == STORE_OK) {
        result = pg_simple(store,
                           "CREATE TABLE foxtrackr_transfer (item text COLLATE \"C\" PRIMARY KEY,"
                           " note text, number bigint NOT NULL);"
                           "COMMENT ON TABLE foxtrackr_transfer IS 'What foxtrackrctl migrate has"
                           " moved here: the last key and the rows of each table'",
                           DOING, NULL);
    }
    if (result == STORE_OK) {
        result =
            ask(store, "INSERT INTO foxtrackr_transfer VALUES ('origin', $1, 0)", 1, values, NULL);
    }
    return result == STORE_OK ? commit(store) : give_up(store, result);
}

int postgresql_transfer_begin(struct store *store, const char *origin, int64_t *finished_ms)
{
    char table[PG_NAME_SIZE];
    char *noted = NULL;
    int result = pg_ready(store);

    store->wait_ms = WAIT_MS;
    if (result == STORE_OK) {
        result = read_origin(store, &noted, finished_ms);
    }
    if (result != STORE_OK || noted != NULL) {
        if (result == STORE_OK && strcmp(noted, origin) != 0) {
            result = pg_refuse(store, STORE_E_PATH,
                               "%s: %s another database, or the file has changed since: take an "
                               "empty database, and begin anew",
                               store->shown,
                               *finished_ms != 0 ? "was filled from" : "is being filled from");
        }
        free(noted);
        return result;
    }
    result = find_rows(store, table);
    if (result == STORE_OK && table[0] != '\0') {
        return pg_refuse(store, STORE_E_PATH,
                         "%s: its table %s has rows already: take an empty database", store->shown,
                         table);
    }
    return result == STORE_OK ? note_origin(store, origin) : result;
}

int postgresql_transfer_position(struct store *store, const char *table, struct store_position *out)
{
    const char *const values[] = {table};
    PGresult *found = NULL;
    int result = ask(store, "SELECT note, number FROM foxtrackr_transfer WHERE item = $1", 1,
                     values, &found);

    *out = (struct store_position){0};
    if (result == STORE_OK && PQntuples(found) == 1) {
        out->rows = strtoll(PQgetvalue(found, 0, 1), NULL, 10);
        out->key = PQgetisnull(found, 0, 0) ? NULL : strdup(PQgetvalue(found, 0, 0));
        if (out->key == NULL && !PQgetisnull(found, 0, 0)) {
            result = pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
        }
    }
    PQclear(found);
    return result;
}

/* --- a batch --------------------------------------------------------------------------------- */

static void discard(struct store *store)
{
    struct pg_transfer *batch = store->transfer;

    if (batch != NULL) {
        if (batch->out != NULL) {
            fclose(batch->out);
        }
        free(batch->text);
        free(batch);
        store->transfer = NULL;
    }
}

void pg_transfer_free(struct store *store)
{
    discard(store);
}

static int no_memory(struct store *store)
{
    discard(store);
    return give_up(store, pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown));
}

static bool has_months(const char *table)
{
    return strcmp(table, "battery") == 0 || strcmp(table, "temperature") == 0 ||
           strcmp(table, "messages") == 0;
}

/* Looks up the columns that are not simply copied. */
static void look_at_columns(struct pg_transfer *batch, const char *const *columns)
{
    size_t length = 0;

    batch->topic = batch->time = batch->document = NO_INDEX;
    for (int i = 0; columns[i] != NULL; i++) {
        bool topic = strcmp(batch->table, "quarantine") == 0 && strcmp(columns[i], "topic") == 0;

        length +=
            (size_t)snprintf(batch->columns + length, sizeof(batch->columns) - length, "%s%s%s",
                             i > 0 ? ", " : "", columns[i], topic ? ", topic_bytes" : "");
        batch->topic = topic ? i : batch->topic;
        if (has_months(batch->table) && strcmp(columns[i], "time_ms") == 0) {
            batch->time = i;
        }
        if (strcmp(columns[i], "extra") == 0 || strcmp(columns[i], "body") == 0) {
            batch->document = i;
        }
        batch->count = i + 1;
    }
}

int postgresql_transfer_batch(struct store *store, const char *table, const char *const *columns)
{
    struct pg_transfer *batch = calloc(1, sizeof(*batch));

    if (batch == NULL) {
        return no_memory(store);
    }
    discard(store);
    store->transfer = batch;
    batch->table = table;
    look_at_columns(batch, columns);
    batch->out = open_memstream(&batch->text, &batch->length);
    return batch->out != NULL ? batch_transaction(store) : no_memory(store);
}

/* Writes text with the escapes of COPY's text format. */
static void put_text(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        switch (text[i]) {
        case '\\':
            fputs("\\\\", out);
            break;
        case '\t':
            fputs("\\t", out);
            break;
        case '\n':
            fputs("\\n", out);
            break;
        case '\r':
            fputs("\\r", out);
            break;
        default:
            fputc(text[i], out);
        }
    }
}

static void put_blob(FILE *out, const char *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    fputs("\\\\x", out);
    for (size_t i = 0; i < length; i++) {
        fputc(digits[(unsigned char)bytes[i] >> 4], out);
        fputc(digits[(unsigned char)bytes[i] & 15], out);
    }
}

static void put_cell(FILE *out, const struct store_cell *cell)
{
    switch (cell->kind) {
    case STORE_INTEGER:
        fprintf(out, "%" PRId64, cell->integer);
        break;
    case STORE_REAL:
        if (isinf(cell->real)) {
            fputs(cell->real > 0 ? "Infinity" : "-Infinity", out);
        } else {
            fprintf(out, "%.17g", cell->real);
        }
        break;
    case STORE_TEXT:
        put_text(out, cell->bytes, cell->length);
        break;
    case STORE_BLOB:
        put_blob(out, cell->bytes, cell->length);
        break;
    case STORE_NULL:
        fputs("\\N", out);
    }
}

/* The topic of quarantine is a text, or bytes that are none. */
static void put_topic(FILE *out, const struct store_cell *cell)
{
    const struct store_cell none = {.kind = STORE_NULL};

    put_cell(out, cell->kind == STORE_BLOB ? &none : cell);
    fputc('\t', out);
    put_cell(out, cell->kind == STORE_BLOB ? cell : &none);
}

/* Refuses what the server would refuse, with a sentence that names the row. */
static int check_cell(struct store *store, const struct store_cell *cells, int at)
{
    const struct pg_transfer *batch = store->transfer;
    const char *why = NULL;

    if (cells[at].kind != STORE_TEXT) {
        return STORE_OK;
    }
    if (memchr(cells[at].bytes, '\0', cells[at].length) != NULL) {
        why = "a text has a NUL";
    } else if (at != batch->document || json_allowed(cells[at].bytes, cells[at].length, &why)) {
        return STORE_OK;
    }
    return pg_refuse(store, STORE_E_PATH,
                     "%s: cannot hold a row of %s (device %" PRId64 "%s%" PRId64 "): %s; "
                     "delete it from the file once you have it elsewhere",
                     store->shown, batch->table,
                     cells[0].kind == STORE_INTEGER ? cells[0].integer : 0,
                     batch->time >= 0 ? ", time_ms " : ", column ",
                     batch->time >= 0 ? cells[batch->time].integer : at, why);
}

int postgresql_transfer_row(struct store *store, const struct store_cell *cells)
{
    struct pg_transfer *batch = store->transfer;
    int result = STORE_OK;

    if (batch->time >= 0) {
        result = months_need(store, batch->table, cells[batch->time].integer);
    }
    for (int i = 0; i < batch->count && result == STORE_OK; i++) {
        result = check_cell(store, cells, i);
        if (i > 0) {
            fputc('\t', batch->out);
        }
        if (i == batch->topic) {
            put_topic(batch->out, &cells[i]);
        } else {
            put_cell(batch->out, &cells[i]);
        }
    }
    fputc('\n', batch->out);
    if (result != STORE_OK) {
        discard(store);
        months_clear(store->months);
        return give_up(store, result);
    }
    return STORE_OK;
}

static int copy(struct store *store)
{
    struct pg_transfer *batch = store->transfer;
    PGresult *answer = NULL;
    char sql[640];
    int result = STORE_OK;

    snprintf(sql, sizeof(sql), "COPY %s (%s) FROM STDIN", batch->table, batch->columns);
    if (store->db == NULL || PQsendQuery(store->db, sql) != 1) {
        return pg_fail(store, NULL, DOING);
    }
    result = pg_result(store, DOING, &answer);
    if (result == STORE_OK && PQresultStatus(answer) != PGRES_COPY_IN) {
        result = pg_fail(store, answer, DOING);
    }
    PQclear(answer);
    if (result == STORE_OK) {
        result = pg_put_copy(store, batch->text, batch->length, DOING);
    }
    if (result == STORE_OK && PQputCopyEnd(store->db, NULL) != 1) {
        result = pg_fail(store, NULL, DOING);
    }
    return result == STORE_OK ? pg_results(store, DOING, NULL) : result;
}

int postgresql_transfer_end(struct store *store, const struct store_position *position)
{
    struct pg_transfer *batch = store->transfer;
    char rows[24];
    const char *const values[] = {batch->table, position->key, rows};
    int result;

    snprintf(rows, sizeof(rows), "%" PRId64, position->rows);
    if (fclose(batch->out) != 0) {
        batch->out = NULL;
        return no_memory(store);
    }
    batch->out = NULL;
    result = copy(store);
    if (result == STORE_OK) {
        result = ask(store,
                     "INSERT INTO foxtrackr_transfer VALUES ($1, $2, $3) ON CONFLICT (item)"
                     " DO UPDATE SET note = excluded.note, number = excluded.number",
                     3, values, NULL);
    }
    result = result == STORE_OK ? commit(store) : give_up(store, result);
    if (result != STORE_OK) {
        months_clear(store->months);
    }
    discard(store);
    return result;
}

/* --- the end --------------------------------------------------------------------------------- */

int postgresql_transfer_finish(struct store *store, int64_t now_ms)
{
    char now[24];
    const char *const values[] = {now};
    int result = batch_transaction(store);

    snprintf(now, sizeof(now), "%" PRId64, now_ms);
    if (result == STORE_OK) {
        result = pg_simple(
            store,
            "SELECT setval(pg_get_serial_sequence('devices', 'device'), max(device)) FROM devices;"
            "SELECT setval(pg_get_serial_sequence('runs', 'run'), max(run)) FROM runs;"
            "SELECT setval(pg_get_serial_sequence('limits', 'limit_id'), max(limit_id)) FROM "
            "limits",
            DOING, NULL);
    }
    if (result == STORE_OK) {
        result = ask(store, "UPDATE foxtrackr_transfer SET number = $1 WHERE item = 'origin'", 1,
                     values, NULL);
    }
    if (result != STORE_OK) {
        return give_up(store, result);
    }
    result = commit(store);
    /* The planner knows nothing of the rows yet; autovacuum would tell it later. */
    return result == STORE_OK ? pg_simple(store, "ANALYZE", "gather statistics", NULL) : result;
}
