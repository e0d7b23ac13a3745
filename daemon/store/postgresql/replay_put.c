/*
 * Stores a single message, statement by statement, for replay and for messages whose time has come.
 * The outcome is that of a batch (batch_judge.c): SQL inserts and says what was there, and
 * store/judge.c decides.
 */
#include <math.h>
#include <string.h>

#include "store/postgresql/months_internal.h"
#include "store/postgresql/replay_internal.h"

#define DOING "store a message again"

/* The message that is stored. */
struct putting {
    struct store *store;
    const struct foxtrackr_message *message;
    const struct store_packet *packet;
    int64_t device; /* 0: not known, which a dry run leaves so */
    bool dry;
};

static int find_device(struct putting *putting)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result = STORE_OK;

    pg_arg_text(&args, putting->message->family);
    pg_arg_text(&args, putting->message->device_id);
    pg_arg_int8(&args, putting->packet->received_ms);
    if (!putting->dry) {
        result = pg_query(putting->store,
                          "INSERT INTO devices (family, device_id, first_seen_ms)"
                          " VALUES ($1::text, $2::text, $3::int8)"
                          " ON CONFLICT (family, device_id) DO NOTHING",
                          DOING, &args, NULL);
    }
    args.count = 2;
    if (result == STORE_OK) {
        result = pg_query(putting->store,
                          "SELECT device FROM devices WHERE family = $1::text"
                          " AND device_id = $2::text",
                          DOING, &args, &found);
    }
    putting->device =
        result == STORE_OK && PQntuples(found) > 0 ? pg_int8(found, 0, 0) : putting->device;
    PQclear(found);
    return result;
}

static int join_group(struct putting *putting)
{
    struct pg_args args = {.count = 0};

    if (putting->dry || putting->message->group == NULL) {
        return STORE_OK;
    }
    pg_arg_text(&args, putting->message->group);
    pg_arg_int8(&args, putting->device);
    pg_arg_int8(&args, putting->packet->received_ms);
    return pg_query(putting->store,
                    "INSERT INTO device_groups (group_name, device, first_seen_ms)"
                    " VALUES ($1::text, $2::int8, $3::int8) ON CONFLICT DO NOTHING",
                    DOING, &args, NULL);
}

/* Inserts a row. *inserted: it was not there. */
static int insert(struct putting *putting, const char *table, const char *sql,
                  const struct pg_args *args, bool *inserted)
{
    PGresult *answer = NULL;
    int result;

    *inserted = false;
    if (putting->dry) {
        return STORE_OK;
    }
    result = months_need(putting->store, table, putting->message->time_ms);
    if (result == STORE_OK) {
        result = pg_query(putting->store, sql, DOING, args, &answer);
    }
    *inserted = result == STORE_OK && pg_touched(answer) == 1;
    PQclear(answer);
    return result;
}

static struct judge_value stored_value(const PGresult *found, int column, bool json)
{
    struct judge_value value = {.kind = json ? JUDGE_JSON : JUDGE_REAL,
                                .null = PQgetisnull(found, 0, column) != 0};

    if (json && !value.null) {
        value.bytes = PQgetvalue(found, 0, column);
        value.length = (size_t)PQgetlength(found, 0, column);
    } else if (!json) {
        value.real = pg_real(found, 0, column);
    }
    return value;
}

/* Compares the row that is stored for the message's key, by `sql`; the last value is JSON. */
static int compare(struct putting *putting, const char *table, const char *sql,
                   const struct judge_value *came, int count, enum judge_row *row,
                   struct foxtrackr_problem *problem)
{
    struct judge_value stored[3];
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_int8(&args, putting->device);
    pg_arg_int8(&args, putting->message->time_ms);
    result = pg_query(putting->store, sql, DOING, &args, &found);
    *row = JUDGE_NEW;
    if (result == STORE_OK && PQntuples(found) > 0) {
        for (int i = 0; i < count; i++) {
            stored[i] = stored_value(found, i, i == count - 1);
        }
        *row = judge_compare(table, came, stored, count, problem);
    } else if (result == STORE_OK && !putting->dry) {
        result = pg_refuse(putting->store, STORE_E_RETRY,
                           "%s: a row of %s was deleted while it was compared",
                           putting->store->shown, table);
    }
    PQclear(found);
    return result;
}

static struct judge_value extra_value(const char *extra)
{
    return judge_json("extra", extra, extra != NULL ? strlen(extra) : 0);
}

static int put_battery(struct putting *putting, enum judge_row *row,
                       struct foxtrackr_problem *problem)
{
    const struct foxtrackr_message *message = putting->message;
    const struct judge_value came[] = {judge_real("voltage_v", message->voltage_v),
                                       judge_real("level_pct", message->level_pct),
                                       extra_value(message->battery_extra)};
    struct pg_args args = {.count = 0};
    bool inserted = false;
    int result;

    pg_arg_int8(&args, putting->device);
    pg_arg_int8(&args, message->time_ms);
    pg_arg_real(&args, message->voltage_v);
    pg_arg_real(&args, message->level_pct);
    pg_arg_int8(&args, message->message_type);
    pg_arg_text(&args, message->battery_extra);
    pg_arg_int8(&args, putting->packet->received_ms);
    result = insert(putting, "battery",
                    "INSERT INTO battery (device, time_ms, voltage_v, level_pct, message_type,"
                    " extra, received_ms) VALUES ($1::int8, $2::int8, $3::float8, $4::float8,"
                    " $5::int8, $6::json, $7::int8) ON CONFLICT (device, time_ms) DO NOTHING",
                    &args, &inserted);
    *row = JUDGE_NEW;
    return result != STORE_OK || inserted
               ? result
               : compare(putting, "battery",
                         "SELECT voltage_v, level_pct, extra FROM battery"
                         " WHERE device = $1::int8 AND time_ms = $2::int8",
                         came, 3, row, problem);
}

static int put_temperature(struct putting *putting, enum judge_row *row,
                           struct foxtrackr_problem *problem)
{
    const struct foxtrackr_message *message = putting->message;
    const struct judge_value came[] = {judge_real("celsius", message->celsius),
                                       extra_value(message->temperature_extra)};
    struct pg_args args = {.count = 0};
    bool inserted = false;
    int result;

    pg_arg_int8(&args, putting->device);
    pg_arg_int8(&args, message->time_ms);
    pg_arg_real(&args, message->celsius);
    pg_arg_int8(&args, message->message_type);
    pg_arg_text(&args, message->temperature_extra);
    pg_arg_int8(&args, putting->packet->received_ms);
    result = insert(putting, "temperature",
                    "INSERT INTO temperature (device, time_ms, celsius, message_type, extra,"
                    " received_ms) VALUES ($1::int8, $2::int8, $3::float8, $4::int8, $5::json,"
                    " $6::int8) ON CONFLICT (device, time_ms) DO NOTHING",
                    &args, &inserted);
    *row = JUDGE_NEW;
    return result != STORE_OK || inserted
               ? result
               : compare(putting, "temperature",
                         "SELECT celsius, extra FROM temperature"
                         " WHERE device = $1::int8 AND time_ms = $2::int8",
                         came, 2, row, problem);
}

/* Looks for the row of a message that is stored whole. */
static int find_message(struct putting *putting, const uint8_t digest[DIGEST_SIZE],
                        enum judge_row *row)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_int8(&args, putting->device);
    pg_arg_int8(&args, putting->message->time_ms);
    pg_arg_text(&args, putting->message->type);
    pg_arg_bytes(&args, (const char *)digest, DIGEST_SIZE);
    result = pg_query(putting->store,
                      "SELECT 1 FROM messages WHERE device = $1::int8 AND time_ms = $2::int8"
                      " AND type = $3::text AND digest = $4::bytea",
                      DOING, &args, &found);
    *row = result == STORE_OK && PQntuples(found) > 0 ? JUDGE_SAME : JUDGE_NEW;
    PQclear(found);
    return result;
}

static int put_message(struct putting *putting, enum judge_row *row)
{
    const struct foxtrackr_message *message = putting->message;
    const struct store_packet *packet = putting->packet;
    uint8_t digest[DIGEST_SIZE];
    struct pg_args args = {.count = 0};
    bool inserted = false;
    int result;

    if (digest_sha256(packet->payload, packet->payload_length, NULL, 0, digest) < 0) {
        return pg_replay_no_memory(putting->store);
    }
    if (putting->dry) {
        return find_message(putting, digest, row);
    }
    pg_arg_int8(&args, putting->device);
    pg_arg_text(&args, message->type);
    pg_arg_int8(&args, message->time_ms);
    pg_arg_text(&args, message->version);
    pg_arg_int8(&args, message->message_type);
    pg_arg_bytes(&args, packet->payload, packet->payload_length);
    pg_arg_bytes(&args, (const char *)digest, DIGEST_SIZE);
    pg_arg_int8(&args, packet->received_ms);
    result = insert(putting, "messages",
                    "INSERT INTO messages (device, type, time_ms, version, message_type, body,"
                    " digest, received_ms) VALUES ($1::int8, $2::text, $3::int8, $4::text,"
                    " $5::int8, $6::json, $7::bytea, $8::int8) ON CONFLICT DO NOTHING",
                    &args, &inserted);
    *row = inserted ? JUDGE_NEW : JUDGE_SAME;
    return result;
}

int pg_put(struct store *store, const struct foxtrackr_message *message,
           const struct store_packet *packet, bool dry, enum judge_row *outcome,
           struct foxtrackr_problem *problem)
{
    struct putting putting = {store, message, packet, 0, dry};
    const char *tables[2] = {NULL, NULL};
    enum judge_row each[2] = {JUDGE_NEW, JUDGE_NEW};
    int count = 0;
    int result = find_device(&putting);

    *problem = (struct foxtrackr_problem){.reason = FOXTRACKR_E_CONFLICT};
    if (result == STORE_OK) {
        result = join_group(&putting);
    }
    if (result == STORE_OK && message->has_other) {
        tables[count] = "messages";
        result = put_message(&putting, &each[count++]);
    }
    if (result == STORE_OK && message->has_battery) {
        tables[count] = "battery";
        result = put_battery(&putting, &each[count++], problem);
    }
    if (result == STORE_OK && message->has_temperature) {
        struct foxtrackr_problem own = {.reason = FOXTRACKR_E_CONFLICT};

        tables[count] = "temperature";
        result = put_temperature(&putting, &each[count++], &own);
        *problem = problem->detail[0] == '\0' ? own : *problem;
    }
    *outcome = judge_rows(tables, each, count, problem);
    return result;
}
