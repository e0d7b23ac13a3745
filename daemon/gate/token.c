/* A token is 128 random bits and their text form, which Paho sends; see gate/token_internal.h. */
#include "gate/token_internal.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

int token_make(struct token *token, unsigned number)
{
    unsigned char random[(TOKEN_PASSWORD_SIZE - 1) / 2];
    char pair[sizeof(token->user) + sizeof(token->password)];
    int length;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        snprintf(token->password + 2 * i, 3, "%02x", random[i]);
    }
    snprintf(token->user, sizeof(token->user), "s%u", number);
    length = snprintf(pair, sizeof(pair), "%s:%s", token->user, token->password);
    EVP_EncodeBlock((unsigned char *)token->basic, (const unsigned char *)pair, length);
    return 0;
}
