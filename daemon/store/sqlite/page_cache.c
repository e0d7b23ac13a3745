/*
 * The memory of the page cache, taken in one piece at the start.
 *
 * SQLite takes it page by page, so a daemon that looks small in a quiet week grows during the first
 * catch-up, when an operator least wants a surprise. Here the whole of it is taken, and touched,
 * before the database is opened: what the daemon uses after a minute is what it uses after ten
 * million messages. It is the process's and is never given back.
 *
 * SQLite guards such memory, and its count of what it has from the heap, with mutexes that every
 * look at a page takes. One thread at a time uses the database here: main() before the writer
 * begins and after it has ended, and the writer. So SQLite is told to do without.
 */
#include "store/store.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "store/sqlite/sqlite_internal.h"

/* The page size of databases that the daemon made. Pages of another size come from the heap. */
#define PAGE_SIZE 4096
#define PAGES     (STORE_CACHE_KIB * 1024 / PAGE_SIZE)

static void *reserved; /* SQLite's, until the process ends */

bool store_reserve_memory(void)
{
    int header_size = 0;
    int slot_size;
    void *memory;

    if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_PCACHE_HDRSZ, &header_size) != SQLITE_OK) {
        return false;
    }
    slot_size = (PAGE_SIZE + header_size + 7) & ~7;
    memory = malloc((size_t)slot_size * PAGES);
    if (memory == NULL ||
        sqlite3_config(SQLITE_CONFIG_PAGECACHE, memory, slot_size, PAGES) != SQLITE_OK) {
        free(memory);
        return false;
    }
    reserved = memory;
    return true;
}
