/* The HTTP CONNECT request (RFC 9110 §9.3.6) that Paho sends to its proxy. Pure; any thread. */
#ifndef GATE_CONNECT_REQUEST_INTERNAL_H
#define GATE_CONNECT_REQUEST_INTERNAL_H

#include <stddef.h>

#define CONNECT_REQUEST_MAX 2048

enum connect_request_result {
    CONNECT_REQUEST_OK = 0,
    CONNECT_REQUEST_E_MORE = 1,      /* the empty line has not been received yet */
    CONNECT_REQUEST_E_MALFORMED = 2, /* not a CONNECT request */
};

/* Slices of the request as read. */
struct connect_request {
    const char *target; /* "host:port" */
    size_t target_length;
    const char *credentials; /* the value after "Proxy-Authorization: Basic "; NULL if absent */
    size_t credentials_length;
    size_t length; /* of the whole request, its empty line included */
};

/* Read a request from the first `length` bytes received. Sets *out only on CONNECT_REQUEST_OK. */
enum connect_request_result connect_request_parse(const char *bytes, size_t length,
                                                  struct connect_request *out);

#endif
