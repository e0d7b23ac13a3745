/* Random tokens that keep other processes out of the gate, by OpenSSL. Any thread. */
#ifndef GATE_TOKEN_INTERNAL_H
#define GATE_TOKEN_INTERNAL_H

#define TOKEN_PASSWORD_SIZE 33 /* 128 random bits in hexadecimal */
#define TOKEN_BASIC_SIZE    96

struct token {
    char user[16];
    char password[TOKEN_PASSWORD_SIZE];
    char basic[TOKEN_BASIC_SIZE]; /* "user:password" as in Proxy-Authorization (RFC 7617) */
};

/* Make the token of session `number`. 0, or -1 when there are no random numbers. */
int token_make(struct token *token, unsigned number);

#endif
