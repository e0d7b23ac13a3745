/*
 * `foxtrackrctl export`: writes a table or a view as CSV or as JSON, one object a line.
 *
 * The guarantees: every row once (export_walk.c), every value as it is (export_rows.c), memory that
 * does not grow with the number of rows, and a file that is complete when it has its name
 * (output.c). The daemon may write meanwhile; nothing of the database is changed.
 */
#include "ctl/export_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/plural.h"
#include "base/similar.h"
#include "ctl/commands_internal.h"
#include "ctl/say_internal.h"
#include "store/store.h"

#define NAMES_SIZE 2048

/* The names of the tables and views, for the person who has mistyped one. */
struct names {
    char tables[NAMES_SIZE];
    char views[NAMES_SIZE];
    const char *wanted;
    char nearest[128]; /* "" when none is near */
    unsigned slips;
    bool found;
};

static void add_name(void *context, const char *name, bool view)
{
    struct names *names = context;
    char *list = view ? names->views : names->tables;
    size_t length = strlen(list);
    struct similar search = {.word = names->wanted};

    snprintf(list + length, NAMES_SIZE - length, "%s%s", length > 0 ? ", " : "", name);
    names->found = names->found || strcmp(name, names->wanted) == 0;
    similar_try(&search, name);
    if (search.best != NULL && (names->nearest[0] == '\0' || search.slips < names->slips)) {
        snprintf(names->nearest, sizeof(names->nearest), "%s", name);
        names->slips = search.slips;
    }
}

/* Returns the exit status for a result. */
static int status_of(enum export_result result)
{
    switch (result) {
    case EXPORT_DONE:
        return EX_OK;
    case EXPORT_OUTPUT:
        return EX_CANTCREAT;
    case EXPORT_MEMORY:
        return EX_OSERR;
    case EXPORT_TABLE:
    case EXPORT_UNREADABLE:
        return EX_NOINPUT;
    case EXPORT_DAMAGED:
        return EX_IOERR;
    default:
        return 1; /* at another time it may be possible */
    }
}

/* Says what the store has answered to a question. Returns the exit status. */
static int store_failed(struct export *export, int result)
{
    ctl_say("%s", store_error(export->store));
    return status_of(export_of_store(result));
}

/* Finds the table or view. Returns an exit status. */
static int find_relation(struct export *export)
{
    struct names names = {.wanted = export->name};
    int result = store_relations(export->store, add_name, &names);

    if (result != STORE_OK) {
        return store_failed(export, result);
    }
    if (!names.found) {
        ctl_say("there is no table or view %.100s%s%s%s", export->name,
                names.nearest[0] != '\0' ? " (did you mean " : "", names.nearest,
                names.nearest[0] != '\0' ? "?)" : "");
        ctl_say("tables: %s", names.tables);
        ctl_say("views: %s", names.views);
        return EX_USAGE;
    }
    result = store_relation_read(export->store, export->name, &export->relation);
    if (result != STORE_OK) {
        return store_failed(export, result);
    }
    if (!export_fields_make(export)) {
        ctl_say("out of memory");
        return EX_OSERR;
    }
    return EX_OK;
}

/* Reads the numbers of the devices of that name. Returns an exit status. */
static int find_devices(struct export *export)
{
    const struct store_cell name = store_cell_text(export->device_id);
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    int result = store_query_named(export->store, STORE_NAMED_DEVICES_CALLED, &name, 1, &query);

    do {
        int64_t *more;

        if (result == STORE_OK) {
            result = store_query_next(query, &row);
        }
        if (result != STORE_OK || row == NULL) {
            break;
        }
        more = realloc(export->devices,
                       ((size_t) export->device_count + 1) * sizeof(export->devices[0]));
        if (more == NULL) {
            ctl_say("out of memory");
            store_query_close(query);
            return EX_OSERR;
        }
        export->devices = more;
        export->devices[export->device_count++] = row[0].integer;
    } while (true);
    store_query_close(query);
    if (result != STORE_OK) {
        return store_failed(export, result);
    }
    if (export->device_count == 0) {
        ctl_say("--device %.100s: there is no device of that name", export->device_id);
        return 1; /* as in report and plot */
    }
    return EX_OK;
}

/* Checks that the table has what the options select by. Returns an exit status. */
static int check_options(struct export *export)
{
    if (export->ranged && export->span.begin < 0) {
        ctl_say("--since, --until: %s has no time to select by", export->name);
        return EX_USAGE;
    }
    if (export->device_id != NULL && export->device_cell < 0 && export->device_id_cell < 0) {
        ctl_say("--device: %s has no column device", export->name);
        return EX_USAGE;
    }
    return export->device_id != NULL ? find_devices(export) : EX_OK;
}

/* Says how it went. Returns the exit status. */
static int conclude(struct export *export, enum export_result result, int64_t begun_ms)
{
    char took[DURATION_SIZE];

    if (result == EXPORT_DONE && ctl_output_finish(&export->output) != 0) {
        result = EXPORT_OUTPUT;
    }
    ctl_work_clear(&export->work);
    switch (result) {
    case EXPORT_DONE:
        break;
    case EXPORT_OUTPUT:
    case EXPORT_MEMORY:
    case EXPORT_TABLE:
        ctl_say("%s", export->output.problem);
        return status_of(result);
    case EXPORT_STOPPED:
        ctl_say("stopped after %" PRId64 " %s", export->rows, plural(export->rows, "row", "rows"));
        return status_of(result);
    default:
        ctl_say("%s", store_error(export->store));
        return status_of(result);
    }
    if (export->output.path != NULL) {
        printf("%s: %" PRId64 " %s, %.1f MiB, in %s\n", export->output.path, export->rows,
               plural(export->rows, "row", "rows"), (double)export->output.written / 1048576,
               duration_text(clock_monotonic_ms() - begun_ms, took));
    }
    if (export->hexed > 0) {
        ctl_say("%" PRId64 " %s not UTF-8 and stand%s there in hexadecimal digits", export->hexed,
                plural(export->hexed, "text is", "texts are"), export->hexed == 1 ? "s" : "");
    }
    return EX_OK;
}

/* Exports from the open store. Returns the exit status. */
static int run(struct export *export, const char *file)
{
    int64_t begun_ms = clock_monotonic_ms();
    enum export_result result = EXPORT_OUTPUT;
    int status = find_relation(export);

    if (status == EX_OK) {
        status = check_options(export);
    }
    if (status != EX_OK) {
        return status;
    }
    /* Rows and the progress on one terminal would be a mess. */
    export->work.terminal = export->work.terminal && (file != NULL || isatty(STDOUT_FILENO) != 1);
    if (ctl_output_open(&export->output, file, true) == 0) {
        result = export_walk(export);
    }
    status = conclude(export, result, begun_ms);
    ctl_output_drop(&export->output);
    return status;
}

/* Reads the options. Returns an exit status. */
static int read_options(const struct ctl_words *words, struct export *export)
{
    char problem[CTL_MOMENT_PROBLEM_SIZE];

    if (words->format != NULL && strcmp(words->format, "csv") != 0 &&
        strcmp(words->format, "ndjson") != 0) {
        ctl_say("--format %.60s: there is no such format; they are csv and ndjson", words->format);
        return EX_USAGE;
    }
    if (ctl_range_parse(words, clock_wall_ms(), &export->range, problem) != 0) {
        ctl_say("%s", problem);
        return EX_USAGE;
    }
    export->name = words->operands[0];
    export->json = words->format != NULL && strcmp(words->format, "ndjson") == 0;
    export->ranged = words->since != NULL || words->until != NULL;
    export->device_id = words->device;
    return EX_OK;
}

int ctl_export(const struct config *config, const struct ctl_words *words)
{
    const struct store_options options = ctl_work_reading(
        config, words->operand_count > 1 || config == NULL ? words->operands[1] : NULL);
    const char *file = ctl_output_path(words->output);
    struct export export = {0};
    char problem[CTL_OUTPUT_PROBLEM_SIZE];
    int status = read_options(words, &export);

    if (status != EX_OK) {
        return status;
    }
    if (file != NULL &&
        ctl_output_check(config, options.path, file, "the export", true, problem) != 0) {
        ctl_say("%s", problem);
        return EX_CANTCREAT;
    }
    ctl_work_begin(&export.work);
    if (store_open(&options, &export.store, problem, sizeof(problem)) != STORE_OK) {
        ctl_say("%s", problem);
        return EX_NOINPUT;
    }
    status = run(&export, file);
    export_fields_free(&export);
    store_relation_free(export.relation);
    free(export.devices);
    store_close(export.store);
    return status;
}
