/*
 * Lockstep. Paho's bytes are one stream, so the PUBCOMP of a message waits for the PUBRECs written
 * before it. With a large window that costs nothing, because other messages arrive meanwhile. With
 * a small one (20 is mosquitto's default) the messages fall into two groups, each waits for the
 * other's commit, and a commit advances half of them by half a handshake. It is faster to handle
 * all of them together: after one commit all PUBRECs leave; all PUBCOMPs follow at once, because
 * nothing is pending; then all the next messages arrive and are gathered for the next commit. For
 * this, a byte must be read before a later message raises the number that it waits for:
 *  - before the first message of a batch gets its number, so that earlier PUBCOMPs can leave;
 *  - before the commit begins, so that the PUBRECs wait for this commit and not for the next;
 *  - after the commit.
 *
 * In between, the thread does not watch Paho's small writes, which would wake it for nothing.
 *
 * Measured with a backlog of 60,000 on mosquitto 2.0.21 at its defaults, on loopback: 17,200 msg/s
 * with MQTT 3.1.1 (window 20), 13,000 without lockstep. With MQTT 5 the window is large.
 */
#include "gate/gate.h"

#include "gate/gate_internal.h"

void gate_catch_up(struct gate *gate)
{
    for (unsigned i = 0; gate->mode.lockstep && i < gate->link_count; i++) {
        link_catch_up(&gate->links[i]);
    }
}

void gate_set_lockstep(struct gate *gate, bool on)
{
    if (atomic_load(&gate->mode.lockstep) != on) {
        pthread_mutex_lock(&gate->mutex);
        atomic_store(&gate->mode.lockstep, on);
        pthread_mutex_unlock(&gate->mutex);
        gate_wake(gate); /* so that it sets its epoll events anew */
    }
}

/* Reads what Paho has written until now. */
static void catch_up(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate_catch_up(gate);
    pthread_mutex_unlock(&gate->mutex);
}

void gate_before_commit(struct gate *gate)
{
    if (atomic_load(&gate->mode.lockstep)) {
        catch_up(gate);
    }
}

void gate_before_message(struct gate *gate, void (*write_out)(void))
{
    /* While other messages are pending, the bytes written so far wait for them anyway. */
    if (atomic_load(&gate->mode.lockstep) && watermark_settled(gate->watermark)) {
        write_out();
        catch_up(gate);
    }
}
