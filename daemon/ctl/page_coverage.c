/*
 * The daily coverage of each device: how many of the readings that were expected have come, of both
 * types together.
 *
 * The numbers are those of the view coverage_daily, and a test compares them. They are computed
 * here because the report has read the readings of each day and the usual intervals already: the
 * view would search them once more for every device, type and day, which took half of the time of a
 * report of 10,000 devices. Only the time of the first reading is read besides.
 */
#include <math.h>
#include <stdlib.h>

#include "ctl/page_data_internal.h"

/* STORE_NAMED_FIRST_READINGS: device, first_ms of the battery, first_ms of the temperature */
static void add_first(struct page_data *data, const struct store_cell *row)
{
    size_t index = page_find_device(data, row[0].integer);

    if (index != SIZE_MAX) {
        struct page_device *device = (struct page_device *)data->devices.items + index;

        device->first_of_ms[PAGE_BATTERY] = page_integer(&row[1], PAGE_NO_TIME);
        device->first_of_ms[PAGE_TEMPERATURE] = page_integer(&row[2], PAGE_NO_TIME);
    }
}

/* Returns how many readings of a type are expected on a day; 0: coverage says nothing. */
static double expected_of(const struct page_data *data, const struct page_device *device, int type,
                          size_t day)
{
    const struct page_day *days = data->days.items;
    bool last = day + 1 == data->days.count;
    int64_t until_ms = last ? data->end_ms : days[day + 1].from_ms;
    int64_t from_ms = days[day].from_ms;
    int64_t first_ms = device->first_of_ms[type];
    double expected;

    if (device->usual_of_ms[type] == 0 || first_ms == PAGE_NO_TIME || first_ms >= until_ms) {
        return 0;
    }
    from_ms = first_ms > from_ms ? first_ms : from_ms;
    until_ms = until_ms < data->request->until_ms ? until_ms : data->request->until_ms;
    expected = round(10.0 * (double)(until_ms - from_ms) / (double)device->usual_of_ms[type]) / 10;
    if (last && data->end_ms > data->request->until_ms) {
        /* Of the day that is not over only whole intervals count, and the last one of them when it
         * is over by half an interval: a reading that is not due yet is not missing. */
        expected = floor(expected - 0.5);
    }
    return expected >= 1 ? expected : 0;
}

static void cover_day(struct page_data *data, size_t device, size_t day)
{
    const struct page_device *devices = data->devices.items;
    size_t place = device * data->days.count + day;
    double received = 0;
    double expected = 0;

    for (int type = 0; type < PAGE_TYPES; type++) {
        double of_type = expected_of(data, &devices[device], type, day);

        expected += of_type;
        /* More than was expected of one type makes up for nothing of the other. */
        received += fmin(data->readings[type][place], of_type);
    }
    if (expected > 0) {
        data->series[PAGE_COVERAGE][place] = page_tenths(100 * received / expected, 0);
    }
}

static int read_first(struct page_data *data)
{
    const struct page_device *devices = data->devices.items;
    size_t count = data->devices.count;
    struct store_cell range[2];

    if (count == 0) {
        return STORE_OK;
    }
    range[0] = store_cell_integer(devices[0].number);
    range[1] = store_cell_integer(devices[count - 1].number);
    return page_rows_named(data, STORE_NAMED_FIRST_READINGS, range, 2, add_first);
}

int page_read_coverage(struct page_data *data)
{
    int result = read_first(data);

    for (size_t i = 0; i < data->devices.count && result == STORE_OK; i++) {
        for (size_t j = 0; j < data->days.count; j++) {
            cover_day(data, i, j);
        }
    }
    for (int i = 0; i < PAGE_TYPES; i++) {
        free(data->readings[i]);
        data->readings[i] = NULL;
    }
    return result;
}
