/* SHA-256 of two byte strings as if they were one; see base/digest.h. */
#include "base/digest.h"

#include <openssl/evp.h>
#include <stdbool.h>

int digest_sha256(const void *first, size_t first_length, const void *second, size_t second_length,
                  uint8_t out[DIGEST_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(context, first, first_length) == 1 &&
              EVP_DigestUpdate(context, second, second_length) == 1 &&
              EVP_DigestFinal_ex(context, out, NULL) == 1;

    EVP_MD_CTX_free(context);
    return ok ? 0 : -1;
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
