/*
 * The path of the database and the file there: resolves, checks and creates it, before SQLite is
 * asked.
 */
#include "store/sqlite/open_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/moment.h"
#include "base/plural.h"
#include "base/pulse.h"
#include "store/sqlite/lock_internal.h"

#define DATABASE_MODE 0640

static char *join(const char *first, const char *middle, const char *last)
{
    char *joined;

    return asprintf(&joined, "%s%s%s", first, middle, last) < 0 ? NULL : joined;
}

/* Resolves the directory of a path that does not exist yet. */
static char *real_directory(const char *path, const char *base)
{
    char *directory = base == path ? strdup(".") : strndup(path, (size_t)(base - path));
    char *real = directory == NULL ? NULL : realpath(directory, NULL);

    free(directory);
    return real;
}

/* WAL and lock are beside the file itself, so that two symbolic links to one database lead to one
 * lock. */
int store_resolve(struct store *store)
{
    const char *slash = strrchr(store->given_path, '/');
    const char *base = slash == NULL ? store->given_path : slash + 1;
    char *end;

    store->path = realpath(store->given_path, NULL);
    if (store->path == NULL && errno == ENOENT && base[0] != '\0') {
        store->directory = real_directory(store->given_path, base);
        if (store->directory == NULL) {
            return store_refuse(store, STORE_E_PATH,
                                "%s: its directory cannot be used: %s; create it, for the user of "
                                "foxtrackrd to write in",
                                store->given_path, error_text(errno));
        }
        store->path = join(store->directory, strcmp(store->directory, "/") == 0 ? "" : "/", base);
    } else if (store->path == NULL) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: cannot be reached: %s; correct %s or the permissions on the way "
                            "to it",
                            store->given_path, error_text(errno),
                            store->named ? "the name" : "database.path");
    } else {
        end = strrchr(store->path, '/');
        store->directory =
            end == store->path ? strdup("/") : strndup(store->path, (size_t)(end - store->path));
    }
    if (store->path == NULL || store->directory == NULL) {
        return open_no_memory(store);
    }
    store->wal_path = join(store->path, "-wal", "");
    return store->wal_path == NULL ? open_no_memory(store) : STORE_OK;
}

int open_check_file(struct store *store, int64_t *size)
{
    struct stat status;

    *size = -1;
    if (stat(store->path, &status) < 0) {
        if (errno == ENOENT && open_owns(store)) {
            return STORE_OK;
        }
        return store_refuse(store, STORE_E_PATH, "%s: cannot be opened: %s", store->path,
                            error_text(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        return store_refuse(store, STORE_E_PATH, "%s: is a directory; %s", store->path,
                            store->named ? STORE_NAME_ANOTHER : "database.path must name a file");
    }
    if (!S_ISREG(status.st_mode)) {
        return store_refuse(store, STORE_E_PATH, "%s: is not a regular file", store->path);
    }
    *size = status.st_size;
    /* A reader changes nothing, and a backup may have several names. */
    return store->read_only ? STORE_OK : store_check_links(store, &status);
}

int store_sync_directory(struct store *store)
{
    int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = 0;

    if (fd < 0) {
        return store_refuse(store, STORE_E_PATH, "%s: cannot be read: %s", store->directory,
                            error_text(errno));
    }
    /* EINVAL: a file system that cannot sync a directory. */
    pulse_wait_begin();
    if (fsync(fd) < 0 && errno != EINVAL) {
        error = errno;
    }
    pulse_wait_end();
    close(fd);
    if (error == 0) {
        return STORE_OK;
    }
    return store_refuse(store, store_classify(SQLITE_IOERR_DIR_FSYNC, error),
                        "%s: cannot be synced to disk: %s", store->directory, error_text(error));
}

int open_refuse_anew(struct store *store, const char *how)
{
    const struct store_record *record = &store->record;
    char moment[MOMENT_SIZE];

    return store_refuse(store, STORE_E_PATH,
                        "%s: %s, and %s.lock says that there was one: its run %lld had received "
                        "%lld message%s at %s; nothing was changed. Mount the disk that it is on, "
                        "put it back, or run foxtrackrctl restore with a backup; to begin with an "
                        "empty database, remove %s.lock",
                        store->path, how, store->path, (long long)record->run,
                        (long long)record->received, plural_s(record->received),
                        moment_text(record->moment_ms, moment), store->path);
}

int open_create(struct store *store, bool missing)
{
    struct stat status;
    int fd;

    /* SQLite would delete this WAL unread. It holds readings if the database was deleted after a
     * crash, so the operator has to decide. */
    if (stat(store->wal_path, &status) == 0 ? status.st_size > 0 : errno != ENOENT) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: is missing or empty, but its write-ahead log %s is not; put the "
                            "database back beside that, or move the write-ahead log away",
                            store->path, store->wal_path);
    }
    if (store->record.known) {
        return open_refuse_anew(store, missing ? "is missing" : "is empty");
    }

    fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, DATABASE_MODE);
    if (fd < 0) {
        return store_refuse(store, STORE_E_PATH, "%s: cannot be created: %s", store->path,
                            error_text(errno));
    }
    close(fd);
    return store_sync_directory(store);
}
