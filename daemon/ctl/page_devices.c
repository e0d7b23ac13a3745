/*
 * The devices of the report: those of one group, those with one deviceId (one in each family), or
 * all; with their present values, the trend of the battery, the usual interval and their silence.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/page_data_internal.h"

static int by_number(const void *one, const void *other)
{
    const struct page_device *left = one;
    const struct page_device *right = other;

    return (left->number > right->number) - (left->number < right->number);
}

/* fleet: device, family, device_id, last_seen_ms, level_pct, voltage_v, celsius */
static void add_device(struct page_data *data, const struct store_cell *row)
{
    struct page_device *device = page_list_add(data, &data->devices, sizeof(*device));
    char *family;

    if (device == NULL) {
        return;
    }
    device->number = row[0].integer;
    device->id = page_text(data, &row[2]);
    device->seen_ms = page_integer(&row[3], PAGE_NO_TIME);
    device->level_pct = page_number(&row[4]);
    device->voltage_v = page_number(&row[5]);
    device->celsius = page_number(&row[6]);
    device->pct_per_day = NAN;
    device->days_left = NAN;
    device->first_of_ms[PAGE_BATTERY] = PAGE_NO_TIME;
    device->first_of_ms[PAGE_TEMPERATURE] = PAGE_NO_TIME;
    family = page_text(data, &row[1]);
    if (family != NULL) {
        device->family = page_text_index(data, &data->families, family);
        free(family);
    }
}

static struct page_device *device_of(struct page_data *data, const struct store_cell *row)
{
    size_t index = page_find_device(data, row[0].integer);

    return index == SIZE_MAX ? NULL : (struct page_device *)data->devices.items + index;
}

/* Makes room for one more group: there is room up to the next power of two. */
static bool has_room(struct page_device *device)
{
    size_t count = device->group_count;
    void *groups;

    if (count > 0 && (count & (count - 1)) != 0) {
        return true;
    }
    groups = reallocarray(device->groups, count > 0 ? 2 * count : 1, sizeof(device->groups[0]));
    if (groups != NULL) {
        device->groups = groups;
    }
    return groups != NULL;
}

/* device_groups: device, group_name */
static void add_group(struct page_data *data, const struct store_cell *row)
{
    struct page_device *device = device_of(data, row);
    char *name = page_text(data, &row[1]);

    if (device != NULL && name != NULL && has_room(device)) {
        device->groups[device->group_count++] = page_text_index(data, &data->groups, name);
    } else {
        data->out_of_memory = data->out_of_memory || device != NULL;
    }
    free(name);
}

/* battery_trend: device, pct_per_day, pct_per_day_30, days_left, recharges_30 */
static void add_trend(struct page_data *data, const struct store_cell *row)
{
    struct page_device *device = device_of(data, row);
    double rate = page_number(&row[1]);

    if (device != NULL) {
        device->pct_per_day = fabs(isnan(rate) ? page_number(&row[2]) : rate);
        device->days_left = page_number(&row[3]);
        device->recharges = page_integer(&row[4], 0);
    }
}

/* silent_devices: device, usual_ms */
static void add_silence(struct page_data *data, const struct store_cell *row)
{
    struct page_device *device = device_of(data, row);

    if (device != NULL) {
        device->silent = true;
    }
}

/* usual_intervals: device, usual_ms, type; one row a type */
static void add_habit(struct page_data *data, const struct store_cell *row)
{
    struct page_device *device = device_of(data, row);
    int64_t usual_ms = page_integer(&row[1], 0);

    if (device == NULL || usual_ms <= 0 || row[2].kind != STORE_TEXT) {
        return;
    }
    device->usual_of_ms[strcmp(row[2].bytes, "temp") == 0 ? PAGE_TEMPERATURE : PAGE_BATTERY] =
        usual_ms;
    if (device->usual_ms == 0 || usual_ms < device->usual_ms) {
        device->usual_ms = usual_ms;
    }
}

/* Keeps only the devices of the request's group. */
static void keep_group(struct page_data *data)
{
    struct page_device *devices = data->devices.items;
    char **names = data->groups.list.items;
    size_t kept = 0;

    for (size_t i = 0; i < data->devices.count; i++) {
        bool member = false;

        for (size_t j = 0; j < devices[i].group_count; j++) {
            member = member || strcmp(names[devices[i].groups[j]], data->request->group) == 0;
        }
        if (member) {
            struct page_device moved = devices[i];

            devices[i] = devices[kept];
            devices[kept++] = moved;
        }
    }
    for (size_t i = kept; i < data->devices.count; i++) {
        free(devices[i].id);
        free(devices[i].groups);
    }
    data->devices.count = kept;
    if (kept > 0) {
        qsort(devices, kept, sizeof(*devices), by_number);
    }
}

static int read_fleet(struct page_data *data)
{
    static const char *const columns[] = {"device",    "family",    "device_id", "last_seen_ms",
                                          "level_pct", "voltage_v", "celsius",   NULL};
    const struct store_condition of_device = {"device_id", STORE_EQ,
                                              store_cell_text(data->request->device)};
    int result =
        page_rows(data, "fleet", columns, &of_device, data->request->device != NULL, add_device);

    if (data->devices.count > 0) {
        qsort(data->devices.items, data->devices.count, sizeof(struct page_device), by_number);
    }
    return result;
}

static int read_groups(struct page_data *data)
{
    static const char *const columns[] = {"device", "group_name", NULL};
    int result = page_rows(data, "device_groups", columns, NULL, 0, add_group);

    if (result == STORE_OK && data->request->group != NULL) {
        keep_group(data);
    }
    return result;
}

int page_read_devices(struct page_data *data)
{
    static const struct {
        const char *from;
        const char *const columns[6];
        page_row_fn row;
    } parts[] = {
        {"battery_trend",
         {"device", "pct_per_day", "pct_per_day_30", "days_left", "recharges_30", NULL},
         add_trend},
        {"silent_devices", {"device", "usual_ms", NULL}, add_silence},
        {"usual_intervals", {"device", "usual_ms", "type", NULL}, add_habit},
    };
    int result = read_fleet(data);

    if (result == STORE_OK && data->devices.count > 0) {
        result = read_groups(data);
    }
    if (data->devices.count == 0) {
        return result;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && result == STORE_OK; i++) {
        result = page_rows(data, parts[i].from, parts[i].columns, NULL, 0, parts[i].row);
    }
    return result;
}
