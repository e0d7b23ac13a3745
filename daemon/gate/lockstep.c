/*
 * Lockstep. All that Paho writes is one stream, so the PUBCOMP of a message waits for the PUBRECs
 * written before it. With a large window that costs nothing: others come meanwhile. With a small
 * one (20 is mosquitto's default) the messages fall into two groups, each waits for the other's
 * commit, and a commit moves half of them by half a handshake. They are through faster when they go
 * round in step: one commit, all PUBRECs leave; all PUBCOMPs follow at once, because nothing is
 * pending; all the next messages come and are gathered for the next commit (base/pace.c). A byte
 * must be read while the numbers are still what they were when it was written:
 *  - before the first message of a batch has its number, so that the PUBCOMPs before it can go;
 *  - before the commit begins, so that the PUBRECs wait for it and not for the one after;
 *  - when it is done.
 * In between, Paho's small writes would wake the thread for nothing: it does not look at them.
 *
 * Who relays. In lockstep Paho's receive thread and the gate's never work at once: each waits for
 * the other, and to wake it takes longer than what it then does. So Paho's receive thread relays
 * itself (struct paho_relay): gate_written() reads what was written, at the very number that it was
 * written at; gate_poll() waits for the broker too, and passes on what comes before Paho looks at
 * its own socket. The gate's thread stops watching a link when that has begun for it, and never
 * before: during the handshake nobody tells what is written, and until Paho's thread waits here
 * nobody else would see what the broker sends. It goes on watching for the end of either side and
 * for what could not be sent or read at once, looks twice a second for what nobody tells of
 * (OpenSSL may write on its own account), and takes over again when lockstep ends. Links that Paho
 * does not tell of, because there is no TLS or its library is the shared one, stay with it.
 */
#include "gate/gate.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "gate/gate_internal.h"

/* What Paho's receive thread waits for at once; for more, the gate's thread relays. */
#define POLLED_MOST 64

void gate_catch_up(struct gate *gate, bool carried)
{
    for (unsigned i = 0; gate->mode.lockstep && i < gate->link_count; i++) {
        if (gate->links[i].carried == carried) {
            link_catch_up(&gate->links[i]);
        }
    }
}

/* Its own thread relays again, when it has come round. */
static void take_back(struct gate *gate)
{
    for (unsigned i = 0; i < gate->link_count; i++) {
        gate->links[i].carried = false;
    }
}

void gate_set_lockstep(struct gate *gate, bool on)
{
    if (atomic_load(&gate->mode.lockstep) != on) {
        pthread_mutex_lock(&gate->mutex);
        atomic_store(&gate->mode.lockstep, on);
        take_back(gate);
        pthread_mutex_unlock(&gate->mutex);
        gate_wake(gate); /* it watches for something else now */
    }
}

void gate_before_commit(struct gate *gate)
{
    if (atomic_load(&gate->mode.lockstep)) {
        pthread_mutex_lock(&gate->mutex);
        gate_catch_up(gate, false);
        pthread_mutex_unlock(&gate->mutex);
    }
}

void gate_before_message(struct gate *gate, unsigned session, void (*write_out)(void))
{
    /* With others pending, what was written so far waits for them anyway. */
    if (!atomic_load(&gate->mode.lockstep) || !watermark_settled(gate->watermark)) {
        return;
    }
    write_out();
    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        gate->links[i].has_messages |= gate->links[i].session == session;
    }
    gate_catch_up(gate, false);
    pthread_mutex_unlock(&gate->mutex);
}

/* --- Paho's thread relays -------------------------------------------------------------------- */

void gate_written(void *context)
{
    struct gate *gate = context;
    bool any = false;

    if (!atomic_load(&gate->mode.lockstep)) {
        return;
    }
    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        any |= link_catch_up(&gate->links[i]);
    }
    for (unsigned i = 0; i < gate->link_count; i++) {
        /* A kernel that is busy may deliver it a moment later, even here. */
        gate->links[i].left |= !any;
        link_settle(&gate->links[i]);
    }
    pthread_mutex_unlock(&gate->mutex);
}

/* What a thread waits for: Paho's own sockets, and then the brokers of some links. */
struct polled {
    nfds_t own;
    nfds_t all;
    struct pollfd fds[POLLED_MOST];
    struct link *links[POLLED_MOST];
};

/* Take the links over, and wait for their brokers from now on. */
static void take_over(struct gate *gate, struct polled *polled)
{
    bool room = polled->own + gate->link_count <= POLLED_MOST;

    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; atomic_load(&gate->mode.lockstep) && room && i < gate->link_count; i++) {
        struct link *link = &gate->links[i];

        if (link_carry(link)) {
            polled->fds[polled->all] = (struct pollfd){.fd = link->broker.fd, .events = POLLIN};
            polled->links[polled->all++] = link;
        }
    }
    if (!room) {
        take_back(gate);
        gate_wake(gate);
    }
    pthread_mutex_unlock(&gate->mutex);
}

/* Pass on what brokers have sent. False when they have not. */
static bool relay(struct gate *gate, const struct polled *polled)
{
    bool any = false;

    pthread_mutex_lock(&gate->mutex);
    for (nfds_t i = polled->own; i < polled->all; i++) {
        struct link *link = polled->links[i];

        any |= polled->fds[i].revents != 0;
        /* Meanwhile it may have ended, or be another one. */
        if (polled->fds[i].revents != 0 && link->broker.fd == polled->fds[i].fd && link->carried) {
            link_serve(link, &link->broker, EPOLLIN);
            link_settle(link);
        }
    }
    pthread_mutex_unlock(&gate->mutex);
    return any;
}

/* Not poll(): in the daemon that is mqtt/paho/cork.c's, which calls this. */
static int wait_for(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    const struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                                     .tv_nsec = timeout_ms % 1000 * 1000000L};

    return ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

/* Once: true when there is something for Paho, or time is up. */
static bool poll_once(struct gate *gate, struct pollfd *fds, nfds_t count, int timeout_ms,
                      int *ready)
{
    struct polled polled = {.own = count, .all = count};

    if (atomic_load(&gate->mode.lockstep)) {
        take_over(gate, &polled);
    }
    if (polled.all == count) {
        *ready = wait_for(fds, count, timeout_ms);
        return true;
    }
    memcpy(polled.fds, fds, count * sizeof(*fds));
    *ready = wait_for(polled.fds, polled.all, timeout_ms);
    if (*ready > 0 && relay(gate, &polled)) {
        *ready = wait_for(fds, count, 0);
        return *ready != 0;
    }
    for (nfds_t i = 0; i < count; i++) {
        fds[i].revents = polled.fds[i].revents;
    }
    return true;
}

/* Paho sleeps for 100 ms after a poll() that found nothing in all its time, as it believes. */
int gate_poll(void *context, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    int left_ms = timeout_ms;
    int ready;

    while (!poll_once(context, fds, count, left_ms, &ready) && left_ms != 0) {
        if (timeout_ms > 0) {
            int64_t now_ms = clock_monotonic_ms();

            left_ms = now_ms < until_ms ? (int)(until_ms - now_ms) : 0;
        }
    }
    return ready;
}
