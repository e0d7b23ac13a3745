/*
 * Allocates the memory of the page cache in one piece at the start.
 *
 * SQLite would allocate it page by page, so the daemon's memory would grow during the first
 * catch-up, to an operator's surprise. Here all of it is allocated, and touched, before the
 * database is opened: the daemon uses as much memory after a minute as after ten million messages.
 * The memory is never freed.
 *
 * SQLite guards this memory, and its statistics of the heap, with mutexes that every access to a
 * page takes. One thread at a time uses the database here: main() before the writer begins and
 * after it has ended, and the writer. So SQLite is configured without mutexes.
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

static void *reserved; /* used by SQLite until the process ends */

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
