/* SHA-256 (FIPS 180-4), by OpenSSL. Any thread. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

/* The digest of two byte strings, one after the other; the second may be empty. 0, or -1 when
 * OpenSSL fails (out of memory). */
int digest_sha256(const void *first, size_t first_length, const void *second, size_t second_length,
                  uint8_t out[DIGEST_SIZE]);

/* Lower-case hexadecimal, NUL-terminated. */
void digest_hex(const uint8_t digest[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1]);

#endif
