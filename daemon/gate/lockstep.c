/*
 * Lockstep. Paho's bytes are one stream, so the PUBCOMP of a message waits for the PUBRECs written
 * before it. With a large window that costs nothing, because other messages arrive meanwhile. With
 * a small one (20 is mosquitto's default) the messages fall into two groups, each waits for the
 * other's commit, and a commit advances half of them by half a handshake. It is faster to handle
 * all of them together: after one commit all PUBRECs leave; all PUBCOMPs follow at once, because
 * nothing is pending; then all the next messages arrive for the next commit. For this, a byte must
 * be read before a later message raises the number that it waits for:
 *  - before the first message of a batch gets its number, so that earlier PUBCOMPs can leave;
 *  - before the commit begins, so that the PUBRECs wait for this commit and not for the next;
 *  - after the commit.
 *
 * In between, the thread does not watch Paho's small writes, which would wake it for nothing.
 *
 * The relaying thread. In lockstep Paho's receive thread and the gate's thread never work at the
 * same time, and waking one takes longer than its work. So Paho's receive thread relays itself
 * (struct paho_relay): gate_written() reads the written bytes while the number is still the right
 * one; gate_poll() also waits for the broker, and relays its bytes before Paho polls its own
 * socket. The gate's thread stops watching a link when Paho's thread has begun to relay it, and not
 * before: during the handshake writes are not reported, and before Paho's thread calls gate_poll()
 * only the gate's thread sees the broker's bytes. The gate's thread still watches for the end of
 * either side and for bytes that could not be sent or read at once, checks twice a second for
 * writes that were not reported (OpenSSL's own), and relays again when lockstep ends. Links whose
 * writes Paho does not report (no TLS, or the shared library) always stay with the gate's thread.
 */
#include "gate/gate.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/clock.h"
#include "gate/gate_internal.h"

/* Descriptors that gate_poll() can wait for; with more, the gate's thread relays. */
#define POLLED_MOST 64

void gate_catch_up(struct gate *gate, bool carried)
{
    for (unsigned i = 0; gate->mode.lockstep && i < gate->link_count; i++) {
        if (gate->links[i].carried == carried) {
            link_catch_up(&gate->links[i]);
        }
    }
}

/* Returns all links to the gate's thread, which relays them from its next round on. */
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
        gate_wake(gate); /* so that it sets its epoll events anew */
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
    /* While other messages are pending, the bytes written so far wait for them anyway. */
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
        /* On a busy machine even loopback may deliver the bytes a moment later. */
        gate->links[i].left |= !any;
        link_settle(&gate->links[i]);
    }
    pthread_mutex_unlock(&gate->mutex);
}

/* The descriptors that gate_poll() waits for: first Paho's own sockets, then the brokers of some
 * links. */
struct polled {
    nfds_t own;
    nfds_t all;
    struct pollfd fds[POLLED_MOST];
    struct link *links[POLLED_MOST];
};

/* Takes over the links that can be relayed, and adds their brokers to `polled`. */
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

/* Relays the brokers' bytes to Paho. Returns false when there were none. */
static bool relay(struct gate *gate, const struct polled *polled)
{
    bool any = false;

    pthread_mutex_lock(&gate->mutex);
    for (nfds_t i = polled->own; i < polled->all; i++) {
        struct link *link = polled->links[i];

        any |= polled->fds[i].revents != 0;
        /* Meanwhile the link may have ended, or serve another connection. */
        if (polled->fds[i].revents != 0 && link->broker.fd == polled->fds[i].fd && link->carried) {
            link_serve(link, &link->broker, EPOLLIN);
            link_settle(link);
        }
    }
    pthread_mutex_unlock(&gate->mutex);
    return any;
}

/* Calls ppoll(), because the daemon's poll() is mqtt/paho/cork.c's, which calls this. */
static int wait_for(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    const struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                                     .tv_nsec = timeout_ms % 1000 * 1000000L};

    return ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

/* Waits once, sets *ready. False: it only relayed brokers' bytes; wait again. */
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

/* Never returns 0 before its time, because Paho sleeps for 100 ms after a poll() that timed out. */
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
