/* SHA-256 (FIPS 180-4), by OpenSSL. Any thread. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

struct evp_md_ctx_st;

/* A digest of bytes that come in parts. All zero is valid for digest_free(). */
struct digest {
    struct evp_md_ctx_st *context;
    bool has_failed;
};

/* Begin a digest. Returns 0, and the digest is for digest_free(); or -1 when OpenSSL fails (out of
 * memory). */
int digest_begin(struct digest *digest);

/* Add the next bytes. A failure is told by digest_end(). */
void digest_update(struct digest *digest, const void *bytes, size_t length);

/* The digest of all bytes, once. Returns 0, or -1 when OpenSSL has failed meanwhile. */
int digest_end(struct digest *digest, uint8_t out[DIGEST_SIZE]);

/* Gives back what digest_begin() took. */
void digest_free(struct digest *digest);

/* The digest of two byte strings, one after the other; the second may be empty. 0, or -1 when
 * OpenSSL fails (out of memory). */
int digest_sha256(const void *first, size_t first_length, const void *second, size_t second_length,
                  uint8_t out[DIGEST_SIZE]);

/* Lower-case hexadecimal, NUL-terminated. */
void digest_hex(const uint8_t digest[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1]);

#endif
