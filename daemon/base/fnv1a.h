/*
 * FNV-1a with 64 bits: tells texts apart and spreads them over a table. It is no secret: a stranger
 * can make texts with the same hash, so a collision may cost time and nothing else. base/digest.h
 * is for the rest. Any thread.
 */
#ifndef BASE_FNV1A_H
#define BASE_FNV1A_H

#include <stddef.h>
#include <stdint.h>

#define FNV1A_BASIS UINT64_C(0xcbf29ce484222325)

/* The hash of `length` bytes. `basis` is FNV1A_BASIS, or the hash of the bytes before these. */
static inline uint64_t fnv1a(uint64_t basis, const void *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;

    for (size_t i = 0; i < length; i++) {
        basis = (basis ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return basis;
}

#endif
