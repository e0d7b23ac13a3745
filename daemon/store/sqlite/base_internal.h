/* What the database file itself holds of the newest run, its log left aside. Only for the store's
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

/* Read it from a file into which the whole log has moved. `root` is the root page of `runs`. False,
 * and *base unchanged, where the file holds something else there. */
bool store_base_read(int fd, uint32_t root, struct store_base *base);

/* Whether the file holds exactly that. */
bool store_base_matches(int fd, const struct store_base *base);

/*
 * Whether the file is certainly older than `base`, which was in it, and on disk, before the log at
 * wal_path was begun. False wherever that is not certain.
 */
bool store_base_is_older(int fd, const char *wal_path, const struct store_base *base);

#endif
