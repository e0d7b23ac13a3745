/* Declarations shared by the files of verify; its opening is in verify.c. */
#ifndef STORE_SQLITE_VERIFY_INTERNAL_H
#define STORE_SQLITE_VERIFY_INTERNAL_H

#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

/* A verification of a database. One thread. */
struct verify {
    struct store *store;
    const struct store_watcher *watcher;
    store_finding_fn finding;
    void *context;
    const char *what; /* the check in progress */
};

/* Report the result of a check. */
void verify_tell(struct verify *verify, const char *check, bool good, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Return the result for a statement of `check` that SQLite has failed. A damaged database makes the
 * check bad, which is reported, and is STORE_OK; only other errors end the verification. */
int verify_sql_failed(struct verify *verify, const char *check);

/* Prepare a statement, for sqlite3_finalize(). Returns SQLite's code. */
int verify_prepare(struct verify *verify, const char *sql, sqlite3_stmt **statement);

/* Read the `count` numbers of a statement's only row. *good is false when there was none; the
 * result is that of verify_sql_failed() then. */
int verify_read_numbers(struct verify *verify, const char *check, const char *sql, int64_t *numbers,
                        int count, bool *good);

/*
 * The checks, each of which reports what it has found. They return STORE_OK, whatever they found;
 * or STORE_E_RETRY, STORE_FATAL or STORE_E_STOPPED, with the sentence for store_error().
 */

/* verify_file.c */
int verify_schema(struct verify *verify);
int verify_integrity(struct verify *verify);
int verify_foreign_keys(struct verify *verify);
int verify_views(struct verify *verify);

/* verify_accounts.c */
int verify_accounts(struct verify *verify);

/* verify_content.c */
int verify_digests(struct verify *verify);
int verify_json(struct verify *verify);

/* verify_rollups.c */
int verify_rollups(struct verify *verify);

/* verify_sums.c, in the open transaction */
int verify_sums(struct verify *verify);

#endif
