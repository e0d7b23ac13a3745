/*
 * The cautious way, after the server has refused a batch for the content of a row: each message is
 * stored by itself, in a savepoint of the same transaction, until a commit. The one that is refused
 * goes to quarantine with the server's reason, and all others are stored as ever. So no message can
 * stop the daemon: neither one that json.c has let through by mistake, nor one that is refused by a
 * constraint which somebody has added.
 */
#include <stdio.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/devices_internal.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

/* Copies a text of the server into a detail: one line, and cut between two characters. */
static void put_detail(char out[FOXTRACKR_DETAIL_SIZE], const char *text)
{
    size_t length = (size_t)snprintf(out, FOXTRACKR_DETAIL_SIZE, "PostgreSQL refuses it: %s", text);

    if (length >= FOXTRACKR_DETAIL_SIZE) {
        length = FOXTRACKR_DETAIL_SIZE - 1;
        while (length > 0 && ((unsigned char)out[length - 1] & 0xc0) == 0x80) {
            length--;
        }
        if (length > 0 && ((unsigned char)out[length - 1] & 0x80) != 0) {
            length--;
        }
        out[length] = '\0';
    }
    for (char *byte = out; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ') {
            *byte = ' ';
        }
    }
}

/* Takes the last message out of the batch and puts it into quarantine. */
static int put_aside(struct store *store, uint32_t key_count)
{
    const struct batch_message last = store->batch->messages[store->batch->message_count - 1];
    struct foxtrackr_problem problem = {
        .reason = strncmp(store->state, "23", 2) == 0 ? FOXTRACKR_E_CONFLICT : FOXTRACKR_E_JSON};
    int result;

    put_detail(problem.detail, store->refusal);
    batch_forget_last(store->batch, key_count);
    devices_settle(store->devices, false);
    months_clear(store->months);
    result = batch_quarantine(store, &problem, &last.packet, last.again);
    if (result == STORE_OK && !last.again) {
        store->counts.received++;
        store->counts.quarantined++;
    }
    if (result == STORE_OK) {
        store->handler.quarantined(store->handler.context, &last.packet, &problem);
    }
    return result;
}

int batch_alone(struct store *store)
{
    uint32_t key_count = store->batch->key_count;
    int result = batch_transaction(store);

    if (result == STORE_OK) {
        result = pg_simple(store, "SAVEPOINT message", "store a message by itself", NULL);
    }
    if (result != STORE_OK) {
        return result;
    }
    result = postgresql_flush(store);
    if (result == STORE_OK) {
        return pg_simple(store, "RELEASE SAVEPOINT message", "store a message by itself", NULL);
    }
    if (!store->refused || store->db == NULL) {
        return result;
    }
    store->refused = false;
    result = pg_simple(store, "ROLLBACK TO SAVEPOINT message", "leave a message out", NULL);
    return result == STORE_OK ? put_aside(store, key_count) : result;
}
