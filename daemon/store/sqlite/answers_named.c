/*
 * The named statements of store/answers.h. Each is compiled when it is opened: a tool needs few of
 * them, and the daemon none. Values are always bound.
 *
 * The text `doing` completes "cannot ..." in the sentence for a person.
 */
#include "store/sqlite/answers_internal.h"

static const struct {
    const char *doing;
    const char *sql;
} texts[STORE_NAMED_COUNT] = {
    [STORE_NAMED_DEVICE] = {"look up the name of a device",
                            "SELECT family, device_id FROM main.devices WHERE device = ?1"},
    [STORE_NAMED_DEVICES_CALLED] = {"look up a device by its name",
                                    "SELECT device FROM main.devices WHERE device_id = ?1"
                                    " ORDER BY device"},
};

int store_query_named(struct store *store, enum store_named named, const struct store_cell *values,
                      int count, struct store_query **out)
{
    return answers_open(store, texts[named].sql, texts[named].doing, values, count, out);
}
