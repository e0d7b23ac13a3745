/*
 * What foxtrackrctl does with the database beside the running daemon: a copy of it, a check of it,
 * and another try at what is in quarantine. The database is SQLite's. Results are those of
 * store/store.h; store_error() has the sentence.
 */
#ifndef STORE_TOOLS_H
#define STORE_TOOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"
#include "store/start.h"
#include "store/store.h"

/* Whether the open database is a backup that no daemon has accepted yet. Sets *taken_ms to its
 * moment (wall clock; 0: not known) when it is. For a store that is open read-only. */
bool store_is_backup(struct store *store, int64_t *taken_ms);

/* The schema version that this program writes: the number of its migrations. */
int store_schema_version(void);

/* How many names (hard links) the database file has now; 1 where that cannot be told. */
unsigned store_links(const struct store *store);

enum store_unit { STORE_BYTES, STORE_ROWS };

/* Called from time to time with the progress of long work. `what` is a static text; a total of 0
 * means unknown. Returns false to end the work, which then rolls back and returns
 * STORE_E_STOPPED. */
struct store_watcher {
    bool (*progress)(void *context, const char *what, enum store_unit unit, int64_t done,
                     int64_t total);
    void *context;
};

/*
 * Copy the database to `file` while others write: one consistent state, verified, made durable, and
 * only then given its name, so that there is a whole backup of that name or none. A file that is
 * there is replaced only with `force`. `store` is open read-only. *bytes is set to the size.
 *
 * STORE_OK; STORE_E_PATH (the destination: what is wrong with it), STORE_E_RETRY (no space),
 * STORE_E_STOPPED, or STORE_FATAL (the database, or the copy, is damaged).
 */
int store_backup(struct store *store, const char *file, bool force,
                 const struct store_watcher *watcher, int64_t *bytes);

/* A finding of store_verify(). */
typedef void (*store_finding_fn)(void *context, const char *check, bool good, const char *detail);

/*
 * Check everything that can be checked: the file, its schema, every row's references, digests and
 * JSON, the accounting of the runs, every view. `store` is open read-only. Returns STORE_OK when
 * every check could be made, whatever it found; STORE_E_STOPPED; or another result for a check that
 * could not be made.
 */
int store_verify(struct store *store, const struct store_watcher *watcher, store_finding_fn finding,
                 void *context);

/* The request and the result of store_restore(). */
struct store_restore {
    const char *file; /* a backup, or another copy of a database */
    bool force;       /* although the verification found something; never a damaged file */
    char *aside;      /* set: the path where the old database is now, for free(); NULL: there was
                         none, or nothing was changed */
    struct store_restoration restoration; /* set */
    bool taken_over; /* set: a daemon was started meanwhile, and accepts the database itself */
};

/*
 * Put a copy of `request->file` in the place of the database of `options` (path, client ids), and
 * write into `gaps` what is not in it. No daemon may run. The copy is verified first; each finding
 * is told. The old database and its log are set aside beside it under a name with the time, and
 * stay. A process that is killed leaves the old database or the new one, complete.
 *
 * STORE_OK; STORE_E_LOCKED (a daemon runs), STORE_E_PATH (the file cannot be read, or the database
 * not be written), STORE_E_NEWER, STORE_E_RETRY (no space), STORE_E_STOPPED, or STORE_FATAL (the
 * file is damaged, or the disk fails). `problem` gets a sentence on any result but STORE_OK, which
 * also says so where the new database is in its place already.
 */
int store_restore(const struct store_options *options, struct store_restore *request,
                  const struct store_watcher *watcher, store_finding_fn finding, void *context,
                  char *problem, size_t problem_size);

/*
 * Whether a daemon, or a restore, has the database at `path` now: it looks at the lock and never
 * takes it, so nobody is held up. *owner becomes its process id; 0 where that cannot be read. Not
 * while this process has the same database open.
 */
bool store_is_held(const char *path, long *owner);

/* How fast the database grew lately. */
struct store_growth {
    int64_t bytes;    /* of the database */
    int64_t received; /* messages of all runs */
    int64_t lately;   /* messages of the runs since `since_ms` */
    int64_t span_ms;  /* from the start of the first of those runs to now_ms; 0: none */
};

/* Read it. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int store_growth(struct store *store, int64_t since_ms, int64_t now_ms, struct store_growth *out);

/*
 * Count the rows of quarantine by reason. That reads the whole table, which may take seconds: the
 * watcher is asked at every row. counts[] is by enum foxtrackr_reason, and set only with STORE_OK;
 * else STORE_E_STOPPED, STORE_E_RETRY or STORE_FATAL.
 */
int store_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                             int64_t counts[FOXTRACKR_E_FIELD]);

/* Where a replayed message comes from: its reason in quarantine (enum foxtrackr_reason), or one of
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
    int64_t duplicate; /* every row was there already, with the same values: only removed */
    int64_t conflict;  /* stays: other values are stored for its device and time */
    int64_t kept;      /* stays: still not understood, or nothing to do */
};

struct store_replay {
    const struct foxtrackr_fields *fields;
    int64_t max_future_ms;
    int64_t now_ms; /* wall clock: what is further ahead than max_future_ms stays; 0: of now */
    bool restamp;   /* what stays for another reason than before has last_received_ms = now_ms */
    int reason;     /* only messages in quarantine with this one; 0: everything */
    bool dry_run;   /* the store is open read-only: only count */
    struct store_replay_counts counts[STORE_REPLAY_SOURCES];
};

/*
 * Parse again what is in quarantine, in `messages` and in `extra`, and move what is understood now.
 * Each message moves in one transaction, which holds others up for a few milliseconds. `counts`
 * are of what is on disk, also after a failure. `store` is open beside the daemon
 * (store_options.beside), or read-only for a dry run. STORE_OK, STORE_E_STOPPED, STORE_E_RETRY or
 * STORE_FATAL.
 */
int store_replay(struct store *store, struct store_replay *replay,
                 const struct store_watcher *watcher);

#endif
