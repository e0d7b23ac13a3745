/*
 * A cache of device numbers and group memberships, so that the two lookups of every message seldom
 * reach SQLite. Fixed size, no allocation: a new entry replaces the one in its slot.
 */
#ifndef STORE_SQLITE_CACHE_INTERNAL_H
#define STORE_SQLITE_CACHE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_CACHE_SLOTS    32768 /* a power of two */
#define STORE_CACHE_KEY_SIZE 64    /* longer keys are not cached */

struct store_cache_key {
    size_t length; /* 0: too long, never found */
    char bytes[STORE_CACHE_KEY_SIZE];
};

struct store_cache {
    struct store_cache_slot {
        int64_t value;
        uint8_t length; /* 0: empty */
        char key[STORE_CACHE_KEY_SIZE];
    } slots[STORE_CACHE_SLOTS];
};

/* Return the key of a device, or of a device's membership in a group. */
struct store_cache_key store_cache_device_key(const char *family, const char *device_id);
struct store_cache_key store_cache_group_key(const char *group, int64_t device);

/* Returns true and sets *value when the key is cached. */
bool store_cache_find(const struct store_cache *cache, const struct store_cache_key *key,
                      int64_t *value);

void store_cache_put(struct store_cache *cache, const struct store_cache_key *key, int64_t value);

/* Empty the cache: after a rollback its entries may be wrong. */
void store_cache_clear(struct store_cache *cache);

#endif
