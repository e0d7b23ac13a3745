/*
 * The store: the database as the pipeline uses it. An engine keeps it (store/engine.h); nothing
 * here depends on which. The headers beside this one add the records of sessions (sessions.h), the
 * store's own work (upkeep.h), deletions (retention.h), typed views (views.h), numbers for status
 * (measures.h), a run's start and end (start.h), which daemon has the sessions (take.h), and the
 * work of foxtrackrctl (tools.h, answers.h).
 *
 * One thread at a time uses a store: main opens it and gives it to the writer until that has ended.
 *
 * A negative result is fatal: it is unknown what a failed sync has written, so nothing is retried,
 * and the process ends with exit status 74 and opens the database anew. A positive result is a
 * documented condition. After either, store_error() has the sentence for a person. Unless its
 * comment says otherwise a function returns STORE_OK, STORE_E_RETRY or STORE_FATAL, and sets its
 * out-parameters only with STORE_OK.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "foxtrackr.h"

struct store;
struct zone;           /* base/zone.h */
struct store_progress; /* store/start.h */

enum store_result {
    STORE_E_LOST = -2, /* another daemon has the sessions now; fatal: exit with EX_TEMPFAIL */
    STORE_FATAL = -1,
    STORE_OK = 0,
    STORE_E_RETRY = 1,  /* busy, full or read-only: roll back, wait, try the same again */
    STORE_E_LOCKED = 2, /* open: another foxtrackrd has this database */
    STORE_E_NEWER = 3,  /* open: the schema is newer than this program; the database is untouched */
    STORE_E_PATH = 4,   /* open: the path, its permissions, or not a database */
    STORE_E_STOPPED = 5, /* the caller ended it: `progress`, `stopped`, or a tool's watcher */
    STORE_E_EMPTY = 7,   /* open read-only: the server has the database, and no daemon has made
                            its tables yet */
    STORE_E_WAIT = 6,    /* open, take: the database cannot be reached or written now; try again */
};

/* A commit survives power loss (STORE_FULL), or kill -9 alone (STORE_NORMAL). */
enum store_durability { STORE_FULL, STORE_NORMAL };

struct store_options {
    enum config_engine engine;
    const char *path;      /* SQLite: the file; PostgreSQL: the name for people */
    const char *uri;       /* PostgreSQL, without a password */
    const char *password;  /* NULL: none. Borrowed until the store is closed */
    int answer_timeout_ms; /* PostgreSQL: the server's longest silence; see conf(5) */
    bool standby;          /* leave the sessions alone while opening; store_take() takes them */
    const char *broker;    /* host:port, whose sessions these are; NULL: of no broker */
    enum store_durability durability;
    int busy_timeout_ms;           /* how long to wait for other users of the database */
    bool alone;                    /* no other store in the process: allocate memory at once */
    const struct zone *zone;       /* of the days; NULL: the database's. For the owner only */
    const char *const *client_ids; /* the configured sessions, for rows in `gaps` */
    unsigned client_count;
    /* Called while a migration runs; false ends it. NULL: not called. */
    bool (*progress)(void *context, const struct store_progress *progress);
    void *progress_context;
    bool read_only;        /* tools: take no lock, migrate and create nothing */
    bool beside;           /* tools: the same, but write while the daemon does */
    bool moving;           /* migrate: fill this database from another one (store/transfer.h) */
    bool named;            /* tools: the command line names the path, not the configuration */
    bool (*stopped)(void); /* asked during long waits and reads; true ends them. NULL: not asked */
};

/* Returns the options by which a program opens the database of a configuration: where it is, how
 * long to wait, how durable. The texts are the configuration's. */
struct store_options store_options_of(const struct config *config);

/* Open the database, created durably if there is none, take the lock against a second daemon, and
 * bring the schema up to date; an interrupted migration leaves the version before it. `problem`
 * gets a sentence on any result but STORE_OK. *out is the caller's, for store_close(). Strings of
 * the options may be freed afterwards. */
int store_open(const struct store_options *options, struct store **out, char *problem,
               size_t problem_size);

/* Close; also after STORE_FATAL. NULL is allowed. Returns STORE_OK or STORE_FATAL. */
int store_close(struct store *store);

/* The sentence for the last result that was not STORE_OK. Lives until the next call. */
const char *store_error(const struct store *store);

/* A message as it arrived. */
struct store_packet {
    const char *topic; /* topic_length bytes, not NUL-terminated, any bytes */
    size_t topic_length;
    const void *payload; /* the kept bytes */
    size_t payload_length;
    int64_t received_ms;
    const uint8_t *whole_digest; /* SHA-256 of the payload if only its beginning is kept; or NULL */
    const char *client_id;       /* of the session that brought the message; NULL: not known */
};

/* The accounting of a run: received = stored + duplicate + quarantined, always. */
struct store_counts {
    uint64_t received, stored, duplicate, quarantined;
};

/*
 * The caller's part, called by the functions of a batch: it parses, and learns the result of each
 * message. A message may wait on disk and be stored by a later batch, even of a later run. A
 * rollback undoes what was reported in its batch. Pointers live until the function returns.
 */
struct store_handler {
    /* 0 and *message, which the store clears; positive and *problem; negative: out of memory. */
    int (*parse)(void *context, const struct store_packet *packet,
                 struct foxtrackr_message *message, struct foxtrackr_problem *problem);
    /* A message was stored in its tables; time_ms is its own. */
    void (*understood)(void *context, int64_t time_ms);
    /* A message is in quarantine; after understood() when it conflicts with a stored row. */
    void (*quarantined)(void *context, const struct store_packet *packet,
                        const struct foxtrackr_problem *problem);
    void *context;
};

/* Attach the handler, which is copied; its context outlives the last batch. Called in the writer's
 * thread before the first batch, until it succeeds. May take seconds: it reads what waits. */
int store_attach(struct store *store, const struct store_handler *handler);

/* Begin a batch, which is one transaction. While messages wait it begins with store_sort_in()
 * (store/upkeep.h). */
int store_begin(struct store *store);

/* Put a message into the open batch. The handler parses it and learns the result before this
 * returns or later. The bytes of `packet` live until store_commit() or store_rollback(). */
int store_apply(struct store *store, const struct store_packet *packet);

/* Put a message into quarantine, in the open batch. The handler is not told. */
int store_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                     const struct store_packet *packet);

/* Write what the open batch has gathered to write together; called when no message is at hand. */
int store_flush(struct store *store);

/*
 * Commit the batch, with the run's counts. STORE_OK only when the transaction is on disk (with
 * STORE_FULL), in the database that was opened. STORE_E_RETRY: not known to be on disk, roll back
 * and apply the same messages again; idempotent rows make that harmless. Never waits for readers.
 */
int store_commit(struct store *store);

/* Undo the open batch; the run's counts go back to those in the database. */
int store_rollback(struct store *store);

/* Copy the run's counts, the open batch included. */
void store_counts(const struct store *store, struct store_counts *out);

#endif
