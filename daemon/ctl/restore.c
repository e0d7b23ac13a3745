/*
 * foxtrackrctl restore FILE. The paths are compared first: FILE must not be another file of this
 * daemon or of one configured beside it, and the database's path must not lead to one. The findings
 * of the verification are printed as by verify; then the changes, one line each, so that the
 * operator knows where the old database is and which messages the new one lacks.
 */
#include "ctl/commands_internal.h"
#include "ctl/say_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/moment.h"
#include "base/path_identity.h"
#include "config/config.h"
#include "ctl/work_internal.h"
#include "store/store.h"

#define PROBLEM_SIZE 1024

#define RESTORE_PROGRAMS                                                                           \
    "dumps of PostgreSQL are restored by its own program: stop every foxtrackrd of the database, " \
    "make an empty one, and pg_restore --no-owner --dbname=URI FILE; foxtrackrctl(8) says what "   \
    "to "                                                                                          \
    "mind"

static void finding(void *context, const char *check, bool good, const char *detail)
{
    struct ctl_work *work = context;

    ctl_work_clear(work);
    printf("%-4s  %s: %s\n", good ? "good" : "BAD", check, detail);
    fflush(stdout);
}

static void print_result(const char *path, const struct store_restore *restore)
{
    const struct store_restoration *restoration = &restore->restoration;
    char from[MOMENT_SIZE];
    char to[MOMENT_SIZE];

    printf("%s: is now what %s holds\n", path, restore->file);
    if (restore->aside != NULL) {
        printf("%s: the old database, with its write-ahead log if it had one; it has the rows that "
               "are missing now, and foxtrackrctl(8), EXAMPLES, shows how to copy them; delete it "
               "when it is of no more use\n",
               restore->aside);
    }
    if (restore->taken_over) {
        printf("foxtrackrd was started meanwhile: it writes into the table gaps what is missing, "
               "and logs it\n");
    } else {
        printf("missing: what was acknowledged between %s and %s; noted in the table gaps for %lld "
               "session%s\n",
               moment_text(restoration->from_ms, from), moment_text(restoration->to_ms, to),
               (long long)restoration->clients, restoration->clients == 1 ? "" : "s");
    }
}

/* Returns true when FILE is the database itself; store_restore() reports that, with advice. */
static bool is_database(const struct config *config, const char *file)
{
    struct path_identity database;
    struct path_identity identity;

    path_identity(config->database.path, "", false, &database);
    path_identity(file, "", false, &identity);
    return path_identity_same(&database, &identity);
}

/* Checks that the file has no other purpose in a daemon. Returns EX_OK, or reports the problem. */
static int check_paths(const struct config *config, const char *file)
{
    char problem[CONFIG_PROBLEM_SIZE];

    if (access(file, F_OK) != 0) {
        ctl_say("%s: cannot be read: %s", file, error_text(errno));
        return EX_NOINPUT;
    }
    if (paths_check(config, problem) != 0) {
        ctl_say("%s", problem);
        return EX_CANTCREAT;
    }
    if (!is_database(config, file) &&
        paths_check_target(config, file, "the backup to be restored", problem) != 0) {
        ctl_say("%s", problem);
        return EX_NOINPUT;
    }
    return EX_OK;
}

int ctl_restore(const struct config *config, const struct ctl_words *words)
{
    struct ctl_sessions sessions;
    const struct store_options options = ctl_work_options(config, &sessions);
    struct store_restore restore = {.file = words->operands[0],
                                    .force = (words->options & CTL_FORCE) != 0};
    struct ctl_work work;
    char problem[PROBLEM_SIZE];
    int result;

    if (config->database.engine == CONFIG_POSTGRESQL) {
        ctl_say(RESTORE_PROGRAMS);
        return EX_UNAVAILABLE;
    }
    result = check_paths(config, restore.file);
    if (result != EX_OK) {
        return result;
    }
    ctl_work_begin(&work);
    result =
        store_restore(&options, &restore, &work.watcher, finding, &work, problem, sizeof(problem));
    ctl_work_clear(&work);
    if (result == STORE_OK) {
        print_result(config->database.path, &restore);
    } else {
        fflush(stdout);
        ctl_say("%s", problem);
        if (restore.aside != NULL) {
            ctl_say("%s: the old database", restore.aside);
        }
    }
    free(restore.aside);
    switch (result) {
    case STORE_OK:
        return EX_OK;
    case STORE_E_PATH:
    case STORE_E_NEWER:
        return EX_NOINPUT;
    default:
        return result == STORE_FATAL ? EX_IOERR : 1;
    }
}
