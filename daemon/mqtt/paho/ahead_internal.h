/* What OpenSSL has read from a broker before Paho asks for it: see mqtt/paho/ahead.c. */
#ifndef MQTT_PAHO_AHEAD_INTERNAL_H
#define MQTT_PAHO_AHEAD_INTERNAL_H

#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>

/* The calling thread waits by paho_cork_poll(): from now on the connections that it reads are read
 * ahead. */
void paho_ahead_allow(void);

/* Whether one of these has bytes that were read ahead. Paho's receive thread, before it waits. */
bool paho_ahead_has(const struct pollfd *fds, nfds_t count);

/* After a poll(): those that have are ready, too. Returns how many are so only by that. */
int paho_ahead_add(struct pollfd *fds, nfds_t count);

/* The connection ends. Any of Paho's threads. */
void paho_ahead_forget(const SSL *ssl);

#endif
