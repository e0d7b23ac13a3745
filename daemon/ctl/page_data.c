/*
 * Reads the data of the report's page. All of it is of one state of the database: it is read in one
 * read transaction, which lasts as long as the reading, and writing the page comes afterwards. A
 * report of all devices is read by two threads, each with a connection and a read transaction of
 * its own, if both see the same state.
 */
#include "ctl/page_data_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CONDITIONS_MAX 6

char *page_text(struct page_data *data, const struct store_cell *cell)
{
    bool has = cell->kind == STORE_TEXT || cell->kind == STORE_BLOB;
    char *text = strndup(has ? cell->bytes : "", has ? cell->length : 0);

    data->out_of_memory = data->out_of_memory || text == NULL;
    return text;
}

size_t page_find_device(const struct page_data *data, int64_t number)
{
    const struct page_device *devices = data->devices.items;
    size_t low = 0;
    size_t high = data->devices.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (devices[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < data->devices.count && devices[low].number == number ? low : SIZE_MAX;
}

double page_number(const struct store_cell *cell)
{
    switch (cell->kind) {
    case STORE_INTEGER:
        return (double)cell->integer;
    case STORE_REAL:
        return cell->real;
    default:
        return NAN;
    }
}

int64_t page_integer(const struct store_cell *cell, int64_t none)
{
    switch (cell->kind) {
    case STORE_INTEGER:
        return cell->integer;
    case STORE_REAL: /* a view may compute a time */
        return fabs(cell->real) < 9e18 ? (int64_t)cell->real : none;
    default:
        return none;
    }
}

/* Reads all rows of a query, and closes it. */
static int read_rows(struct page_data *data, struct store_query *query, page_row_fn row)
{
    const struct store_cell *cells;
    int result = STORE_OK;

    while (result == STORE_OK) {
        result = store_query_next(query, &cells);
        if (result != STORE_OK || cells == NULL) {
            break;
        }
        row(data, cells);
        if (data->out_of_memory) {
            result = STORE_E_PATH;
        }
    }
    store_query_close(query);
    return result;
}

int page_rows(struct page_data *data, const char *from, const char *const *columns,
              const struct store_condition *conditions, int count, page_row_fn row)
{
    struct store_condition all[CONDITIONS_MAX + 1];
    struct store_select select = {.from = from, .columns = columns, .conditions = all};
    struct store_query *query = NULL;
    int result;

    for (int i = 0; i < count; i++) {
        all[i] = conditions[i];
    }
    if (data->devices.count == 1 && strcmp(columns[0], "device") == 0) {
        const struct page_device *device = data->devices.items;

        all[count++] =
            (struct store_condition){"device", STORE_EQ, store_cell_integer(device->number)};
    }
    select.condition_count = count;
    result = store_query_select(data->store, &select, &query);
    return result == STORE_OK ? read_rows(data, query, row) : result;
}

int page_rows_named(struct page_data *data, enum store_named named, const struct store_cell *values,
                    int count, page_row_fn row)
{
    struct store_query *query = NULL;
    int result = store_query_named(data->store, named, values, count, &query);

    return result == STORE_OK ? read_rows(data, query, row) : result;
}

/* --- two threads ------------------------------------------------------------------------------ */

/* Gaps and excursions take as long as all the rest. */
struct gaps_thread {
    struct page_data data; /* devices and days are those of the other thread, which leaves them */
    int result;
};

static void *read_gaps(void *context)
{
    struct gaps_thread *thread = context;

    store_read_of_all(thread->data.store);
    thread->result = page_read_gaps(&thread->data);
    return NULL;
}

/* Takes what the thread has read; and its error, unless there was one before. */
static int take_gaps(struct page_data *data, const struct gaps_thread *thread, bool good)
{
    data->gaps = thread->data.gaps;
    data->gaps_total = thread->data.gaps_total;
    data->excursions = thread->data.excursions;
    data->excursions_total = thread->data.excursions_total;
    data->causes = thread->data.causes;
    data->out_of_memory = data->out_of_memory || thread->data.out_of_memory;
    if (good && thread->result != STORE_OK) {
        data->failed = thread->data.store;
    }
    return thread->result;
}

static int read_rest(struct page_data *data)
{
    int result = page_read_days(data);

    if (result == STORE_OK) {
        result = page_read_coverage(data);
    }
    return result == STORE_OK ? page_read_events(data) : result;
}

static int read_in_two_threads(struct page_data *data)
{
    struct gaps_thread thread = {.data = *data};
    pthread_t id;
    int result_of_gaps;
    int result;
    bool begun;

    thread.data.store = data->second;
    begun = pthread_create(&id, NULL, read_gaps, &thread) == 0;
    result = read_rest(data);
    if (begun) {
        pthread_join(id, NULL);
        result_of_gaps = take_gaps(data, &thread, result == STORE_OK);
        return result == STORE_OK ? result_of_gaps : result;
    }
    return result == STORE_OK ? page_read_gaps(data) : result;
}

static int read_all(struct page_data *data, bool two)
{
    bool scoped = data->request->group != NULL || data->request->device != NULL;
    int result = page_read_devices(data);

    if (result != STORE_OK || (scoped && data->devices.count == 0)) {
        return result;
    }
    result = page_list_days(data);
    if (result == STORE_OK && two) {
        return read_in_two_threads(data);
    }
    if (result == STORE_OK) {
        result = read_rest(data);
    }
    return result == STORE_OK ? page_read_gaps(data) : result;
}

int page_data_read(struct page_data *data)
{
    bool two = false;
    int result = data->second != NULL ? store_read_begin_both(data->store, data->second, &two)
                                      : store_read_begin(data->store);

    if (result != STORE_OK) {
        return result;
    }
    if (data->request->device == NULL) {
        store_read_of_all(data->store);
    }
    result = read_all(data, two);
    (void)store_read_end(data->store); /* nothing was written */
    if (two) {
        (void)store_read_end(data->second);
    }
    return result;
}

/* --- freeing ---------------------------------------------------------------------------------- */

void page_data_free(struct page_data *data)
{
    struct page_device *devices = data->devices.items;
    struct page_quarantine *quarantine = data->quarantine.items;
    struct page_loss *losses = data->losses.items;
    struct page_limit *limits = data->limits.items;

    for (size_t i = 0; i < data->devices.count; i++) {
        free(devices[i].id);
        free(devices[i].groups);
    }
    for (size_t i = 0; i < data->quarantine.count; i++) {
        free(quarantine[i].reason);
        free(quarantine[i].detail);
    }
    for (size_t i = 0; i < data->losses.count; i++) {
        free(losses[i].client_id);
        free(losses[i].reason);
    }
    for (size_t i = 0; i < data->limits.count; i++) {
        free(limits[i].group);
        free(limits[i].device);
    }
    for (int i = 0; i < PAGE_SERIES; i++) {
        free(data->series[i]);
    }
    page_texts_free(&data->families);
    page_texts_free(&data->groups);
    page_texts_free(&data->causes);
    free(data->devices.items);
    free(data->offsets.items);
    free(data->days.items);
    for (int i = 0; i < PAGE_TYPES; i++) {
        free(data->readings[i]);
    }
    free(data->gaps.items);
    free(data->excursions.items);
    free(data->quarantine.items);
    free(data->losses.items);
    free(data->limits.items);
    free(data->levels.items);
    free(data->celsius.items);
}
