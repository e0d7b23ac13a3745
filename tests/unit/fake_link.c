/* The connection of fake_link.h. Every wait has a limit, after which the connection counts as
 * ended: the test then fails with what it expected of the packet. */
#include "fake_link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_broker.h"

#define LIMIT_MS     20000
#define REQUEST_SIZE 1024

/* Waits for bytes, or the end, at `fd`; false when `stop_fd` came first, or the time is over. */
static bool readable(int fd, int stop_fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};

    return fd >= 0 && poll(fds, 2, LIMIT_MS) > 0 && fds[1].revents == 0;
}

/* Reads one byte; false at the end of the stream. */
static bool read_byte(int fd, int stop_fd, char *byte)
{
    return readable(fd, stop_fd) && recv(fd, byte, 1, 0) == 1;
}

static bool send_text(int fd, const char *text)
{
    return fd >= 0 && send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Connects to the port at the end of "http://user:password@127.0.0.1:port". */
static int connect_to_proxy(const char *proxy_url)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port =
                                            htons((in_port_t)atoi(strrchr(proxy_url, ':') + 1)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Sends the request for a tunnel and reads the answer up to its empty line. */
static bool ask_proxy(int fd, const char *proxy_url, const char *uri)
{
    const char *credentials = strstr(proxy_url, "//") + 2;
    size_t length = strcspn(credentials, "@");
    unsigned char basic[REQUEST_SIZE / 2];
    char request[REQUEST_SIZE];
    char answer[REQUEST_SIZE] = "";
    size_t got = 0;

    EVP_EncodeBlock(basic, (const unsigned char *)credentials, (int)length);
    snprintf(request, sizeof(request),
             "CONNECT %s HTTP/1.1\r\nProxy-authorization: Basic %s\r\n\r\n", strstr(uri, "//") + 2,
             (const char *)basic);
    if (!send_text(fd, request)) {
        return false;
    }
    while (got + 1 < sizeof(answer) && strstr(answer, "\r\n\r\n") == NULL &&
           read_byte(fd, -1, &answer[got])) {
        answer[++got] = '\0';
    }
    return strncmp(answer, "HTTP/1.1 200", strlen("HTTP/1.1 200")) == 0;
}

bool fake_link_open(struct fake_link *link, const char *proxy_url, const char *uri)
{
    link->broker_fd = -1;
    link->paho_fd = connect_to_proxy(proxy_url);
    if (link->paho_fd >= 0 && ask_proxy(link->paho_fd, proxy_url, uri)) {
        link->broker_fd = fake_broker_accept(&link->address);
    }
    if (link->broker_fd < 0) {
        fake_link_close(link);
    }
    return link->broker_fd >= 0;
}

static void close_end(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void fake_link_close(struct fake_link *link)
{
    close_end(&link->paho_fd);
    close_end(&link->broker_fd);
}

bool fake_link_write(const struct fake_link *link, const char *text)
{
    char line[FAKE_LINE_SIZE + 1];

    snprintf(line, sizeof(line), "%s\n", text);
    return send_text(link->paho_fd, line);
}

bool fake_link_read(const struct fake_link *link, int stop_fd, char line[FAKE_LINE_SIZE])
{
    size_t got = 0;

    while (got + 1 < FAKE_LINE_SIZE && read_byte(link->broker_fd, stop_fd, &line[got])) {
        if (line[got] == '\n') {
            line[got] = '\0';
            return true;
        }
        got++;
    }
    return false;
}

bool fake_link_answer(const struct fake_link *link)
{
    char byte;

    return send_text(link->broker_fd, ".") && read_byte(link->paho_fd, -1, &byte);
}

void fake_link_wait_end(const struct fake_link *link)
{
    char byte;

    while (read_byte(link->paho_fd, -1, &byte)) {
    }
}
