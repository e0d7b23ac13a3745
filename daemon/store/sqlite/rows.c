/*
 * Stores the rows of a message. A row is inserted with ON CONFLICT (its key) DO NOTHING; if nothing
 * was inserted, the stored row is compared value by value: an equal row is a duplicate (the broker
 * sent it again, or the device is in a group), any other a conflict. If there is none, a trigger
 * that somebody has added has ignored the row: the message is not stored, nor acknowledged.
 *
 * A message with a battery object and a temperature object has two rows, each handled separately:
 * with a conflict of the battery row, the temperature row is stored. The whole message then goes to
 * quarantine too, so that a person can decide about the reading without a row. It counts as
 * quarantined, whether the other row is new or not.
 *
 * store/judge.c compares, and has the sentences. `message_type` and `received_ms` describe the
 * delivery; the first message's are kept.
 */
#include "store/sqlite/sqlite_internal.h"

#include <string.h>

#include "base/digest.h"
#include "store/judge.h"

#define ROW_VALUES_MAX 8
#define COMPARED_MAX   3
#define ROWS_MAX       2 /* of a message */

/* The first `keys` values find the row; the next `compared` ones must agree. */
struct row {
    const char *table;
    enum store_statement add;
    enum store_statement find;
    int keys;
    int compared;
    int count;
    const char *columns[COMPARED_MAX]; /* names of the compared ones */
    struct store_value values[ROW_VALUES_MAX];
};

/* The compared value `index` of a row, or of the stored row that `statement` has read. */
static struct judge_value came(const struct row *row, int index)
{
    const struct store_value *value = &row->values[row->keys + index];

    return value->kind == VALUE_REAL ? judge_real(row->columns[index], value->real)
                                     : judge_json(row->columns[index], value->bytes, value->length);
}

static struct judge_value stored(sqlite3_stmt *statement, const struct row *row, int index)
{
    struct judge_value value = {.column = row->columns[index], .kind = JUDGE_JSON};

    value.null = sqlite3_column_type(statement, index) == SQLITE_NULL;
    if (row->values[row->keys + index].kind == VALUE_REAL) {
        value.kind = JUDGE_REAL;
        value.real = sqlite3_column_double(statement, index);
    } else {
        value.bytes = sqlite3_column_blob(statement, index);
        value.length = (size_t)sqlite3_column_bytes(statement, index);
    }
    return value;
}

/* Compares the stored row; JUDGE_NEW when there is none. */
static int compare_row(struct store *store, const struct row *row, enum judge_row *out,
                       struct foxtrackr_problem *problem)
{
    sqlite3_stmt *statement = store->statements[row->find];
    bool found = false;
    int result = store_step(store, row->find, row->values, row->keys, &found);

    if (result == STORE_OK && found) {
        struct judge_value theirs[COMPARED_MAX];
        struct judge_value ours[COMPARED_MAX];

        for (int i = 0; i < row->compared; i++) {
            theirs[i] = stored(statement, row, i);
            ours[i] = came(row, i);
        }
        *out = judge_compare(row->table, ours, theirs, row->compared, problem);
    } else if (result == STORE_OK) {
        *out = JUDGE_NEW;
    }
    store_reset(store, row->find);
    return result;
}

/* A new reading of a day that is rolled up changes that day. */
static int note_reading(struct store *store, const struct row *row)
{
    enum rollup_table table =
        row->add == STATEMENT_BATTERY_ADD ? ROLLUP_BATTERY : ROLLUP_TEMPERATURE;
    int64_t time_ms = row->values[1].integer;

    return time_ms < store->rollup.watch_ms
               ? rollup_note_late(store, table, row->values[0].integer, time_ms)
               : STORE_OK;
}

/* Inserts a row, or compares the stored one. */
static int put_row(struct store *store, const struct row *row, enum judge_row *out,
                   struct foxtrackr_problem *problem)
{
    int result = store_execute(store, row->add, row->values, row->count);

    if (result != STORE_OK) {
        return result;
    }
    if (sqlite3_changes(store->db) > 0) {
        *out = JUDGE_NEW;
        return row->compared > 0 ? note_reading(store, row) : STORE_OK;
    }
    result = compare_row(store, row, out, problem);
    return result == STORE_OK && *out == JUDGE_NEW ? store_refuse_ignored(store, row->table)
                                                   : result;
}

int store_find_device(struct store *store, const char *family, const char *device_id,
                      int64_t *device)
{
    const struct store_value values[] = {store_text(family), store_text(device_id)};
    struct store_cache_key key = store_cache_device_key(family, device_id);
    bool row = false;
    int result;

    if (store_cache_find(&store->cache, &key, device)) {
        return STORE_OK;
    }
    result = store_step(store, STATEMENT_DEVICE_FIND, values, 2, &row);
    if (result == STORE_OK && row) {
        *device = sqlite3_column_int64(store->statements[STATEMENT_DEVICE_FIND], 0);
        store_cache_put(&store->cache, &key, *device);
    }
    store_reset(store, STATEMENT_DEVICE_FIND);
    return result;
}

int store_next_device(struct store *store, int64_t after, int64_t *device)
{
    const struct store_value value = store_integer(after);
    bool row = false;
    int result = store_step(store, STATEMENT_DEVICE_NEXT, &value, 1, &row);

    if (result == STORE_OK) {
        *device = row ? sqlite3_column_int64(store->statements[STATEMENT_DEVICE_NEXT], 0) : 0;
    }
    store_reset(store, STATEMENT_DEVICE_NEXT);
    return result;
}

/* Finds the number of the message's device, or adds the device. */
static int number_device(struct store *store, const struct foxtrackr_message *message,
                         int64_t received_ms, int64_t *device)
{
    const struct store_value values[] = {
        store_text(message->family), store_text(message->device_id), store_integer(received_ms)};
    int result;

    *device = 0;
    result = store_find_device(store, message->family, message->device_id, device);
    if (result == STORE_OK && *device == 0) {
        struct store_cache_key key = store_cache_device_key(message->family, message->device_id);

        result = store_execute(store, STATEMENT_DEVICE_ADD, values, 3);
        *device = sqlite3_last_insert_rowid(store->db);
        if (result == STORE_OK) {
            result = store_check_stored(store, "devices", 1);
        }
        if (result == STORE_OK) {
            store_cache_put(&store->cache, &key, *device);
        }
    }
    return result;
}

static int join_group(struct store *store, const char *group, int64_t device, int64_t received_ms)
{
    const struct store_value values[] = {store_text(group), store_integer(device),
                                         store_integer(received_ms)};
    struct store_cache_key key = store_cache_group_key(group, device);
    int64_t ignored;
    int result;

    if (store_cache_find(&store->cache, &key, &ignored)) {
        return STORE_OK;
    }
    result = store_execute(store, STATEMENT_GROUP_ADD, values, 3);
    if (result == STORE_OK) {
        store_cache_put(&store->cache, &key, 1);
    }
    return result;
}

static struct row battery_row(const struct foxtrackr_message *message, int64_t device,
                              int64_t received_ms)
{
    return (struct row){
        .table = "battery",
        .add = STATEMENT_BATTERY_ADD,
        .find = STATEMENT_BATTERY_FIND,
        .keys = 2,
        .compared = 3,
        .count = 7,
        .columns = {"voltage_v", "level_pct", "extra"},
        .values = {store_integer(device), store_integer(message->time_ms),
                   store_real(message->voltage_v), store_real(message->level_pct),
                   store_text(message->battery_extra), store_integer(message->message_type),
                   store_integer(received_ms)},
    };
}

static struct row temperature_row(const struct foxtrackr_message *message, int64_t device,
                                  int64_t received_ms)
{
    return (struct row){
        .table = "temperature",
        .add = STATEMENT_TEMPERATURE_ADD,
        .find = STATEMENT_TEMPERATURE_FIND,
        .keys = 2,
        .compared = 2,
        .count = 6,
        .columns = {"celsius", "extra"},
        .values = {store_integer(device), store_integer(message->time_ms),
                   store_real(message->celsius), store_text(message->temperature_extra),
                   store_integer(message->message_type), store_integer(received_ms)},
    };
}

/* A row without compared values: the digest is in the key, so an equal key means an equal body. */
static struct row other_row(const struct foxtrackr_message *message, int64_t device,
                            const struct store_packet *packet, const uint8_t digest[DIGEST_SIZE])
{
    return (struct row){
        .table = "messages",
        .add = STATEMENT_MESSAGE_ADD,
        .find = STATEMENT_MESSAGE_FIND,
        .keys = 7,
        .compared = 0,
        .count = 8,
        .values = {store_integer(device), store_text(message->type),
                   store_integer(message->time_ms), store_text(message->version),
                   store_integer(message->message_type),
                   store_bytes(true, packet->payload, packet->payload_length),
                   store_bytes(false, digest, DIGEST_SIZE), store_integer(packet->received_ms)},
    };
}

/* Makes the one or two rows of a message. Returns their number. `digest` is borrowed. */
static int make_rows(const struct foxtrackr_message *message, const struct store_packet *packet,
                     int64_t device, const uint8_t digest[DIGEST_SIZE], struct row rows[ROWS_MAX])
{
    int count = 0;

    if (message->has_other) {
        rows[0] = other_row(message, device, packet, digest);
        return 1;
    }
    if (message->has_battery) {
        rows[count] = battery_row(message, device, packet->received_ms);
        count++;
    }
    if (message->has_temperature) {
        rows[count] = temperature_row(message, device, packet->received_ms);
        count++;
    }
    return count;
}

typedef int row_function(struct store *store, const struct row *row, enum judge_row *out,
                         struct foxtrackr_problem *problem);

/* Calls put_row() or compare_row() for each row. */
static int do_rows(struct store *store, row_function *function, const struct row *rows, int count,
                   enum judge_row *out, struct foxtrackr_problem *problem)
{
    enum judge_row each[ROWS_MAX] = {JUDGE_SAME, JUDGE_SAME};
    const char *tables[ROWS_MAX] = {NULL, NULL};
    int result = STORE_OK;

    for (int i = 0; i < count && result == STORE_OK; i++) {
        struct foxtrackr_problem own = {.reason = problem->reason};

        tables[i] = rows[i].table;
        result = function(store, &rows[i], &each[i], &own);
        if (each[i] == JUDGE_CONFLICT && problem->detail[0] == '\0') {
            *problem = own;
        }
    }
    *out = judge_rows(tables, each, count, problem);
    return result;
}

/* Computes the payload's digest, if the message's rows need it. */
static int digest_payload(struct store *store, const struct foxtrackr_message *message,
                          const struct store_packet *packet, uint8_t digest[DIGEST_SIZE])
{
    if (message->has_other &&
        digest_sha256(packet->payload, packet->payload_length, NULL, 0, digest) < 0) {
        return store_refuse(store, STORE_E_RETRY, "%s: cannot store a message: out of memory",
                            store->path);
    }
    return STORE_OK;
}

static enum store_outcome outcome_of(enum judge_row rows_result)
{
    switch (rows_result) {
    case JUDGE_NEW:
        return STORE_STORED;
    case JUDGE_SAME:
        return STORE_DUPLICATE;
    default:
        return STORE_QUARANTINED;
    }
}

int store_put(struct store *store, const struct foxtrackr_message *message,
              const struct store_packet *packet, enum store_outcome *outcome,
              struct foxtrackr_problem *conflict)
{
    enum judge_row rows_result = JUDGE_SAME;
    uint8_t digest[DIGEST_SIZE];
    struct row rows[ROWS_MAX];
    int64_t device = 0;
    int count;
    int result = digest_payload(store, message, packet, digest);

    *conflict = (struct foxtrackr_problem){.reason = FOXTRACKR_E_CONFLICT};
    if (result == STORE_OK) {
        result = number_device(store, message, packet->received_ms, &device);
    }
    if (result == STORE_OK && message->group != NULL) {
        result = join_group(store, message->group, device, packet->received_ms);
    }
    if (result == STORE_OK) {
        count = make_rows(message, packet, device, digest, rows);
        result = do_rows(store, put_row, rows, count, &rows_result, conflict);
    }
    if (result == STORE_OK) {
        *outcome = outcome_of(rows_result);
    }
    return result;
}

int store_would_put(struct store *store, const struct foxtrackr_message *message,
                    const struct store_packet *packet, enum store_outcome *outcome,
                    struct foxtrackr_problem *conflict)
{
    const struct store_value names[] = {store_text(message->family),
                                        store_text(message->device_id)};
    enum judge_row rows_result = JUDGE_SAME;
    uint8_t digest[DIGEST_SIZE];
    struct row rows[ROWS_MAX];
    int count = 0;
    bool known = false;
    int result = digest_payload(store, message, packet, digest);

    *conflict = (struct foxtrackr_problem){.reason = FOXTRACKR_E_CONFLICT};
    if (result == STORE_OK) {
        result = store_step(store, STATEMENT_DEVICE_FIND, names, 2, &known);
    }
    if (result == STORE_OK && known) {
        count = make_rows(message, packet,
                          sqlite3_column_int64(store->statements[STATEMENT_DEVICE_FIND], 0), digest,
                          rows);
    }
    store_reset(store, STATEMENT_DEVICE_FIND);
    if (result == STORE_OK) {
        result = do_rows(store, compare_row, rows, count, &rows_result, conflict);
    }
    if (result == STORE_OK) {
        *outcome = outcome_of(known ? rows_result : JUDGE_NEW);
    }
    return result;
}

static void count_outcome(struct store *store, enum store_outcome outcome)
{
    store->counts.received++;
    switch (outcome) {
    case STORE_STORED:
        store->counts.stored++;
        break;
    case STORE_DUPLICATE:
        store->counts.duplicate++;
        break;
    case STORE_QUARANTINED:
        store->counts.quarantined++;
        break;
    }
}

int store_message(struct store *store, const struct foxtrackr_message *message,
                  const struct store_packet *packet, enum store_outcome *outcome)
{
    struct foxtrackr_problem conflict = {0};
    int result = store_put(store, message, packet, outcome, &conflict);

    if (result == STORE_OK && *outcome == STORE_QUARANTINED) {
        result = store_keep(store, &conflict, packet);
    }
    if (result != STORE_OK) {
        return result;
    }
    count_outcome(store, *outcome);
    return STORE_OK;
}

static struct row row_of(const struct store_reading *reading)
{
    const struct foxtrackr_message *message = &reading->message;

    return message->has_battery ? battery_row(message, reading->device, reading->received_ms)
                                : temperature_row(message, reading->device, reading->received_ms);
}

int store_put_reading(struct store *store, const struct store_reading *reading, bool *done)
{
    const struct row row = row_of(reading);
    struct foxtrackr_problem conflict = {0};
    enum judge_row row_result;
    int result = put_row(store, &row, &row_result, &conflict);

    if (result != STORE_OK) {
        return result;
    }
    *done = row_result != JUDGE_CONFLICT;
    if (*done) {
        count_outcome(store, outcome_of(row_result));
    }
    return STORE_OK;
}
