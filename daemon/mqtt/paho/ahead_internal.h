/* Bytes that OpenSSL reads from a broker before Paho asks for them: see mqtt/paho/ahead.c. */
#ifndef MQTT_PAHO_AHEAD_INTERNAL_H
#define MQTT_PAHO_AHEAD_INTERNAL_H

#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>

/* The calling thread waits by paho_cork_poll(): from now on the connections that it reads are read
 * ahead. */
void paho_ahead_allow(void);

/* Returns true when one of these has bytes that were read ahead. Paho's receive thread, before it
 * waits. */
bool paho_ahead_has(const struct pollfd *fds, nfds_t count);

/* After a poll(): mark connections with bytes read ahead as ready. Returns how many poll() had not
 * reported. */
int paho_ahead_add(struct pollfd *fds, nfds_t count);

/* Forget a connection that ends. Any of Paho's threads. */
void paho_ahead_forget(const SSL *ssl);

#endif
