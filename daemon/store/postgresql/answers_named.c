/* The named statements of store/answers.h. */
#include "store/postgresql/answers_internal.h"
#include "store/postgresql/operations_internal.h"

static const struct {
    const char *doing;
    const char *sql; /* NULL: not built yet */
} texts[STORE_NAMED_COUNT] = {
    [STORE_NAMED_DEVICE] = {"look up a device",
                            "SELECT family, device_id FROM devices WHERE device = $1"},
    [STORE_NAMED_DEVICES_CALLED] = {"look up a device",
                                    "SELECT device FROM devices WHERE device_id = $1"
                                    " ORDER BY device"},
    [STORE_NAMED_VALUES_OF_TYPE] = {"look at a type", NULL},
    [STORE_NAMED_PATHS_OF_TYPE] = {"look at a type", NULL},
    [STORE_NAMED_LIMITS_OF_NOBODY] = {"look for limits of nobody", NULL},
};

int postgresql_query_named(struct store *store, enum store_named named,
                           const struct store_cell *values, int count, struct store_query **out)
{
    if (texts[named].sql == NULL) {
        return pg_refuse(store, STORE_E_PATH, "%s: cannot %s: it is not built yet for PostgreSQL",
                         store->shown, texts[named].doing);
    }
    return pg_answers_open(store, texts[named].sql, texts[named].doing, values, count, out);
}
