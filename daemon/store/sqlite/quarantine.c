/*
 * Quarantine: keeps messages that could not be parsed, byte for byte, one row for each distinct
 * message (store/quarantine_key.c).
 */
#include "store/quarantine_key.h"
#include "store/sqlite/sqlite_internal.h"

int store_keep(struct store *store, const struct foxtrackr_problem *problem,
               const struct store_packet *packet)
{
    uint8_t digest[DIGEST_SIZE];
    bool text = quarantine_topic_is_text(packet->topic, packet->topic_length);

    if (quarantine_key(packet, digest) < 0) {
        return store_refuse(store, STORE_E_RETRY,
                            "%s: cannot put a message into quarantine: out of memory", store->path);
    }
    const struct store_value values[] = {
        store_bytes(false, digest, sizeof(digest)),
        store_bytes(text, packet->topic, packet->topic_length),
        store_bytes(false, packet->payload, packet->payload_length),
        store_text(foxtrackr_reason_name(problem->reason)),
        store_text(problem->detail),
        store_integer(packet->received_ms),
    };
    int result;

    sqlite3_set_last_insert_rowid(store->db, 0);
    result = store_execute(store, STATEMENT_QUARANTINE_ADD, values, 6);
    if (result == STORE_OK) {
        result = store_check_stored(store, "quarantine", 1);
    }
    if (result == STORE_OK && sqlite3_last_insert_rowid(store->db) != 0) {
        store_note_entries(store, 1); /* an update sets no rowid: it was there already */
    }
    return result;
}

int store_put_aside(struct store *store, const struct foxtrackr_problem *problem,
                    const struct store_packet *packet)
{
    int result = store_keep(store, problem, packet);

    if (result != STORE_OK) {
        return result;
    }
    store->counts.received++;
    store->counts.quarantined++;
    return STORE_OK;
}
