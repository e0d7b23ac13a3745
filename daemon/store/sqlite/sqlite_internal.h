/*
 * Declarations shared by the files of the SQLite engine: the connection, its prepared statements,
 * and the functions that run them. Only this room and its tests include this header.
 *
 * Functions that return an int return STORE_OK, STORE_E_RETRY or STORE_FATAL unless their comment
 * says otherwise, and leave the sentence in store->error.
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
#include "store/sqlite/rollup_internal.h"
#include "store/sqlite/rows_internal.h"
#include "store/store.h"

/* PRAGMA application_id of every database that foxtrackrd made: "FOXT". */
#define STORE_APPLICATION_ID 0x464f5854

/* The page cache of the daemon's connection; see store/sqlite/page_cache.c. */
#define STORE_CACHE_KIB 10240

#define STORE_ERROR_SIZE 1024

/* Views that answers_copies.c copies. */
#define ANSWERS_COPIES 7

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
    STATEMENT_BATTERY_FIND,
    STATEMENT_TEMPERATURE_ADD,
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
    STATEMENT_GAP_EXTEND,
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
    STATEMENT_ROLLUP_STATE,
    STATEMENT_ROLLUP_SET_STATE,
    STATEMENT_ROLLUP_OFFSETS,
    STATEMENT_ROLLUP_DAYS,
    STATEMENT_ROLLUP_DAY_ADD,
    STATEMENT_ROLLUP_MARK,
    STATEMENT_ROLLUP_UNMARK,
    STATEMENT_ROLLUP_MARKED,
    STATEMENT_ROLLUP_DIRTY,
    STATEMENT_BATTERY_FIRST,
    STATEMENT_BATTERY_BEFORE,
    STATEMENT_BATTERY_FROM,
    STATEMENT_BATTERY_NEWEST,
    STATEMENT_BATTERY_DAY_PUT,
    STATEMENT_BATTERY_DAY_PAUSE,
    STATEMENT_BATTERY_DAY_DELETE,
    STATEMENT_BATTERY_DAYS_DELETE,
    STATEMENT_TEMPERATURE_FIRST,
    STATEMENT_TEMPERATURE_BEFORE,
    STATEMENT_TEMPERATURE_FROM,
    STATEMENT_TEMPERATURE_NEWEST,
    STATEMENT_TEMPERATURE_DAY_PUT,
    STATEMENT_TEMPERATURE_DAY_PAUSE,
    STATEMENT_TEMPERATURE_DAY_DELETE,
    STATEMENT_TEMPERATURE_DAYS_DELETE,
    STATEMENT_BATTERY_DAYS_CLEAR,
    STATEMENT_BATTERY_DAYS_FROM,
    STATEMENT_BATTERY_DAY_CLEAR,
    STATEMENT_TEMPERATURE_DAYS_CLEAR,
    STATEMENT_TEMPERATURE_DAYS_FROM,
    STATEMENT_TEMPERATURE_DAY_CLEAR,
    STATEMENT_ROLLUP_ZONE,
    STATEMENT_ROLLUP_SET_ZONE,
    STATEMENT_ROLLUP_OFFSETS_CLEAR,
    STATEMENT_ROLLUP_OFFSET_ADD,
    STATEMENT_ROLLUP_CALENDAR_CLEAR,
    STATEMENT_ROLLUP_CALENDAR_FROM,
    STATEMENT_ROLLUP_CALENDAR_TRIM,
    STATEMENT_ROLLUP_UNMARK_ALL,
    STATEMENT_ROLLUP_UNMARK_FROM,
    STATEMENT_ROLLUP_OLDEST,
    STATEMENT_SUM_NEXT,
    STATEMENT_SUM_BEGIN,
    STATEMENT_SUM_DEVICES,
    STATEMENT_SUM_FLEET,
    STATEMENT_SUM_GROUPS,
    STATEMENT_SUM_END,
    STATEMENT_SUM_FORGET,
    STATEMENT_SUM_FORGET_UNTIL,
    STATEMENT_GROUP_DAY_CLEAR,
    STATEMENT_GROUP_DAYS_TRIM,
    STATEMENT_TREND_LEARNT,
    STATEMENT_TREND_LEARN,
    STATEMENT_TREND_CHANGED,
    STATEMENT_TRENDS_CHANGED,
    STATEMENT_TREND_CLEAR,
    STATEMENT_HABIT_FIND,
    STATEMENT_HABIT_PUT,
    STATEMENT_VIEW_FIND,
    STATEMENT_VIEW_NEXT,
    STATEMENT_VIEW_NOTE,
    STATEMENT_VIEW_FORGET,
    STATEMENT_COUNT,
};

/* The file to which a name led when it was opened. */
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
    bool lock_is_other; /* the lock file has another program's content: locked, never written */
    int file_fd;        /* of the database; opened before SQLite opens it, closed after; -1: none */
    bool marked;        /* the file is a backup in the database's place, not accepted yet */
    struct store_restoration restoration;
    struct store_record record; /* of the database that last stood here; store/sqlite/record.c */
    int64_t recorded_ms;        /* monotonic; when the record was last written */
    int64_t looked_ms;          /* monotonic; when the file was last checked, see
                                   store/sqlite/target.c */
    bool left;                  /* the record describes the file as this process left it */
    uint32_t left_counter;      /* SQLite's change counter in the file then */
    bool strange;               /* the file is not as foxtrackrd left it, and has a WAL */
    uint32_t pages_by_wal;   /* of the database, after the last commit of that WAL; 0: not known */
    const struct zone *zone; /* borrowed while opening; see store_options */
    const char *const *client_ids; /* the same */
    unsigned client_count;
    bool read_only;
    bool of_all; /* queries are about all devices; store/sqlite/answers_copies.c */
    bool tried[ANSWERS_COPIES];
    bool copied[ANSWERS_COPIES];
    int busy_timeout_ms;
    int wait_ms;              /* how long to wait for a lock now: busy_timeout_ms or less */
    int64_t waiting_since_ms; /* monotonic */
    bool beside;              /* the database is the daemon's; see store_options */
    bool named;               /* by the command line; see store_options */
    bool restoring;           /* `restore` takes the locks, not a daemon */
    enum store_durability durability;

    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct store_identity database;
    struct store_identity wal;
    /* The pages of the WAL after the last commit. */
    int wal_total_pages; /* all of them, those that are in the database already included */
    int base_pages;      /* of these: in the database at the last complete checkpoint, and still in
                            the WAL because a reader uses it */
    int wal_pages;       /* of these: the others */
    int commit_pages;    /* of these: written by the last commit */
    int moved_pages;     /* of wal_pages: in the database, and kept for a reader */
    int retention_pages; /* of wal_pages: written by retention since the last try of a checkpoint */
    /* When the next checkpoint is due; see store/sqlite/checkpoint.c. Times are monotonic. */
    int checkpoint_at; /* number of wal_pages */
    int64_t checkpointed_ms;
    int64_t restart_at_ms;    /* earliest time of the next restart of a long WAL */
    int64_t restart_again_ms; /* delay after the last restart, which failed; 0: it succeeded */
    int look_at_space_at;     /* number of wal_pages at which the free space is checked again */
    /* See store/sqlite/room.c. */
    int64_t reserved_bytes; /* so many of the database file are allocated; 0: not known */
    int page_bytes;         /* of the database; 0: not known yet */
    bool no_room;           /* the disk was full, and nothing has been committed since */
    bool was_full;          /* the disk was full before */
    /* See store_options; while opening. */
    bool (*progress)(void *context, const struct store_progress *progress);
    void *progress_context;
    bool (*stopped)(void); /* see store_options */
    bool unverified;       /* after the last commit the names could not be checked */
    bool synced;           /* a commit waits until it is on disk */
    int failed_code;       /* SQLite's extended code of the last error of store_fail() */
    bool broken;           /* after an error that must not be retried: leave the WAL for recovery */

    struct store_readers readers;

    int64_t entries;         /* of quarantine in the open batch; see store_quarantine_entries() */
    int64_t entries_durable; /* of quarantine after the last commit */
    /* The writer's batches; see store/sqlite/batch.c. */
    struct store_handler handler;
    struct inbox *inbox; /* NULL: no handler is attached */
    bool inbox_loaded;   /* the inbox has read its table */
    uint64_t batch_items;
    int64_t batch_ms;   /* monotonic; the end of the last batch that was not empty */
    int64_t free_bytes; /* of the file system, as last measured */

    int64_t run; /* 0: none begun */
    struct store_counts counts;
    uint64_t received_durable; /* counts.received in the database */
    int64_t data_version;      /* PRAGMA data_version in the last batch; -1: none yet */
    uint64_t foreign_writes;   /* how often another program was seen to have written */
    struct store_cache cache;
    struct rollup rollup;
    char error[STORE_ERROR_SIZE];
};

/* Begin, commit and roll back a transaction. The writer's batches do the same with the inbox, by
 * sqlite_begin(), sqlite_commit() and sqlite_rollback(); all other work uses these. */
int store_transaction_begin(struct store *store);
int store_transaction_commit(struct store *store);
int store_transaction_rollback(struct store *store);

/*
 * A chunk of the store's own work, as one transaction that is not synced: no acknowledgement waits
 * for it, and the next batch or the checkpoint syncs it too. If the machine fails before that, the
 * work is undone. Beginning does not wait for another program's lock, which would delay messages.
 * Committing counts the pages for retention's rule; `before` is store->wal_pages from before.
 */
int store_chunk_begin(struct store *store);
int store_chunk_commit(struct store *store, int before);

/* Returns how many pages the last commit wrote to the WAL. */
int store_commit_pages(const struct store *store);

/* Make a checkpoint, without waiting for readers. Never in an open batch. */
int store_checkpoint(struct store *store);

/* Make a checkpoint if one is due; see store/sqlite/checkpoint.c. Called by
 * store_transaction_begin() and while the writer is idle. in_pause: no message has come for a
 * while, so a short WAL is enough. A WAL of 128 MiB waits for the readers that keep it from being
 * restarted, for 5 s and for busy_timeout at most. Never in an open batch. */
int store_tidy_wal(struct store *store, bool in_pause);

/* Returns how many bytes of the WAL are in use: frames that a reader keeps are, even if their pages
 * are in the database already. */
int64_t store_wal_bytes(const struct store *store);

/* Set the sizes of the database and of the WAL, in bytes; -1: there is no such file. */
void store_sizes(const struct store *store, int64_t *database_bytes, int64_t *wal_bytes);

/* Set *used_bytes to the size of the database's pages in use, those in the WAL included. Never in
 * an open batch. */
int store_used_bytes(struct store *store, int64_t *used_bytes);

/*
 * Allocate the page cache of the whole process, once, before any other function of the store; from
 * then on only one thread at a time may use SQLite. Returns false when that is impossible: the
 * cache then grows when it is needed, and nothing else changes. See store/sqlite/page_cache.c.
 */
bool store_reserve_memory(void);

/* A value to bind. Bytes are borrowed until the statement is reset. */
struct store_value {
    enum { VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB } kind;
    int64_t integer;
    double real;       /* NAN binds NULL */
    const void *bytes; /* a NULL text binds NULL; a NULL blob is an empty one */
    size_t length;
};

struct store_value store_integer(int64_t integer);
struct store_value store_real(double real);
struct store_value store_text(const char *text);
struct store_value store_bytes(bool is_text, const void *bytes, size_t length);

/* Compile every statement. */
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

/* Bind `values`, run the statement to its end, and reset it. */
int store_execute(struct store *store, enum store_statement id, const struct store_value *values,
                  int count);

/* Run a statement whose values store_bind() has bound, and reset it. `bound` is the result of
 * store_bind(): unless it is STORE_OK, it is returned and nothing is run. */
int store_execute_bound(struct store *store, enum store_statement id, int bound);

/*
 * Return the result for the error that SQLite has just reported, with a sentence in store->error:
 * "path: cannot <doing>: SQLite's text; what to do". No other function does this. The caller sets
 * errno to 0 before it calls SQLite, so that errno is the cause of this error.
 */
int store_fail(struct store *store, const char *doing);

/* Check that the INSERT that has just run has put so many rows into a table, and that no trigger
 * has ignored one: returns STORE_OK, or store_refuse_ignored(). */
int store_check_stored(struct store *store, const char *table, int rows);

/* Returns STORE_E_RETRY, with a sentence about a row that the table has not taken. */
int store_refuse_ignored(struct store *store, const char *table);

/* Returns true when the tool that waits or reads is to end; never for the daemon. */
bool store_is_stopped(const struct store *store);

/* Returns the result for an extended result code of SQLite and the errno behind it (0: none). */
int store_classify(int code, int system_errno);

/* Set store->error and return `result`. */
int store_refuse(struct store *store, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Apply list[user_version] to list[count - 1], each in one transaction. Also STORE_E_STOPPED, when
 * store->progress asked for it. */
int store_migrate(struct store *store, const char *const *list, int count);

/* Drop the views of `typed_views`, in the open transaction and before the statements are prepared:
 * a migration may make something of such a name. store_set_views() makes them again. */
int store_drop_views(struct store *store);

/* Rewrite and sync the WAL that an earlier process has left, before anything is added to it; see
 * store/sqlite/renew.c. Called while opening, by everybody who writes. Also STORE_E_PATH and
 * STORE_E_STOPPED. */
int store_renew_wal(struct store *store);

/* As store_fail(), but STORE_E_PATH for errors that the operator can mend: no database, a missing
 * permission. While opening. */
int store_open_failed(struct store *store, const char *doing);

/* Set *number to the first column of the first row of a query. */
int store_read_number(struct store *store, const char *sql, int *number);

/* The next step of retention, chosen so that no message waits long for a checkpoint. */
enum store_turn {
    STORE_TURN_WORK, /* delete rows */
    STORE_TURN_MOVE, /* make a checkpoint first */
    STORE_TURN_WAIT, /* nothing, until messages or a pause have led to a checkpoint */
};

/* nobody_waits: see struct store_chunk. */
enum store_turn store_retention_turn(const struct store *store, bool nobody_waits);

/* Set whether commits wait until they are on disk, from the next transaction on. Messages need
 * that; store_transaction_begin() turns it on for them. */
int store_set_synced(struct store *store, bool synced);

/* Begin to watch the WAL's size after each commit, in place of SQLite's own checkpoints. */
void store_watch_wal(struct store *store);

/* Check that the names of the database and of the WAL still lead to the open files. STORE_E_RETRY:
 * that cannot be checked now; STORE_FATAL: a name does not, and the store writes nothing more. */
int store_verify_names(struct store *store);

/* Check names and content of the database file before a checkpoint; see store/sqlite/target.c.
 * Results as of store_verify_names(). */
int store_check_target(struct store *store);

/* Check the content alone, once a second at most. STORE_OK or STORE_FATAL. */
int store_look_at_target(struct store *store);

/* Return a store with these options that has opened nothing, for store_discard(); NULL: out of
 * memory. */
struct store *store_new(const struct store_options *options);

/* Give the configured broker's name to sessions and subscriptions that an earlier version recorded
 * without a broker. Two statements, each a transaction of its own. */
int store_adopt_sessions(struct store *store);

/* Set path, directory and wal_path from given_path, without symbolic links. STORE_OK, STORE_E_PATH
 * or STORE_E_RETRY. */
int store_resolve(struct store *store);

/* Sync the database's directory. STORE_OK, or the result of store_classify() for the errno. */
int store_sync_directory(struct store *store);

/* Close without a checkpoint and free everything: for an open that failed. NULL is allowed. */
void store_discard(struct store *store);

/* Put a message into quarantine and count it, in the open transaction: a new message, or one that
 * waited in the inbox. */
int store_put_aside(struct store *store, const struct foxtrackr_problem *problem,
                    const struct store_packet *packet);

/* The same, but not counted in the run. */
int store_keep(struct store *store, const struct foxtrackr_problem *problem,
               const struct store_packet *packet);

/* Note that quarantine has `change` entries more (negative: fewer), in the open batch. */
void store_note_entries(struct store *store, int64_t change);

/* Forget what another program may have changed since the last transaction. In the open
 * transaction, while no other program can write. */
int store_note_others(struct store *store);

/* Set *device to the number of a device, and cache it; leave *device unchanged if there is none. */
int store_find_device(struct store *store, const char *family, const char *device_id,
                      int64_t *device);

/* Set *device to the first device after `after`; 0: there is none. */
int store_next_device(struct store *store, int64_t after, int64_t *device);

#endif
