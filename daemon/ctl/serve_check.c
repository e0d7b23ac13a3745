/*
 * Which requests get the page. The token keeps out other users of this machine, who reach a
 * loopback port as we do. The Host keeps out a web site that has made its name lead to 127.0.0.1
 * (DNS rebinding): the browser would count the page to that site, but still sends the site's name.
 * See ctl/serve_internal.h.
 */
#include "ctl/serve_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define RANDOM_BYTES ((SERVE_TOKEN_SIZE - 1) / 2)
#define HOST_SIZE    64 /* longer than every address */

int serve_check_token(char token[SERVE_TOKEN_SIZE])
{
    unsigned char bytes[RANDOM_BYTES];
    ssize_t got = getrandom(bytes, sizeof(bytes), 0);

    if (got != (ssize_t)sizeof(bytes)) { /* so few bytes come whole or not at all */
        errno = got < 0 ? errno : EIO;
        return -1;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    }
    return 0;
}

bool serve_check_path(const char *path, const char *token)
{
    size_t length = strlen(token);
    volatile unsigned char difference = 0;

    if (length == 0) {
        return strcmp(path, "/") == 0;
    }
    if (strlen(path) != length + 2 || path[0] != '/' || path[length + 1] != '/') {
        return false;
    }
    for (size_t i = 0; i < length; i++) { /* to the end, whatever is found */
        difference = (unsigned char)(difference | (path[1 + i] ^ token[i]));
    }
    return difference == 0;
}

static bool is_loopback_4(const struct in_addr *address)
{
    return ntohl(address->s_addr) >> 24 == 127;
}

/* Returns true when `port` is "" or a colon and digits. */
static bool is_port(const char *port)
{
    return port[0] == '\0' || (port[0] == ':' && port[1 + strspn(port + 1, "0123456789")] == '\0');
}

bool serve_check_host(const char *host, bool any_address)
{
    char name[HOST_SIZE];
    struct in6_addr six;
    struct in_addr four;
    size_t length;
    bool brackets;

    if (host == NULL) {
        return false;
    }
    brackets = host[0] == '[';
    length = strcspn(host, brackets ? "]" : ":");
    if (length >= sizeof(name) || (brackets && host[length] != ']') ||
        !is_port(host + length + (brackets ? 1 : 0))) {
        return false;
    }
    snprintf(name, sizeof(name), "%.*s", (int)length - brackets, host + brackets);
    if (brackets) {
        return inet_pton(AF_INET6, name, &six) == 1 && (any_address || IN6_IS_ADDR_LOOPBACK(&six));
    }
    if (inet_pton(AF_INET, name, &four) == 1) {
        return any_address || is_loopback_4(&four);
    }
    return strcasecmp(name, "localhost") == 0;
}

bool serve_check_origin(const char *origin, const char *host)
{
    static const char scheme[] = "http://";

    return origin == NULL || (host != NULL && strncmp(origin, scheme, strlen(scheme)) == 0 &&
                              strcasecmp(origin + strlen(scheme), host) == 0);
}
