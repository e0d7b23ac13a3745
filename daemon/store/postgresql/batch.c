/*
 * A batch: messages gathered in memory, and stored together by a few statements, whatever their
 * number.
 *
 *   apply    parses, and keeps the values (batch_memory.c)
 *   flush    numbers the devices (batch_devices.c), finds the distinct keys, makes missing months
 *            (batch_place.c), stores a row for each key, and judges each message in its order
 *            (batch_judge.c). Rows go through the temporary table `stage` (batch_stage.c; a few:
 *            batch_few.c): statements insert what is new and read what was there. While nothing is
 *            likely to be there, readings are copied into their tables (batch_direct.c)
 *   commit   quarantine (batch_quarantine.c), the run's counts and COMMIT (commit.c)
 *
 * SQL inserts and says what was there; C decides (store/judge.c), as for SQLite. A key goes to the
 * server once a batch: a device in a group sends every reading twice.
 *
 * A batch that the server refuses for what a row of it holds is applied again message by message
 * (batch_alone.c).
 *
 * The transaction begins with the first statement of a flush. A failure of any kind ends in
 * store_rollback() and the same messages again.
 */
#include <stdio.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/devices_internal.h"
#include "store/postgresql/json_internal.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define HELD_MAX       (8U << 20) /* bytes; then the batch is judged and goes on */
#define MESSAGES_MAX   20000
#define NAME_MAX_BYTES 2000 /* a key of an index has 2,704 bytes at most */
#define FAMILY_MAX     500  /* which stands in one key with a deviceId */

static int no_memory(struct store *store)
{
    return pg_refuse(store, STORE_E_RETRY, "%s: cannot store a message: out of memory",
                     store->shown);
}

int postgresql_attach(struct store *store, const struct store_handler *handler)
{
    store->handler = *handler;
    return STORE_OK;
}

int postgresql_begin(struct store *store)
{
    int result = pg_ready(store);

    if (result != STORE_OK) {
        return result;
    }
    if (store->news[0] != '\0') {
        pg_refuse(store, STORE_E_RETRY, "%s", store->news);
        store->news[0] = '\0';
        return STORE_E_RETRY; /* the writer logs it and begins again */
    }
    batch_reset(store->batch);
    store->batch_messages = 0;
    store->counted_at_begin = store->counted_already;
    return STORE_OK;
}

/* Counts the arrival of a message. Returns true when `runs` has counted it: the COMMIT whose answer
 * was lost took effect. */
static bool arrive(struct store *store)
{
    store->batch_messages++;
    if (store->counted_already == 0) {
        return false;
    }
    store->counted_already--;
    return true;
}

static int put_aside(struct store *store, const struct foxtrackr_problem *problem,
                     const struct store_packet *packet)
{
    bool again = arrive(store);
    int result = batch_quarantine(store, problem, packet, again);

    if (result == STORE_OK && !again) {
        store->counts.received++;
        store->counts.quarantined++;
    }
    return result;
}

int postgresql_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                          const struct store_packet *packet)
{
    return put_aside(store, problem, packet);
}

/* --- a message ----------------------------------------------------------------------------- */

static bool has_length(const char *name, const char *text, size_t most, int reason,
                       struct foxtrackr_problem *problem)
{
    size_t length = text != NULL ? strlen(text) : 0;

    if (length > most) {
        *problem = (struct foxtrackr_problem){.reason = reason};
        snprintf(problem->detail, sizeof(problem->detail),
                 "PostgreSQL cannot index the %s: %zu bytes, and %zu are possible", name, length,
                 most);
    }
    return length <= most;
}

/* Returns true when the names of the message fit into the keys of the tables. */
static bool has_good_names(const struct foxtrackr_message *message,
                           struct foxtrackr_problem *problem)
{
    return has_length("family", message->family, FAMILY_MAX, FOXTRACKR_E_TOPIC, problem) &&
           has_length("deviceId", message->device_id, NAME_MAX_BYTES, FOXTRACKR_E_ENVELOPE,
                      problem) &&
           has_length("group", message->group, NAME_MAX_BYTES, FOXTRACKR_E_TOPIC, problem) &&
           (!message->has_other ||
            has_length("type", message->type, NAME_MAX_BYTES, FOXTRACKR_E_TOPIC, problem));
}

bool batch_can_store(const struct foxtrackr_message *message, const struct store_packet *packet,
                     struct foxtrackr_problem *problem)
{
    const char *why = NULL;
    bool good = true;

    if (!has_good_names(message, problem)) {
        return false;
    }
    if (message->has_other) {
        good = json_allowed(packet->payload, packet->payload_length, &why);
    }
    if (good && message->has_battery && message->battery_extra != NULL) {
        good = json_allowed(message->battery_extra, strlen(message->battery_extra), &why);
    }
    if (good && message->has_temperature && message->temperature_extra != NULL) {
        good = json_allowed(message->temperature_extra, strlen(message->temperature_extra), &why);
    }
    if (!good) {
        *problem = (struct foxtrackr_problem){.reason = FOXTRACKR_E_JSON};
        snprintf(problem->detail, sizeof(problem->detail), "PostgreSQL cannot work with this: %s",
                 why);
    }
    return good;
}

/* Copies a text into the batch; NULL stays NULL. *failed is set when memory is out. */
static const char *keep(struct pg_batch *batch, const char *text, bool *failed)
{
    const char *copy = text != NULL ? batch_copy(batch, text, strlen(text)) : NULL;

    *failed = *failed || (text != NULL && copy == NULL);
    return copy;
}

static struct judge_value keep_json(struct pg_batch *batch, const char *text, bool *failed)
{
    const char *copy = keep(batch, text, failed);

    return judge_json("extra", copy, copy != NULL ? strlen(copy) : 0);
}

static void take_parts(struct pg_batch *batch, struct batch_message *out,
                       const struct foxtrackr_message *message, bool *failed)
{
    struct batch_part *part = &out->parts[0];

    if (message->has_other) {
        part->kind = BATCH_MESSAGES;
        out->part_count = 1;
        return;
    }
    if (message->has_battery) {
        part->kind = BATCH_BATTERY;
        part->values[0] = judge_real("voltage_v", message->voltage_v);
        part->values[1] = judge_real("level_pct", message->level_pct);
        part->values[2] = keep_json(batch, message->battery_extra, failed);
        part->count = 3;
        part = &out->parts[++out->part_count];
    }
    if (message->has_temperature) {
        part->kind = BATCH_TEMPERATURE;
        part->values[0] = judge_real("celsius", message->celsius);
        part->values[1] = keep_json(batch, message->temperature_extra, failed);
        part->count = 2;
        out->part_count++;
    }
}

static int take_message(struct store *store, const struct foxtrackr_message *message,
                        const struct store_packet *packet)
{
    struct pg_batch *batch = store->batch;
    struct batch_message *out = batch_add(batch);
    bool failed = out == NULL;

    if (failed) {
        return no_memory(store);
    }
    out->packet = *packet;
    out->time_ms = message->time_ms;
    out->message_type = message->message_type;
    out->family = keep(batch, message->family, &failed);
    out->device_id = keep(batch, message->device_id, &failed);
    out->group = keep(batch, message->group, &failed);
    take_parts(batch, out, message, &failed);
    if (message->has_other) {
        out->type = keep(batch, message->type, &failed);
        out->version = keep(batch, message->version, &failed);
        failed = failed ||
                 digest_sha256(packet->payload, packet->payload_length, NULL, 0, out->digest) < 0;
    }
    if (failed) {
        return no_memory(store);
    }
    out->device = devices_find(store->devices, out->family, out->device_id);
    out->again = arrive(store);
    return STORE_OK;
}

int postgresql_apply(struct store *store, const struct store_packet *packet)
{
    struct foxtrackr_message message = {0};
    struct foxtrackr_problem problem = {0};
    int result = store->handler.parse(store->handler.context, packet, &message, &problem);

    if (result < 0) {
        return no_memory(store);
    }
    if (result == 0 && !batch_can_store(&message, packet, &problem)) {
        foxtrackr_message_clear(&message);
        result = 1;
    }
    if (result > 0) {
        result = put_aside(store, &problem, packet);
        if (result == STORE_OK) {
            store->handler.quarantined(store->handler.context, packet, &problem);
        }
        return result;
    }
    result = take_message(store, &message, packet);
    if (result == STORE_OK) {
        store->handler.understood(store->handler.context, message.time_ms);
    }
    foxtrackr_message_clear(&message);
    if (result == STORE_OK && store->cautious) {
        result = batch_alone(store);
    } else if (result == STORE_OK &&
               (store->batch->held >= HELD_MAX || store->batch->message_count >= MESSAGES_MAX)) {
        result = postgresql_flush(store);
    }
    return result;
}

/* --- the end of a batch -------------------------------------------------------------------- */

int batch_transaction(struct store *store)
{
    int result = STORE_OK;

    if (!store->in_transaction) {
        result = pg_simple(store, PG_BEGIN, "begin a batch", NULL);
        store->in_transaction = result == STORE_OK;
    }
    return result;
}

int postgresql_flush(struct store *store)
{
    int result;

    store->storing = true;
    store->refused = false;
    result = batch_number_devices(store);
    if (result == STORE_OK) {
        result = batch_place(store);
    }
    if (result == STORE_OK) {
        result = batch_judge(store);
    }
    store->storing = false;
    store->cautious = store->cautious || store->refused;
    return result;
}

int postgresql_commit(struct store *store)
{
    int result = postgresql_flush(store);

    if (result == STORE_OK) {
        result = batch_send_quarantine(store);
    }
    if (result == STORE_OK) {
        result = pg_commit(store);
    }
    if (result == STORE_OK) {
        devices_settle(store->devices, true);
        batch_reset(store->batch);
        store->counted_at_begin = store->counted_already;
        store->entries_durable = store->entries;
        store->cautious = false;
    }
    return result;
}

/* Never fails: a lost connection is a rollback, too. */
int postgresql_rollback(struct store *store)
{
    char error[PG_ERROR_SIZE];

    snprintf(error, sizeof(error), "%s", store->error);
    if (store->db != NULL && PQtransactionStatus(store->db) != PQTRANS_IDLE &&
        pg_simple(store, "ROLLBACK", "roll back", NULL) != STORE_OK) {
        pg_disconnect(store);
    }
    snprintf(store->error, sizeof(store->error), "%s", error);
    store->in_transaction = false;
    devices_settle(store->devices, false);
    months_clear(store->months);
    batch_reset(store->batch);
    store->counts = store->durable;
    store->entries = store->entries_durable;
    store->counted_already = store->counted_at_begin;
    return store->fatal ? STORE_FATAL : STORE_OK;
}

void postgresql_counts(const struct store *store, struct store_counts *out)
{
    *out = store->counts;
}
