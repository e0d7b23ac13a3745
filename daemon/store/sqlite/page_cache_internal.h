/* The memory of the database's page cache; see store/sqlite/page_cache.c. */
#ifndef STORE_SQLITE_PAGE_CACHE_INTERNAL_H
#define STORE_SQLITE_PAGE_CACHE_INTERNAL_H

#include <stdbool.h>

/*
 * Take it for the whole process, once, before any other function of the store; from then on one
 * thread at a time may use SQLite. False when that is impossible: the cache then grows as it is
 * needed, and nothing else changes.
 */
bool store_reserve_memory(void);

#endif
