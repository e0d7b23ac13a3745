/*
 * Events of the report's period: gaps of devices, excursions of temperature, sessions that
 * the broker lost; what is in quarantine, where every message of every run went, and the readings
 * themselves where the report is of one device.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/page_data_internal.h"

#define DAY_MS 86400000

/* reporting_gaps: device, type, from_ms, to_ms, cause */
static void add_gap(struct page_data *data, const struct store_cell *row)
{
    size_t device = page_find_device(data, row[0].integer);
    struct page_gap *gap;
    char *text;

    if (device == SIZE_MAX) {
        return;
    }
    gap = page_list_add(data, &data->gaps, sizeof(*gap));
    if (gap == NULL) {
        return;
    }
    gap->device = device;
    gap->from_ms = page_integer(&row[2], data->since_ms);
    gap->to_ms = page_integer(&row[3], PAGE_NO_TIME);
    gap->length_ms =
        (gap->to_ms == PAGE_NO_TIME ? data->request->until_ms : gap->to_ms) - gap->from_ms;
    text = page_text(data, &row[1]);
    gap->temperature = text != NULL && strncmp(text, "temp", 4) == 0;
    free(text);
    text = page_text(data, &row[4]);
    gap->cause = text != NULL ? page_text_index(data, &data->causes, text) : 0;
    free(text);
}

static int longest_first(const void *one, const void *other)
{
    const struct page_gap *left = one;
    const struct page_gap *right = other;

    return (left->length_ms < right->length_ms) - (left->length_ms > right->length_ms);
}

/* temperature_excursions: device, side, threshold, from_ms, to_ms, celsius_extreme */
static void add_excursion(struct page_data *data, const struct store_cell *row)
{
    int64_t to_ms = page_integer(&row[4], PAGE_NO_TIME);
    struct page_excursion *excursion;
    char *side;

    /* The first day is not known yet: it begins on the day of since_ms, or later. */
    if (to_ms != PAGE_NO_TIME && to_ms / DAY_MS < data->request->since_ms / DAY_MS - 2) {
        return;
    }
    excursion = page_list_add(data, &data->excursions, sizeof(*excursion));
    side = page_text(data, &row[1]);
    if (excursion != NULL && side != NULL) {
        excursion->number = row[0].integer;
        excursion->below = strcmp(side, "below") == 0;
        excursion->threshold = page_number(&row[2]);
        excursion->from_ms = page_integer(&row[3], PAGE_NO_TIME);
        excursion->to_ms = to_ms;
        excursion->extreme = page_number(&row[5]);
    }
    free(side);
}

static int latest_first(const void *one, const void *other)
{
    const struct page_excursion *left = one;
    const struct page_excursion *right = other;

    return (left->from_ms < right->from_ms) - (left->from_ms > right->from_ms);
}

/* Sorts the list by `order`, and cuts it to its first `most` items. The others are not freed: an
 * item owns no memory. */
static void keep_first(struct page_list *list, size_t item_size,
                       int (*order)(const void *, const void *), size_t most)
{
    if (list->count > 0) {
        qsort(list->items, list->count, item_size, order);
    }
    if (list->count > most) {
        list->count = most;
    }
}

/* Gaps that ended in the period, and those that go on: their day is today. */
int page_read_gaps(struct page_data *data)
{
    static const char *const columns[] = {"device", "type", "from_ms", "to_ms", "cause", NULL};
    const struct store_condition period = {"day_ms", STORE_GE, store_cell_integer(data->since_ms)};
    int result = page_rows(data, "reporting_gaps", columns, &period, 1, add_gap);

    data->gaps_total = data->gaps.count;
    keep_first(&data->gaps, sizeof(struct page_gap), longest_first, PAGE_GAPS);
    return result;
}

int page_read_excursions(struct page_data *data)
{
    static const char *const columns[] = {
        "device", "side", "threshold", "from_ms", "to_ms", "celsius_extreme", NULL};

    return page_rows(data, "temperature_excursions", columns, NULL, 0, add_excursion);
}

/* Excursions that ended in the period, and those that go on. */
void page_place_excursions(struct page_data *data)
{
    struct page_excursion *excursions = data->excursions.items;
    size_t kept = 0;

    for (size_t i = 0; i < data->excursions.count; i++) {
        struct page_excursion one = excursions[i];

        one.device = page_find_device(data, one.number);
        one.from_ms = one.from_ms == PAGE_NO_TIME ? data->since_ms : one.from_ms;
        if (one.device != SIZE_MAX && (one.to_ms == PAGE_NO_TIME || one.to_ms >= data->since_ms)) {
            excursions[kept++] = one;
        }
    }
    data->excursions.count = kept;
    data->excursions_total = kept;
    keep_first(&data->excursions, sizeof(struct page_excursion), latest_first, PAGE_EXCURSIONS);
}

static void add_quarantine(struct page_data *data, const struct store_cell *row)
{
    struct page_quarantine *entry = page_list_add(data, &data->quarantine, sizeof(*entry));

    if (entry != NULL) {
        entry->reason = page_text(data, &row[0]);
        entry->messages = page_integer(&row[1], 0);
        entry->last_ms = page_integer(&row[2], 0);
        entry->detail = page_text(data, &row[3]);
    }
}

static void add_loss(struct page_data *data, const struct store_cell *row)
{
    struct page_loss *loss = page_list_add(data, &data->losses, sizeof(*loss));

    if (loss != NULL) {
        loss->client_id = page_text(data, &row[0]);
        loss->from_ms = page_integer(&row[1], PAGE_NO_TIME);
        loss->to_ms = page_integer(&row[2], 0);
        loss->reason = page_text(data, &row[3]);
    }
}

static void add_run(struct page_data *data, const struct store_cell *row)
{
    int64_t started_ms = page_integer(&row[0], 0);

    data->runs++;
    if (data->started_ms == PAGE_NO_TIME || started_ms < data->started_ms) {
        data->started_ms = started_ms;
    }
    data->received_messages += page_integer(&row[1], 0);
    data->stored += page_integer(&row[2], 0);
    data->duplicate += page_integer(&row[3], 0);
    data->quarantined += page_integer(&row[4], 0);
}

/* limits: group_name, device_id, celsius_min, celsius_max */
static void add_limit(struct page_data *data, const struct store_cell *row)
{
    struct page_limit *limit;

    data->limits_total++;
    if (data->limits.count == PAGE_LIMITS) {
        return;
    }
    limit = page_list_add(data, &data->limits, sizeof(*limit));
    if (limit != NULL) {
        limit->group = row[0].kind == STORE_NULL ? NULL : page_text(data, &row[0]);
        limit->device = row[1].kind == STORE_NULL ? NULL : page_text(data, &row[1]);
        limit->celsius_min = page_number(&row[2]);
        limit->celsius_max = page_number(&row[3]);
    }
}

static int read_database(struct page_data *data)
{
    static const char *const quarantine[] = {"reason", "messages", "last_received_ms",
                                             "example_detail", NULL};
    static const char *const losses[] = {"client_id", "last_durable_ms", "resumed_ms", "reason",
                                         NULL};
    static const char *const runs[] = {"started_ms", "received",    "stored",
                                       "duplicate",  "quarantined", NULL};
    static const char *const limits[] = {"group_name", "device_id", "celsius_min", "celsius_max",
                                         NULL};
    int result = page_rows(data, "quarantine_summary", quarantine, NULL, 0, add_quarantine);

    if (result == STORE_OK) {
        /* Of all times, as the accounts beside them are. */
        result = page_rows(data, "gaps", losses, NULL, 0, add_loss);
    }
    if (result == STORE_OK) {
        data->started_ms = PAGE_NO_TIME;
        result = page_rows(data, "runs", runs, NULL, 0, add_run);
    }
    return result == STORE_OK ? page_rows(data, "limits", limits, NULL, 0, add_limit) : result;
}

static void add_reading(struct page_data *data, struct page_list *list,
                        const struct store_cell *row)
{
    struct page_reading *reading;

    if (list->count > PAGE_READINGS) {
        return;
    }
    reading = page_list_add(data, list, sizeof(*reading));
    if (reading != NULL) {
        reading->time_ms = page_integer(&row[1], 0);
        reading->value = page_number(&row[2]);
    }
}

static void add_level(struct page_data *data, const struct store_cell *row)
{
    add_reading(data, &data->levels, row);
}

static void add_celsius(struct page_data *data, const struct store_cell *row)
{
    add_reading(data, &data->celsius, row);
}

static int by_time(const void *one, const void *other)
{
    const struct page_reading *left = one;
    const struct page_reading *right = other;

    return (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
}

static void sort_readings(struct page_list *list)
{
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof(struct page_reading), by_time);
    }
}

static int read_readings(struct page_data *data)
{
    static const char *const battery[] = {"device", "time_ms", "level_pct", NULL};
    static const char *const temperature[] = {"device", "time_ms", "celsius", NULL};
    const struct store_condition period[] = {
        {"time_ms", STORE_GE, store_cell_integer(data->since_ms)},
        {"time_ms", STORE_LE, store_cell_integer(data->request->until_ms)},
    };
    int result;

    if (data->request->device == NULL || data->devices.count != 1) {
        return STORE_OK;
    }
    result = page_rows(data, "battery", battery, period, 2, add_level);
    if (result == STORE_OK) {
        result = page_rows(data, "temperature", temperature, period, 2, add_celsius);
    }
    sort_readings(&data->levels);
    sort_readings(&data->celsius);
    data->has_readings =
        data->levels.count <= PAGE_READINGS && data->celsius.count <= PAGE_READINGS;
    return result;
}

int page_read_events(struct page_data *data)
{
    int result = read_database(data);

    return result == STORE_OK ? read_readings(data) : result;
}
