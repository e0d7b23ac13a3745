/*
 * One message, its rows. A row goes in with ON CONFLICT DO NOTHING; when nothing went in, what
 * stands there is compared value by value: the same is a duplicate (the broker sent it again, or
 * the device is in a group), anything else a conflict, and then the message leaves no row at all
 * but goes to quarantine whole, for a person to decide.
 */
#include "store_internal.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"

#define ROW_VALUES_MAX 8

enum row_result { ROW_NEW, ROW_SAME, ROW_CONFLICT };

/* The first `keys` values find the row; the next `compared` ones must agree. */
struct row {
    const char *table;
    enum store_statement add;
    enum store_statement find;
    int keys;
    int compared;
    int count;
    struct store_value values[ROW_VALUES_MAX];
};

static struct store_value named(const char *column, struct store_value value)
{
    value.column = column;
    return value;
}

/* Whether the stored column equals the value. */
static bool agrees(sqlite3_stmt *statement, int column, const struct store_value *value)
{
    bool null = sqlite3_column_type(statement, column) == SQLITE_NULL;

    switch (value->kind) {
    case VALUE_INTEGER:
        return !null && sqlite3_column_int64(statement, column) == value->integer;
    case VALUE_REAL:
        if (null || isnan(value->real))
            return null && isnan(value->real);
        /* Exactly: a double comes back from SQLite as it went in. */
        return sqlite3_column_double(statement, column) == value->real;
    case VALUE_TEXT:
    case VALUE_BLOB:
        break;
    }
    if (null || value->bytes == NULL)
        return null && value->bytes == NULL;
    return (size_t)sqlite3_column_bytes(statement, column) == value->length &&
           memcmp(sqlite3_column_blob(statement, column), value->bytes, value->length) == 0;
}

/* A text for people: at most `size` - 1 bytes, cut between characters. */
static void clip(char *out, size_t size, const char *text, size_t length)
{
    size_t kept = length < size ? length : size - 4;

    if (text == NULL) /* SQLite had no memory to convert it */
        kept = length = 0;
    if (kept < length)
        while (kept > 0 && (text[kept] & 0xc0) == 0x80)
            kept--;
    snprintf(out, size, "%.*s%s", (int)kept, text == NULL ? "" : text, kept < length ? "..." : "");
}

static void describe(const struct store_value *value, char *out, size_t size)
{
    if (value->kind == VALUE_INTEGER)
        snprintf(out, size, "%lld", (long long)value->integer);
    else if (value->kind == VALUE_REAL && !isnan(value->real))
        snprintf(out, size, "%.15g", value->real);
    else if (value->kind == VALUE_TEXT && value->bytes != NULL)
        clip(out, size, value->bytes, value->length);
    else
        snprintf(out, size, "absent");
}

static void explain_conflict(sqlite3_stmt *statement, int column, const struct row *row,
                             struct foxtrackr_problem *problem)
{
    const struct store_value *value = &row->values[row->keys + column];
    char stored[80];
    char came[80];

    describe(value, came, sizeof(came));
    switch (sqlite3_column_type(statement, column)) { /* before a conversion could change it */
    case SQLITE_NULL:
        snprintf(stored, sizeof(stored), "absent");
        break;
    case SQLITE_FLOAT:
        snprintf(stored, sizeof(stored), "%.15g", sqlite3_column_double(statement, column));
        break;
    default:
        clip(stored, sizeof(stored), (const char *)sqlite3_column_text(statement, column),
             (size_t)sqlite3_column_bytes(statement, column));
        break;
    }
    problem->reason = FOXTRACKR_E_CONFLICT;
    snprintf(problem->detail, sizeof(problem->detail),
             "%s.%s is %s for this device and time, the message says %s", row->table, value->column,
             stored, came);
}

/* Put a row in, or find out how the one that is there compares. */
static int put_row(struct store *store, const struct row *row, enum row_result *out,
                   struct foxtrackr_problem *problem)
{
    sqlite3_stmt *statement = store->statements[row->find];
    bool found = false;
    int result = store_execute(store, row->add, row->values, row->count);

    if (result != STORE_OK)
        return result;
    if (sqlite3_changes(store->db) > 0 || row->compared == 0) {
        *out = sqlite3_changes(store->db) > 0 ? ROW_NEW : ROW_SAME;
        return STORE_OK;
    }
    result = store_step(store, row->find, row->values, row->keys, &found);
    if (result == STORE_OK) {
        *out = ROW_SAME;
        for (int i = 0; i < row->compared && *out == ROW_SAME; i++)
            if (!agrees(statement, i, &row->values[row->keys + i])) {
                explain_conflict(statement, i, row, problem);
                *out = ROW_CONFLICT;
            }
    }
    store_reset(store, row->find);
    return result;
}

static int find_device(struct store *store, const struct foxtrackr_message *message,
                       int64_t received_ms, int64_t *device)
{
    const struct store_value values[] = {
        store_text(message->family), store_text(message->device_id), store_integer(received_ms)};
    struct store_cache_key key = store_cache_device_key(message->family, message->device_id);
    bool row = false;
    int result;

    if (store_cache_find(&store->cache, &key, device))
        return STORE_OK;
    result = store_step(store, STATEMENT_DEVICE_FIND, values, 2, &row);
    if (result == STORE_OK && row)
        *device = sqlite3_column_int64(store->statements[STATEMENT_DEVICE_FIND], 0);
    store_reset(store, STATEMENT_DEVICE_FIND);
    if (result == STORE_OK && !row) {
        result = store_execute(store, STATEMENT_DEVICE_ADD, values, 3);
        *device = sqlite3_last_insert_rowid(store->db);
    }
    if (result == STORE_OK)
        store_cache_put(&store->cache, &key, *device);
    return result;
}

static int join_group(struct store *store, const char *group, int64_t device, int64_t received_ms)
{
    const struct store_value values[] = {store_text(group), store_integer(device),
                                         store_integer(received_ms)};
    struct store_cache_key key = store_cache_group_key(group, device);
    int64_t ignored;
    int result;

    if (store_cache_find(&store->cache, &key, &ignored))
        return STORE_OK;
    result = store_execute(store, STATEMENT_GROUP_ADD, values, 3);
    if (result == STORE_OK)
        store_cache_put(&store->cache, &key, 1);
    return result;
}

/* The rows of a message: at least one, at most two. Returns how many. `digest` is borrowed. */
static int make_rows(const struct foxtrackr_message *message, const struct store_packet *packet,
                     int64_t device, const uint8_t digest[DIGEST_SIZE], struct row rows[2])
{
    const struct store_value device_value = store_integer(device);
    const struct store_value time = store_integer(message->time_ms);
    const struct store_value type = named("message_type", store_integer(message->message_type));
    const struct store_value received = store_integer(packet->received_ms);
    int count = 0;

    if (message->has_battery)
        rows[count++] = (struct row){
            "battery",
            STATEMENT_BATTERY_ADD,
            STATEMENT_BATTERY_FIND,
            .keys = 2,
            .compared = 4,
            .count = 7,
            .values = {device_value, time, named("voltage_v", store_real(message->voltage_v)),
                       named("level_pct", store_real(message->level_pct)), type,
                       named("extra", store_text(message->battery_extra)), received},
        };
    if (message->has_temperature)
        rows[count++] = (struct row){
            "temperature",
            STATEMENT_TEMPERATURE_ADD,
            STATEMENT_TEMPERATURE_FIND,
            .keys = 2,
            .compared = 3,
            .count = 6,
            .values = {device_value, time, named("celsius", store_real(message->celsius)), type,
                       named("extra", store_text(message->temperature_extra)), received},
        };
    /* The digest is in the key: the same key is the same body, and there is nothing to compare. */
    if (message->has_other)
        rows[count++] = (struct row){
            "messages",
            STATEMENT_MESSAGE_ADD,
            STATEMENT_MESSAGE_ADD,
            .keys = 0,
            .compared = 0,
            .count = 8,
            .values = {device_value, store_text(message->type), time, store_text(message->version),
                       type, store_bytes(true, packet->payload, packet->payload_length),
                       store_bytes(false, digest, DIGEST_SIZE), received},
        };
    return count;
}

/* Put all rows in, or none. *worst is ROW_CONFLICT if any conflicts, else ROW_NEW if any is new. */
static int put_rows(struct store *store, const struct row *rows, int count, enum row_result *out,
                    struct foxtrackr_problem *problem)
{
    enum row_result each = ROW_SAME;
    int result = STORE_OK;

    *out = ROW_SAME;
    if (count > 1)
        result = store_execute(store, STATEMENT_SAVEPOINT, NULL, 0);
    for (int i = 0; i < count && result == STORE_OK && *out != ROW_CONFLICT; i++) {
        result = put_row(store, &rows[i], &each, problem);
        if (each != ROW_SAME)
            *out = each;
    }
    if (count > 1 && result == STORE_OK && *out == ROW_CONFLICT)
        result = store_execute(store, STATEMENT_SAVEPOINT_UNDO, NULL, 0);
    if (count > 1 && result == STORE_OK)
        result = store_execute(store, STATEMENT_SAVEPOINT_KEEP, NULL, 0);
    return result;
}

int store_message(struct store *store, const struct foxtrackr_message *message,
                  const struct store_packet *packet, enum store_outcome *outcome)
{
    struct foxtrackr_problem problem;
    enum row_result rows_result = ROW_SAME;
    uint8_t digest[DIGEST_SIZE];
    struct row rows[2];
    int64_t device = 0;
    int result;

    if (message->has_other &&
        digest_sha256(packet->payload, packet->payload_length, NULL, 0, digest) < 0)
        return store_refuse(store, STORE_E_RETRY, "%s: cannot store a message: out of memory",
                            store->path);
    result = find_device(store, message, packet->received_ms, &device);
    if (result == STORE_OK && message->group != NULL)
        result = join_group(store, message->group, device, packet->received_ms);
    if (result == STORE_OK)
        result = put_rows(store, rows, make_rows(message, packet, device, digest, rows),
                          &rows_result, &problem);
    if (result == STORE_OK && rows_result == ROW_CONFLICT)
        result = store_keep(store, &problem, packet);
    if (result != STORE_OK)
        return result;

    store->counts.received++;
    switch (rows_result) {
    case ROW_NEW:
        store->counts.stored++;
        *outcome = STORE_STORED;
        break;
    case ROW_SAME:
        store->counts.duplicate++;
        *outcome = STORE_DUPLICATE;
        break;
    case ROW_CONFLICT:
        store->counts.quarantined++;
        *outcome = STORE_QUARANTINED;
        break;
    }
    return STORE_OK;
}

/* Valid UTF-8 (RFC 3629) without NUL: what SQLite can hold as text and give back unchanged. */
static bool is_text(const unsigned char *bytes, size_t length)
{
    size_t i = 0;

    while (i < length) {
        unsigned char lead = bytes[i++];
        /* By the lead byte: how many bytes follow, and the range of the first of them. */
        int more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

        if (lead == 0 || (lead >= 0x80 && lead < 0xc2) || lead > 0xf4)
            return false;
        for (; more > 0; more--, i++, low = 0x80, high = 0xbf)
            if (i >= length || bytes[i] < low || bytes[i] > high)
                return false;
    }
    return true;
}

/* The key of a message in quarantine; see the schema. 0, or -1: out of memory. */
static int quarantine_digest(const struct store_packet *packet, uint8_t digest[DIGEST_SIZE])
{
    uint64_t length = htobe64(packet->topic_length);
    char *head = malloc(sizeof(length) + packet->topic_length);
    int result;

    if (head == NULL)
        return -1;
    memcpy(head, &length, sizeof(length));
    if (packet->topic_length > 0)
        memcpy(head + sizeof(length), packet->topic, packet->topic_length);
    result = digest_sha256(head, sizeof(length) + packet->topic_length, packet->payload,
                           packet->payload_length, digest);
    free(head);
    return result;
}

int store_keep(struct store *store, const struct foxtrackr_problem *problem,
               const struct store_packet *packet)
{
    uint8_t digest[DIGEST_SIZE];
    bool text = packet->topic != NULL &&
                is_text((const unsigned char *)packet->topic, packet->topic_length);

    if (quarantine_digest(packet, digest) < 0)
        return store_refuse(store, STORE_E_RETRY,
                            "%s: cannot put a message into quarantine: out of memory", store->path);
    const struct store_value values[] = {
        store_bytes(false, digest, sizeof(digest)),
        store_bytes(text, packet->topic, packet->topic_length),
        store_bytes(false, packet->payload, packet->payload_length),
        store_text(foxtrackr_reason_name(problem->reason)),
        store_text(problem->detail),
        store_integer(packet->received_ms),
    };
    return store_execute(store, STATEMENT_QUARANTINE_ADD, values, 6);
}

int store_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                     const struct store_packet *packet)
{
    int result = store_keep(store, problem, packet);

    if (result != STORE_OK)
        return result;
    store->counts.received++;
    store->counts.quarantined++;
    return STORE_OK;
}
