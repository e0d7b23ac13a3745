/* A duration for people. Any thread. */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdint.h>

#define DURATION_SIZE 32

/* The two largest units: "6 d 3 h", "2 min 5 s", "12 s"; "0 s" for what is less. */
const char *duration_text(int64_t duration_ms, char out[DURATION_SIZE]);

#endif
