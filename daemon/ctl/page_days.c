/*
 * The days of the report and the daily series: the battery's mean level, lowest, mean and highest
 * temperature, and how many readings of each type there are, of which ctl/page_coverage.c makes the
 * series of coverage. Days are those of the database's time zone, by its table day_offsets, and
 * begin as in the views battery_daily and temperature_daily. Days before the first reading are left
 * out, and a report of more than PAGE_CELLS devices and days is refused: its memory is bounded,
 * whatever --since says.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/plural.h"
#include "base/zone.h"
#include "ctl/page_data_internal.h"

#define DAY_MS 86400000

static void add_zone(struct page_data *data, const struct store_cell *row)
{
    char *zone = page_text(data, &row[0]);

    if (zone != NULL && zone[0] != '\0') {
        data->zone[0] = '\0';
        strncat(data->zone, zone, sizeof(data->zone) - 1);
    }
    free(zone);
}

static void add_offset(struct page_data *data, const struct store_cell *row)
{
    struct zone_offset *offset = page_list_add(data, &data->offsets, sizeof(*offset));

    if (offset != NULL) {
        offset->from_ms = page_integer(&row[0], INT64_MIN);
        offset->until_ms = page_integer(&row[1], INT64_MAX);
        offset->offset_ms = page_integer(&row[2], 0);
    }
}

/* Compares two rows of day_offsets for qsort(): zone_day_of() and zone_day_begin() need them in the
 * order of from_ms. */
static int by_begin(const void *one, const void *other)
{
    const struct zone_offset *left = one;
    const struct zone_offset *right = other;

    return (left->from_ms > right->from_ms) - (left->from_ms < right->from_ms);
}

static int64_t day_of(const struct page_data *data, int64_t time_ms)
{
    return zone_day_of(data->offsets.items, (int)data->offsets.count, time_ms);
}

static int64_t begin_of(const struct page_data *data, int64_t day)
{
    return zone_day_begin(data->offsets.items, (int)data->offsets.count, day);
}

/* days: day_ms */
static void add_first(struct page_data *data, const struct store_cell *row)
{
    int64_t day_ms = page_integer(&row[0], PAGE_NO_TIME);

    if (data->first_ms == PAGE_NO_TIME || day_ms < data->first_ms) {
        data->first_ms = day_ms;
    }
}

/* Returns the day with which the report begins: that of --since, or of the first reading if that is
 * later; without a reading, today. */
static int64_t first_day(const struct page_data *data)
{
    int64_t since_ms = data->request->since_ms;
    int64_t last_ms = data->request->until_ms - 1;
    int64_t first_ms = data->first_ms == PAGE_NO_TIME ? last_ms : data->first_ms;

    first_ms = first_ms < last_ms ? first_ms : last_ms;
    return day_of(data, since_ms > first_ms ? since_ms : first_ms);
}

/* Returns true, and sets data->refused, when so many days are too many for a page. */
static bool is_too_much(struct page_data *data, int64_t days)
{
    int64_t devices = (int64_t)data->devices.count;
    int64_t room = devices > 0 ? PAGE_CELLS / devices : PAGE_CELLS;

    if (days <= room) {
        return false;
    }
    snprintf(data->refused, sizeof(data->refused),
             "%" PRId64 " %s of %" PRId64 " %s are more than a page can have: "
             "%s--group or --device",
             days, plural(days, "day", "days"), devices, plural(devices, "device", "devices"),
             room > 0 ? "use a later --since, " : "use ");
    if (room > 0) {
        size_t length = strlen(data->refused);

        snprintf(data->refused + length, sizeof(data->refused) - length,
                 "; of all of these it can have %" PRId64 " %s", room, plural(room, "day", "days"));
    }
    return true;
}

static void make_days(struct page_data *data)
{
    int64_t first = first_day(data);
    int64_t last = day_of(data, data->request->until_ms - 1);

    if (is_too_much(data, last - first + 1)) {
        return;
    }
    for (int64_t day = first; day <= last; day++) {
        struct page_day *made = page_list_add(data, &data->days, sizeof(*made));
        time_t seconds = (time_t)(day * (DAY_MS / 1000));
        struct tm parts;

        if (made == NULL) {
            return;
        }
        made->from_ms = begin_of(data, day);
        gmtime_r(&seconds, &parts);
        strftime(made->date, sizeof(made->date), "%Y-%m-%d", &parts);
    }
    data->end_ms = begin_of(data, last + 1);
}

/* The days of the report up to that of until_ms, with or without readings. */
int page_list_days(struct page_data *data)
{
    static const char *const zone[] = {"zone", NULL};
    static const char *const offsets[] = {"from_ms", "until_ms", "offset_ms", NULL};
    static const char *const days[] = {"day_ms", NULL};
    bool postgresql = data->request->database.engine == CONFIG_POSTGRESQL;
    int result =
        page_rows(data, postgresql ? "schema_version" : "rollup_state", zone, NULL, 0, add_zone);

    if (result == STORE_OK) {
        result = page_rows(data, "day_offsets", offsets, NULL, 0, add_offset);
    }
    if (result == STORE_OK) {
        data->first_ms = PAGE_NO_TIME;
        result = page_rows(data, "days", days, NULL, 0, add_first);
    }
    if (result != STORE_OK) {
        return result;
    }
    if (data->offsets.count > 0) {
        qsort(data->offsets.items, data->offsets.count, sizeof(struct zone_offset), by_begin);
    }
    make_days(data);
    if (data->days.count > 0) {
        data->since_ms = ((struct page_day *)data->days.items)[0].from_ms;
    }
    return data->out_of_memory || data->refused[0] != '\0' ? STORE_E_PATH : STORE_OK;
}

/* Returns the place of a device and day in a series, or SIZE_MAX. The row begins with them. */
static size_t place_of(const struct page_data *data, const struct store_cell *row)
{
    const struct page_day *days = data->days.items;
    size_t device = page_find_device(data, row[0].integer);
    int64_t day_ms = page_integer(&row[1], PAGE_NO_TIME);
    size_t low = 0;
    size_t high = data->days.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (days[middle].from_ms < day_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (device == SIZE_MAX || low == data->days.count || days[low].from_ms != day_ms) {
        return SIZE_MAX;
    }
    return device * data->days.count + low;
}

uint16_t page_tenths(double value, int zero)
{
    double tenths = isnan(value) ? -1e9 : round(value * 10) + zero + 1;

    if (isnan(value)) {
        return 0;
    }
    return (uint16_t)(tenths < 1 ? 1 : tenths > PAGE_VALUE_MAX ? PAGE_VALUE_MAX : tenths);
}

static void add_readings(struct page_data *data, int type, size_t place,
                         const struct store_cell *count)
{
    int64_t readings = page_integer(count, 0);

    data->readings[type][place] = (uint32_t)(readings < UINT32_MAX ? readings : UINT32_MAX);
}

/* battery_daily: device, day_ms, readings, level_pct_avg */
static void add_battery(struct page_data *data, const struct store_cell *row)
{
    size_t place = place_of(data, row);

    if (place != SIZE_MAX) {
        add_readings(data, PAGE_BATTERY, place, &row[2]);
        data->series[PAGE_LEVEL][place] = page_tenths(page_number(&row[3]), 0);
    }
}

/* temperature_daily: device, day_ms, readings, celsius_min, celsius_avg, celsius_max */
static void add_temperature(struct page_data *data, const struct store_cell *row)
{
    size_t place = place_of(data, row);

    if (place != SIZE_MAX) {
        add_readings(data, PAGE_TEMPERATURE, place, &row[2]);
        data->series[PAGE_LOW][place] = page_tenths(page_number(&row[3]), PAGE_CELSIUS_ZERO);
        data->series[PAGE_MEAN][place] = page_tenths(page_number(&row[4]), PAGE_CELSIUS_ZERO);
        data->series[PAGE_HIGH][place] = page_tenths(page_number(&row[5]), PAGE_CELSIUS_ZERO);
    }
}

static bool make_series(struct page_data *data)
{
    size_t days = data->days.count > 0 ? data->days.count : 1;
    size_t devices = data->devices.count > 0 ? data->devices.count : 1;

    for (int i = 0; i < PAGE_SERIES; i++) {
        data->series[i] = calloc(devices * sizeof(uint16_t), days);
        data->out_of_memory = data->out_of_memory || data->series[i] == NULL;
    }
    for (int i = 0; i < PAGE_TYPES; i++) {
        data->readings[i] = calloc(devices * sizeof(uint32_t), days);
        data->out_of_memory = data->out_of_memory || data->readings[i] == NULL;
    }
    return !data->out_of_memory;
}

int page_read_days(struct page_data *data)
{
    static const struct {
        const char *from;
        const char *const columns[7];
        page_row_fn row;
    } parts[] = {
        {"battery_daily", {"device", "day_ms", "readings", "level_pct_avg", NULL}, add_battery},
        {"temperature_daily",
         {"device", "day_ms", "readings", "celsius_min", "celsius_avg", "celsius_max", NULL},
         add_temperature},
    };
    int result = make_series(data) ? STORE_OK : STORE_E_PATH;
    struct store_condition period[] = {
        {"day_ms", STORE_GE, store_cell_integer(data->since_ms)},
        {"day_ms", STORE_LT, store_cell_integer(data->request->until_ms)},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && result == STORE_OK; i++) {
        result = page_rows(data, parts[i].from, parts[i].columns, period, 2, parts[i].row);
    }
    return result;
}
