/* The newest run as the database file itself records it, without the WAL. Only for the store's
 * files. */
#ifndef STORE_SQLITE_BASE_INTERNAL_H
#define STORE_SQLITE_BASE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

/* The page with the newest row of `runs`. */
struct store_base {
    uint32_t page;    /* 0: not known */
    int64_t rows;     /* on that page */
    int64_t run;      /* the last of them */
    int64_t received; /* its number of messages */
};

/* Read *base from a file: from then on the file never lacks that. `root` is the root page of
 * `runs`. Returns false, with *base unchanged, when the page is not as expected. */
bool store_base_read(int fd, uint32_t root, struct store_base *base);

/* SQLite's change counter in the file's header, which no commit lowers; 0: no header. */
uint32_t store_base_counter(int fd);

/* Returns true when the file begins like a database. */
bool store_base_is_database(int fd);

/* Returns true when the run of `base` has fewer messages in the file than `base` says. */
bool store_base_went_back(int fd, const struct store_base *base);

/* Returns true when the file holds exactly `base`. */
bool store_base_matches(int fd, const struct store_base *base);

/*
 * Returns true when the file is certainly older than `base`, which was in it; false when that is
 * not certain, as where the WAL at wal_path was begun before.
 */
bool store_base_is_older(int fd, const char *wal_path, const struct store_base *base);

#endif
