/* Declarations shared by the files of verify; its opening is in verify.c. */
#ifndef STORE_POSTGRESQL_VERIFY_INTERNAL_H
#define STORE_POSTGRESQL_VERIFY_INTERNAL_H

#include "store/accounts.h"
#include "store/postgresql/postgresql_internal.h"
#include "store/tools.h"

struct pg_verify {
    struct store *store;
    const struct store_watcher *watcher;
    store_finding_fn finding;
    void *context;
    const char *what; /* for the watcher */
    int64_t rows;     /* read by the present check */
    struct accounts accounts;
};

/* Report a check. */
void pg_verify_tell(struct pg_verify *verify, const char *check, bool good, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Run a query of a check. *rows NULL with STORE_OK: it failed, which was reported. */
int pg_verify_query(struct pg_verify *verify, const char *check, const char *sql,
                    const struct pg_args *args, PGresult **rows);

/* The same of a table that retention may drop meanwhile. *gone: it is not there, which is not
 * reported. */
int pg_verify_query_of(struct pg_verify *verify, const char *check, const char *sql,
                       const struct pg_args *args, PGresult **rows, bool *gone);

/* Count rows that were read. Returns STORE_OK, or STORE_E_STOPPED. */
int pg_verify_count(struct pg_verify *verify, int rows);

/* The checks of verify_rows.c and verify_content.c. */
int pg_verify_months(struct pg_verify *verify);
int pg_verify_rows(struct pg_verify *verify);
int pg_verify_digests(struct pg_verify *verify);
int pg_verify_json(struct pg_verify *verify);

#endif
