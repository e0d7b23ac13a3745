/*
 * Which daemon has the sessions. Of all daemons on one database, one at a time has the client ids
 * of a configuration. SQLite's lock file does that while the store is opened; with PostgreSQL it is
 * a set of advisory locks of the connection that commits: a daemon that is cut off from the
 * database loses them, and cannot commit. Results and threads are those of store/store.h.
 */
#ifndef STORE_TAKE_H
#define STORE_TAKE_H

#include "store/store.h"

#define STORE_HOLDER_SIZE 128

/* The process that has a database, or client ids of ours. */
struct store_holder {
    long pid;                     /* of this machine; 0: of another one, or not known */
    char text[STORE_HOLDER_SIZE]; /* for people: "host db2, process 4711"; "": not known */
    int64_t silent_ms;            /* since the server last heard from it; 0: just now, or SQLite */
};

/* A daemon that the server has not heard from for longer is taken for stopped or cut off. */
#define STORE_SILENT_MS 8000

/*
 * Try once to take the client ids of store_options, without waiting. STORE_OK: they are this
 * store's until its connection ends. STORE_E_LOCKED: *holder is the process that has one of them.
 * STORE_E_WAIT: the database cannot be asked now; the next call connects again. A standby calls
 * this about twice a second; it ends the connection of a holder that is silent for STORE_SILENT_MS.
 * Before store_run_begin(). SQLite: STORE_OK.
 */
int store_take(struct store *store, struct store_holder *holder);

/* Tell the database that this process lives: for a holder that cannot commit at present, about
 * twice a second. Never fails; the next batch meets the cause. SQLite: nothing. */
void store_beat(struct store *store);

#endif
