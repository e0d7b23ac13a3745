/*
 * Verifies the content of the rows, page by page in the order of the keys: that quarantine and
 * messages hold the bytes that came, and that all JSON can be read with ->> and cast to jsonb.
 */
#include "store/postgresql/verify_internal.h"

#include <string.h>

#include "base/plural.h"
#include "store/postgresql/json_internal.h"
#include "store/quarantine_key.h"

#define PAGE      200
#define PAGE_TEXT "200"

/* Checks a row. Returns 1 when it is wrong, 0, or -1: out of memory. */
typedef int check_fn(const PGresult *rows, int row);

/* A table that is read by its key. Its columns begin with those of the key. */
struct walk {
    const char *first; /* a page: without, and behind a key, which are its parameters */
    const char *next;
    int key; /* columns of the key */
    check_fn *check;
};

/* Takes the key of a row as parameters; they are borrowed from `rows`. */
static void take_key(struct pg_args *args, const PGresult *rows, int row, int columns)
{
    args->count = 0;
    for (int i = 0; i < columns; i++) {
        pg_arg_bytes(args, PQgetvalue(rows, row, i), (size_t)PQgetlength(rows, row, i));
    }
}

/* Walks through a table. *read becomes -1 when it cannot be read, which was reported. */
static int walk(struct pg_verify *verify, const char *check, const struct walk *table,
                int64_t *read, int64_t *wrong)
{
    PGresult *rows = NULL;
    int result = pg_verify_query(verify, check, table->first, NULL, &rows);

    *read = rows == NULL ? -1 : *read;
    while (result == STORE_OK && rows != NULL && PQntuples(rows) > 0) {
        struct pg_args args = {.count = 0};
        PGresult *page = rows;
        int count = PQntuples(page);

        for (int row = 0; row < count && result == STORE_OK; row++) {
            int is_wrong = table->check(page, row);

            *wrong += is_wrong > 0;
            if (is_wrong < 0) {
                result = pg_refuse(verify->store, STORE_E_RETRY, "out of memory");
            }
        }
        *read += count;
        result = result == STORE_OK ? pg_verify_count(verify, count) : result;
        rows = NULL;
        if (result == STORE_OK && count == PAGE) {
            take_key(&args, page, count - 1, table->key);
            result = pg_verify_query(verify, check, table->next, &args, &rows);
            *read = rows == NULL ? -1 : *read;
        }
        PQclear(page);
    }
    PQclear(rows);
    return result;
}

/* --- digests ------------------------------------------------------------------------------- */

static bool differs(const PGresult *rows, int row, int column, const uint8_t digest[DIGEST_SIZE])
{
    return PQgetlength(rows, row, column) != DIGEST_SIZE ||
           memcmp(PQgetvalue(rows, row, column), digest, DIGEST_SIZE) != 0;
}

static int check_quarantined(const PGresult *rows, int row)
{
    const struct store_packet packet = {
        .topic = PQgetvalue(rows, row, 1),
        .topic_length = (size_t)PQgetlength(rows, row, 1),
        .payload = PQgetvalue(rows, row, 2),
        .payload_length = (size_t)PQgetlength(rows, row, 2),
    };
    uint8_t digest[DIGEST_SIZE];
    int failed = quarantine_key(&packet, digest);

    if (failed == 0 && PQgetlength(rows, row, 0) == DIGEST_SIZE && !PQgetisnull(rows, row, 3)) {
        failed =
            quarantine_key_cut(&packet, PQgetvalue(rows, row, 3), PQgetvalue(rows, row, 0), digest);
    }
    return failed < 0 ? -1 : differs(rows, row, 0, digest);
}

static int check_message(const PGresult *rows, int row)
{
    uint8_t digest[DIGEST_SIZE];

    if (digest_sha256(PQgetvalue(rows, row, 4), (size_t)PQgetlength(rows, row, 4), NULL, 0,
                      digest) < 0) {
        return -1;
    }
    return differs(rows, row, 3, digest);
}

#define QUARANTINE(behind)                                                                         \
    "SELECT digest, coalesce(convert_to(topic, 'UTF8'), topic_bytes), payload,"                    \
    " CASE reason WHEN 'oversize' THEN detail END FROM quarantine" behind                          \
    " ORDER BY digest LIMIT " PAGE_TEXT
#define MESSAGES(behind)                                                                           \
    "SELECT device, time_ms, type, digest, body FROM messages" behind                              \
    " ORDER BY device, time_ms, type, digest LIMIT " PAGE_TEXT
#define BEHIND_MESSAGE                                                                             \
    " WHERE (device, time_ms, type, digest) > ($1::int8, $2::int8, $3::text, $4::bytea)"

int pg_verify_digests(struct pg_verify *verify)
{
    static const struct walk quarantine = {QUARANTINE(""), QUARANTINE(" WHERE digest > $1::bytea"),
                                           1, check_quarantined};
    static const struct walk messages = {MESSAGES(""), MESSAGES(BEHIND_MESSAGE), 4, check_message};
    int64_t rows = 0;
    int64_t wrong = 0;
    int result = walk(verify, "digests", &quarantine, &rows, &wrong);

    if (result == STORE_OK && rows >= 0) {
        result = walk(verify, "digests", &messages, &rows, &wrong);
    }
    if (result != STORE_OK || rows < 0) {
        return result;
    }
    if (wrong == 0) {
        pg_verify_tell(verify, "digests", true, "%lld %s", (long long)rows,
                       plural(rows, "row of quarantine and messages is as it came",
                              "rows of quarantine and messages are as they came"));
    } else {
        pg_verify_tell(
            verify, "digests", false,
            "%lld of %lld row%s of quarantine and messages %s not as stored: restore a dump",
            (long long)wrong, (long long)rows, plural_s(rows), plural(wrong, "is", "are"));
    }
    return result;
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* The column behind the key is JSON. */
static int check_json(const PGresult *rows, int row, int column)
{
    const char *why = NULL;

    return !json_allowed(PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column),
                         &why);
}

static int check_extra(const PGresult *rows, int row)
{
    return check_json(rows, row, 2);
}

static int check_body(const PGresult *rows, int row)
{
    return check_json(rows, row, 4);
}

#define EXTRA(table, behind)                                                                       \
    "SELECT device, time_ms, extra FROM " table " WHERE extra IS NOT NULL" behind                  \
    " ORDER BY device, time_ms LIMIT " PAGE_TEXT
#define BEHIND_EXTRA " AND (device, time_ms) > ($1::int8, $2::int8)"

int pg_verify_json(struct pg_verify *verify)
{
    static const struct walk tables[] = {
        {EXTRA("battery", ""), EXTRA("battery", BEHIND_EXTRA), 2, check_extra},
        {EXTRA("temperature", ""), EXTRA("temperature", BEHIND_EXTRA), 2, check_extra},
        {MESSAGES(""), MESSAGES(BEHIND_MESSAGE), 4, check_body},
    };
    int64_t bad[3] = {0};
    int64_t rows = 0;
    int result = STORE_OK;

    for (size_t i = 0; i < 3 && result == STORE_OK && rows >= 0; i++) {
        result = walk(verify, "JSON", &tables[i], &rows, &bad[i]);
    }
    if (result != STORE_OK || rows < 0) {
        return result;
    }
    if (bad[0] + bad[1] + bad[2] == 0) {
        pg_verify_tell(verify, "JSON", true, "every extra and every body can be read");
    } else {
        pg_verify_tell(verify, "JSON", false,
                       "rows with JSON that ->> or a cast to jsonb refuses: battery %lld, "
                       "temperature %lld, messages %lld: somebody changed them",
                       (long long)bad[0], (long long)bad[1], (long long)bad[2]);
    }
    return result;
}
