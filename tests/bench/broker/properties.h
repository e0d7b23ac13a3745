/* Properties of MQTT 5 (§2.2.2), as far as the broker has to read past them. */
#ifndef BENCH_PROPERTIES_H
#define BENCH_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Read the properties at `at`, of which `length` bytes are left in the packet. *size: their bytes,
 * the length in front included. *receive_maximum: 0: there is none.
 * Returns false when the properties do not lie within the packet or one of them is unknown,
 * or when Receive Maximum is 0 (§3.1.2.11.3: a protocol error).
 */
bool properties_read(const uint8_t *at, size_t length, size_t *size, unsigned *receive_maximum);

#endif
