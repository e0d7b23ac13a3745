/*
 * The broker's machine in the tests of sessions: a name with up to three addresses, all of them on
 * loopback, and the sockets that listen there. The session dials them with its own code;
 * tests/unit/fake_mqtt.c takes the connections and says what the broker answers.
 *
 * One for the process, for one session. This file defines getaddrinfo(), so no name is looked up.
 */
#ifndef FAKE_BROKER_H
#define FAKE_BROKER_H

#include <stdbool.h>

#define FAKE_BROKER_HOST      "broker.test"
#define FAKE_BROKER_ADDRESSES 3

/* Listen at every address, 127.0.0.1 and following, at one free port; the name has the first of
 * them. Returns the port. Ends the process when there is none. */
int fake_broker_open(void);

/* Close what listens. */
void fake_broker_close(void);

/* From now on the name has the first `count` addresses; 0: it does not resolve. */
void fake_broker_resolve(int count);

/* How often the name was looked up since fake_broker_open(). */
int fake_broker_lookups(void);

/* From now on an address, counted from 0, refuses TCP connections. */
void fake_broker_refuse(int address);

/* From now on an address does not answer TCP at all: its queue is full, and nobody accepts. */
void fake_broker_hang(int address);

/* Take the newest connection that was made; earlier ones, which were given up, are closed. Returns
 * the socket, which is the caller's, and sets *address; or -1, when there is none. */
int fake_broker_accept(int *address);

#endif
