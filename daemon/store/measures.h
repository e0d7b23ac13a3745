/*
 * Numbers about the database, for the writer's decisions and for status. Results and threads are
 * those of store/store.h.
 */
#ifndef STORE_MEASURES_H
#define STORE_MEASURES_H

#include "store/retention.h"
#include "store/store.h"

/* An open read transaction of another process, which keeps the write-ahead log (WAL) from being
 * restarted. */
struct store_reader {
    bool held;      /* there is one */
    int64_t pid;    /* 0: of another process id namespace, or not known */
    int64_t for_ms; /* since it was first seen */
};

#define STORE_SERVER_SIZE 128

/* The server of the database, and the connection to it; all zero with SQLite. */
struct store_link {
    char server[STORE_SERVER_SIZE]; /* for people: "PostgreSQL 15.18 at db.example.org:5432" */
    uint64_t reconnects;            /* lost connections that were made again, in this run */
    uint64_t unknown_commits;       /* COMMITs whose answer did not come, in this run; */
    uint64_t committed_after_all;   /* of these: found to have taken effect */
};

/* The size of the database and of its file system. */
struct store_measures {
    int64_t free_bytes;         /* of the file system; -1: nothing could be measured */
    int64_t database_bytes;     /* -1: the database has no file */
    int64_t wal_bytes;          /* of the WAL; -1: there is none */
    int64_t wal_used_bytes;     /* of these in use, or kept for a reader */
    int64_t used_bytes;         /* of the database, unused space left out and the WAL included; 0:
                                   not known */
    unsigned names;             /* hard links of the database file; 0: not known */
    struct store_reader reader; /* the read transaction that has been open for longest */
    struct store_link link;
};

/* Measure. Called about once a second, because readers are found by comparing several calls, and
 * because the store plans its use of the disk by the free space of the last one. *out is set with
 * every result. */
int store_measure(struct store *store, struct store_measures *out);

#define STORE_CLIENT_ID_SIZE     128
#define STORE_QUARANTINE_COUNTED 100000

/* A summary of the database's content. */
struct store_summary {
    uint64_t gaps;                            /* rows in `gaps`; the last one: */
    char gap_client_id[STORE_CLIENT_ID_SIZE]; /* cut; "" when there is none */
    char gap_reason[32];
    int64_t gap_from_ms;         /* wall clock; 0: not known */
    int64_t gap_to_ms;           /* wall clock; 0: there is none */
    bool restored;               /* the database was replaced by an earlier state; the last time: */
    bool restored_backup;        /* by a backup, or by a copy without a mark */
    int64_t restored_ms;         /* when it became the database; wall clock */
    int64_t restored_from_ms;    /* until when it had everything; wall clock; 0: not known */
    uint64_t quarantine_entries; /* counted up to STORE_QUARANTINE_COUNTED */
};

/* Read the summary, in a few milliseconds however large the database is. */
int store_summary(struct store *store, struct store_summary *out);

/* Returns the entries of quarantine after the last commit, counted up to STORE_QUARANTINE_COUNTED:
 * those of the last store_summary() and this store's changes since; -1: before the first one. */
int64_t store_quarantine_entries(const struct store *store);

/*
 * A pass through the devices that counts those that need attention. The caller sets now_ms, and all
 * other members to zero.
 */
struct store_attention {
    int64_t now_ms;     /* wall clock: who is silent by then */
    int64_t device;     /* the last device that was looked at */
    int64_t devices;    /* that were looked at */
    int64_t silent;     /* of these: as the view silent_devices has them */
    int64_t low;        /* with a battery below level_pct_min of the table `limits`, or below
                           STORE_LEVEL_LOW_PCT without one */
    int64_t excursions; /* open ones, as the view temperature_excursions has them */
    bool done;
};

#define STORE_LEVEL_LOW_PCT 15

/* Continue the pass for chunk->budget_us, with one device at least; sets `done` at its end. A few
 * seeks for each device, however many readings it has. Reads only. */
int store_attention(struct store *store, struct store_attention *pass,
                    const struct store_chunk *chunk);

/* Set *version to a number that changes when another program has changed the database. */
int store_version_of_others(struct store *store, int64_t *version);

#endif
