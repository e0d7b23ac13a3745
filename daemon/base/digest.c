/* SHA-256 of bytes that come in parts, or of two byte strings as if they were one; see
 * base/digest.h. */
#include "base/digest.h"

#include <openssl/evp.h>

int digest_begin(struct digest *digest)
{
    *digest = (struct digest){.context = EVP_MD_CTX_new()};
    if (digest->context == NULL || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
        digest_free(digest);
        return -1;
    }
    return 0;
}

void digest_update(struct digest *digest, const void *bytes, size_t length)
{
    if (length > 0 && EVP_DigestUpdate(digest->context, bytes, length) != 1) {
        digest->has_failed = true;
    }
}

int digest_end(struct digest *digest, uint8_t out[DIGEST_SIZE])
{
    return !digest->has_failed && EVP_DigestFinal_ex(digest->context, out, NULL) == 1 ? 0 : -1;
}

void digest_free(struct digest *digest)
{
    EVP_MD_CTX_free(digest->context);
    digest->context = NULL;
}

int digest_sha256(const void *first, size_t first_length, const void *second, size_t second_length,
                  uint8_t out[DIGEST_SIZE])
{
    struct digest digest;
    int result;

    if (digest_begin(&digest) != 0) {
        return -1;
    }
    digest_update(&digest, first, first_length);
    digest_update(&digest, second, second_length);
    result = digest_end(&digest, out);
    digest_free(&digest);
    return result;
}

void digest_hex(const uint8_t digest[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        *out++ = digits[digest[i] >> 4];
        *out++ = digits[digest[i] & 15];
    }
    *out = '\0';
}
