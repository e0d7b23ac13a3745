/*
 * The key of a message in quarantine, which is one row for each distinct message, byte for byte.
 *
 * The key is the SHA-256 of the topic's length, the topic and the payload. Of a message that is too
 * large only the beginning is kept: two of them, or one of them and a message that ends there, may
 * be the same so far. Then the digest of the whole payload takes part, and the length has its
 * highest bit set, which no topic's length has: no complete message has such a key.
 */
#include "store/quarantine_key.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define CUT_BIT (UINT64_C(1) << 63)

bool quarantine_topic_is_text(const char *topic, size_t length)
{
    return foxtrackr__utf8_span(topic, length) == length;
}

int quarantine_key(const struct store_packet *packet, uint8_t digest[DIGEST_SIZE])
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

/* Reads the SHA-256 of the whole payload, which the detail of a message that was too large ends
 * with. */
static bool read_whole_digest(const char *detail, uint8_t digest[DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const size_t size = (size_t)2 * DIGEST_SIZE;
    size_t length = detail == NULL ? 0 : strlen(detail);

    if (length < size) {
        return false;
    }
    detail += length - size;
    memset(digest, 0, DIGEST_SIZE);
    for (size_t i = 0; i < size; i++) {
        const char *digit = memchr(digits, detail[i], sizeof(digits) - 1);

        if (digit == NULL) {
            return false;
        }
        digest[i / 2] = (uint8_t)(digest[i / 2] << 4 | (digit - digits));
    }
    return true;
}

int quarantine_key_cut(const struct store_packet *packet, const char *detail, const void *stored,
                       uint8_t digest[DIGEST_SIZE])
{
    uint8_t whole[DIGEST_SIZE];
    struct store_packet cut = *packet;

    cut.whole_digest = whole;
    if (memcmp(stored, digest, DIGEST_SIZE) == 0 || !read_whole_digest(detail, whole)) {
        return 0;
    }
    return quarantine_key(&cut, digest);
}
