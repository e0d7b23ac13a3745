/* Finds the reader that keeps the WAL from being restarted; see store/sqlite/reader.c. Private to
 * the store.
 */
#ifndef STORE_SQLITE_READER_INTERNAL_H
#define STORE_SQLITE_READER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/measures.h"

#define STORE_READ_MARKS 5 /* SQLite's WAL_NREADER */

/* The read locks as last seen; zeroed, with fd = -1, before store_readers_open(). */
struct store_readers {
    int fd;    /* of the index (-shm); -1: none */
    int error; /* the errno with which the index could not be opened; 0: none */
    struct {
        bool held;
        pid_t pid;
        uint32_t mark;    /* how much of the WAL the reader sees */
        int64_t since_ms; /* monotonic; when this reader was first seen with this mark */
    } marks[STORE_READ_MARKS];
};

/* Open the index of the database at `path`, which SQLite has open. It stays open until
 * store_readers_close(): see there. When it cannot be opened, readers->error tells why, and
 * store_readers_look() never finds a reader. */
void store_readers_open(struct store_readers *readers, const char *path);

/* Only after sqlite3_close(): closing a descriptor drops every POSIX lock that this process has on
 * the file, SQLite's own included. */
void store_readers_close(struct store_readers *readers);

/* Check which other processes hold read locks now, and set *out to the one that has held its lock
 * for longest. To be called about once a second. */
void store_readers_look(struct store_readers *readers, int64_t now_ms, struct store_reader *out);

#endif
