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
 */
#include "store/sqlite/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/log.h"
#include "base/moment.h"
#include "base/plural.h"
#include "base/pulse.h"
#include "migrations.h"
#include "store/sqlite/lock_internal.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/restored_internal.h"
#include "store/sqlite/wal_vfs_internal.h"
#include "store/tools.h"

#define DATABASE_MODE 0640

/* How long a tool beside the daemon waits for the write lock, and how often it tries: the daemon
 * holds the lock most of the time, with short pauses that slower attempts would miss.
 */
#define BESIDE_WAIT_MS     60000
#define BESIDE_QUESTION_US 500

/* The daemon tries this often, for busy_timeout. SQLite's own handler tries more and more rarely,
 * and so could miss the pauses of a program that writes continuously. */
#define QUESTION_US 1000

#define PROGRESS_OPS 100000 /* of SQLite's virtual machine: some milliseconds */

/* Returns true when this store may create, lock and migrate the database. */
static bool owns(const struct store *store)
{
    return !store->read_only && !store->beside;
}

static char *join(const char *first, const char *middle, const char *last)
{
    char *joined;

    return asprintf(&joined, "%s%s%s", first, middle, last) < 0 ? NULL : joined;
}

static int out_of_memory(struct store *store)
{
    return store_refuse(store, STORE_E_RETRY, "%s: out of memory", store->given_path);
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
                            "%s: cannot be reached: %s; correct database.path "
                            "or the permissions on the way to it",
                            store->given_path, error_text(errno));
    } else {
        end = strrchr(store->path, '/');
        store->directory =
            end == store->path ? strdup("/") : strndup(store->path, (size_t)(end - store->path));
    }
    if (store->path == NULL || store->directory == NULL) {
        return out_of_memory(store);
    }
    store->wal_path = join(store->path, "-wal", "");
    return store->wal_path == NULL ? out_of_memory(store) : STORE_OK;
}

/* Checks the file at the path. *size becomes -1 when there is none. */
static int check_file(struct store *store, int64_t *size)
{
    struct stat status;

    *size = -1;
    if (stat(store->path, &status) < 0) {
        if (errno == ENOENT && owns(store)) {
            return STORE_OK;
        }
        return store_refuse(store, STORE_E_PATH, "%s: cannot be opened: %s", store->path,
                            error_text(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: is a directory; database.path must name a file", store->path);
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

/*
 * Refuses to begin an empty database. The record names a run, and the row of that run was on disk
 * before the record: there was a database. A disk that is not mounted is the likely cause. A new
 * database in its place would take messages that the old one then lacks.
 */
static int refuse_to_begin_anew(struct store *store, const char *how)
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

static int create(struct store *store, bool missing)
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
        return refuse_to_begin_anew(store, missing ? "is missing" : "is empty");
    }

    fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, DATABASE_MODE);
    if (fd < 0) {
        return store_refuse(store, STORE_E_PATH, "%s: cannot be created: %s", store->path,
                            error_text(errno));
    }
    close(fd);
    return store_sync_directory(store);
}

int store_open_failed(struct store *store, const char *doing)
{
    int code = sqlite3_errcode(store->db);
    int result = store_fail(store, doing);

    switch (code) {
    case SQLITE_NOTADB:
        return store_refuse(store, STORE_E_PATH,
                            "%s: is not a database; move the file away, or correct database.path",
                            store->path);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return STORE_E_PATH;
    default:
        return result;
    }
}

/* A progress handler: a long read of a tool ends. */
static int ask_whether_stopped(void *context)
{
    return store_is_stopped(context) ? 1 : 0;
}

static int wait_beside(void *context, int asked)
{
    if (store_is_stopped(context)) {
        return 0;
    }
    usleep(BESIDE_QUESTION_US);
    return asked < BESIDE_WAIT_MS * 1000 / BESIDE_QUESTION_US;
}

static int wait_turn(void *context, int asked)
{
    struct store *store = context;
    int64_t now_ms = clock_monotonic_ms();

    if (asked == 0) {
        store->waiting_since_ms = now_ms;
    }
    if (now_ms - store->waiting_since_ms >= store->wait_ms || store_is_stopped(store)) {
        return 0;
    }
    pulse_beat();
    usleep(QUESTION_US);
    return 1;
}

static int connect_database(struct store *store)
{
    int flags = (store->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

    errno = 0;
    if (sqlite3_open_v2(store->path, &store->db, flags, store_wal_vfs()) != SQLITE_OK) {
        if (store->db == NULL) {
            return out_of_memory(store);
        }
        return store_open_failed(store, "open it");
    }
    if (store->beside) {
        sqlite3_busy_handler(store->db, wait_beside, store);
    } else {
        sqlite3_busy_handler(store->db, wait_turn, store);
    }
    if (store->stopped != NULL) {
        sqlite3_progress_handler(store->db, PROGRESS_OPS, ask_whether_stopped, store);
    }
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (!store->read_only && sqlite3_db_readonly(store->db, "main") == 1) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: may be read but not written; make the file and its file system "
                            "writable for the user of foxtrackrd",
                            store->path);
    }
    return STORE_OK;
}

/* Reads the single text result of a pragma or a query. */
static int read_text(struct store *store, const char *sql, const char *doing, char *text,
                     size_t size)
{
    sqlite3_stmt *statement = NULL;
    int result = STORE_OK;

    errno = 0;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        result = store_open_failed(store, doing);
    } else {
        snprintf(text, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    /* A pragma that writes returns its row first and commits when it is finalized. */
    if (sqlite3_finalize(statement) != SQLITE_OK && result == STORE_OK) {
        result = store_open_failed(store, doing);
    }
    return result;
}

int store_read_number(struct store *store, const char *sql, int *number)
{
    char text[16] = "";
    int result = read_text(store, sql, "read it", text, sizeof(text));

    if (result == STORE_OK) {
        *number = (int)strtol(text, NULL, 10);
    }
    return result;
}

/* Checks that it is a database of foxtrackrd, and its version. */
static int inspect(struct store *store, int *version)
{
    int application = 0;
    int objects = 0;
    int result = store_read_number(store, "PRAGMA user_version", version);

    if (result == STORE_OK) {
        result = store_read_number(store, "PRAGMA application_id", &application);
    }
    if (result == STORE_OK) {
        result = store_read_number(store, "SELECT count(*) FROM sqlite_schema", &objects);
    }
    if (result != STORE_OK) {
        return result;
    }

    store->marked = store_mark_of(application) != STORE_MARK_NONE;
    if (application != STORE_APPLICATION_ID && !store->marked &&
        (application != 0 || *version != 0 || objects != 0)) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: is not a foxtrackrd database but another program's; correct "
                            "database.path",
                            store->path);
    }
    if (*version > migration_count) {
        return store_refuse(store, STORE_E_NEWER,
                            "%s: has schema version %d, and this foxtrackrd knows versions up to "
                            "%d; install a newer foxtrackrd",
                            store->path, *version, migration_count);
    }
    if (owns(store) && *version == 0 && store->record.known) {
        return refuse_to_begin_anew(store, "holds nothing");
    }
    if (store->beside && store->marked) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: is a backup that foxtrackrd has not taken over yet; start "
                            "foxtrackrd, which does that",
                            store->path);
    }
    if (!owns(store) && *version < migration_count) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: has schema version %d, and this program needs %d; start "
                            "foxtrackrd once, which brings it up to date",
                            store->path, *version, migration_count);
    }
    return STORE_OK;
}

static int execute(struct store *store, const char *sql)
{
    errno = 0;
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? STORE_OK
               : store_open_failed(store, "set it up");
}

static int configure(struct store *store, bool fresh)
{
    char mode[16] = "";
    char sql[160];
    int result = STORE_OK;

    /* Only possible before a new database gets its first page, which turning on the WAL writes. */
    if (fresh) {
        result = execute(store, "PRAGMA auto_vacuum = INCREMENTAL");
    }
    if (result != STORE_OK) {
        return result;
    }

    result = read_text(store, "PRAGMA journal_mode = WAL", "turn on its write-ahead log", mode,
                       sizeof(mode));
    if (result != STORE_OK) {
        return result;
    }
    if (strcmp(mode, "wal") != 0) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: its file system has no shared memory, which the write-ahead log "
                            "needs; put the database on a local file system",
                            store->path);
    }

    /* Long readers let the WAL grow; the limit gives the space back afterwards. Debian's SQLite
     * overwrites every freed page with zeros, which doubles the inbox's writes. FAST does that only
     * for pages that are written anyway. No temporary files: a service may have no other directory
     * to write to. */
    snprintf(sql, sizeof(sql),
             "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -%d;"
             "PRAGMA secure_delete = FAST;"
             "PRAGMA temp_store = MEMORY",
             STORE_CACHE_KIB);
    result = execute(store, sql);
    if (result != STORE_OK) {
        return result;
    }
    store->synced = store->durability == STORE_FULL;
    return execute(store,
                   store->synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
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
    int result = configure(store, fresh);

    /* Before the migrations, which set the application id of a database that is no backup. */
    if (result == STORE_OK && owns(store) && store->marked) {
        result = store_accept(store);
    }
    if (result == STORE_OK) {
        result = store_renew_wal(store);
    }
    if (result == STORE_OK && owns(store)) {
        result = store_migrate(store, migrations, migration_count);
    }
    if (result == STORE_OK && owns(store) && !fresh) {
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
    if (result == STORE_OK && owns(store)) {
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

static int open_steps(struct store *store)
{
    int64_t size = -1;
    int version = 0;
    int result = store_resolve(store);

    if (result == STORE_OK) {
        result = check_file(store, &size);
    }
    if (result == STORE_OK && owns(store)) {
        result = store_take_lock(store);
    }
    if (result == STORE_OK && owns(store) && size <= 0) {
        result = create(store, size < 0);
    }
    if (result == STORE_OK) {
        result = store_hold(store);
    }
    if (result == STORE_OK) {
        result = store_check_mark(store);
    }
    if (result == STORE_OK && owns(store)) {
        result = store_record_check_file(store);
    }
    if (result == STORE_OK) {
        result = connect_database(store);
    }
    if (result == STORE_OK) {
        result = inspect(store, &version);
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
    if (result == STORE_OK && owns(store) && store->broker[0] != '\0') {
        result = store_adopt_sessions(store);
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
    store->durability = options->durability;
    store->busy_timeout_ms = options->busy_timeout_ms;
    store->wait_ms = options->busy_timeout_ms;
    store->progress = options->progress;
    store->progress_context = options->progress_context;
    store->stopped = options->stopped;
    store->client_ids = options->client_ids;
    store->client_count = options->client_count;
    return store;
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

int store_schema_version(void)
{
    return migration_count;
}
