/* Reads the CONNECT request that Paho sends to its proxy, line by line; see its header. */
#include "gate/connect_request_internal.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Takes the next line of [*cursor, end), without its CRLF, and moves *cursor past it. Returns false
 * when there is no complete line. */
static bool next_line(const char **cursor, const char *end, const char **line, size_t *length)
{
    const char *lf = memchr(*cursor, '\n', (size_t)(end - *cursor));

    if (lf == NULL) {
        return false;
    }
    *line = *cursor;
    *length = (size_t)(lf - *cursor);
    if (*length > 0 && (*line)[*length - 1] == '\r') {
        (*length)--;
    }
    *cursor = lf + 1;
    return true;
}

/* Returns the text after `prefix` if the line starts with it (case ignored), else NULL. */
static const char *after_prefix(const char *line, size_t length, const char *prefix, size_t *rest)
{
    size_t prefix_length = strlen(prefix);

    if (length < prefix_length || strncasecmp(line, prefix, prefix_length) != 0) {
        return NULL;
    }
    *rest = length - prefix_length;
    return line + prefix_length;
}

static bool parse_request_line(const char *line, size_t length, struct connect_request *out)
{
    static const char method[] = "CONNECT ";
    const size_t method_length = sizeof(method) - 1;
    const char *space;
    size_t after;

    if (length < method_length || memcmp(line, method, method_length) != 0) {
        return false;
    }
    line += method_length;
    length -= method_length;
    space = memchr(line, ' ', length);
    if (space == NULL || space == line) {
        return false;
    }
    out->target = line;
    out->target_length = (size_t)(space - line);
    after = length - out->target_length - 1;
    return after == strlen("HTTP/1.1") && memcmp(space + 1, "HTTP/1.", strlen("HTTP/1.")) == 0;
}

enum connect_request_result connect_request_parse(const char *bytes, size_t length,
                                                  struct connect_request *out)
{
    const char *cursor = bytes;
    const char *end = bytes + length;
    const char *line;
    size_t line_length;
    struct connect_request request = {0};

    if (length == 0 || !next_line(&cursor, end, &line, &line_length)) {
        return CONNECT_REQUEST_E_MORE;
    }
    if (!parse_request_line(line, line_length, &request)) {
        return CONNECT_REQUEST_E_MALFORMED;
    }
    while (next_line(&cursor, end, &line, &line_length)) {
        const char *value;
        size_t value_length = 0;

        if (line_length == 0) {
            request.length = (size_t)(cursor - bytes);
            *out = request;
            return CONNECT_REQUEST_OK;
        }
        value = after_prefix(line, line_length, "Proxy-Authorization: Basic ", &value_length);
        if (value != NULL) {
            request.credentials = value;
            request.credentials_length = value_length;
        }
    }
    return CONNECT_REQUEST_E_MORE;
}
