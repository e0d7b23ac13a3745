/*
 * A hash table of device numbers and memberships, by SHA-256 of their names, so that an entry has
 * one size and a hostile name cannot fill a chain. Forgets everything when it is full: a device is
 * then found by SQL again.
 */
#include "store/postgresql/devices_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

#define SLOTS   (1U << 17)
#define FULL    (SLOTS / 4 * 3)
#define NEW_MAX 4096 /* of one transaction; more are looked up again */

struct slot {
    uint64_t key[2]; /* all zero: free */
    int64_t device;  /* 1 for a membership */
};

struct pg_devices {
    struct slot *slots;
    uint32_t used;
    uint32_t fresh[NEW_MAX]; /* slots of the open transaction */
    uint32_t fresh_count;
};

struct pg_devices *devices_new(void)
{
    struct pg_devices *devices = calloc(1, sizeof(*devices));

    if (devices == NULL) {
        return NULL;
    }
    devices->slots = calloc(SLOTS, sizeof(*devices->slots));
    if (devices->slots == NULL) {
        free(devices);
        return NULL;
    }
    return devices;
}

void devices_free(struct pg_devices *devices)
{
    if (devices != NULL) {
        free(devices->slots);
    }
    free(devices);
}

void devices_clear(struct pg_devices *devices)
{
    if (devices->used > 0) {
        memset(devices->slots, 0, SLOTS * sizeof(*devices->slots));
    }
    devices->used = 0;
    devices->fresh_count = 0;
}

/* `kind` keeps devices and memberships apart. Names hold no NUL. */
static bool make_key(char kind, const char *first, const char *second, size_t second_length,
                     uint64_t key[2])
{
    uint8_t digest[DIGEST_SIZE];
    char head[1024];
    size_t length = strlen(first);

    if (length + 2 > sizeof(head)) {
        return false;
    }
    head[0] = kind;
    memcpy(head + 1, first, length + 1);
    if (digest_sha256(head, length + 2, second, second_length, digest) < 0) {
        return false;
    }
    memcpy(key, digest, 2 * sizeof(key[0]));
    key[0] |= 1; /* never free */
    return true;
}

static uint32_t place_of(const struct pg_devices *devices, const uint64_t key[2])
{
    uint32_t place = (uint32_t)(key[1] % SLOTS);

    while (devices->slots[place].key[0] != 0 &&
           memcmp(devices->slots[place].key, key, 2 * sizeof(key[0])) != 0) {
        place = (place + 1) % SLOTS;
    }
    return place;
}

static int64_t find(const struct pg_devices *devices, const uint64_t key[2])
{
    return devices->slots[place_of(devices, key)].device;
}

static void note(struct pg_devices *devices, const uint64_t key[2], int64_t device)
{
    uint32_t place;

    if (devices->fresh_count == NEW_MAX || devices->used >= FULL) {
        return;
    }
    place = place_of(devices, key);
    if (devices->slots[place].device == 0) {
        memcpy(devices->slots[place].key, key, 2 * sizeof(key[0]));
        devices->used++;
        devices->fresh[devices->fresh_count++] = place;
    }
    devices->slots[place].device = device;
}

int64_t devices_find(const struct pg_devices *devices, const char *family, const char *device_id)
{
    uint64_t key[2];

    return make_key('d', family, device_id, strlen(device_id), key) ? find(devices, key) : 0;
}

bool devices_in_group(const struct pg_devices *devices, const char *group, int64_t device)
{
    uint64_t key[2];

    return make_key('g', group, (const char *)&device, sizeof(device), key) &&
           find(devices, key) != 0;
}

void devices_note(struct pg_devices *devices, const char *family, const char *device_id,
                  int64_t device)
{
    uint64_t key[2];

    if (make_key('d', family, device_id, strlen(device_id), key)) {
        note(devices, key, device);
    }
}

void devices_note_group(struct pg_devices *devices, const char *group, int64_t device)
{
    uint64_t key[2];

    if (make_key('g', group, (const char *)&device, sizeof(device), key)) {
        note(devices, key, 1);
    }
}

void devices_settle(struct pg_devices *devices, bool committed)
{
    /* To take single entries out of a table with open addressing would break its chains. */
    if ((!committed && devices->fresh_count > 0) || devices->used >= FULL) {
        devices_clear(devices);
    }
    devices->fresh_count = 0;
}
