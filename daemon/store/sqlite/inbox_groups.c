/*
 * Gathers readings that are sorted in, until one statement can insert STORE_READINGS of them into
 * their table: to begin and end a statement costs half as much as to insert a row.
 *
 * A device's readings of battery and temperature alternate. They touch different rows, so they are
 * gathered separately, and the readings of one table may be inserted before earlier ones of the
 * other.
 *
 * A reading that conflicts with a stored row becomes a quarantine entry after the others of its
 * group are inserted. The result is the same, because the row with which it conflicts was stored
 * before it.
 */
#include "store/sqlite/inbox_groups_internal.h"

#include <string.h>

#include "store/sqlite/inbox_tables_internal.h"

void inbox_groups_begin(struct inbox_groups *groups, struct store *store,
                        const struct inbox_sink *sink)
{
    groups->store = store;
    groups->sink = sink;
    groups->battery.count = groups->temperature.count = 0;
    groups->used = 0;
}

int inbox_groups_use_message(const struct inbox_groups *groups, int64_t n)
{
    return store_inbox_use(groups->store, n, groups->sink->use, groups->sink->context);
}

static int use_group(const struct inbox_groups *groups, struct inbox_group *group)
{
    bool done[STORE_READINGS] = {false};
    int count = group->count;
    int result = STORE_OK;

    group->count = 0;
    if (count > 0) {
        result = groups->sink->readings(groups->sink->context, group->readings, count, done);
    }
    for (int i = 0; i < count && result == STORE_OK; i++) {
        if (!done[i]) {
            result = inbox_groups_use_message(groups, group->n[i]);
        }
    }
    return result;
}

int inbox_groups_use(struct inbox_groups *groups)
{
    int result = use_group(groups, &groups->battery);

    if (result == STORE_OK) {
        result = use_group(groups, &groups->temperature);
    }
    groups->used = 0;
    return result;
}

/* Copies the text of a row: the buffer that the row was read from is reused for other rows. */
static const char *keep_text(struct inbox_groups *groups, const char *text, size_t size)
{
    char *kept = groups->texts + groups->used;

    groups->used += size;
    return memcpy(kept, text, size);
}

int inbox_groups_add(struct inbox_groups *groups, int64_t n, const struct store_reading *reading)
{
    const char *extra = reading->message.has_battery ? reading->message.battery_extra
                                                     : reading->message.temperature_extra;
    size_t size = extra != NULL ? strlen(extra) + 1 : 0;
    int result = size > sizeof(groups->texts) - groups->used ? inbox_groups_use(groups) : STORE_OK;
    struct inbox_group *group =
        reading->message.has_battery ? &groups->battery : &groups->temperature;
    struct store_reading *kept = &group->readings[group->count];

    if (result != STORE_OK) {
        return result;
    }
    *kept = *reading;
    if (extra != NULL) {
        extra = keep_text(groups, extra, size);
        kept->message.battery_extra = kept->message.has_battery ? extra : NULL;
        kept->message.temperature_extra = kept->message.has_battery ? NULL : extra;
    }
    group->n[group->count++] = n;
    return group->count == STORE_READINGS ? use_group(groups, group) : STORE_OK;
}
