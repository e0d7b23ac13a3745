/* Room on the disk for the WAL to move into the database; see store/sqlite/room.c. Private to this
 * room. */
#ifndef STORE_SQLITE_ROOM_INTERNAL_H
#define STORE_SQLITE_ROOM_INTERNAL_H

#include <stdbool.h>

struct store;

/* Make sure that a checkpoint after this commit needs no space. Called in an open transaction, as
 * the last step before COMMIT. STORE_OK; STORE_E_RETRY: there is no space for that, so the
 * transaction must be rolled back; STORE_FATAL. */
int store_reserve_room(struct store *store);

/* Note that the disk is full, if that is what an error of SQLite means: its extended result code,
 * and the errno behind it (0: none). */
void store_note_full(struct store *store, int code, int system_errno);

/* Give back the end of the WAL's file, behind its last commit. Not in an open transaction. Returns
 * true when there was something to give back. Waits for nobody, and leaves store->error alone. */
bool store_cut_wal(struct store *store);

#endif
