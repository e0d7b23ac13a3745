/*
 * One session of a daemon, with the parts that it works with: the real session, intake, gate and
 * writer, over the store in memory, with the stand-in for MQTT (fake_mqtt.h) and moved clocks.
 *
 * A test prepares what is on record and what the broker will do, begins, and follows the session
 * from one wait to the next. Every file of tests/unit/test_session_*.c includes this first.
 */
#ifndef SESSION_FIXTURE_H
#define SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fake_broker.h"
#include "fake_mqtt.h"
#include "memory_engine.h"
#include "session/session.h"
#include "shifted_clock.h"
#include "unit_wait.h"

#define CLIENT       "c"
#define FILTERS      2
#define PAYLOAD_SIZE 256

/* Parts of a conversation: CONNECT with its record, SUBSCRIBE as on record, SUBSCRIBE with a record
 * of each answer, DISCONNECT. */
#define CONNECTS   "connecting(c) CONNECT "
#define SUBSCRIBES "SUBSCRIBE(a/#,2) SUBSCRIBE(b/#,2) "
#define SUBSCRIBES_ANEW                                                                            \
    "SUBSCRIBE(a/#,2) subscribed(c,a/#,2,7) SUBSCRIBE(b/#,2) subscribed(c,b/#,2,7) "
#define LEAVES "DISCONNECT "

/* Connections: the first one of a client, one that finds its session lost, kept, or kept and not
 * certain to be the same; and one that the broker refuses. */
#define FIRST_CONNECTION     CONNECTS "established(c,none,7) " SUBSCRIBES_ANEW
#define LOST_CONNECTION      CONNECTS "established(c,lost,7) " SUBSCRIBES_ANEW
#define KEPT_CONNECTION      CONNECTS "settled(c,none,7) " SUBSCRIBES
#define UNCERTAIN_CONNECTION CONNECTS "settled(c,uncertain,7) " SUBSCRIBES
#define REFUSED_CONNECTION   CONNECTS "settled(c,none,0) "

struct fixture {
    struct config config;
    struct store *store;
    bool elsewhere;       /* of the record that the next fixture_begin() reads */
    bool database_is_new; /* see struct session_parts */
    char log_path[64];

    /* Between fixture_begin() and fixture_end(). */
    struct store_session record;
    struct session_subscriptions subscriptions;
    struct watermark watermark;
    struct intake *intake;
    struct gate *gate;
    struct writer *writer;
    struct session *session;
};

int fixture_make(void **state);
int fixture_remove(void **state);

/* Put on record that the broker has had a session, with both filters subscribed. */
void fixture_know(struct fixture *fixture);

/* Put on record that a CONNECT was sent. */
void fixture_doubt(struct fixture *fixture);

/* Put a subscription on record. */
void fixture_remember(struct fixture *fixture, const char *filter, int qos);

/* Start the daemon, as main() does: fixture_begin_pipeline() and fixture_start_session(). */
void fixture_begin(struct fixture *fixture);

/* Read what is on record of the session, and start all but the session. */
void fixture_begin_pipeline(struct fixture *fixture);

/* session_start() with what was on record. Returns its result. */
int fixture_start_session(struct fixture *fixture);

/* Stop the daemon: the session first, and everything that it put into the intake is committed. */
void fixture_end(struct fixture *fixture);

/* The state of the session, and the sentence that goes with it. `says`: a part of it, or "" for
 * none at all. */
void assert_state(struct fixture *fixture, enum session_state state, const char *says);

/* A snapshot of the session. */
struct session_status status_of(struct fixture *fixture);

/* The last error of the run: a part of it, or "" for none at all. */
void assert_last_error(struct fixture *fixture, const char *says);

/* How often connections ended for a cause. */
uint64_t losses(struct fixture *fixture, enum loss_cause cause);

/* The QoS that the broker has granted for the two filters. */
void assert_granted(struct fixture *fixture, int a, int b);

/* Wait until the session is connected and has nothing to do; or is connected, and will retry after
 * the time that this returns; or backs off. */
void wait_subscribed(struct fixture *fixture);
int wait_partial(struct fixture *fixture);
int wait_backoff(struct fixture *fixture);

/* In the backoff: try again at once. */
void retry(struct fixture *fixture);

/* Start the daemon, or try again in the backoff, and wait until the session is connected and has
 * nothing to do; or let the broker end the connection first. */
void begin_subscribed(struct fixture *fixture);
void retry_subscribed(struct fixture *fixture);
void lose_and_return(struct fixture *fixture);

/* End the daemon, and compare the notes of fake_mqtt.h. */
void assert_conversation(struct fixture *fixture, const char *expected);

/* How often the log of this test has this text. */
unsigned logged(const struct fixture *fixture, const char *text);

/* From now on the intake refuses what is put, or takes it again. The first is also a hook for
 * fake_mqtt_before_answer(); `context` is the fixture. */
void refuse_intake(void *context);
void allow_intake(struct fixture *fixture);

/* Cut the session's link, as the writer does; also a hook. */
void sever_link(void *context);

#define SESSION_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_make, fixture_remove)

#endif
