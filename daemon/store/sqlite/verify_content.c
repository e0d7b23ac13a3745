/*
 * Verifies the content of the rows: that quarantine and messages hold the bytes that came, and that
 * what is read with ->> is JSON.
 */
#include "store/sqlite/verify_internal.h"

#include <string.h>

#include "base/digest.h"
#include "base/plural.h"
#include "store/quarantine_key.h"

/* --- digests ------------------------------------------------------------------------------- */

/* Compares each row's digest (column 0) with that of its content: topic (1) and payload (2). Column
 * 3 is the detail of a message that was too large. */
static int count_wrong_digests(struct verify *verify, const char *sql, bool with_topic,
                               int64_t *rows, int64_t *wrong)
{
    sqlite3_stmt *statement = NULL;
    uint8_t digest[DIGEST_SIZE];
    int code = verify_prepare(verify, sql, &statement);
    int result = STORE_OK;

    while (result == STORE_OK && (code == SQLITE_OK || code == SQLITE_ROW)) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            const struct store_packet packet = {
                .topic = with_topic ? sqlite3_column_blob(statement, 1) : NULL,
                .topic_length = with_topic ? (size_t)sqlite3_column_bytes(statement, 1) : 0,
                .payload = sqlite3_column_blob(statement, 2),
                .payload_length = (size_t)sqlite3_column_bytes(statement, 2),
            };
            int failed =
                with_topic ? quarantine_key(&packet, digest)
                           : digest_sha256(packet.payload, packet.payload_length, NULL, 0, digest);

            if (failed == 0 && sqlite3_column_bytes(statement, 0) == DIGEST_SIZE) {
                failed =
                    quarantine_key_cut(&packet, (const char *)sqlite3_column_text(statement, 3),
                                       sqlite3_column_blob(statement, 0), digest);
            }
            if (failed < 0) {
                result = store_refuse(verify->store, STORE_E_RETRY, "out of memory");
            }
            ++*rows;
            *wrong += sqlite3_column_bytes(statement, 0) != DIGEST_SIZE ||
                      memcmp(sqlite3_column_blob(statement, 0), digest, DIGEST_SIZE) != 0;
        }
    }
    if (result == STORE_OK && code != SQLITE_DONE) {
        *rows = -1;
        result = verify_sql_failed(verify, "digests");
    }
    sqlite3_finalize(statement);
    return result;
}

int verify_digests(struct verify *verify)
{
    int64_t rows = 0;
    int64_t wrong = 0;
    int result = count_wrong_digests(verify,
                                     "SELECT digest, topic, payload, iif(reason = 'oversize',"
                                     " detail, NULL) FROM quarantine",
                                     true, &rows, &wrong);

    if (result == STORE_OK && rows >= 0) {
        result = count_wrong_digests(verify, "SELECT digest, NULL, body, NULL FROM messages", false,
                                     &rows, &wrong);
    }
    if (result == STORE_OK && rows >= 0) {
        if (wrong == 0) {
            verify_tell(verify, "digests", true, "%lld %s", (long long)rows,
                        plural(rows, "row of quarantine and messages is as it came",
                               "rows of quarantine and messages are as they came"));
        } else {
            verify_tell(
                verify, "digests", false,
                "%lld of %lld row%s of quarantine and messages %s not as stored: restore a backup",
                (long long)wrong, (long long)rows, plural_s(rows), plural(wrong, "is", "are"));
        }
    }
    return result;
}

/* --- JSON ---------------------------------------------------------------------------------- */

int verify_json(struct verify *verify)
{
    static const char *const sql =
        "SELECT (SELECT count(*) FROM battery WHERE extra IS NOT NULL AND NOT json_valid(extra)),"
        " (SELECT count(*) FROM temperature WHERE extra IS NOT NULL AND NOT json_valid(extra)),"
        " (SELECT count(*) FROM messages WHERE NOT json_valid(body))";
    int64_t bad[3] = {0};
    bool good = false;
    int result = verify_read_numbers(verify, "JSON", sql, bad, 3, &good);

    if (result == STORE_OK && good) {
        if (bad[0] + bad[1] + bad[2] == 0) {
            verify_tell(verify, "JSON", true, "every extra and every body can be read");
        } else {
            verify_tell(
                verify, "JSON", false,
                "rows with what is not JSON: battery %lld, temperature %lld, messages %lld: "
                "somebody changed them",
                (long long)bad[0], (long long)bad[1], (long long)bad[2]);
        }
    }
    return result;
}
