/*
 * Quarantine: keeps messages that could not be parsed, byte for byte, one row for each distinct
 * message.
 *
 * The key of a message is the SHA-256 of the topic's length, the topic and the payload. Of a
 * message that is too large only the beginning is kept: two of them, or one of them and a message
 * that ends there, may be the same so far. Then the digest of the whole payload takes part, and the
 * length has its highest bit set, which no topic's length has: no complete message has such a key.
 */
#include "store/sqlite/sqlite_internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "utf8.h"

#define CUT_BIT (UINT64_C(1) << 63)

/* UTF-8 without NUL: what SQLite can hold as text and give back unchanged. */
static bool is_text(const char *bytes, size_t length)
{
    return foxtrackr__utf8_span(bytes, length) == length;
}

int store_quarantine_digest(const struct store_packet *packet, uint8_t digest[DIGEST_SIZE])
{
    uint64_t length =
        htobe64(packet->topic_length | (packet->whole_digest != NULL ? CUT_BIT : UINT64_C(0)));
    size_t size = sizeof(length) + packet->topic_length;
    char *head = malloc(size + DIGEST_SIZE);
    int result;

    if (head == NULL) {
        return -1;
    }
    memcpy(head, &length, sizeof(length));
    if (packet->topic_length > 0) {
        memcpy(head + sizeof(length), packet->topic, packet->topic_length);
    }
    if (packet->whole_digest != NULL) {
        memcpy(head + size, packet->whole_digest, DIGEST_SIZE);
        size += DIGEST_SIZE;
    }
    result = digest_sha256(head, size, packet->payload, packet->payload_length, digest);
    free(head);
    return result;
}

int store_keep(struct store *store, const struct foxtrackr_problem *problem,
               const struct store_packet *packet)
{
    uint8_t digest[DIGEST_SIZE];
    bool text = is_text(packet->topic, packet->topic_length);

    if (store_quarantine_digest(packet, digest) < 0) {
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
