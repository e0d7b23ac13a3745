/* Where the report is served: a TCP port, by default of loopback, or a Unix socket. See
 * ctl/serve_internal.h. */
#include "ctl/serve_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error_text.h"

#define BACKLOG      256
#define DEFAULT_HOST "127.0.0.1"
#define HOST_SIZE    64
#define UNIX         "unix:"

/* --- a Unix socket ---------------------------------------------------------------------------- */

/* Returns true when the path is a socket on which nobody listens any more. */
static bool is_left_behind(const struct sockaddr_un *address)
{
    struct stat status;
    bool refused;
    int fd;

    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    refused = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
              errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Binds the socket, with a mode that admits this user alone from the first moment. */
static int bind_alone(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(0177);
    int result = bind(fd, (const struct sockaddr *)address, sizeof(*address));

    if (result != 0 && errno == EADDRINUSE && is_left_behind(address) &&
        unlink(address->sun_path) == 0) {
        result = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    }
    umask(before);
    return result;
}

static int listen_unix(const char *path, struct serve_listener *out,
                       char problem[SERVE_PROBLEM_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        snprintf(problem, SERVE_PROBLEM_SIZE,
                 "%.100s...: a Unix socket's path has at most %zu bytes", path,
                 sizeof(address.sun_path) - 1);
        return 1;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_alone(fd, &address) != 0) {
        snprintf(problem, SERVE_PROBLEM_SIZE, "%s: %s", path,
                 errno == EADDRINUSE ? "exists, and is not a socket that a server left behind"
                                     : error_text(errno));
        close(fd);
        return -1;
    }
    out->fd = fd;
    out->path = strdup(path);
    if (out->path == NULL || listen(fd, BACKLOG) != 0) {
        snprintf(problem, SERVE_PROBLEM_SIZE, "%s: %s", path, error_text(errno));
        serve_listen_close(out);
        return -1;
    }
    out->loopback = true;
    snprintf(out->url, sizeof(out->url), "http://localhost");
    return 0;
}

/* --- a port ----------------------------------------------------------------------------------- */

/* Splits PORT, HOST:PORT and [HOST]:PORT. Returns NULL when `address` is none of these, else the
 * port. */
static const char *split(const char *address, char host[HOST_SIZE])
{
    const char *colon = strrchr(address, ':');
    const char *port = colon != NULL ? colon + 1 : address;
    size_t length = colon != NULL ? (size_t)(colon - address) : 0;
    char *end;
    long number;

    errno = 0;
    number = strtol(port, &end, 10);
    if (port[0] < '0' || port[0] > '9' || *end != '\0' || errno != 0 || number > 65535 ||
        length >= HOST_SIZE) {
        return NULL;
    }
    if (length > 2 && address[0] == '[' && address[length - 1] == ']') {
        snprintf(host, HOST_SIZE, "%.*s", (int)length - 2, address + 1);
    } else {
        snprintf(host, HOST_SIZE, "%.*s", (int)length, address);
    }
    if (length == 0 || strcmp(host, "localhost") == 0) {
        snprintf(host, HOST_SIZE, "%s", DEFAULT_HOST);
    }
    return port;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    }
    return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
}

/* Writes the URL of a listening socket, whose port may have been chosen by the system. */
static int name_url(struct serve_listener *out)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char host[HOST_SIZE];
    char port[8];

    if (getsockname(out->fd, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return -1;
    }
    snprintf(out->url, sizeof(out->url),
             address.ss_family == AF_INET6 ? "http://[%s]:%s" : "http://%s:%s", host, port);
    return 0;
}

static int listen_tcp(const char *address, struct serve_listener *out,
                      char problem[SERVE_PROBLEM_SIZE])
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const int yes = 1;
    char host[HOST_SIZE];
    const char *port = split(address, host);
    int fd;

    if (port == NULL || getaddrinfo(host, port, &hints, &found) != 0) {
        snprintf(problem, SERVE_PROBLEM_SIZE,
                 "%.100s: an address is PORT (to 65535), HOST:PORT with a host in digits or "
                 "localhost, or unix:PATH",
                 address);
        return 1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    }
    out->fd = fd;
    out->loopback = is_loopback(found->ai_addr);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        name_url(out) != 0) {
        snprintf(problem, SERVE_PROBLEM_SIZE,
                 "%s: %s; without an address a free port of this machine is taken", address,
                 error_text(errno));
        freeaddrinfo(found);
        serve_listen_close(out);
        return -1;
    }
    freeaddrinfo(found);
    return 0;
}

int serve_listen(const char *address, struct serve_listener *out, char problem[SERVE_PROBLEM_SIZE])
{
    *out = (struct serve_listener){.fd = -1};
    if (address != NULL && strncmp(address, UNIX, strlen(UNIX)) == 0) {
        return listen_unix(address + strlen(UNIX), out, problem);
    }
    return listen_tcp(address != NULL ? address : DEFAULT_HOST ":0", out, problem);
}

void serve_listen_close(struct serve_listener *listener)
{
    if (listener->path != NULL) {
        unlink(listener->path);
    }
    free(listener->path);
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    *listener = (struct serve_listener){.fd = -1};
}
