/* What the frames of a write-ahead log say, read without SQLite. Only for the store's files. */
#ifndef STORE_FRAMES_H
#define STORE_FRAMES_H

#include <stdint.h>

/*
 * Read a log from its beginning, as SQLite's recovery does, up to the last commit that is whole.
 * Returns the size of the database after that commit, in pages; 0: there is none, or it cannot be
 * read.
 */
uint32_t store_frames_last_size(const char *wal_path);

#endif
