/*
 * Quarantine by reason, of all runs. Counting reads the whole table, half a second for a million
 * short messages in memory: time that the daemon's writer does not have. So foxtrackrctl counts
 * itself, if it may read the database, and gives up after a time limit.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/plural.h"
#include "ctl/status_internal.h"
#include "store/measures.h"
#include "store/store.h"
#include "store/tools.h"

#define COUNT_TIMEOUT_MS 3000
#define BUSY_TIMEOUT_MS  500

static bool in_time(void *context, const char *what, enum store_unit unit, int64_t done,
                    int64_t total)
{
    const int64_t *deadline_ms = context;

    (void)what;
    (void)unit;
    (void)done;
    (void)total;
    return clock_monotonic_ms() < *deadline_ms;
}

static json_t *counts_json(const int64_t counts[FOXTRACKR_E_FIELD])
{
    json_t *object = json_object();

    for (int reason = 1; reason < FOXTRACKR_E_FIELD; reason++) {
        json_object_set_new(object, foxtrackr_reason_name(reason), json_integer(counts[reason]));
    }
    return object;
}

json_t *ctl_status_quarantine(const struct ctl_status_source *source, const json_t *root,
                              char problem[CTL_STATUS_PROBLEM_SIZE])
{
    struct store_options options = ctl_status_options(source, root);
    int64_t deadline_ms = clock_monotonic_ms() + COUNT_TIMEOUT_MS;
    const struct store_watcher watcher = {in_time, &deadline_ms};
    int64_t counts[FOXTRACKR_E_FIELD];
    bool file = options.engine == CONFIG_SQLITE;
    json_t *counted = NULL;
    struct store *store;
    int result;

    options.busy_timeout_ms = BUSY_TIMEOUT_MS;
    options.read_only = true;
    if (!ctl_status_reaches(source, root)) {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE,
                 "the counts are in PostgreSQL, and the configuration alone says where (-c FILE)");
        return NULL;
    }
    /* Reading the database would wait for the same disk. */
    if (strcmp(ctl_status_string(root, "state"), "waiting for the disk") == 0) {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE, "the daemon waits for the disk");
        return NULL;
    }
    if (store_open(&options, &store, problem, CTL_STATUS_PROBLEM_SIZE) != STORE_OK) {
        return NULL;
    }
    result = store_quarantine_reasons(store, &watcher, counts);
    if (result == STORE_OK) {
        counted = counts_json(counts);
    } else if (result == STORE_E_STOPPED) {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE,
                 "that takes longer than %d s; with patience: %s%s 'SELECT reason, "
                 "count(*) FROM quarantine GROUP BY reason'",
                 COUNT_TIMEOUT_MS / 1000, file ? "sqlite3 -readonly " : "psql -c",
                 file ? options.path : "");
    } else {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE, "%s", store_error(store));
    }
    store_close(store);
    return counted;
}

int64_t ctl_status_entries(const json_t *counted)
{
    const char *reason;
    const json_t *count;
    int64_t sum = 0;

    json_object_foreach((json_t *)counted, reason, count)
    {
        sum += json_integer_value(count);
    }
    return sum;
}

void ctl_status_print_quarantine(FILE *out, const json_t *root, const json_t *counted,
                                 const char *problem)
{
    const json_t *told = json_object_get(json_object_get(root, "database"), "quarantine_entries");
    int64_t entries = counted != NULL ? ctl_status_entries(counted) : json_integer_value(told);

    if (counted == NULL && !json_is_integer(told)) {
        fputs("Quarantine of all runs: not counted", out);
    } else {
        fprintf(out, "Quarantine of all runs: %" PRId64 "%s %s", entries,
                counted == NULL && entries >= STORE_QUARANTINE_COUNTED ? " or more" : "",
                plural(entries, "entry", "entries"));
    }
    if (counted == NULL && problem != NULL) {
        fprintf(out, "; not counted by reason: %s", problem);
    }
    fputc('\n', out);
    ctl_status_print_reasons(out, counted);
}
