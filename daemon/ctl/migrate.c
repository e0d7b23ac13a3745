/*
 * `foxtrackrctl migrate sqlite-to-postgresql FILE`: moves a SQLite database into the configured
 * database of PostgreSQL.
 *
 * While it works, it has the lock of the file, and the locks of the client ids at the server: no
 * daemon can begin on either side. A batch of rows is one transaction of the server, with a note of
 * the last key; a command that was ended goes on behind it. At the end both sides are read in the
 * order of their keys and compared, and only then daemons may use the target.
 *
 * The records of the sessions come along, so the daemon goes on with the broker's session: nothing
 * is lost on the way, and a message that the broker sends again is a duplicate. Derived data are
 * not moved (roll-ups, the days of the time zone, typed views): the daemon makes those that it
 * needs.
 */
#include "ctl/commands_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error_text.h"
#include "base/moment.h"
#include "base/plural.h"
#include "ctl/migrate_internal.h"
#include "ctl/say_internal.h"
#include "ctl/work_internal.h"
#include "session/session.h"
#include "store/take.h"

#define DIRECTION    "sqlite-to-postgresql"
#define PROBLEM_SIZE 1024
#define BATCH_ROWS   20000
#define BATCH_BYTES  (8 << 20)
#define LOOK_ROWS    1000 /* between two looks at the watcher */
#define LOCKED_MS    (STORE_SILENT_MS + 4000)

/* In an order in which no row refers to one that is not there yet. */
static const char *const tables[] = {
    "devices", "device_groups", "battery", "temperature", "messages",      "quarantine",
    "runs",    "expired",       "gaps",    "sessions",    "subscriptions", "limits",
};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

struct migration {
    const struct config *config;
    const char *file;
    struct store *from, *to;
    struct ctl_work work;
    int64_t rows; /* that this command has moved */
};

/* Says why it ends. Returns the exit status. */
static int ends(struct migration *migration, struct store *store, int result)
{
    ctl_work_clear(&migration->work);
    if (result == STORE_E_STOPPED) {
        ctl_say("stopped after %" PRId64 " row%s; run it again to go on", migration->rows,
                plural_s(migration->rows));
        return 1;
    }
    ctl_say("%s", store_error(store));
    if (result == STORE_E_RETRY) {
        ctl_say("run it again: it goes on behind the rows that are there");
    }
    return result == STORE_FATAL ? EX_IOERR : result == STORE_E_PATH ? EX_NOINPUT : 1;
}

static int no_memory(void)
{
    ctl_say("out of memory");
    return EX_OSERR;
}

static bool goes_on(struct migration *migration, const char *what, int64_t rows)
{
    const struct store_watcher *watcher = &migration->work.watcher;

    return watcher->progress(watcher->context, what, STORE_ROWS, rows, 0);
}

/* --- moving ---------------------------------------------------------------------------------- */

/* Reads rows behind `at->key` into a batch. *count gets their number. */
static int fill_batch(struct migration *migration, const struct migrate_table *table,
                      struct store_query *query, struct store_position *at, int64_t *count)
{
    const struct store_cell *row = NULL;
    size_t bytes = 0;
    int result = EX_OK;

    *count = 0;
    while (bytes < BATCH_BYTES) {
        int read = store_query_next(query, &row);

        if (read != STORE_OK) {
            return ends(migration, migration->from, read);
        }
        if (row == NULL) {
            return EX_OK;
        }
        result = store_transfer_row(migration->to, row);
        if (result != STORE_OK) {
            return ends(migration, migration->to, result);
        }
        ++*count;
        free(at->key);
        at->key = migrate_key_text(table, row);
        if (at->key == NULL) {
            return no_memory();
        }
        bytes += migrate_row_bytes(table, row);
        if (*count % LOOK_ROWS == 0 && !goes_on(migration, table->name, at->rows + *count)) {
            return ends(migration, migration->to, STORE_E_STOPPED);
        }
    }
    return EX_OK;
}

/* Moves one batch. *done: there are no more rows. */
static int move_batch(struct migration *migration, const struct migrate_table *table,
                      struct store_position *at, bool *done)
{
    struct store_cell after[MIGRATE_KEY_MOST];
    const struct store_select select = {.from = table->name,
                                        .columns = table->columns,
                                        .order = table->key,
                                        .after = at->key != NULL ? after : NULL,
                                        .limit = BATCH_ROWS};
    struct store_query *query = NULL;
    char *bytes = NULL;
    int64_t count = 0;
    int status;
    int result;

    if (at->key != NULL && (bytes = migrate_key_cells(table, at->key, after)) == NULL) {
        return no_memory();
    }
    result = store_query_select(migration->from, &select, &query);
    free(bytes);
    if (result != STORE_OK) {
        return ends(migration, migration->from, result);
    }
    result = store_transfer_batch(migration->to, table->name, table->columns);
    status = result == STORE_OK ? fill_batch(migration, table, query, at, &count)
                                : ends(migration, migration->to, result);
    store_query_close(query);
    *done = count == 0;
    if (status == EX_OK) {
        at->rows += count;
        result = store_transfer_end(migration->to, at);
        status = result == STORE_OK ? EX_OK : ends(migration, migration->to, result);
    }
    if (status == EX_OK) {
        migration->rows += count;
        status = goes_on(migration, table->name, at->rows)
                     ? EX_OK
                     : ends(migration, migration->to, STORE_E_STOPPED);
    }
    return status;
}

static int move_table(struct migration *migration, const char *name)
{
    struct migrate_table table;
    struct store_position at = {0};
    bool done = false;
    int status = EX_OK;
    int result = migrate_table_read(migration->from, name, &table);

    if (result != STORE_OK) {
        return ends(migration, migration->from, result);
    }
    result = store_transfer_position(migration->to, name, &at);
    if (result != STORE_OK) {
        status = ends(migration, migration->to, result);
    }
    while (status == EX_OK && !done) {
        status = move_batch(migration, &table, &at, &done);
    }
    free(at.key);
    migrate_table_free(&table);
    return status;
}

/* --- comparing ------------------------------------------------------------------------------- */

/* Compares a table of the two sides by their rows, in the order of the key. */
static int compare_table(struct migration *migration, const char *name)
{
    struct migrate_table table;
    struct migrate_digest from = {0};
    struct migrate_digest to = {0};
    int status = EX_OK;
    int result = migrate_table_read(migration->from, name, &table);

    if (result != STORE_OK) {
        return ends(migration, migration->from, result);
    }
    result = migrate_digest_read(migration->from, &table, false, &migration->work.watcher, &from);
    if (result != STORE_OK) {
        status = ends(migration, migration->from, result);
    }
    if (status == EX_OK) {
        result = migrate_digest_read(migration->to, &table, true, &migration->work.watcher, &to);
        status = result == STORE_OK ? EX_OK : ends(migration, migration->to, result);
    }
    migrate_table_free(&table);
    if (status != EX_OK) {
        return status;
    }
    ctl_work_clear(&migration->work);
    if (from.failed || to.failed) {
        return no_memory();
    }
    if (from.rows != to.rows || memcmp(from.digest, to.digest, DIGEST_SIZE) != 0) {
        ctl_say("%s differs: %" PRId64 " row%s in %s, %" PRId64 " in %s: was the file changed "
                "meanwhile? Take an empty database, and begin anew",
                name, from.rows, plural_s(from.rows), migration->file, to.rows,
                migration->config->database.path);
        return EX_IOERR;
    }
    if (from.rows > 0) {
        printf("%-14s %10" PRId64 " row%s, the same on both sides\n", name, from.rows,
               plural_s(from.rows));
    }
    return EX_OK;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* The inbox of SQLite holds messages that are durable and in no table yet. */
static int check_inbox(struct migration *migration)
{
    static const char *const columns[] = {"n", NULL};
    const struct store_select select = {.from = "inbox", .columns = columns, .limit = 1};
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    int result = store_query_select(migration->from, &select, &query);

    if (result == STORE_OK) {
        result = store_query_next(query, &row);
    }
    store_query_close(query);
    if (result != STORE_OK) {
        return ends(migration, migration->from, result);
    }
    if (row != NULL) {
        ctl_say("%s: messages wait in its inbox, in no table yet: start foxtrackrd with it until "
                "`foxtrackrctl status` shows none there, and stop it again",
                migration->file);
        return 1;
    }
    return EX_OK;
}

static int work(struct migration *migration)
{
    char origin[MIGRATE_ORIGIN_SIZE];
    char moment[MOMENT_SIZE];
    int64_t finished_ms = 0;
    int status = EX_OK;
    int result = migrate_origin(migration->from, origin);

    if (result != STORE_OK) {
        return ends(migration, migration->from, result);
    }
    result = store_transfer_begin(migration->to, origin, &finished_ms);
    if (result != STORE_OK) {
        return ends(migration, migration->to, result);
    }
    if (finished_ms != 0) {
        printf("%s was moved into %s already, %s: nothing to do\n", migration->file,
               migration->config->database.path, moment_text(finished_ms, moment));
        return EX_OK;
    }
    for (size_t i = 0; i < TABLES && status == EX_OK; i++) {
        status = move_table(migration, tables[i]);
    }
    for (size_t i = 0; i < TABLES && status == EX_OK; i++) {
        status = compare_table(migration, tables[i]);
    }
    if (status != EX_OK) {
        return status;
    }
    result = store_transfer_finish(migration->to, clock_wall_ms());
    ctl_work_clear(&migration->work);
    if (result != STORE_OK) {
        return ends(migration, migration->to, result);
    }
    printf("%s is in %s now: start foxtrackrd with this configuration, and keep the file until "
           "you trust the new database\n",
           migration->file, migration->config->database.path);
    return EX_OK;
}

/* Opens the store. The server may keep the locks of a command that was killed for a moment. */
static int open_patiently(const struct store_options *options, struct store **out,
                          char problem[PROBLEM_SIZE])
{
    const struct timespec pause = {.tv_nsec = 200 * 1000000L};
    int64_t until_ms = clock_monotonic_ms() + (options->moving ? LOCKED_MS : 0);
    int result;

    while ((result = store_open(options, out, problem, PROBLEM_SIZE)) == STORE_E_LOCKED &&
           clock_monotonic_ms() < until_ms && !ctl_work_stopped()) {
        nanosleep(&pause, NULL);
    }
    return result;
}

/* Opens one side as its owner. Returns the exit status. */
static int open_side(const struct config *config, const struct store_options *given,
                     struct store **out)
{
    struct ctl_sessions sessions;
    const struct store_options own = ctl_work_options(config, &sessions);
    struct store_options options = *given;
    char problem[PROBLEM_SIZE];
    int result;

    options.broker = own.broker;
    options.client_ids = own.client_ids;
    options.client_count = own.client_count;
    options.stopped = ctl_work_stopped;
    result = open_patiently(&options, out, problem);
    if (result == STORE_OK) {
        return EX_OK;
    }
    ctl_say("%s", problem);
    if (result == STORE_E_LOCKED) {
        ctl_say("stop foxtrackrd first");
    }
    return result == STORE_E_PATH || result == STORE_E_NEWER ? EX_NOINPUT
           : result < 0                                      ? EX_IOERR
                                                             : 1;
}

/* Opening the file as its owner would create it. */
static int check_file(const char *file)
{
    struct stat status;

    if (stat(file, &status) != 0) {
        ctl_say("%s: %s", file, error_text(errno));
        return EX_NOINPUT;
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        ctl_say("%s: is no database", file);
        return EX_NOINPUT;
    }
    return EX_OK;
}

int ctl_migrate(const struct config *config, const struct ctl_words *words)
{
    struct migration migration = {.config = config, .file = words->operands[1]};
    struct store_options from = store_options_of(config);
    struct store_options to = store_options_of(config);
    int status;

    if (strcmp(words->operands[0], DIRECTION) != 0) {
        ctl_say("migrate %.64s: there is " DIRECTION " alone", words->operands[0]);
        return EX_USAGE;
    }
    if (words->operands[1] == NULL) {
        ctl_say("migrate " DIRECTION ": FILE is missing, the database of SQLite");
        return EX_USAGE;
    }
    if (config->database.engine != CONFIG_POSTGRESQL) {
        ctl_say("%s: database.engine is sqlite: migrate wants the configuration that the daemon is "
                "to have, with engine = postgresql and uri",
                config->path);
        return EX_CONFIG;
    }
    from.engine = CONFIG_SQLITE;
    from.path = migration.file;
    from.named = true;
    to.moving = true;
    ctl_work_begin(&migration.work);
    status = check_file(migration.file);
    if (status == EX_OK) {
        status = open_side(config, &from, &migration.from);
    }
    if (status == EX_OK) {
        status = check_inbox(&migration);
    }
    if (status == EX_OK) {
        status = open_side(config, &to, &migration.to);
    }
    if (status == EX_OK) {
        status = work(&migration);
    }
    store_close(migration.to);
    if (store_close(migration.from) != STORE_OK && status == EX_OK) {
        ctl_say("%s: could not be closed cleanly; it was only read, and the rows are compared",
                migration.file);
    }
    return status;
}
