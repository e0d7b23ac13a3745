/* A connection of the stand-in client through the gate: both of its ends, and lines of text. */
#ifndef FAKE_LINK_H
#define FAKE_LINK_H

#include <stdbool.h>

#define FAKE_LINE_SIZE 256

struct fake_link {
    int paho_fd;   /* the client's end; -1: closed */
    int broker_fd; /* -1: closed */
    int address;   /* of the broker, see fake_broker.h */
};

/* Connect through the proxy at `proxy_url` to the host and port of `uri`, as Paho does, and take
 * the connection at the broker. Returns false, with nothing open, when one of them refuses. */
bool fake_link_open(struct fake_link *link, const char *proxy_url, const char *uri);

/* Close what is open. */
void fake_link_close(struct fake_link *link);

/* Write a line into the client's end; false when the connection has ended. */
bool fake_link_write(const struct fake_link *link, const char *text);

/* Wait for the next line at the broker's end. Returns false when the connection ends first, or when
 * `stop_fd` (-1: none) becomes readable. */
bool fake_link_read(const struct fake_link *link, int stop_fd, char line[FAKE_LINE_SIZE]);

/* Send a byte from the broker to the client, and wait for it there; false when the connection has
 * ended. */
bool fake_link_answer(const struct fake_link *link);

/* Wait until the client's end has been closed by the gate. */
void fake_link_wait_end(const struct fake_link *link);

#endif
