/*
 * What the store's files share: the connection, its prepared statements and how they are run. Only
 * store*.c and the store's own tests include this.
 */
#ifndef STORE_SQLITE_SQLITE_INTERNAL_H
#define STORE_SQLITE_SQLITE_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/digest.h"
#include "store/engine.h"
#include "store/sqlite/cache_internal.h"
#include "store/sqlite/operations_internal.h"
#include "store/sqlite/reader_internal.h"
#include "store/sqlite/record_internal.h"
#include "store/sqlite/rows_internal.h"
#include "store/store.h"

/* PRAGMA application_id of every database we made: "FOXT". */
#define STORE_APPLICATION_ID 0x464f5854

/* The page cache of the daemon's connection; see store/sqlite/page_cache.c. */
#define STORE_CACHE_KIB 10240

#define STORE_ERROR_SIZE 1024

enum store_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_RUN_BEGIN,
    STATEMENT_RUN_END,
    STATEMENT_RUN_COUNT,
    STATEMENT_RUN_READ,
    STATEMENT_DEVICE_FIND,
    STATEMENT_DEVICE_ADD,
    STATEMENT_DEVICE_NEWEST,
    STATEMENT_GROUP_ADD,
    STATEMENT_BATTERY_ADD,
    STATEMENT_BATTERY_ADD_READINGS,
    STATEMENT_BATTERY_FIND,
    STATEMENT_TEMPERATURE_ADD,
    STATEMENT_TEMPERATURE_ADD_READINGS,
    STATEMENT_TEMPERATURE_FIND,
    STATEMENT_MESSAGE_ADD,
    STATEMENT_QUARANTINE_ADD,
    STATEMENT_INBOX_POSITION,
    STATEMENT_INBOX_READ,
    STATEMENT_INBOX_PUT,
    STATEMENT_INBOX_PUT_TOGETHER,
    STATEMENT_INBOX_GET,
    STATEMENT_INBOX_MOVE,
    STATEMENT_INBOX_DELETE,
    STATEMENT_INBOX_CLEAR,
    STATEMENT_SESSIONS_ADOPT,
    STATEMENT_SUBSCRIPTIONS_ADOPT,
    STATEMENT_SESSION_DURABLE,
    STATEMENT_SESSION_CONNECTING,
    STATEMENT_SESSION_SETTLED,
    STATEMENT_SESSION_ESTABLISHED,
    STATEMENT_SESSION_FIND,
    STATEMENT_SESSIONS,
    STATEMENT_GAP_ADD,
    STATEMENT_SUBSCRIPTION_ADD,
    STATEMENT_SUBSCRIPTION_REMOVE,
    STATEMENT_SUBSCRIPTIONS_FORGET,
    STATEMENT_SUBSCRIPTIONS,
    STATEMENT_BATTERY_EXPIRE,
    STATEMENT_TEMPERATURE_EXPIRE,
    STATEMENT_MESSAGES_EXPIRE,
    STATEMENT_QUARANTINE_EXPIRE,
    STATEMENT_DEVICE_NEXT,
    STATEMENT_SURVEY_DEVICE,
    STATEMENT_SURVEY_BEFORE,
    STATEMENT_SURVEY_QUARANTINE,
    STATEMENT_BATTERY_COUNT,
    STATEMENT_TEMPERATURE_COUNT,
    STATEMENT_MESSAGES_COUNT,
    STATEMENT_QUARANTINE_COUNT,
    STATEMENT_NEWEST_RECEIVED,
    STATEMENT_EXPIRED_ADD,
    STATEMENT_PAGES,
    STATEMENT_VACUUM,
    STATEMENT_GAPS,
    STATEMENT_RESTORED,
    STATEMENT_QUARANTINE_SIZE,
    STATEMENT_QUARANTINE_REASONS,
    STATEMENT_DATA_VERSION,
    STATEMENT_SIZE,
    STATEMENT_GROWTH,
    STATEMENT_MESSAGE_FIND,
    STATEMENT_REPLAY_COUNT,
    STATEMENT_REPLAY_NEXT,
    STATEMENT_REPLAY_THERE,
    STATEMENT_REPLAY_TAKEN,
    STATEMENT_REPLAY_STAYS,
    STATEMENT_REPLAY_MESSAGE,
    STATEMENT_REPLAY_MESSAGE_THERE,
    STATEMENT_REPLAY_MESSAGE_TAKEN,
    STATEMENT_REJUDGE_NEXT,
    STATEMENT_REJUDGE_RESTAMP,
    STATEMENT_REPLAY_DEVICE_SEEN,
    STATEMENT_REPLAY_GROUP_SEEN,
    STATEMENT_REPLAY_BATTERY,
    STATEMENT_REPLAY_BATTERY_MAPPED,
    STATEMENT_REPLAY_TEMPERATURE,
    STATEMENT_REPLAY_TEMPERATURE_MAPPED,
    STATEMENT_COUNT,
};

/* Which file a name stood for when we opened it. */
struct store_identity {
    bool known;
    dev_t device;
    ino_t inode;
};

struct inbox;

struct store {
    struct store_handle handle;
    char *given_path; /* as configured; may lead through symbolic links */
    char *broker;     /* host:port, whose sessions are read and written; "": of no broker */
    char *path;       /* without symbolic links, absolute */
    char *wal_path;
    char *directory;
    int lock_fd;        /* of the lock file; -1: none */
    bool lock_is_other; /* it holds what is not ours: locked, and never written or changed */
    int file_fd;        /* of the database, opened before SQLite's and closed after it; -1: none */
    bool marked;        /* the file is a backup that was put here, and is not accepted yet */
    struct store_restoration restoration;
    struct store_record record; /* of what stood here; see store/sqlite/record.c */
    int64_t recorded_ms;        /* monotonic */
    int64_t looked_ms;          /* monotonic; at the file, see store/sqlite/target.c */
    bool left;                  /* the record says how this process left the file, */
    uint32_t left_counter;      /* and this was SQLite's change counter in it */
    bool strange;               /* the file is not as we left it, and there is a log for it */
    uint32_t wal_size; /* pages of the database after the last commit of that log; 0: not known */
    const char *const *client_ids; /* borrowed while opening; see store_options */
    unsigned client_count;
    bool read_only;
    int busy_timeout_ms;
    int wait_ms;              /* how long to wait for a lock now: busy_timeout_ms or less */
    int64_t waiting_since_ms; /* monotonic */
    bool beside;              /* the database is the daemon's; see store_options */
    enum store_durability durability;

    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct store_identity database;
    struct store_identity wal;
    int log_pages;           /* in the log after the last commit, those that have moved included */
    int base_pages;          /* of these: all moved, and kept because a reader uses the log */
    int wal_pages;           /* the others */
    int commit_pages;        /* that the last commit wrote */
    int moved_pages;         /* of these: in the database, and kept for a reader */
    int retention_pages;     /* of these: retention's, since the last attempt to move the log */
    int checkpoint_at;       /* wal_pages from which the log moves; see store/sqlite/checkpoint.c */
    int64_t checkpointed_ms; /* monotonic */
    int64_t restart_at_ms;   /* monotonic; the next restart of a long log is not before */
    int64_t restart_again_ms; /* so long after the last one, which failed; 0: it did not */
    int look_at_space_at;     /* wal_pages from which the free space is looked at again */
    /* See store_options; while opening. */
    bool (*progress)(void *context, const struct store_progress *progress);
    void *progress_context;
    bool (*stopped)(void); /* see store_options */
    bool unverified;       /* the names could not be looked at after the last commit */
    bool synced;           /* a commit waits until it is on disk */
    bool broken; /* SQLite reported what must not be retried: leave the log for recovery */

    struct store_readers readers;

    int64_t entries;         /* of quarantine, see store_quarantine_entries(); in the open batch */
    int64_t entries_durable; /* and after the last commit */
    /* Of the writer's batches; see store/sqlite/batch.c. */
    struct store_handler handler;
    struct inbox *inbox; /* NULL: nothing is attached */
    bool inbox_loaded;   /* it knows what is in its table */
    uint64_t batch_items;
    int64_t batch_ms;   /* monotonic; the end of the last batch that was not empty */
    int64_t free_bytes; /* on the file system, at the last look */

    int64_t run; /* 0: none begun */
    struct store_counts counts;
    uint64_t received_durable; /* counts.received as the database has it */
    int64_t data_version;      /* SQLite's, of the last batch; -1: none yet */
    uint64_t foreign_writes;   /* times that another program was found to have written meanwhile */
    struct store_cache cache;
    char error[STORE_ERROR_SIZE];
};

/* A transaction: what sqlite_begin(), sqlite_commit() and sqlite_rollback() are without the inbox,
 * and what everything but the writer's batches uses. Results are theirs. */
int store_transaction_begin(struct store *store);
int store_transaction_commit(struct store *store);
int store_transaction_rollback(struct store *store);

/* How many pages the last commit put into the log. */
int store_commit_pages(const struct store *store);

/* Move the log into the database without waiting for readers. Never with a batch open. */
int store_checkpoint(struct store *store);

/* Move it if it is time to: store_transaction_begin() does, and who has nothing else to do.
 * in_pause: no message has come for a while, so little is enough. A log of 128 MiB, which readers
 * keep from beginning anew, waits for these, 5 s at most and busy_timeout at most. Never with a
 * batch open. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int store_tidy_log(struct store *store, bool in_pause);

/* How much of the log is in use, in bytes: what a reader keeps is, after it was moved too. */
int64_t store_log_bytes(const struct store *store);

/* Bytes of the database and of its log; -1 where there is none. */
void store_sizes(const struct store *store, int64_t *database_bytes, int64_t *wal_bytes);

/* Bytes of the pages in use, those in the log included. Never with a batch open. STORE_OK,
 * STORE_E_RETRY or STORE_FATAL; *used_bytes is set only with the first. */
int store_used_bytes(struct store *store, int64_t *used_bytes);

/*
 * Take the memory of the page cache for the whole process, once, before any other function of the
 * store; from then on one thread at a time may use SQLite. False when that is impossible: the cache
 * then grows as it is needed, and nothing else changes. See store/sqlite/page_cache.c.
 */
bool store_reserve_memory(void);

/* A value to bind. Bytes are borrowed until the statement is reset. */
struct store_value {
    enum { VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB } kind;
    int64_t integer;
    double real;       /* NAN binds NULL */
    const void *bytes; /* a NULL text binds NULL; a NULL blob is an empty one */
    size_t length;
    const char *column; /* for people; only rows that are compared have it */
};

struct store_value store_integer(int64_t integer);
struct store_value store_real(double real);
struct store_value store_text(const char *text);
struct store_value store_bytes(bool is_text, const void *bytes, size_t length);

/* Compile every statement. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int store_prepare(struct store *store);

/* Finalize every statement. */
void store_finalize(struct store *store);

/* Bind `values` to the parameters that follow the first `before`; the caller ends with
 * store_reset(), whatever the result. */
int store_bind(struct store *store, enum store_statement id, int before,
               const struct store_value *values, int count);

/*
 * Bind `values` from the first parameter on, and take the first step. *row tells whether there is a
 * row to read from store->statements[id]; the caller ends with store_reset() whatever the result.
 */
int store_step(struct store *store, enum store_statement id, const struct store_value *values,
               int count, bool *row);

/* Reset and unbind: an unreset statement would keep checkpoints from completing. */
void store_reset(struct store *store, enum store_statement id);

/* Bind, run to the end, reset. */
int store_execute(struct store *store, enum store_statement id, const struct store_value *values,
                  int count);

/* The same for what store_bind() has bound before; `bound` is its result: not STORE_OK, and nothing
 * is run. */
int store_execute_bound(struct store *store, enum store_statement id, int bound);

/*
 * The one place that turns what SQLite just reported into a result and a sentence in store->error:
 * "path: cannot <doing>: SQLite's text; what to do". The caller sets errno to 0 before it calls
 * SQLite, so that what errno holds now is the cause.
 */
int store_fail(struct store *store, const char *doing);

/* Whether the tool that waits or reads is to end; never true for the daemon. */
bool store_is_stopped(const struct store *store);

/* The result for an extended SQLite result code and the errno behind it (0: none). */
int store_classify(int code, int system_errno);

/* Set store->error and return `result`. */
int store_refuse(struct store *store, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Apply list[user_version] to list[count - 1], each in one transaction. STORE_E_STOPPED when
 * store->progress asked for it. */
int store_migrate(struct store *store, const char *const *list, int count);

/* Write the log that an earlier process has left anew and sync it, before anything is added to it;
 * see store/sqlite/renew.c. While opening, by the daemon alone. STORE_OK, STORE_E_RETRY,
 * STORE_E_PATH or STORE_FATAL. */
int store_renew_log(struct store *store);

/* As store_fail(), but STORE_E_PATH for errors that the operator can mend: no database, a missing
 * permission. While opening. */
int store_open_failed(struct store *store, const char *doing);

/* The first column of the first row that a statement gives, as a number. */
int store_read_number(struct store *store, const char *sql, int *number);

/* What the log lets retention do now, so that no message waits long for it. */
enum store_turn {
    STORE_TURN_WORK,
    STORE_TURN_MOVE, /* the log first */
    STORE_TURN_WAIT, /* until messages, or a pause of them, have moved the log */
};

/* nobody_waits: see struct store_chunk. */
enum store_turn store_retention_turn(const struct store *store, bool nobody_waits);

/* From the next transaction on a commit waits until it is on disk, or does not. Messages need it;
 * store_transaction_begin() sees to that. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int store_set_synced(struct store *store, bool synced);

/* Begin to watch the log's size after a commit, instead of SQLite's own checkpoints. */
void store_watch_log(struct store *store);

/* Checks that every name still leads to its open file. STORE_OK; STORE_E_RETRY: that cannot be
 * checked now; STORE_FATAL: a name does not, and the store writes nothing more. */
int store_verify_names(struct store *store);

/* Checks, before a checkpoint, names and content of the database file; see store/sqlite/target.c.
 * Results as of store_verify_names(). */
int store_check_target(struct store *store);

/* Checks the content alone, once a second at most. STORE_OK or STORE_FATAL. */
int store_look_at_target(struct store *store);

/* A store of these options that has opened nothing; NULL: out of memory. For store_discard(). */
struct store *store_new(const struct store_options *options);

/* Sessions and subscriptions of a version that did not tell brokers apart become the broker's.
 * Two statements, each a transaction of its own. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int store_adopt_sessions(struct store *store);

/* Find path, directory and wal_path of given_path, without symbolic links. STORE_OK, STORE_E_PATH
 * or STORE_E_RETRY. */
int store_resolve(struct store *store);

/* Sync the database's directory. STORE_OK, or what store_classify() makes of the errno. */
int store_sync_directory(struct store *store);

/* Close without a checkpoint and free everything: for an open that failed. NULL is allowed. */
void store_discard(struct store *store);

/* What sqlite_quarantine() does, also with a message that waited. */
int store_put_aside(struct store *store, const struct foxtrackr_problem *problem,
                    const struct store_packet *packet);

/* The same without the accounting of the run. */
int store_keep(struct store *store, const struct foxtrackr_problem *problem,
               const struct store_packet *packet);

/* Notes that quarantine has `change` entries more (negative: fewer), in the open batch. */
void store_note_entries(struct store *store, int64_t change);

/* The key of a message in quarantine; see the schema. 0, or -1: out of memory. */
int store_quarantine_digest(const struct store_packet *packet, uint8_t digest[DIGEST_SIZE]);

/* The number of a device; *device stays as it is where there is none. Remembers it. */
int store_find_device(struct store *store, const char *family, const char *device_id,
                      int64_t *device);

#endif
