/* Reads a device and its readings for a plot. See ctl/plot_internal.h. */
#include "ctl/plot_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/similar.h"
#include "store/answers.h"

#define COLUMNS_MAX 4

static void add_device(struct plot_device *out, const struct store_cell *row)
{
    char name[PLOT_NAME_SIZE];
    size_t length = strlen(out->families);

    out->device = row[0].integer;
    snprintf(name, sizeof(name), "%s/%s", row[1].bytes, row[2].bytes);
    escape_line(out->name, sizeof(out->name), name);
    snprintf(out->families + length, sizeof(out->families) - length, "%s%s",
             out->count > 0 ? ", " : "", row[1].bytes);
    out->count++;
}

/* Finds the devices with this name, of `family` unless that is NULL. */
static int find(struct store *store, const char *family, const char *device_id,
                struct plot_device *out)
{
    static const char *const columns[] = {"device", "family", "device_id", NULL};
    static const char *const order[] = {"family", NULL};
    const struct store_condition conditions[] = {
        {"device_id", STORE_EQ, store_cell_text(device_id)},
        {"family", STORE_EQ, store_cell_text(family)},
    };
    const struct store_select select = {
        .from = "devices",
        .columns = columns,
        .conditions = conditions,
        .condition_count = family != NULL ? 2 : 1,
        .order = order,
    };
    const struct store_cell *row = NULL;
    struct store_query *query;
    int result = store_query_select(store, &select, &query);

    if (result != STORE_OK) {
        return result;
    }
    *out = (struct plot_device){0};
    while ((result = store_query_next(query, &row)) == STORE_OK && row != NULL) {
        add_device(out, row);
    }
    store_query_close(query);
    return result;
}

int plot_read_device(struct store *store, const char *word, struct plot_device *out)
{
    const char *slash = strchr(word, '/');
    char family[PLOT_NAME_SIZE];
    int result = find(store, NULL, word, out);

    if (result != STORE_OK || out->count > 0 || slash == NULL) {
        return result;
    }
    snprintf(family, sizeof(family), "%.*s", (int)(slash - word), word);
    return find(store, family, slash + 1, out);
}

/* Keeps the name that is nearest to the search's word. `name` is valid during the call only. */
static void try_name(struct similar *search, const char *name, char nearest[PLOT_NAME_SIZE])
{
    const char *before = search->best;

    similar_try(search, name);
    if (search->best != before) {
        escape_line(nearest, PLOT_NAME_SIZE, name);
        search->best = nearest;
    }
}

/* Sets `nearest` to the device id that is most like `word`, escaped for a terminal; "": none is
 * like it. Returns a result of store/store.h. */
static int find_near(struct store *store, const char *word, char nearest[PLOT_NAME_SIZE])
{
    static const char *const columns[] = {"device_id", NULL};
    const struct store_select select = {.from = "devices", .columns = columns};
    struct similar search = {.word = word};
    const struct store_cell *row = NULL;
    struct store_query *query;
    int result = store_query_select(store, &select, &query);

    nearest[0] = '\0';
    if (result != STORE_OK) {
        return result;
    }
    while ((result = store_query_next(query, &row)) == STORE_OK && row != NULL) {
        try_name(&search, row[0].bytes, nearest);
    }
    store_query_close(query);
    return result;
}

static int is_group(struct store *store, const char *word, bool *out)
{
    static const char *const columns[] = {"group_name", NULL};
    const struct store_condition condition = {"group_name", STORE_EQ, store_cell_text(word)};
    const struct store_select select = {.from = "device_groups",
                                        .columns = columns,
                                        .conditions = &condition,
                                        .condition_count = 1,
                                        .limit = 1};
    const struct store_cell *row = NULL;
    struct store_query *query;
    int result = store_query_select(store, &select, &query);

    if (result == STORE_OK) {
        result = store_query_next(query, &row);
        *out = row != NULL;
        store_query_close(query);
    }
    return result;
}

int plot_read_hint(struct store *store, const char *word, char hint[PLOT_HINT_SIZE])
{
    char nearest[PLOT_NAME_SIZE];
    bool group = false;
    int result = is_group(store, word, &group);

    hint[0] = '\0';
    if (result != STORE_OK || group) {
        snprintf(hint, PLOT_HINT_SIZE, "%s", group ? ": that is a group; plot draws a device" : "");
        return result;
    }
    result = find_near(store, word, nearest);
    if (result == STORE_OK && nearest[0] != '\0') {
        snprintf(hint, PLOT_HINT_SIZE, " (did you mean %s?)", nearest);
    }
    return result;
}

int plot_read_newest(struct store *store, const char *table, int64_t device, int64_t *newest_ms)
{
    static const char *const columns[] = {"time_ms", NULL};
    static const char *const order[] = {"-time_ms", NULL};
    const struct store_condition condition = {"device", STORE_EQ, store_cell_integer(device)};
    const struct store_select select = {
        .from = table,
        .columns = columns,
        .conditions = &condition,
        .condition_count = 1,
        .order = order,
        .limit = 1,
    };
    const struct store_cell *row = NULL;
    struct store_query *query;
    int result = store_query_select(store, &select, &query);

    if (result != STORE_OK) {
        return result;
    }
    result = store_query_next(query, &row);
    if (result == STORE_OK) {
        *newest_ms = row != NULL ? row[0].integer : INT64_MIN;
    }
    store_query_close(query);
    return result;
}

static void add_value(struct plot_series *series, int64_t time_ms, const struct store_cell *cell)
{
    if (cell->kind == STORE_REAL) {
        plot_series_add(series, time_ms, cell->real);
    } else if (cell->kind == STORE_INTEGER) {
        plot_series_add(series, time_ms, (double)cell->integer);
    }
}

int plot_read_series(struct store *store, const char *table, int64_t device,
                     const char *const *columns, struct plot_series *series, int64_t *readings)
{
    static const char *const order[] = {"time_ms", NULL};
    const char *read[COLUMNS_MAX + 2] = {"time_ms"};
    const struct store_condition conditions[] = {
        {"device", STORE_EQ, store_cell_integer(device)},
        {"time_ms", STORE_GE, store_cell_integer(series[0].from_ms)},
        {"time_ms", STORE_LT, store_cell_integer(series[0].until_ms)},
    };
    const struct store_select select = {
        .from = table,
        .columns = read,
        .conditions = conditions,
        .condition_count = sizeof(conditions) / sizeof(conditions[0]),
        .order = order,
    };
    const struct store_cell *row = NULL;
    struct store_query *query;
    int count = 0;
    int result;

    while (count < COLUMNS_MAX && columns[count] != NULL) {
        read[1 + count] = columns[count];
        count++;
    }
    result = store_query_select(store, &select, &query);
    if (result != STORE_OK) {
        return result;
    }
    *readings = 0;
    while ((result = store_query_next(query, &row)) == STORE_OK && row != NULL) {
        (*readings)++;
        for (int i = 0; i < count; i++) {
            add_value(&series[i], row[0].integer, &row[1 + i]);
        }
    }
    store_query_close(query);
    return result;
}
