/* Reads the frames of a WAL without SQLite. Private to this room. */
#ifndef STORE_SQLITE_FRAMES_INTERNAL_H
#define STORE_SQLITE_FRAMES_INTERNAL_H

#include <stdint.h>

/*
 * Read a WAL from its beginning, as SQLite's recovery does, up to the last complete commit. Returns
 * the size of the database after that commit, in pages; 0: there is none, or the WAL cannot be
 * read.
 */
uint32_t store_frames_last_size(const char *wal_path);

/* Called with a frame's page; `bytes` may be used until it returns. */
typedef void (*store_frame_fn)(void *context, unsigned char *bytes, uint32_t page_size);

/* Call `each` for every valid frame of one page, committed or not, in their order. */
void store_frames_each(const char *wal_path, uint32_t page, store_frame_fn each, void *context);

#endif
