/* `foxtrackrctl backup`: copies the database while the daemon goes on. */
#include "ctl/commands_internal.h"
#include "ctl/say_internal.h"

#include <linux/ioprio.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "config/config.h"
#include "ctl/work_internal.h"
#include "store/store.h"

#define PROBLEM_SIZE 1024

#define BACKUP_PROGRAMS                                                                            \
    "backups of PostgreSQL are made by its own programs, while foxtrackrd goes on: "               \
    "pg_dump --format=custom --file=FILE \"%s\" for this database, pg_basebackup for the whole "   \
    "server; foxtrackrctl(8) says what to mind"

/* Lowers this process's I/O priority, so that the daemon's syncs go first if the disk's scheduler
 * supports it. */
static void step_back(void)
{
    (void)!syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7));
}

int ctl_backup(const struct config *config, const struct ctl_words *words)
{
    struct store_options options = store_options_of(config);
    struct ctl_work work;
    struct store *store;
    char problem[PROBLEM_SIZE];
    char paths[CONFIG_PROBLEM_SIZE];
    char took[DURATION_SIZE];
    int64_t begun_ms = clock_monotonic_ms();
    int64_t bytes = 0;
    int result;

    if (config->database.engine == CONFIG_POSTGRESQL) {
        ctl_say(BACKUP_PROGRAMS, config->database.uri);
        return EX_UNAVAILABLE;
    }
    options.read_only = true;
    options.stopped = ctl_work_stopped;
    if (paths_check(config, paths) != 0 ||
        paths_check_target(config, words->operands[0], "the backup", paths) != 0) {
        ctl_say("%s", paths);
        return EX_CANTCREAT;
    }
    ctl_work_begin(&work);
    if (store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        ctl_say("%s", problem);
        return EX_NOINPUT;
    }
    step_back();
    result = store_backup(store, words->operands[0], (words->options & CTL_FORCE) != 0,
                          &work.watcher, &bytes);
    ctl_work_clear(&work);
    if (result == STORE_OK) {
        printf("%s: %.1f MiB, verified, in %s\n", words->operands[0], (double)bytes / 1048576,
               duration_text(clock_monotonic_ms() - begun_ms, took));
    } else {
        ctl_say("%s", store_error(store));
    }
    store_close(store);
    switch (result) {
    case STORE_OK:
        return EX_OK;
    case STORE_E_PATH:
        return EX_CANTCREAT;
    default:
        return result == STORE_FATAL ? EX_IOERR : 1;
    }
}
