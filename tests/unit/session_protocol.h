/*
 * The version of MQTT in the tests of a session (session_fixture.h): what is on record of it, and
 * the connections of MQTT 5.
 */
#ifndef SESSION_PROTOCOL_H
#define SESSION_PROTOCOL_H

#include "session_fixture.h"

/* Parts of a conversation, as in session_fixture.h: CONNECT with its record, the first connection
 * of a client, and one that finds its session kept. */
#define CONNECTS_5 "connecting(c) CONNECT5 "
#define FIRST_5    CONNECTS_5 "established(c,none,7) " SUBSCRIBES_ANEW
#define KEPT_5     CONNECTS_5 "settled(c,none,7) " SUBSCRIBES

/* Put on record which version was accepted, and when MQTT 5 was asked for. */
void remember_protocol(struct fixture *fixture, int version, int64_t asked_ms);

/* Check the same on record. */
void assert_on_record(struct fixture *fixture, int version, int64_t asked_ms);

/* Put the session on record, without the version of MQTT that it was made with. */
void know_with(struct fixture *fixture, enum config_protocol protocol);

/* Connect, lose the connection, and connect again. */
void begin_and_return(struct fixture *fixture);

/* Start the daemon, whose first attempt fails; `says` is a part of its reason. */
void begin_and_fail(struct fixture *fixture, const char *says);

#endif
