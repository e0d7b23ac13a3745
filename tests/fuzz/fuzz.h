/*
 * Declarations shared by the fuzz targets. A target is one file: it turns the bytes that libFuzzer
 * makes up into a call, and checks what the header of the module promises about the result. A
 * sanitizer finds the rest.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise. abort() is what libFuzzer takes for a finding, and it saves the input. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A copy of exactly that many bytes, so that AddressSanitizer sees a read beyond them. */
static inline char *fuzz_copy(const void *bytes, size_t length)
{
    char *copy = calloc(1, length > 0 ? length : 1);

    FUZZ_CHECK(copy);
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

/* Valid UTF-8 by another's judgement, jansson's, and no control character of ASCII. */
static inline bool fuzz_is_one_line(const char *text)
{
    json_t *valid = json_string(text);

    if (!valid) {
        return false;
    }
    json_decref(valid);
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F) {
            return false;
        }
    }
    return true;
}

#endif
