/*
 * The pulse of a thread: how the watchdog sees from outside whether the thread goes on.
 *
 * A thread beats whenever it has come a step further: a round of its loop, a message, a call that
 * has returned. A thread that stands still is hung, with one exception: while it is inside a call
 * to the kernel about a file it waits for the disk. A disk that takes minutes over a sync is slow
 * and not a fault of ours, and to kill the process would only make the next one wait for the same
 * disk. So those calls are marked, and nothing else is: a loop without end inside SQLite, or a
 * thread that waits for a mutex for ever, does not beat.
 *
 * pulse_attach() names the pulse of the calling thread; a thread without one (foxtrackrctl, Paho's)
 * has nothing to say. Only its own thread writes a pulse, so a load and a store are enough.
 */
#ifndef BASE_PULSE_H
#define BASE_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pulse {
    _Atomic uint64_t beats;
    _Atomic unsigned waits; /* marked calls that the thread is in */
};

/* The calling thread's; NULL: none. Set by pulse_attach() only. */
extern _Thread_local struct pulse *pulse_own;

/* `pulse` is the calling thread's from here on, and outlives the thread. NULL: none any more. */
void pulse_attach(struct pulse *pulse);

/* A step further. */
static inline void pulse_beat(void)
{
    struct pulse *own = pulse_own;

    if (own != NULL) {
        uint64_t beats = atomic_load_explicit(&own->beats, memory_order_relaxed);

        atomic_store_explicit(&own->beats, beats + 1, memory_order_relaxed);
    }
}

/* Around a call that the kernel may hold for as long as a disk takes. They nest. */
static inline void pulse_wait_begin(void)
{
    struct pulse *own = pulse_own;

    if (own != NULL) {
        unsigned waits = atomic_load_explicit(&own->waits, memory_order_relaxed);

        atomic_store_explicit(&own->waits, waits + 1, memory_order_relaxed);
    }
}

static inline void pulse_wait_end(void)
{
    struct pulse *own = pulse_own;

    if (own != NULL) {
        unsigned waits = atomic_load_explicit(&own->waits, memory_order_relaxed);

        atomic_store_explicit(&own->waits, waits - 1, memory_order_relaxed);
        pulse_beat();
    }
}

/* What somebody else knows of a pulse: the watchdog's own, for one thread. Times are monotonic. */
struct pulse_view {
    const struct pulse *pulse;
    uint64_t beats;   /* at the last look */
    int64_t moved_ms; /* when it was last seen to have beaten */
    int64_t alive_ms; /* when it last had beaten or was waiting */
};

/* Begin to look at a pulse. It outlives the view's use. */
void pulse_view_begin(struct pulse_view *view, const struct pulse *pulse, int64_t now_ms);

/* Look: true unless the thread has neither beaten nor waited for the disk for limit_ms. */
bool pulse_view_alive(struct pulse_view *view, int64_t now_ms, int64_t limit_ms);

/* At the last look: for how long the thread had been in one and the same call; 0 when it was in
 * none. */
int64_t pulse_view_waiting_ms(const struct pulse_view *view);

#endif
