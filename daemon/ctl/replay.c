/* `foxtrackrctl replay`: parses again what is in quarantine, in `messages` and in `extra`. */
#include "ctl/commands_internal.h"
#include "ctl/say_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/wall.h"
#include "config/config.h"
#include "ctl/work_internal.h"
#include "foxtrackr.h"
#include "store/store.h"

#define PROBLEM_SIZE 1024

static const char *source_name(int source)
{
    switch (source) {
    case STORE_REPLAY_MESSAGES:
        return "messages";
    case STORE_REPLAY_BATTERY:
        return "battery.extra";
    case STORE_REPLAY_TEMPERATURE:
        return "temperature.extra";
    default:
        return foxtrackr_reason_name(source);
    }
}

static void print_line(const char *name, const struct store_replay_counts *counts)
{
    printf("%-18s %10" PRId64 " %10" PRId64 " %10" PRId64 " %10" PRId64 " %10" PRId64 "\n", name,
           counts->examined, counts->moved, counts->duplicate, counts->conflict, counts->kept);
}

/* Prints a line for each reason, and a summary. */
static void print_summary(const struct store_replay *replay)
{
    struct store_replay_counts all = {0};

    printf("%-18s %10s %10s %10s %10s %10s\n", "", "examined", "moved", "duplicate", "conflict",
           "kept");
    for (int source = 1; source < STORE_REPLAY_SOURCES; source++) {
        const struct store_replay_counts *counts = &replay->counts[source];

        if (counts->examined > 0) {
            print_line(source_name(source), counts);
            all.examined += counts->examined;
            all.moved += counts->moved;
            all.duplicate += counts->duplicate;
            all.conflict += counts->conflict;
            all.kept += counts->kept;
        }
    }
    print_line("together", &all);
    if (replay->counts[FOXTRACKR_E_OVERSIZE].examined > 0) {
        puts("oversize messages cannot be replayed: only their beginning was kept");
    }
    if (replay->dry_run) {
        puts("nothing was changed: --dry-run");
    }
}

int ctl_replay(const struct config *config, const struct ctl_words *words)
{
    bool dry_run = (words->options & CTL_DRY_RUN) != 0;
    struct store_options options = store_options_of(config);
    struct store_replay replay = {.fields = config->fields,
                                  .max_future_ms = config->parser.max_future_ms,
                                  .dry_run = dry_run};
    struct ctl_work work;
    struct store *store;
    char problem[PROBLEM_SIZE];
    char paths[CONFIG_PROBLEM_SIZE];
    int64_t newest_ms = 0;
    int result;

    options.durability = STORE_NORMAL; /* see store/sqlite/replay.c */
    options.read_only = dry_run;
    options.beside = !dry_run;
    options.stopped = ctl_work_stopped;
    if (words->reason != NULL) {
        replay.reason = foxtrackr_reason_from_name(words->reason);
        if (replay.reason < 0) {
            ctl_say("--reason %s: there is no such reason; they are topic, "
                    "version, encoding, json, envelope, body, time, conflict and empty",
                    words->reason);
            return EX_USAGE;
        }
        if (replay.reason == FOXTRACKR_E_OVERSIZE) {
            fputs("foxtrackrctl: --reason oversize: these cannot be replayed, because only their "
                  "beginning was kept\n",
                  stderr);
            return EX_USAGE;
        }
    }
    if (paths_check(config, paths) != 0) {
        ctl_say("%s", paths);
        return EX_CONFIG;
    }
    ctl_work_begin(&work);
    if (store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        ctl_say("%s", problem);
        return EX_NOINPUT;
    }
    (void)store_newest_ms(store, &newest_ms); /* on failure the clock is not checked */
    wall_begin(newest_ms);
    replay.now_ms = wall_now_ms();
    result = store_replay(store, &replay, &work.watcher);
    ctl_work_clear(&work);
    print_summary(&replay);
    if (result != STORE_OK) {
        fflush(stdout);
        ctl_say("%s", store_error(store));
    }
    if (store_close(store) == STORE_FATAL && result == STORE_OK) {
        result = STORE_FATAL;
    }
    return result == STORE_OK ? EX_OK : result == STORE_FATAL ? EX_IOERR : 1;
}
