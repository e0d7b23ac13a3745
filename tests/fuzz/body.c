/*
 * Goal: the library's reader of JSON and jansson agree on every payload: whether it is a body, for
 * which reason it is not, and on every value in it.
 *
 * The input is the payload.
 */
#include "../jansson_body.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *payload = fuzz_copy(data, size);

    FUZZ_CHECK(!jansson_disagrees(payload, size));
    free(payload);
    return 0;
}
