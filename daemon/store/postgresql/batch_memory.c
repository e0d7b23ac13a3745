/* The memory of a batch: its messages, its keys with their hash table, and the texts of both. */
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"

#define BLOCK_SIZE 65536
#define SLOTS_MIN  4096

struct batch_block {
    struct batch_block *next;
    size_t size;
    char bytes[];
};

struct pg_batch *batch_new(void)
{
    return calloc(1, sizeof(struct pg_batch));
}

static void free_blocks(struct batch_block *block)
{
    while (block != NULL) {
        struct batch_block *next = block->next;

        free(block);
        block = next;
    }
}

void batch_free(struct pg_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    free_blocks(batch->blocks);
    for (size_t i = 0; i < sizeof(batch->arrays) / sizeof(batch->arrays[0]); i++) {
        array_free(&batch->arrays[i]);
    }
    free(batch->messages);
    free(batch->keys);
    free(batch->slots);
    free(batch->entries);
    free(batch);
}

void batch_reset(struct pg_batch *batch)
{
    struct batch_block *first = batch->blocks;

    if (first != NULL) {
        free_blocks(first->next);
        first->next = NULL;
        if (first->size > BLOCK_SIZE) {
            free(first);
            batch->blocks = NULL;
        }
    }
    batch->block_used = 0;
    batch->held = 0;
    if (batch->key_count > 0) {
        memset(batch->slots, 0, batch->slot_count * sizeof(*batch->slots));
    }
    batch->message_count = batch->judged = batch->placed = 0;
    batch->key_count = batch->round = 0;
    batch->entry_count = 0;
    memset(batch->sent, 0, sizeof(batch->sent));
}

const char *batch_copy(struct pg_batch *batch, const char *bytes, size_t length)
{
    char *copy;

    if (batch->blocks == NULL || batch->blocks->size - batch->block_used < length + 1) {
        size_t size = length + 1 > BLOCK_SIZE ? length + 1 : BLOCK_SIZE;
        struct batch_block *block = malloc(sizeof(*block) + size);

        if (block == NULL) {
            return NULL;
        }
        block->next = batch->blocks;
        block->size = size;
        batch->blocks = block;
        batch->block_used = 0;
    }
    copy = batch->blocks->bytes + batch->block_used;
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    batch->block_used += length + 1;
    batch->held += length + 1;
    return copy;
}

/* Makes room for one more element. Returns false when memory is out. */
static bool grow(void **list, uint32_t count, uint32_t *size, size_t element)
{
    uint32_t wanted = *size > 0 ? *size * 2 : 1024;
    void *grown;

    if (count < *size) {
        return true;
    }
    grown = realloc(*list, wanted * element);
    if (grown == NULL) {
        return false;
    }
    *list = grown;
    *size = wanted;
    return true;
}

struct batch_message *batch_add(struct pg_batch *batch)
{
    struct batch_message *message;
    void *list = batch->messages;

    if (!grow(&list, batch->message_count, &batch->message_size, sizeof(*message))) {
        return NULL;
    }
    batch->messages = list;
    message = &batch->messages[batch->message_count++];
    memset(message, 0, sizeof(*message));
    return message;
}

struct batch_entry *batch_add_entry(struct pg_batch *batch)
{
    struct batch_entry *entry;
    void *list = batch->entries;

    if (!grow(&list, batch->entry_count, &batch->entry_size, sizeof(*entry))) {
        return NULL;
    }
    batch->entries = list;
    entry = &batch->entries[batch->entry_count++];
    memset(entry, 0, sizeof(*entry));
    return entry;
}

/* --- keys ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct batch_key *key)
{
    uint64_t hash = (uint64_t)key->device * UINT64_C(0x9e3779b97f4a7c15);

    hash ^= (uint64_t)key->time_ms + (uint64_t)key->kind;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    if (key->kind == BATCH_MESSAGES) {
        uint64_t digest;

        memcpy(&digest, key->digest, sizeof(digest));
        hash ^= digest;
    }
    return hash ^ hash >> 29;
}

static bool is_same(const struct batch_key *one, const struct batch_key *other)
{
    return one->kind == other->kind && one->device == other->device &&
           one->time_ms == other->time_ms &&
           (one->kind != BATCH_MESSAGES || (memcmp(one->digest, other->digest, DIGEST_SIZE) == 0 &&
                                            strcmp(one->type, other->type) == 0));
}

/* Returns the place of the key, or the free one for it. */
static uint32_t *slot_of(const struct pg_batch *batch, const struct batch_key *key)
{
    uint32_t place = (uint32_t)(hash_of(key) % batch->slot_count);

    while (batch->slots[place] != 0 && !is_same(&batch->keys[batch->slots[place] - 1], key)) {
        place = (place + 1) % batch->slot_count;
    }
    return &batch->slots[place];
}

/* Keeps the table at most half full. */
static bool grow_slots(struct pg_batch *batch)
{
    uint32_t wanted = batch->slot_count > 0 ? batch->slot_count * 2 : SLOTS_MIN;
    uint32_t *grown;

    if (batch->key_count * 2 < batch->slot_count) {
        return true;
    }
    grown = calloc(wanted, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    free(batch->slots);
    batch->slots = grown;
    batch->slot_count = wanted;
    for (uint32_t i = 0; i < batch->key_count; i++) {
        *slot_of(batch, &batch->keys[i]) = i + 1;
    }
    return true;
}

void batch_forget_last(struct pg_batch *batch, uint32_t key_count)
{
    batch->message_count--;
    batch->placed = batch->judged = batch->message_count;
    memset(batch->sent, 0, sizeof(batch->sent));
    if (batch->key_count > key_count) {
        batch->key_count = key_count;
        memset(batch->slots, 0, batch->slot_count * sizeof(*batch->slots));
        for (uint32_t i = 0; i < key_count; i++) {
            *slot_of(batch, &batch->keys[i]) = i + 1;
        }
    }
}

uint32_t batch_find(struct pg_batch *batch, const struct batch_message *message,
                    enum batch_kind kind, bool *is_new)
{
    struct batch_key key = {.kind = kind,
                            .device = message->device,
                            .time_ms = message->time_ms,
                            .type = message->type};
    void *list = batch->keys;
    uint32_t *slot;

    memcpy(key.digest, message->digest, DIGEST_SIZE);
    if (!grow_slots(batch) || !grow(&list, batch->key_count, &batch->key_size, sizeof(key))) {
        return BATCH_NONE;
    }
    batch->keys = list;
    slot = slot_of(batch, &key);
    *is_new = *slot == 0;
    if (*is_new) {
        batch->keys[batch->key_count++] = key;
        *slot = batch->key_count;
    }
    return *slot - 1;
}
