/* The record of the database's last known state, kept beside it. Only for the store's files. */
#ifndef STORE_SQLITE_RECORD_INTERNAL_H
#define STORE_SQLITE_RECORD_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "store/sqlite/base_internal.h"

struct store;

struct store_record {
    bool known;
    int64_t run;
    int64_t started_ms; /* of the run; wall clock */
    int64_t received;   /* durable messages of the run, at most about a second old */
    int64_t moment_ms;  /* wall clock of that */
    int64_t stopped_ms; /* of the run; 0: not stopped */
    uint64_t device;    /* of the file system */
    uint64_t inode;     /* of the database, after foxtrackrd's last write; 0: not known */
    uint64_t wal_inode;
    int64_t size;           /* bytes, of the database */
    int64_t changed_ns;     /* its time of modification */
    struct store_base base; /* its content after the last complete checkpoint; in a tool beside the
                             * daemon, as it was opened */
};

/* Read the record from the lock file, which is locked. An unreadable record counts as missing. */
void store_record_read(struct store *store);

/* Write the process and the record into the lock file. An error is ignored: a missing record only
 * means fewer checks. */
void store_record_write(struct store *store);

/* Note the run that began, or ended. Its row is on disk. */
void store_record_run(struct store *store, int64_t started_ms, int64_t stopped_ms);

/* Note, once a second, how many messages of the run are on disk. After a commit that was synced. */
void store_record_commit(struct store *store);

/* Note the database file's inode, size and time, just after foxtrackrd has written to it. A tool
 * beside the daemon notes them too, but never in the lock file. */
void store_record_file(struct store *store);

/* Returns true when inode, size and time are as noted. */
bool store_record_fits(const struct store *store, const struct stat *status);

/* Note the database file's content, after the whole WAL has moved into it and it was synced; or,
 * for a tool beside the daemon, the content that it has now. */
void store_record_base(struct store *store);

/*
 * Before SQLite opens the file: compare it with the record if there is a WAL to put into it. Sets
 * store->strange when another program has changed the file. STORE_OK; STORE_E_PATH: another file
 * was put beside our WAL, or an older copy into the file.
 */
int store_record_check_file(struct store *store);

/*
 * Check the structure of a strange database, with its WAL applied, for at most 20 s. In that time
 * quick_check reads about 1 GiB (225 MiB took 4.5 s on one core); the rest of a larger database is
 * not checked. STORE_OK; STORE_FATAL: it is damaged.
 */
int store_record_check_structure(struct store *store);

/* Set *older to whether the open database lacks the recorded run, its end or messages of it. Only
 * with a record. Returns STORE_OK or as store_open_failed(). */
int store_record_is_older(struct store *store, bool *older);

#endif
