/*
 * Numbers of devices, and memberships of groups. Devices that are not known to be committed are
 * added and found by two statements: the second sees what the first one waited for, a device that
 * another daemon has added meanwhile.
 */
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/devices_internal.h"
#include "store/postgresql/postgresql_internal.h"

static int no_memory(struct store *store)
{
    return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
}

/* The messages without a number, as parameters. Returns their number; -1: out of memory. */
static int list_unknown(struct pg_batch *batch, struct pg_args *args, struct pg_args *names)
{
    int count = 0;

    array_begin(&batch->arrays[0], ARRAY_TEXT);
    array_begin(&batch->arrays[1], ARRAY_TEXT);
    array_begin(&batch->arrays[2], ARRAY_INT8);
    for (uint32_t i = batch->placed; i < batch->message_count; i++) {
        const struct batch_message *message = &batch->messages[i];

        if (message->device == 0) {
            array_bytes(&batch->arrays[0], message->family, strlen(message->family));
            array_bytes(&batch->arrays[1], message->device_id, strlen(message->device_id));
            array_int8(&batch->arrays[2], message->packet.received_ms);
            count++;
        }
    }
    return array_arg(&batch->arrays[0], args) && array_arg(&batch->arrays[1], args) &&
                   array_arg(&batch->arrays[2], args) && array_arg(&batch->arrays[0], names) &&
                   array_arg(&batch->arrays[1], names)
               ? count
               : -1;
}

/* Gives the found numbers to the messages; the answer has a row for each, in their order. */
static int take_numbers(struct store *store, const PGresult *found, int count)
{
    struct pg_batch *batch = store->batch;
    int taken = 0;

    for (uint32_t i = batch->placed; i < batch->message_count; i++) {
        struct batch_message *message = &batch->messages[i];

        if (message->device != 0) {
            continue;
        }
        if (taken < PQntuples(found) && pg_int4(found, taken, 0) == taken) {
            message->device = pg_int8(found, taken, 1);
            devices_note(store->devices, message->family, message->device_id, message->device);
            taken++;
        }
    }
    return taken == count ? STORE_OK : batch_refuse_missing(store, "devices");
}

static int number_unknown(struct store *store)
{
    struct pg_args args = {.count = 0};
    struct pg_args names = {.count = 0};
    PGresult *found = NULL;
    int count = list_unknown(store->batch, &args, &names);
    int result;

    if (count <= 0) {
        return count == 0 ? STORE_OK : no_memory(store);
    }
    result = batch_transaction(store);
    if (result != STORE_OK) {
        return result;
    }
    result = pg_pipeline_begin(store);
    if (result == STORE_OK) {
        result = pg_send(store, PG_DEVICES_ADD, &args);
    }
    if (result == STORE_OK) {
        result = pg_send(store, PG_DEVICES_FIND, &names);
    }
    if (result == STORE_OK) {
        result = pg_pipeline_sync(store);
    }
    if (result == STORE_OK) {
        result = pg_expect(store, pg_doing(PG_DEVICES_ADD), NULL);
    }
    if (result == STORE_OK) {
        result = pg_expect(store, pg_doing(PG_DEVICES_FIND), &found);
    }
    result = pg_pipeline_end(store, result);
    if (result == STORE_OK) {
        result = take_numbers(store, found, count);
    }
    PQclear(found);
    return result;
}

static int add_memberships(struct store *store)
{
    struct pg_batch *batch = store->batch;
    struct pg_args args = {.count = 0};
    int count = 0;
    int result = STORE_OK;

    array_begin(&batch->arrays[0], ARRAY_TEXT);
    array_begin(&batch->arrays[1], ARRAY_INT8);
    array_begin(&batch->arrays[2], ARRAY_INT8);
    for (uint32_t i = batch->placed; i < batch->message_count; i++) {
        const struct batch_message *message = &batch->messages[i];

        if (message->group != NULL &&
            !devices_in_group(store->devices, message->group, message->device)) {
            array_bytes(&batch->arrays[0], message->group, strlen(message->group));
            array_int8(&batch->arrays[1], message->device);
            array_int8(&batch->arrays[2], message->packet.received_ms);
            devices_note_group(store->devices, message->group, message->device);
            count++;
        }
    }
    if (count == 0) {
        return STORE_OK;
    }
    if (!array_arg(&batch->arrays[0], &args) || !array_arg(&batch->arrays[1], &args) ||
        !array_arg(&batch->arrays[2], &args)) {
        return no_memory(store);
    }
    result = batch_transaction(store);
    return result == STORE_OK ? pg_run(store, PG_GROUPS_ADD, &args, NULL) : result;
}

int batch_number_devices(struct store *store)
{
    int result = number_unknown(store);

    return result == STORE_OK ? add_memberships(store) : result;
}
