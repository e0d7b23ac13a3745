/* Reads and writes the tables of the inbox by prepared statements; see its header. */
#include "store/sqlite/inbox_tables_internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#include "base/pulse.h"
#include "store/sqlite/sqlite_internal.h"

#define NAME_SIZE 64 /* longer names are not looked up */

static int position_gone(struct store *store)
{
    store->broken = true;
    return store_refuse(store, STORE_FATAL,
                        "%s: the row of inbox_position is gone: somebody deleted it; restore a "
                        "backup",
                        store->path);
}

int store_inbox_position(struct store *store, struct store_inbox_position *position)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INBOX_POSITION];
    bool row = false;
    int result = store_step(store, STATEMENT_INBOX_POSITION, NULL, 0, &row);

    if (result == STORE_OK && row) {
        position->first = sqlite3_column_int64(statement, 0);
        position->last = sqlite3_column_int64(statement, 1);
        position->device = (uint32_t)sqlite3_column_int64(statement, 2);
        position->n = sqlite3_column_int64(statement, 3);
    }
    store_reset(store, STATEMENT_INBOX_POSITION);
    return result == STORE_OK && !row ? position_gone(store) : result;
}

int store_inbox_read(struct store *store, int (*each)(void *context, int64_t n, uint32_t device),
                     void *context)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INBOX_READ];
    bool row = false;
    int result = store_step(store, STATEMENT_INBOX_READ, NULL, 0, &row);

    while (result == STORE_OK && row) {
        result = each(context, sqlite3_column_int64(statement, 0),
                      (uint32_t)sqlite3_column_int64(statement, 1));
        if (result == STORE_OK) {
            result = store_step(store, STATEMENT_INBOX_READ, NULL, 0, &row);
        }
    }
    store_reset(store, STATEMENT_INBOX_READ);
    return result;
}

static int find_device(struct store *store, const char *family, const char *level, uint32_t *device)
{
    int64_t found = STORE_NO_DEVICE;
    int result = store_find_device(store, family, level, &found);

    *device = found < STORE_NO_DEVICE ? (uint32_t)found : STORE_NO_DEVICE;
    return result;
}

int store_inbox_device_of_topic(struct store *store, const struct foxtrackr_topic *topic,
                                uint32_t *device)
{
    char family[NAME_SIZE];
    char name[NAME_SIZE];

    *device = STORE_NO_DEVICE;
    if (topic->family_length >= sizeof(family) || topic->device_or_group_length >= sizeof(name)) {
        return STORE_OK;
    }
    for (size_t i = 0; i < topic->family_length; i++) {
        family[i] = (char)tolower((unsigned char)topic->family[i]);
    }
    family[topic->family_length] = '\0';
    memcpy(name, topic->device_or_group, topic->device_or_group_length);
    name[topic->device_or_group_length] = '\0';
    return find_device(store, family, name, device);
}

int store_inbox_device_of_message(struct store *store, const struct foxtrackr_message *message,
                                  uint32_t *device)
{
    *device = STORE_NO_DEVICE;
    return strlen(message->family) >= NAME_SIZE || strlen(message->device_id) >= NAME_SIZE
               ? STORE_OK
               : find_device(store, message->family, message->device_id, device);
}

uint64_t store_foreign_writes(const struct store *store)
{
    return store->foreign_writes;
}

int store_inbox_newest_device(struct store *store, uint32_t *device)
{
    bool row = false;
    int result = store_step(store, STATEMENT_DEVICE_NEWEST, NULL, 0, &row);

    if (result == STORE_OK && row) {
        int64_t newest = sqlite3_column_int64(store->statements[STATEMENT_DEVICE_NEWEST], 0);

        *device = newest < STORE_NO_DEVICE ? (uint32_t)newest : STORE_NO_DEVICE - 1;
    }
    store_reset(store, STATEMENT_DEVICE_NEWEST);
    return result;
}

#define VALUES 6

/* Binds the values of the statement's message number `i`. */
static int bind_message(struct store *store, enum store_statement statement, int i,
                        const struct store_inbox_message *message)
{
    const struct store_packet *packet = &message->packet;
    const struct store_value values[VALUES] = {
        store_integer(message->n),
        store_integer(message->device),
        store_text(message->client_id),
        store_bytes(true, packet->topic, packet->topic_length),
        store_bytes(false, packet->payload, packet->payload_length),
        store_integer(packet->received_ms),
    };

    return store_bind(store, statement, i * VALUES, values, VALUES);
}

/* Inserts `count` messages with one execution of a statement that takes as many. */
static int put(struct store *store, enum store_statement statement,
               const struct store_inbox_message *messages, int count)
{
    int result = STORE_OK;

    for (int i = 0; i < count && result == STORE_OK; i++) {
        result = bind_message(store, statement, i, &messages[i]);
    }
    result = store_execute_bound(store, statement, result);
    return result == STORE_OK ? store_check_stored(store, "inbox", count) : result;
}

int store_inbox_put(struct store *store, const struct store_inbox_message *messages, int count)
{
    int result = STORE_OK;

    if (count == STORE_INBOX_TOGETHER) {
        return put(store, STATEMENT_INBOX_PUT_TOGETHER, messages, count);
    }
    for (int i = 0; i < count && result == STORE_OK; i++) {
        result = put(store, STATEMENT_INBOX_PUT, &messages[i], 1);
    }
    return result;
}

int store_inbox_use(struct store *store, int64_t n,
                    int (*use)(void *context, const char *client_id,
                               const struct store_packet *packet),
                    void *context)
{
    const struct store_value value = store_integer(n);
    sqlite3_stmt *statement = store->statements[STATEMENT_INBOX_GET];
    bool row = false;
    int result = store_step(store, STATEMENT_INBOX_GET, &value, 1, &row);

    if (result == STORE_OK && row) {
        const struct store_packet packet = {
            .topic = sqlite3_column_blob(statement, 1),
            .topic_length = (size_t)sqlite3_column_bytes(statement, 1),
            .payload = sqlite3_column_blob(statement, 2),
            .payload_length = (size_t)sqlite3_column_bytes(statement, 2),
            .received_ms = sqlite3_column_int64(statement, 3),
        };

        const char *client_id = (const char *)sqlite3_column_text(statement, 0);

        result =
            use(context, client_id != NULL && client_id[0] != '\0' ? client_id : NULL, &packet);
    } else if (result == STORE_OK) {
        store->broken = true;
        result = store_refuse(store, STORE_FATAL,
                              "%s: message %lld is gone from the inbox: another program deleted it",
                              store->path, (long long)n);
    }
    store_reset(store, STATEMENT_INBOX_GET);
    return result;
}

int store_inbox_set_position(struct store *store, const struct store_inbox_position *position)
{
    const struct store_value values[] = {
        store_integer(position->first), store_integer(position->last),
        store_integer(position->device), store_integer(position->n)};
    int result = store_execute(store, STATEMENT_INBOX_MOVE, values, 4);

    return result == STORE_OK && sqlite3_changes(store->db) != 1 ? position_gone(store) : result;
}

int store_inbox_delete(struct store *store, int64_t n)
{
    const struct store_value value = store_integer(n);

    return store_execute(store, STATEMENT_INBOX_DELETE, &value, 1);
}

int store_inbox_clear(struct store *store)
{
    return store_execute(store, STATEMENT_INBOX_CLEAR, NULL, 0);
}

int store_inbox_scratch(const struct store *store)
{
    int fd;

    pulse_wait_begin();
    fd = open(store->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    pulse_wait_end();
    return fd;
}
