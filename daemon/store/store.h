/*
 * The store: what main, the pipeline, the sessions and status know of the database. Which engine
 * keeps it (store/engine.h) is not their business. Retention is in store/retention.h, and what
 * foxtrackrctl needs beside this in store/tools.h.
 *
 * One store is used by one thread at a time: main opens it and hands it to the writer, and takes
 * it back when the writer has ended.
 *
 * Results have two signs. 0 is success. A negative value is fatal (STORE_FATAL): the database can
 * no longer be trusted or reached, the process must end with exit status 74 and open it anew;
 * nothing is retried after an I/O error, because what a failed sync wrote is unknown. A positive
 * value is a documented condition. store_error() gives the sentence for a person after either. A
 * function that says nothing else returns STORE_OK, STORE_E_RETRY or STORE_FATAL, and sets what it
 * returns through pointers only with STORE_OK.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "foxtrackr.h"

struct store;

enum store_result {
    STORE_FATAL = -1,
    STORE_OK = 0,
    STORE_E_RETRY = 1,  /* busy, full or read-only: roll back, wait, try the same again */
    STORE_E_LOCKED = 2, /* open only: another foxtrackrd has this database */
    STORE_E_NEWER = 3,  /* open only: the schema is newer than this program; database untouched */
    STORE_E_PATH = 4, /* open only: cannot be created or opened: path, permission, not a database */
    STORE_E_STOPPED = 5, /* the caller ended it: `progress` of an open, and the database is as it
                            was; or see store/tools.h */
};

/* --- open and close ------------------------------------------------------------------------ */

enum store_durability {
    STORE_FULL,   /* a commit is on disk when it returns: survives power loss */
    STORE_NORMAL, /* survives kill -9; power loss may take the last commits */
};

/* How far a migration is. */
struct store_progress {
    int from; /* schema versions */
    int to;
    uint64_t rows; /* to be written anew; 0: it is a matter of a moment */
    uint64_t rows_done;
    bool finishing;        /* nothing more will be heard until what is left is on disk... */
    int64_t bytes_to_sync; /* ...and this is about how much that is */
    bool done;
};

/* Called while a migration runs, in the thread of store_open(): where one begins and ends, and a
 * few times a second in between. False: stop, the next start will do it. */
typedef bool store_progress_function(void *context, const struct store_progress *progress);

struct store_options {
    const char *path;
    const char *broker; /* host:port, whose sessions these are; copied; NULL: of no broker */
    enum store_durability durability;
    int busy_timeout_ms;
    bool alone;     /* the process opens no other store: take its memory at once and for good */
    bool read_only; /* for tools: no lock, no migration, no creation */
    bool beside;    /* for tools that write while the daemon does: the same, but not read-only */
    store_progress_function *progress; /* NULL: none */
    void *progress_context;
    bool (*stopped)(void); /* NULL: never. For tools: asked while they wait for others or read for
                              long; true ends that with STORE_E_STOPPED */
    const char *const *client_ids; /* the configured sessions, for rows in `gaps`; borrowed during
                                      store_open() */
    unsigned client_count;
};

/* Open the database, creating it durably where there is none, take the lock against a second
 * daemon, and bring the schema up to date: an interrupted migration leaves the version before it.
 * `problem` (of problem_size bytes) gets a sentence on any result but STORE_OK. On success *out is
 * the caller's, for store_close(). */
int store_open(const struct store_options *options, struct store **out, char *problem,
               size_t problem_size);

/* Close; also after STORE_FATAL. NULL is allowed. Returns STORE_OK or STORE_FATAL. */
int store_close(struct store *store);

/* The sentence for the last result that was not STORE_OK. Lives until the next call. */
const char *store_error(const struct store *store);

/* What store_open() found to have been put in the place of the database. */
struct store_restoration {
    enum {
        STORE_NOT_RESTORED,
        STORE_RESTORED_BACKUP, /* a backup; gaps.reason "restored" */
        STORE_RESTORED_OLDER,  /* an older state of the database, or another one; gaps.reason "older
                                  database" */
    } kind;                    /* not the first: rows were written into `gaps` */
    int64_t from_ms;           /* everything until then is in the file; wall clock, 0: not known */
    int64_t to_ms;             /* wall clock */
    int64_t clients;           /* rows written */
};

/* In which way the database is not the one that the last run left, for the log. */
struct store_found {
    struct store_restoration restoration;
    bool strange;       /* it was changed by another program, or the power failed, since foxtrackrd
                           left it, and it shows no damage all the same */
    bool lock_is_other; /* the lock file holds another program's content: it locks all the same, is
                           left as it is, and no record of the database is kept */
};

/* Find that out: by what store_open() saw, and by a restoration that is in `gaps` already and after
 * which no run has begun (foxtrackrctl restore made it, or a start that was killed). Before
 * store_run_begin(). *out is set with every result. */
int store_find_out(struct store *store, struct store_found *out);

/* The newest time of our own clock that the database holds: of the sessions' last commits and of
 * devices' newest readings; 0: none. A few milliseconds; before messages are taken. */
int store_newest_ms(struct store *store, int64_t *newest_ms);

/* Begin and end the run: a row in `runs`. Transactions of their own. */
int store_run_begin(struct store *store, const char *version, int64_t now_ms);
int store_run_end(struct store *store, int64_t now_ms);

/* Wait for others who use the database for wait_ms at most from now on. */
void store_limit_wait(struct store *store, int wait_ms);

/* --- messages ------------------------------------------------------------------------------ */

/* A message as it came, for the rows that keep it whole. */
struct store_packet {
    const char *topic; /* topic_length bytes, not NUL-terminated, any bytes */
    size_t topic_length;
    const void *payload; /* the kept bytes */
    size_t payload_length;
    int64_t received_ms;
    const uint8_t *whole_digest; /* SHA-256 of the payload if only its beginning is kept; or NULL */
    const char *client_id;       /* whose session brought it; NULL: not known */
};

/* The accounting of a run: received = stored + duplicate + quarantined, always. */
struct store_counts {
    uint64_t received;
    uint64_t stored;
    uint64_t duplicate;
    uint64_t quarantined;
};

/*
 * The pipeline's part: it parses, and it is told what became of each message. Not every message has
 * its rows in the batch that brought it: some wait, on disk, and come to their tables in a later
 * batch, also of a later run. Called by the functions of a batch, in the open batch; what is told
 * is undone with it. Pointers live until the function returns.
 */
struct store_handler {
    /* 0 and *message, which the store clears; positive and *problem; negative: out of memory. */
    int (*parse)(void *context, const struct store_packet *packet,
                 struct foxtrackr_message *message, struct foxtrackr_problem *problem);
    /* A message has come to its tables; time_ms is its own. */
    void (*understood)(void *context, int64_t time_ms);
    /* A message is in quarantine; after understood() when it conflicts with what is stored. */
    void (*quarantined)(void *context, const struct store_packet *packet,
                        const struct foxtrackr_problem *problem);
    void *context;
};

/* Attach the pipeline: before the first batch, in the writer's thread, until it succeeds. Reads
 * which messages wait since an earlier run; that may take seconds. `handler` is copied, and its
 * context outlives the last batch. */
int store_attach(struct store *store, const struct store_handler *handler);

/* Begin a batch, which is one transaction. */
int store_begin(struct store *store);

/* True when messages wait, or have left something to tidy up: batches are then to begin with
 * store_sort_in(), whether messages come or not. */
bool store_sorts_in(const struct store *store);

/* In the open batch, before its messages: put some that wait into their tables, `most` at most.
 * `idle`: the caller would be, until messages come. *wait_us: for so long it may wait for messages
 * before it commits; an empty batch tells the store that nothing comes for the moment. */
int store_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us);

/* Put a message into the open batch. The handler parses it and is told what became of it, before
 * this returns or later. What `packet` points at lives until store_commit() or store_rollback(). */
int store_apply(struct store *store, const struct store_packet *packet);

/* Put a message that cannot be parsed into quarantine, in the open batch; one that is there already
 * (same topic and payload) counts up its occurrences instead. The handler is not told. */
int store_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                     const struct store_packet *packet);

/* In the open batch, when there is a moment before the next message: write what was put off to be
 * written together with more. */
int store_flush(struct store *store);

/*
 * Commit the batch, with the run's counts. STORE_OK only when the transaction is on disk (with
 * STORE_FULL), in the database that was opened. STORE_E_RETRY: not known to be on disk, roll back
 * and apply the same messages again; idempotent rows make that harmless. Never waits for readers.
 */
int store_commit(struct store *store);

/* Undo the open batch; the run's counts go back to what the database holds. */
int store_rollback(struct store *store);

/* Copy the run's counts, the open batch included. */
void store_counts(const struct store *store, struct store_counts *out);

/* How many messages are on disk, not in their tables yet, and not in the counts. */
uint64_t store_waiting(const struct store *store);

/* --- sessions; all but the last two in the open batch --------------------------------------- */

/* What may have been lost when the broker made a new session. */
enum store_gap {
    STORE_GAP_NONE,      /* nothing: it is this client's first session */
    STORE_GAP_LOST,      /* the broker forgot a session that it had; gaps.reason "session lost" */
    STORE_GAP_UNCERTAIN, /* a CONNECT was never answered: the session may be a new one; gaps.reason
                            "session uncertain" */
    STORE_GAP_MOVED,     /* another broker than before: what that one keeps for us stays there;
                            gaps.reason "broker changed" */
};

/* A CONNECT is about to leave: what the broker makes of it is unknown until one of the next two
 * calls (sessions.connecting = 1). A process that dies in between finds the flag and subscribes
 * again: without it, a session that the broker made anew would look like the old one, with
 * subscriptions that it does not have. */
int store_session_connecting(struct store *store, const char *client_id);

/* Notes that the outcome of a CONNECT is known: connecting = 0. With now_ms other than 0 the broker
 * had a session: connected_ms becomes now_ms, established_ms too if it was NULL, and unless `gap`
 * is STORE_GAP_NONE there is a row in `gaps` as with the next call. */
int store_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                          int64_t now_ms);

/* The broker has made a new session: connecting = 0, established_ms and connected_ms = now_ms, the
 * client's rows in `subscriptions` go, and unless `gap` is STORE_GAP_NONE a row in `gaps` from
 * last_durable_ms to now_ms. */
int store_session_established(struct store *store, const char *client_id, enum store_gap gap,
                              int64_t now_ms);

/* Note that a session delivered messages in this batch: sessions.last_durable_ms. */
int store_session_durable(struct store *store, const char *client_id, int64_t now_ms);

/* Remember, or forget, that the broker holds a subscription for this client. */
int store_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                     int64_t now_ms);
int store_unsubscribed(struct store *store, const char *client_id, const char *filter);

/* What is on record of a client's session. */
struct store_session {
    bool known;     /* the broker has had a session for it (established_ms is not NULL) */
    bool uncertain; /* the connecting flag is set */
    bool elsewhere; /* the daemon's last session for it was with another broker */
};
int store_session_find(struct store *store, const char *client_id, struct store_session *out);

/* For people: client id, broker, and when the daemon last had that session (moment_text()). */
#define STORE_SESSION_UNUSED                                                                       \
    "%s: its session at %s, last used %s, is not configured any more: the broker may go on "       \
    "queuing messages for it; to receive them configure this client id again, to end the "         \
    "session see \"Sessions not configured any more\" in foxtrackrd(8)"

typedef void store_unused_fn(void *context, const char *client_id, const char *broker,
                             int64_t used_ms);

/*
 * Call `each` for every session that a broker has made for a client id that is none of the `count`
 * client_ids. The strings live until `each` returns; used_ms is when the daemon last had the
 * session (wall clock; 0: not known). STORE_OK, STORE_E_RETRY or STORE_FATAL.
 */
int store_sessions_unused(struct store *store, const char *const client_ids[], unsigned count,
                          store_unused_fn *each, void *context);

/* Call `each` for every remembered subscription of a client at the broker, in the order of filters.
 * `filter` lives until `each` returns. A non-zero return of `each` ends the walk and is returned.
 */
int store_subscriptions(struct store *store, const char *client_id,
                        int (*each)(void *context, const char *filter, int qos), void *context);

/* --- between batches ----------------------------------------------------------------------- */

/* No message waits: do what is better done now than while messages come. *again_ms: if still none
 * waits then, it is to be called again. With STORE_E_RETRY nothing is lost: the next batch finds
 * out whether it is over. */
int store_idle(struct store *store, int *again_ms);

/* Give all space that is not used back to the file system; waits a second for readers at most, and
 * does what can be done without them. */
int store_shrink(struct store *store);

/* A read transaction of another process, which keeps the write-ahead log from beginning anew. */
struct store_reader {
    bool held;      /* there is one */
    int64_t pid;    /* 0: of another process id namespace, or not known */
    int64_t for_ms; /* since it was first seen */
};

/* How large the database is, and what it stands on. */
struct store_measures {
    int64_t free_bytes;     /* on the file system; -1: not known, and nothing else is either */
    int64_t database_bytes; /* -1: there is no file of it */
    int64_t wal_bytes;      /* of the write-ahead log; -1: there is none */
    int64_t wal_used_bytes; /* of these in use; what a reader keeps is */
    int64_t used_bytes;     /* of the database, those in the log included; grows with every row and
                               shrinks with every page that is freed; 0: not known */
    unsigned names;         /* hard links of the database file; 0: not known */
    struct store_reader reader; /* the read transaction that has been open for longest */
};

/* Measure it. To be called about once a second: the reader is told from several looks, and how the
 * store uses the disk follows the free space at the last one. *out is set with every result. */
int store_measure(struct store *store, struct store_measures *out);

#define STORE_CLIENT_ID_SIZE     128
#define STORE_QUARANTINE_COUNTED 100000

/* What status tells of the database's content. */
struct store_summary {
    uint64_t gaps;                            /* rows in `gaps` */
    char gap_client_id[STORE_CLIENT_ID_SIZE]; /* of the last one, cut; "" when there is none */
    char gap_reason[32];
    int64_t gap_from_ms;         /* wall clock; 0: not known */
    int64_t gap_to_ms;           /* wall clock; 0: there is none */
    bool restored;               /* an earlier state was put in its place once; the last time: */
    bool restored_backup;        /* a backup, or a copy without a mark */
    int64_t restored_ms;         /* when it became the database; wall clock */
    int64_t restored_from_ms;    /* until when everything was in it; wall clock; 0: not known */
    uint64_t quarantine_entries; /* counted up to STORE_QUARANTINE_COUNTED */
};

/* Read it, in a few milliseconds at most however large the database is. */
int store_summary(struct store *store, struct store_summary *out);

/* The entries of quarantine after the last commit: as store_summary() counted them, and what this
 * store has put there and taken out since. Counted up to STORE_QUARANTINE_COUNTED; -1: not before
 * the first store_summary(). */
int64_t store_quarantine_entries(const struct store *store);

/* A number that differs from the last one when another program has changed the database in
 * between. */
int store_version_of_others(struct store *store, int64_t *version);

#endif
