/*
 * Measures the database and its file system, and makes checkpoints while the writer is idle.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/free_space.h"
#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

#define PAUSE_MS      500 /* after so long without a message none is expected soon */
#define IDLE_AGAIN_MS 500

int sqlite_server(struct store *store, struct store_server *out)
{
    (void)out;
    return store_refuse(store, STORE_E_PATH, "%s: is a file, which no server keeps", store->path);
}

unsigned sqlite_links(const struct store *store)
{
    struct statx status;

    return store->file_fd >= 0 && statx(store->file_fd, "", AT_EMPTY_PATH | AT_STATX_SYNC_AS_STAT,
                                        STATX_NLINK, &status) == 0
               ? status.stx_nlink
               : 1;
}

static int64_t size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
}

void store_sizes(const struct store *store, int64_t *database_bytes, int64_t *wal_bytes)
{
    *database_bytes = size_of(store->path);
    *wal_bytes = size_of(store->wal_path);
}

int sqlite_measure(struct store *store, struct store_measures *out)
{
    *out = (struct store_measures){.free_bytes = free_space(store->given_path)};
    if (out->free_bytes < 0) {
        return STORE_OK;
    }
    store->free_bytes = out->free_bytes;
    store_sizes(store, &out->database_bytes, &out->wal_bytes);
    out->wal_used_bytes = store_wal_bytes(store);
    out->names = sqlite_links(store);
    store_readers_look(&store->readers, clock_monotonic_ms(), &out->reader);
    return store_used_bytes(store, &out->used_bytes);
}

/* Makes a checkpoint of a long WAL, or in a pause of a short one; then rolls readings up. */
int sqlite_idle(struct store *store, int *again_ms)
{
    bool in_pause = clock_monotonic_ms() - store->batch_ms >= PAUSE_MS;
    int result = store_tidy_wal(store, in_pause);

    *again_ms = IDLE_AGAIN_MS;
    return result == STORE_OK ? rollup_idle(store, in_pause, again_ms) : result;
}
