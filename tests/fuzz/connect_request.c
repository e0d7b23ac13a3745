/*
 * Goal: the gate's reader of CONNECT requests gives slices of what it got; what follows a request
 * does not change it, and no beginning of a request is taken for a whole one or for a wrong one.
 */
#include "fuzz.h"
#include "gate/connect_request_internal.h"

static bool is_within(const char *slice, size_t length, const char *bytes, size_t size)
{
    return slice >= bytes && length <= size && slice <= bytes + (size - length);
}

static void check_request(const char *bytes, size_t size, const struct connect_request *request)
{
    FUZZ_CHECK(request->length > 0 && request->length <= size);
    FUZZ_CHECK(bytes[request->length - 1] == '\n');
    FUZZ_CHECK(request->target_length > 0);
    FUZZ_CHECK(is_within(request->target, request->target_length, bytes, request->length));
    FUZZ_CHECK(!memchr(request->target, ' ', request->target_length));
    FUZZ_CHECK(!memchr(request->target, '\n', request->target_length));
    if (request->credentials) {
        FUZZ_CHECK(
            is_within(request->credentials, request->credentials_length, bytes, request->length));
        FUZZ_CHECK(!memchr(request->credentials, '\n', request->credentials_length));
    }
}

/* The same bytes without what follows the request, and every beginning of them. */
static void check_prefixes(const char *bytes, const struct connect_request *whole)
{
    for (size_t length = 0; length <= whole->length; length++) {
        char *prefix = fuzz_copy(bytes, length);
        struct connect_request request;
        enum connect_request_result result = connect_request_parse(prefix, length, &request);

        if (length < whole->length) {
            FUZZ_CHECK(result == CONNECT_REQUEST_E_MORE);
        } else {
            FUZZ_CHECK(result == CONNECT_REQUEST_OK);
            FUZZ_CHECK(request.length == whole->length);
            FUZZ_CHECK(request.target - prefix == whole->target - bytes);
            FUZZ_CHECK(request.target_length == whole->target_length);
            FUZZ_CHECK(!request.credentials == !whole->credentials);
            FUZZ_CHECK(request.credentials_length == whole->credentials_length);
        }
        free(prefix);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* The gate never has more than this in its buffer. */
    size_t length = size < CONNECT_REQUEST_MAX ? size : CONNECT_REQUEST_MAX;
    char *bytes = fuzz_copy(data, length);
    struct connect_request untouched;
    struct connect_request request;
    enum connect_request_result result;

    memset(&request, 0x5A, sizeof(request));
    untouched = request;
    result = connect_request_parse(bytes, length, &request);
    if (result == CONNECT_REQUEST_OK) {
        check_request(bytes, length, &request);
        check_prefixes(bytes, &request);
    } else {
        FUZZ_CHECK(result == CONNECT_REQUEST_E_MORE || result == CONNECT_REQUEST_E_MALFORMED);
        FUZZ_CHECK(memcmp(&request, &untouched, sizeof(request)) == 0);
    }
    free(bytes);
    return 0;
}
