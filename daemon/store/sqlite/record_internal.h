/* What foxtrackrd last knew of the database at this path, kept beside it. Only for the store's
 * files. */
#ifndef STORE_SQLITE_RECORD_INTERNAL_H
#define STORE_SQLITE_RECORD_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/sqlite/base_internal.h"

struct store;

struct store_record {
    bool known;
    int64_t run;
    int64_t started_ms; /* of the run; wall clock */
    int64_t received;   /* messages of the run that were durable, about a second ago at most */
    int64_t moment_ms;  /* wall clock of that */
    int64_t stopped_ms; /* of the run; 0: not stopped */
    uint64_t device;    /* of the file system */
    uint64_t inode;     /* of the database, after foxtrackrd wrote to it last; 0: not known */
    uint64_t wal_inode;
    int64_t size;           /* bytes, of the database */
    int64_t changed_ns;     /* when it was written last, by its file system */
    struct store_base base; /* was in it when the log had moved into it as a whole */
};

/* Read the record from the lock file, which is locked. A record that makes no sense is none. */
void store_record_read(struct store *store);

/* Write the process and the record into the lock file. An error is ignored: without a record less
 * is noticed. */
void store_record_write(struct store *store);

/* Note the run that began, or ended. Its row is on disk. */
void store_record_run(struct store *store, int64_t started_ms, int64_t stopped_ms);

/* Note, once a second, how many messages of the run are on disk. After a commit that was synced. */
void store_record_commit(struct store *store);

/* Note what the database file is like, just after foxtrackrd has written to it. */
void store_record_file(struct store *store);

/* Note what is in the database file now: the log has just moved into it as a whole, and the file
 * was synced. */
void store_record_base(struct store *store);

/*
 * Before SQLite opens the file: compare it with the record where a log waits to be put into it.
 * Sets store->strange when somebody else has changed the file. STORE_OK; STORE_E_PATH: another file
 * was put beside our log, or an older copy into the file.
 */
int store_record_check_file(struct store *store);

/*
 * The structure of a database that is strange, with its log applied: for 20 s at most. In that time
 * quick_check reads about 1 GiB (225 MiB took 4.5 s on one core); what lies behind that in a larger
 * database is not looked at. STORE_OK; STORE_FATAL: it is damaged.
 */
int store_record_check_structure(struct store *store);

/* Whether the open database is older than the record: its last run, or messages of it, are not in
 * it. Sets *older. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int store_record_is_older(struct store *store, bool *older);

#endif
