/*
 * Queries of tools: one cursor each, in a transaction that reads one state of the database, from
 * which rows are fetched a page at a time. Values are parameters; they travel as text, and the
 * server gives them the type of the column that they are compared with.
 *
 * The transaction begins with the first row of a query, and ends when no query is in the middle of
 * its rows, unless store_read_begin() holds it: the server cannot tidy up behind the daemon while a
 * transaction is open. The cursor of a spooled query outlives its transaction (WITH HOLD): the
 * server has then read all rows into a temporary file of its own.
 *
 * Must never happen: a tool that writes. Its connection is read-only.
 */
#include "store/postgresql/answers_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/operations_internal.h"

/* A page has about PAGE_BYTES, and not more than PAGE_ROWS rows; the first one few, because a row
 * may be large. */
#define PAGE_BYTES 1000000
#define PAGE_ROWS  2000
#define FIRST_ROWS 50

#define BEGIN "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

/* OIDs of pg_type.dat, which never change. */
enum { BOOL = 16, BYTEA = 17, INT8 = 20, INT2 = 21, INT4 = 23, OID = 26, FLOAT4 = 700 };
enum { FLOAT8 = 701, TIMESTAMPTZ = 1184, NUMERIC = 1700 };

struct store_query {
    struct store_query_handle handle;
    struct store *store;
    char *sql;
    char doing[ANSWERS_DOING_SIZE];
    int number;     /* of the cursor "q<number>" */
    bool open;      /* the cursor is, in a transaction */
    bool held;      /* the cursor is, without one */
    bool ended;     /* all rows were read */
    int page_rows;  /* to fetch next */
    PGresult *page; /* rows that were fetched; NULL: none */
    int row;        /* the next one of them */
    int count;
    PGresult *description; /* columns and types */
    char *values[ANSWERS_VALUES_MAX];
    int value_count;
    struct store_cell *cells;
    unsigned char **blobs; /* of the present row, for PQfreemem() */
};

/* An error in the SQL of a view is STORE_E_PATH: views may be an analyst's. */
static int failed(struct store *store, const PGresult *result, const char *doing)
{
    int code = pg_fail(store, result, doing);

    if (code == STORE_FATAL) {
        store->fatal = false;
        return STORE_E_PATH;
    }
    return code;
}

static int run(struct store *store, const char *sql, const char *doing)
{
    PGresult *answer = NULL;
    int result = pg_simple(store, sql, doing, &answer);

    PQclear(answer);
    return result == STORE_FATAL ? failed(store, NULL, doing) : result;
}

static int begin(struct store *store)
{
    int result = STORE_OK;

    if (store->link == PG_CLOSED) {
        result = pg_connect(store);
    }
    if (result == STORE_OK && !store->in_transaction) {
        result = run(store, BEGIN, "begin to read");
        store->in_transaction = result == STORE_OK;
    }
    return result;
}

/* Ends the transaction when no cursor needs it. */
static void end_if_unused(struct store *store)
{
    if (store->open_queries == 0 && !store->holds_read && store->in_transaction) {
        run(store, "COMMIT", "end reading");
        store->in_transaction = false;
    }
}

/* --- values -------------------------------------------------------------------------------- */

static char *hex_of(const struct store_cell *value)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * value->length + 3);

    if (text == NULL) {
        return NULL;
    }
    memcpy(text, "\\x", 2);
    for (size_t i = 0; i < value->length; i++) {
        text[2 + 2 * i] = digits[(unsigned char)value->bytes[i] >> 4];
        text[3 + 2 * i] = digits[(unsigned char)value->bytes[i] & 15];
    }
    text[2 + 2 * value->length] = '\0';
    return text;
}

static char *text_of(const struct store_cell *value)
{
    char number[40];

    switch (value->kind) {
    case STORE_INTEGER:
        snprintf(number, sizeof(number), "%lld", (long long)value->integer);
        return strdup(number);
    case STORE_REAL:
        snprintf(number, sizeof(number), "%.17g", value->real);
        return strdup(number);
    case STORE_TEXT:
        return strndup(value->bytes, value->length);
    case STORE_BLOB:
        return hex_of(value);
    case STORE_NULL:
        break;
    }
    return NULL;
}

static int keep_values(struct store_query *query, const struct store_cell *values, int count)
{
    for (int i = 0; i < count && i < ANSWERS_VALUES_MAX; i++) {
        free(query->values[i]);
        query->values[i] = text_of(&values[i]);
        if (query->values[i] == NULL && values[i].kind != STORE_NULL) {
            return pg_refuse(query->store, STORE_E_RETRY, "%s: cannot %s: out of memory",
                             query->store->shown, query->doing);
        }
    }
    query->value_count = count > query->value_count ? count : query->value_count;
    return STORE_OK;
}

static bool is_integer(Oid type)
{
    return type == INT2 || type == INT4 || type == INT8 || type == OID || type == BOOL;
}

static bool is_real(Oid type)
{
    return type == FLOAT4 || type == FLOAT8 || type == NUMERIC;
}

static void read_cell(struct store_query *query, int column)
{
    Oid type = PQftype(query->page, column);
    const char *text = PQgetvalue(query->page, query->row, column);
    size_t length = (size_t)PQgetlength(query->page, query->row, column);
    struct store_cell *cell = &query->cells[column];

    PQfreemem(query->blobs[column]);
    query->blobs[column] = NULL;
    *cell = (struct store_cell){.kind = STORE_NULL};
    if (PQgetisnull(query->page, query->row, column)) {
        return;
    }
    if (is_integer(type)) {
        cell->kind = STORE_INTEGER;
        cell->integer = type == BOOL ? text[0] == 't' : strtoll(text, NULL, 10);
    } else if (is_real(type)) {
        cell->kind = STORE_REAL;
        cell->real = strtod(text, NULL);
    } else if (type == BYTEA) {
        query->blobs[column] = PQunescapeBytea((const unsigned char *)text, &length);
        *cell = (struct store_cell){
            .kind = STORE_BLOB, .bytes = (const char *)query->blobs[column], .length = length};
    } else {
        /* A moment as SQLite's views have it: UTC, without zone and parts of a second. */
        *cell = (struct store_cell){.kind = STORE_TEXT, .bytes = text, .length = length};
        if (type == TIMESTAMPTZ && length > 19) {
            PQgetvalue(query->page, query->row, column)[19] = '\0';
            cell->length = 19;
        }
    }
}

/* --- queries ------------------------------------------------------------------------------- */

/* An error in the SQL is STORE_E_PATH: views may be an analyst's. The transaction is of no more
 * use then. */
static int give_up(struct store_query *query, int result)
{
    struct store *store = query->store;
    char error[PG_ERROR_SIZE];

    if (result == STORE_FATAL) {
        store->fatal = false;
        result = STORE_E_PATH;
    }
    if (store->db != NULL && PQtransactionStatus(store->db) == PQTRANS_INERROR) {
        snprintf(error, sizeof(error), "%s", store->error);
        run(store, "ROLLBACK", "end reading");
        store->in_transaction = false;
        store->open_queries = 0;
        snprintf(store->error, sizeof(store->error), "%s", error);
    }
    query->open = false;
    return result;
}

static int declare(struct store_query *query, bool hold)
{
    struct store *store = query->store;
    char *sql = NULL;
    int result = begin(store);

    if (result != STORE_OK) {
        return result;
    }
    if (asprintf(&sql, "DECLARE q%d NO SCROLL CURSOR %s FOR %s", query->number,
                 hold ? "WITH HOLD" : "WITHOUT HOLD", query->sql) < 0) {
        return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    if (PQsendQueryParams(store->db, sql, query->value_count, NULL,
                          (const char *const *)query->values, NULL, NULL, 0) != 1) {
        result = pg_fail(store, NULL, query->doing);
    } else {
        result = pg_results(store, query->doing, NULL);
    }
    free(sql);
    query->page_rows = FIRST_ROWS;
    if (result != STORE_OK) {
        return give_up(query, result);
    }
    query->open = true;
    store->open_queries++;
    return STORE_OK;
}

/* Chooses the size of the next page by that of this one. */
static void choose_page(struct store_query *query)
{
    int rows = PQntuples(query->page);
    int64_t bytes = 1;

    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < query->count; column++) {
            bytes += PQgetlength(query->page, row, column);
        }
    }
    bytes = rows * (int64_t)PAGE_BYTES / bytes;
    query->page_rows = bytes < 1 ? 1 : bytes > PAGE_ROWS ? PAGE_ROWS : (int)bytes;
}

static int fetch(struct store_query *query)
{
    char sql[64];
    int result;

    PQclear(query->page);
    query->page = NULL;
    query->row = 0;
    snprintf(sql, sizeof(sql), "FETCH %d FROM q%d", query->page_rows, query->number);
    result = pg_simple(query->store, sql, query->doing, &query->page);
    if (result != STORE_OK) {
        return give_up(query, result);
    }
    choose_page(query);
    return STORE_OK;
}

static int close_cursor(struct store_query *query)
{
    struct store *store = query->store;
    char sql[64];
    int result = STORE_OK;

    PQclear(query->page);
    query->page = NULL;
    if ((query->open || query->held) && store->db != NULL) {
        snprintf(sql, sizeof(sql), "CLOSE q%d", query->number);
        result = run(store, sql, "end a query");
    }
    if (query->open && store->open_queries > 0) {
        store->open_queries--;
    }
    query->open = query->held = false;
    end_if_unused(store);
    return result;
}

/* Asks for the columns, and whether the statement is right, without running it. */
static int describe(struct store_query *query)
{
    struct store *store = query->store;
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = PQsendPrepare(store->db, "", query->sql, 0, NULL) == 1
                     ? pg_results(store, query->doing, NULL)
                     : pg_fail(store, NULL, query->doing);
    }
    if (result == STORE_OK) {
        result = PQsendDescribePrepared(store->db, "") == 1
                     ? pg_results(store, query->doing, &query->description)
                     : pg_fail(store, NULL, query->doing);
    }
    if (result != STORE_OK) {
        return give_up(query, result);
    }
    query->count = PQnfields(query->description);
    query->cells = calloc((size_t)query->count + 1, sizeof(*query->cells));
    query->blobs = calloc((size_t)query->count + 1, sizeof(*query->blobs));
    return query->cells != NULL && query->blobs != NULL
               ? STORE_OK
               : pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
}

int pg_answers_open(struct store *store, const char *sql, const char *doing,
                    const struct store_cell *values, int count, struct store_query **out)
{
    struct store_query *query = calloc(1, sizeof(*query));
    int result;

    if (query == NULL || (query->sql = strdup(sql)) == NULL) {
        free(query);
        return pg_refuse(store, STORE_E_RETRY, "%s: cannot %s: out of memory", store->shown, doing);
    }
    query->handle.answers = store_postgresql.answers;
    query->store = store;
    query->number = ++store->last_query;
    snprintf(query->doing, sizeof(query->doing), "%s", doing);
    result = keep_values(query, values, count);
    if (result == STORE_OK) {
        result = describe(query);
    }
    if (result != STORE_OK) {
        postgresql_query_close(query);
        return result;
    }
    *out = query;
    return STORE_OK;
}

int pg_answers_spool(struct store_query *query)
{
    struct store *store = query->store;
    bool shared = store->holds_read || store->open_queries > 0; /* its transaction cannot end */
    int result = declare(query, !shared);

    if (result != STORE_OK || shared) {
        return result;
    }
    result = pg_simple(store, "COMMIT", query->doing, NULL); /* here the server reads the rows */
    store->in_transaction = false;
    store->open_queries--;
    query->open = false;
    query->held = result == STORE_OK;
    return result == STORE_OK ? STORE_OK : give_up(query, result);
}

int postgresql_query_next(struct store_query *query, const struct store_cell **row)
{
    int result = STORE_OK;

    *row = NULL;
    if (query->ended) {
        return STORE_OK;
    }
    if (!query->open && !query->held) {
        result = declare(query, false);
    }
    if (result == STORE_OK && (query->page == NULL || query->row == PQntuples(query->page))) {
        result = fetch(query);
    }
    if (result != STORE_OK) {
        return result;
    }
    if (PQntuples(query->page) == 0) {
        query->ended = true;
        return close_cursor(query);
    }
    for (int column = 0; column < query->count; column++) {
        read_cell(query, column);
    }
    query->row++;
    *row = query->cells;
    return STORE_OK;
}

int postgresql_query_again(struct store_query *query, const struct store_cell *values, int count)
{
    int result = close_cursor(query);

    query->ended = false;
    return result == STORE_OK ? keep_values(query, values, count) : result;
}

/* A cursor keeps its place whatever other queries do. */
int postgresql_query_rest(struct store_query *query)
{
    (void)query;
    return STORE_OK;
}

int postgresql_query_count(const struct store_query *query)
{
    return query->count;
}

const char *postgresql_query_column(const struct store_query *query, int index)
{
    return PQfname(query->description, index);
}

void postgresql_query_close(struct store_query *query)
{
    if (query == NULL) {
        return;
    }
    close_cursor(query);
    for (int i = 0; i < query->count && query->blobs != NULL; i++) {
        PQfreemem(query->blobs[i]);
    }
    for (int i = 0; i < ANSWERS_VALUES_MAX; i++) {
        free(query->values[i]);
    }
    PQclear(query->description);
    free(query->blobs);
    free(query->cells);
    free(query->sql);
    free(query);
}

int postgresql_read_begin(struct store *store)
{
    int result = begin(store);

    store->holds_read = result == STORE_OK;
    return result;
}

int postgresql_read_begin_both(struct store *store, struct store *other, bool *same)
{
    (void)other; /* the server does the work, and no report asks it on two connections */
    *same = false;
    return postgresql_read_begin(store);
}

void postgresql_read_of_all(struct store *store)
{
    (void)store; /* the server plans each question by what it knows of the tables */
}

int postgresql_read_end(struct store *store)
{
    store->holds_read = false;
    end_if_unused(store);
    return STORE_OK;
}
