/* Declarations shared by gate/gate.c, gate/door.c and gate/lockstep.c. */
#ifndef GATE_GATE_INTERNAL_H
#define GATE_GATE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/pulse.h"
#include "gate/gate.h"
#include "gate/link_internal.h"
#include "gate/token_internal.h"

struct session_link {
    struct token token;
    int offered_fd; /* -1: none */
    struct link_record record;
};

struct gate {
    pthread_t thread;
    pthread_mutex_t mutex;
    char *target;
    int port;
    int epoll_fd;
    struct link_end listener;
    int64_t rest_until_ms; /* the listener is not watched until then; 0: it is */
    int spare_fd;          /* closed to refuse a connection when no other descriptor is free; or
                            * -1 */
    struct link_end wake;
    uint64_t strangers;       /* connections of other programs so far */
    int64_t stranger_look_ms; /* when stranger_user was last looked up; monotonic, 0: never */
    long stranger_user;       /* its result: the user id; -1: not known */
    bool stranger_unsaid;     /* a stranger is still to be logged */
    struct log_cause stranger_cause;
    bool stopping;
    struct link_mode mode;
    const struct watermark *watermark;
    struct pulse pulse;
    struct session_link *sessions;
    unsigned session_count;
    struct link *links;
    unsigned link_count;
};

/* In lockstep: read what Paho has written until now, on the links that the gate's thread relays or,
 * with `carried`, on those that Paho's thread relays. Send what may leave. With the mutex held. */
void gate_catch_up(struct gate *gate, bool carried);

/* gate/door.c: accept the connections that wait at the listener, at most ACCEPTS_MAX. */
void gate_accept(struct gate *gate);

/* gate/door.c: watch the listener again when REST_MS is over. */
void gate_end_rest(struct gate *gate);

/* gate/door.c: log that a stranger's connection was closed, if that is due; the mutex is released
 * meanwhile. */
void gate_say_stranger(struct gate *gate);

#endif
