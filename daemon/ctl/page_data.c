/*
 * Reads the data of the report's page. All of it is of one state of the database: it is read in one
 * read transaction, which lasts as long as the reading, and writing the page comes afterwards.
 * With SQLite, a report without --device is read by two threads, each with a connection and a read
 * transaction of its own, if both transactions see the same state; otherwise by one thread.
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

/* Excursions and gaps take as long as all the rest. */
struct second_thread {
    struct page_data data; /* what it reads */
    const struct page_data *first;
    pthread_t id;
    pthread_barrier_t known; /* the first thread comes with devices and days, */
    bool whole;              /* or has none */
    int result;
};

static void *read_excursions_and_gaps(void *context)
{
    struct second_thread *thread = context;
    struct page_data *data = &thread->data;

    store_read_of_all(data->store);
    thread->result = page_read_excursions(data);
    pthread_barrier_wait(&thread->known);
    if (thread->result == STORE_OK && thread->whole) {
        data->devices = thread->first->devices; /* whose order and numbers stay as they are */
        data->since_ms = thread->first->since_ms;
        page_place_excursions(data);
        thread->result = page_read_gaps(data);
    }
    return NULL;
}

static bool begin_thread(struct second_thread *thread, const struct page_data *first)
{
    thread->first = first;
    thread->data = (struct page_data){.request = first->request, .store = first->second};
    if (pthread_barrier_init(&thread->known, NULL, 2) != 0) {
        return false;
    }
    if (pthread_create(&thread->id, NULL, read_excursions_and_gaps, thread) == 0) {
        return true;
    }
    pthread_barrier_destroy(&thread->known);
    return false;
}

/* Ends the thread, and takes what it has read; and its error, if there was none before. */
static int end_thread(struct page_data *data, struct second_thread *thread, int result)
{
    pthread_join(thread->id, NULL);
    pthread_barrier_destroy(&thread->known);
    data->gaps = thread->data.gaps;
    data->gaps_total = thread->data.gaps_total;
    data->excursions = thread->data.excursions;
    data->excursions_total = thread->data.excursions_total;
    data->causes = thread->data.causes;
    data->out_of_memory = data->out_of_memory || thread->data.out_of_memory;
    if (result != STORE_OK) {
        return result;
    }
    data->failed = thread->result != STORE_OK ? thread->data.store : NULL;
    return thread->result;
}

/* *whole: there are devices to read more of. */
static int read_devices_and_days(struct page_data *data, bool *whole)
{
    bool scoped = data->request->group != NULL || data->request->device != NULL;
    int result = page_read_devices(data);

    *whole = result == STORE_OK && (!scoped || data->devices.count > 0);
    return *whole ? page_list_days(data) : result;
}

static int read_series_and_accounts(struct page_data *data)
{
    int result = page_read_days(data);

    if (result == STORE_OK) {
        result = page_read_coverage(data);
    }
    return result == STORE_OK ? page_read_events(data) : result;
}

/* Reads devices, days and series while the second thread, which has begun and waits at the barrier
 * for devices and days, reads excursions and gaps. Joins it, and takes its lists over. Returns this
 * thread's error, otherwise that of the second one. */
static int read_in_two_threads(struct page_data *data, struct second_thread *thread)
{
    bool whole;
    int result = read_devices_and_days(data, &whole);

    thread->whole = whole && result == STORE_OK;
    pthread_barrier_wait(&thread->known);
    return end_thread(data, thread, thread->whole ? read_series_and_accounts(data) : result);
}

static int read_in_one_thread(struct page_data *data)
{
    bool whole;
    int result = read_devices_and_days(data, &whole);

    if (result == STORE_OK && whole) {
        result = read_series_and_accounts(data);
    }
    if (result == STORE_OK && whole) {
        result = page_read_excursions(data);
        page_place_excursions(data);
    }
    return result == STORE_OK && whole ? page_read_gaps(data) : result;
}

int page_data_read(struct page_data *data)
{
    struct second_thread thread = {.result = STORE_OK};
    bool two = false;
    bool begun;
    int result = data->second != NULL ? store_read_begin_both(data->store, data->second, &two)
                                      : store_read_begin(data->store);

    if (result != STORE_OK) {
        return result;
    }
    begun = two && begin_thread(&thread, data);
    if (data->request->device == NULL) {
        store_read_of_all(data->store);
    }
    result = begun ? read_in_two_threads(data, &thread) : read_in_one_thread(data);
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
