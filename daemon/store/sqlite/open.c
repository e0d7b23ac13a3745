/*
 * Opening the database: every check that can refuse it comes before the first byte that changes it.
 *
 *   path      refuses a directory, a missing parent, missing permission or a second name, and
 *             creates nothing
 *   lock      PATH.lock, before the database is touched; a second daemon ends here
 *             (store/sqlite/lock.c)
 *   create    with mode 0640, by us: SQLite gives its WAL the same mode
 *   hold      opens the file itself, locks it by its inode, and reads its header: a backup is
 *             recognised before SQLite puts a WAL beside it into it (store/sqlite/mark.c)
 *   inspect   leaves the database of another program, or of a newer foxtrackrd, as it is: reading
 *             does not change it, and NO_CKPT_ON_CLOSE keeps closing from changing it
 *   compare   with the record of the database that last stood here (store/sqlite/record.c)
 *   configure WAL mode, synchronous, ...
 *   accept    makes a backup the database, with its rows in `gaps` (store/sqlite/restored.c)
 *   migrate   one transaction for each step (store/sqlite/migrate.c)
 *   sync      the directory: SQLite ignores an error of that, and a WAL whose name is not on disk
 *             does not exist after a power failure
 *
 * Closing any descriptor of the database file drops the POSIX locks that SQLite holds on it. So the
 * descriptor of "hold" is opened before SQLite's and closed after it, and there is no other.
 *
 * This file has the order of the steps. open_path.c has path and create, open_connection.c the
 * connection, inspect and configure.
 */
#include "store/sqlite/open_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/log.h"
#include "migrations.h"
#include "store/sqlite/lock_internal.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/restored_internal.h"
#include "store/tools.h"

#define FIRST_READS         3
#define FIRST_READ_PAUSE_US 100000

bool open_owns(const struct store *store)
{
    return !store->read_only && !store->beside;
}

int open_no_memory(struct store *store)
{
    return store_refuse(store, STORE_E_RETRY, "%s: out of memory", store->given_path);
}

static int remember(struct store *store, const char *path, struct store_identity *identity)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        return store_refuse(store, STORE_FATAL, "%s: has gone while it was being opened: %s", path,
                            error_text(errno));
    }
    *identity = (struct store_identity){true, status.st_dev, status.st_ino};
    return STORE_OK;
}

/* The set-up of a store that writes; tools that only read skip it. */
static int set_up(struct store *store, bool fresh)
{
    int result = open_configure(store, fresh);

    /* Before the migrations, which set the application id of a database that is no backup. */
    if (result == STORE_OK && open_owns(store) && store->marked) {
        result = store_accept(store);
    }
    if (result == STORE_OK) {
        result = store_renew_wal(store);
    }
    if (result == STORE_OK && open_owns(store)) {
        result = store_migrate(store, sqlite_migrations, sqlite_migration_count);
    }
    if (result == STORE_OK && open_owns(store) && !fresh) {
        result = store_note_older(store);
    }
    if (result == STORE_OK && sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL)) {
        result = store_open_failed(store, "turn on foreign keys");
    }
    if (result == STORE_OK) {
        result = remember(store, store->path, &store->database);
    }
    /* The first read in this mode has created the WAL. */
    if (result == STORE_OK) {
        result = remember(store, store->wal_path, &store->wal);
    }
    if (result == STORE_OK) {
        result = store_sync_directory(store);
    }
    if (result == STORE_OK && open_owns(store)) {
        store_readers_open(&store->readers, store->path); /* messages do not need it: the caller is
                                                           * told of an error by store_find_out() */
    }
    store_record_file(store);
    if (result == STORE_OK && store->beside) {
        store_record_base(store); /* the daemon reads its own from the lock file */
    }
    store_watch_wal(store);
    return result;
}

static bool is_read_error(const struct store *store)
{
    return (store->failed_code & 0xff) == SQLITE_IOERR &&
           store->failed_code != SQLITE_IOERR_FSYNC && store->failed_code != SQLITE_IOERR_DIR_FSYNC;
}

/*
 * Connects, and reads what the file is. With the first read SQLite opens the log, or finds that
 * there is none. Seldom, while other programs opened and closed the database, that read failed with
 * an I/O error, and the next one did not. So an error is believed when it comes FIRST_READS times:
 * nothing has been written by then.
 */
static int connect_and_inspect(struct store *store, int *version)
{
    for (int i = 1;; i++) {
        int result = open_connect(store);

        if (result == STORE_OK) {
            result = open_inspect(store, version);
        }
        if (result != STORE_FATAL || !is_read_error(store) || i == FIRST_READS) {
            return result;
        }
        log_notice("%s; reading it again", store->error);
        sqlite3_close(store->db);
        store->db = NULL;
        store->broken = false;
        usleep(FIRST_READ_PAUSE_US);
    }
}

static int open_steps(struct store *store)
{
    int64_t size = -1;
    int version = 0;
    int result = store_resolve(store);

    if (result == STORE_OK) {
        result = open_check_file(store, &size);
    }
    if (result == STORE_OK && open_owns(store)) {
        result = store_take_lock(store);
    }
    if (result == STORE_OK && open_owns(store) && size <= 0) {
        result = open_create(store, size < 0);
    }
    if (result == STORE_OK) {
        result = store_hold(store);
    }
    if (result == STORE_OK) {
        result = store_check_mark(store);
    }
    if (result == STORE_OK && open_owns(store)) {
        result = store_record_check_file(store);
    }
    if (result == STORE_OK) {
        result = connect_and_inspect(store, &version);
    }
    if (result == STORE_OK && store->strange) {
        result = store_record_check_structure(store);
    }
    if (result == STORE_OK && !store->read_only) {
        result = set_up(store, version == 0);
    }
    if (result == STORE_OK) {
        result = store_prepare(store);
    }
    if (result == STORE_OK && open_owns(store) && store->broker[0] != '\0') {
        result = store_adopt_sessions(store);
    }
    if (result == STORE_OK && open_owns(store) && store->zone != NULL) {
        result = rollup_set_zone(store, store->zone);
    }
    return result;
}

struct store *store_new(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        return NULL;
    }
    store->entries = -1;
    store->entries_durable = -1;
    store->lock_fd = -1;
    store->readers.fd = -1;
    store->file_fd = -1;
    store->data_version = -1;
    rollup_forget(&store->rollup);
    store->handle.engine = &store_sqlite;
    store->free_bytes = INT64_MAX;
    store->given_path = strdup(options->path);
    store->broker = strdup(options->broker != NULL ? options->broker : "");
    if (store->given_path == NULL || store->broker == NULL) {
        free(store->given_path);
        free(store->broker);
        free(store);
        return NULL;
    }
    store->read_only = options->read_only;
    store->beside = options->beside;
    store->named = options->named;
    store->durability = options->durability;
    store->busy_timeout_ms = options->busy_timeout_ms;
    store->wait_ms = options->busy_timeout_ms;
    store->progress = options->progress;
    store->progress_context = options->progress_context;
    store->stopped = options->stopped;
    store->zone = options->zone;
    store->client_ids = options->client_ids;
    store->client_count = options->client_count;
    return store;
}

int sqlite_check(const struct store_options *options, char *problem, size_t problem_size)
{
    (void)options;
    (void)problem;
    (void)problem_size;
    return STORE_OK; /* the path is one of those that preflight_files() looks at */
}

int sqlite_open(const struct store_options *options, struct store **out, char *problem,
                size_t problem_size)
{
    struct store *store;
    int result;

    if (options->alone && !store_reserve_memory()) {
        log_debug("the memory of the page cache could not be taken at once; it grows as needed");
    }
    store = store_new(options);
    if (store == NULL) {
        snprintf(problem, problem_size, "%s: out of memory", options->path);
        return STORE_E_RETRY;
    }
    result = open_steps(store);
    if (result == STORE_OK) {
        *out = store;
        return STORE_OK;
    }
    snprintf(problem, problem_size, "%s", store->error);
    store_discard(store);
    return result;
}

int sqlite_schema_version(void)
{
    return sqlite_migration_count;
}
