/* The key of a message in quarantine; see store/quarantine_key.c. Only the engines include this.
 * Any thread. */
#ifndef STORE_QUARANTINE_KEY_H
#define STORE_QUARANTINE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/store.h"

/* Set the key of a message. Returns 0, or -1: out of memory. */
int quarantine_key(const struct store_packet *packet, uint8_t digest[DIGEST_SIZE]);

/* Set `digest`, the key of what is kept of a message, to that of the whole one, if the message was
 * too large; its detail says so (NULL: it was not). Left alone if it is `stored`, DIGEST_SIZE
 * bytes, already: earlier versions did not tell such messages apart. Returns 0, or -1: out of
 * memory. */
int quarantine_key_cut(const struct store_packet *packet, const char *detail, const void *stored,
                       uint8_t digest[DIGEST_SIZE]);

/* Returns true when the topic is UTF-8 without NUL: what a database can hold as text and give back
 * unchanged. */
bool quarantine_topic_is_text(const char *topic, size_t length);

#endif
