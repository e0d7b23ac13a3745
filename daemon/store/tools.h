/*
 * The work of foxtrackrctl on a database, mostly beside the running daemon: backup, verification,
 * restore and replay. Results and threads are those of store/store.h. What an engine leaves to its
 * own programs (PostgreSQL: backup and restore) is STORE_E_PATH, with a sentence that names them.
 */
#ifndef STORE_TOOLS_H
#define STORE_TOOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"
#include "store/start.h"
#include "store/store.h"
#include "store/take.h"

/* Returns true when the open database is a backup that no daemon has accepted yet, and sets
 * *taken_ms to its moment (wall clock; 0: not known). For a store that is open read-only. */
bool store_is_backup(struct store *store, int64_t *taken_ms);

/* Returns the schema version that this program writes: the number of its migrations. */
int store_schema_version(const struct store *store);

/* Returns how many names (hard links) the database file has now; 1 when that is not known, or when
 * the database has no file of ours. */
unsigned store_links(const struct store *store);

enum store_unit { STORE_BYTES, STORE_ROWS };

/* Called from time to time during long work, with its progress: `what` is a static text, and a
 * total of 0 means unknown. If the function returns false, the work ends, rolls back and returns
 * STORE_E_STOPPED. */
struct store_watcher {
    bool (*progress)(void *context, const char *what, enum store_unit unit, int64_t done,
                     int64_t total);
    void *context;
};

/*
 * Copy the database to `file` while the daemon writes. The copy is one consistent state; it is
 * verified, synced, and only then renamed to `file`, so that a file of that name is complete. An
 * existing file is replaced only with `force`. `store` is open read-only. *bytes is set to the
 * size.
 *
 * STORE_OK; STORE_E_PATH (the destination cannot be used), STORE_E_RETRY (no space),
 * STORE_E_STOPPED, or STORE_FATAL (the database, or the copy, is damaged).
 */
int store_backup(struct store *store, const char *file, bool force,
                 const struct store_watcher *watcher, int64_t *bytes);

/* A finding of store_verify(). */
typedef void (*store_finding_fn)(void *context, const char *check, bool good, const char *detail);

/*
 * Verify the file, its schema, the references, digests and JSON of every row, the accounting of the
 * runs, and every view. Each check is reported by `finding`. `store` is open read-only. Returns
 * STORE_OK when every check could be made, whatever its finding; STORE_E_STOPPED; or the result of
 * a check that could not be made.
 */
int store_verify(struct store *store, const struct store_watcher *watcher, store_finding_fn finding,
                 void *context);

/* The request and the result of store_restore(). */
struct store_restore {
    const char *file; /* a backup, or another copy of a database */
    bool force;       /* restore despite the findings of the verification; never a damaged file */

    /* Set by store_restore(). */
    char *aside; /* the path of the old database, for free(); NULL: there was none, or nothing was
                    changed */
    struct store_restoration restoration;
    bool taken_over; /* a daemon was started meanwhile, and accepts the database itself */
};

/*
 * Put a copy of `request->file` in the place of the database of `options` (path, client ids), and
 * record in `gaps` the time that it lacks. No daemon may run. The copy is verified first; each
 * check is reported by `finding`. The old database and its WAL are renamed, to a name with the
 * time, and stay. A process that is killed leaves the old database or the new one, complete.
 *
 * STORE_OK; STORE_E_LOCKED (a daemon runs), STORE_E_PATH (the file cannot be read, or the database
 * cannot be written), STORE_E_NEWER, STORE_E_RETRY (no space), STORE_E_STOPPED, or STORE_FATAL (the
 * file is damaged, or the disk fails). `problem` gets a sentence on any result but STORE_OK; it
 * says so if the new database is in its place already.
 */
int store_restore(const struct store_options *options, struct store_restore *request,
                  const struct store_watcher *watcher, store_finding_fn finding, void *context,
                  char *problem, size_t problem_size);

/*
 * Returns true when a daemon, or a restore, has the database of `options` now (PostgreSQL: a client
 * id of them), and sets *holder. Reads the lock without taking it, so no other process is delayed;
 * false when that is not possible. Never while this process has the same database open.
 */
bool store_is_held(const struct store_options *options, struct store_holder *holder);

#define STORE_WARNINGS_MAX 6

/* The server that keeps the database. */
struct store_server {
    char version[32]; /* "15.18" */
    char where[128];  /* host and port, or the directory of the socket */
    char durable[96]; /* "fsync on, synchronous_commit on, one synchronous standby" */
    char warnings[STORE_WARNINGS_MAX][256];
    unsigned warning_count;
    bool refused;      /* a daemon does not start with it; the first warning says why */
    int64_t bytes;     /* of the database */
    int64_t deadlocks; /* since the server's statistics begin */
    int months_ahead;  /* partitions that are made ahead of the present month; -1: not known */
    struct store_holder holder;
};

/* Ask the server about itself. SQLite: STORE_E_PATH, there is none. */
int store_server(struct store *store, struct store_server *out);

/* The recent growth of the database. */
struct store_growth {
    int64_t bytes;    /* of the database */
    int64_t received; /* messages of all runs */
    int64_t lately;   /* messages of the runs since `since_ms` */
    /* The time that those messages are of, up to now_ms; 0: none. It begins with the first of those
     * runs, or with the oldest readings that they may have brought, which a catch-up brings: those
     * of the devices but the twentieth part with the oldest, and since `since_ms` at most. */
    int64_t span_ms;
};

/* Read the growth since `since_ms`; both times are of the wall clock. STORE_E_PATH while a database
 * is being moved into this one. */
int store_growth(struct store *store, int64_t since_ms, int64_t now_ms, struct store_growth *out);

/*
 * Count the rows of quarantine by reason. Reads the whole table, which may take seconds; the
 * watcher is called at every row. counts[] is indexed by enum foxtrackr_reason. Also
 * STORE_E_STOPPED.
 */
int store_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                             int64_t counts[FOXTRACKR_E_FIELD]);

/* The source of a replayed message: its reason in quarantine (enum foxtrackr_reason), or one of
 * these. */
enum {
    STORE_REPLAY_MESSAGES = 10,    /* the table `messages` */
    STORE_REPLAY_BATTERY = 11,     /* `extra` of battery rows */
    STORE_REPLAY_TEMPERATURE = 12, /* `extra` of temperature rows */
    STORE_REPLAY_SOURCES = 13
};

struct store_replay_counts {
    int64_t examined;
    int64_t moved;     /* became at least one new row, or filled a column */
    int64_t duplicate; /* was removed: every row existed already, with the same values */
    int64_t conflict;  /* stays: other values are stored for its device and time */
    int64_t kept;      /* stays: it still cannot be parsed, or there is nothing to do */
};

struct store_replay {
    const struct foxtrackr_fields *fields;
    int64_t max_future_ms;
    int64_t
        now_ms;   /* wall clock: a message that is further ahead than max_future_ms stays; 0: now */
    bool restamp; /* set last_received_ms = now_ms of messages that stay for another reason */
    int reason;   /* only messages in quarantine with this reason; 0: all sources */
    bool dry_run; /* only count; the store is open read-only */
    struct store_replay_counts counts[STORE_REPLAY_SOURCES];
};

/*
 * Parse the messages of quarantine and of `messages`, and the extra of readings, again, and move
 * those that can be parsed now to their tables and columns. Each message moves in one transaction,
 * which delays the daemon by a few milliseconds. `counts` are those of the transactions on disk,
 * after a failure too. `store` is open beside the daemon (store_options.beside), or read-only for a
 * dry run. Also STORE_E_STOPPED.
 */
int store_replay(struct store *store, struct store_replay *replay,
                 const struct store_watcher *watcher);

#endif
