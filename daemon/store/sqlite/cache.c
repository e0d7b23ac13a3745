/* A table of fixed size with one place for each hash; see store/sqlite/cache_internal.h. */
#include "store/sqlite/cache_internal.h"

#include <string.h>

#include "base/fnv1a.h"

/*
 * Joins two parts with a NUL, which no first part contains. The two kinds of keys never collide: a
 * device's number contains a zero byte, a device's name does not.
 */
static struct store_cache_key make_key(const void *first, size_t first_length, const void *second,
                                       size_t second_length)
{
    struct store_cache_key key = {0};

    if (first_length + second_length + 1 > sizeof(key.bytes)) {
        return key;
    }
    memcpy(key.bytes, first, first_length);
    memcpy(key.bytes + first_length + 1, second, second_length);
    key.length = first_length + second_length + 1;
    return key;
}

struct store_cache_key store_cache_device_key(const char *family, const char *device_id)
{
    return make_key(family, strlen(family), device_id, strlen(device_id));
}

struct store_cache_key store_cache_group_key(const char *group, int64_t device)
{
    return make_key(group, strlen(group), &device, sizeof(device));
}

/* Returns the slot of a key. The hash needs no secret: a collision costs one look-up in SQLite. */
static size_t slot_of(const struct store_cache_key *key)
{
    uint64_t hash = fnv1a(FNV1A_BASIS, key->bytes, key->length);

    return (size_t)(hash ^ hash >> 32) % STORE_CACHE_SLOTS;
}

bool store_cache_find(const struct store_cache *cache, const struct store_cache_key *key,
                      int64_t *value)
{
    const struct store_cache_slot *slot = &cache->slots[slot_of(key)];

    if (key->length == 0 || slot->length != key->length ||
        memcmp(slot->key, key->bytes, key->length) != 0) {
        return false;
    }
    *value = slot->value;
    return true;
}

void store_cache_put(struct store_cache *cache, const struct store_cache_key *key, int64_t value)
{
    struct store_cache_slot *slot = &cache->slots[slot_of(key)];

    if (key->length == 0) {
        return;
    }
    slot->value = value;
    slot->length = (uint8_t)key->length;
    memcpy(slot->key, key->bytes, key->length);
}

void store_cache_clear(struct store_cache *cache)
{
    for (size_t i = 0; i < STORE_CACHE_SLOTS; i++) {
        cache->slots[i].length = 0;
    }
}
