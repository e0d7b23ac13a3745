/*
 * The pulse of a thread: a counter by which the watchdog sees that the thread makes progress.
 *
 * A thread beats after each step: a round of its loop, a message, a call that has returned. A
 * thread without beats is hung, with one exception: inside a system call on a file it waits for the
 * disk. A sync may take minutes on a slow disk, and killing the process would only make the next
 * one wait for the same disk. So those calls, and only those, are marked as waits: an endless loop
 * inside SQLite, or a wait for a mutex that is never released, counts as hung.
 *
 * pulse_attach() names the pulse of the calling thread; in a thread without one (foxtrackrctl,
 * Paho's) the functions do nothing. Only its own thread writes a pulse, so a load and a store are
 * enough.
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

/* The calling thread's pulse; NULL: none. Set by pulse_attach() only. */
extern _Thread_local struct pulse *pulse_own;

/* Makes `pulse` the calling thread's; it must outlive the thread. NULL detaches. */
void pulse_attach(struct pulse *pulse);

/* Counts a step of the calling thread. */
static inline void pulse_beat(void)
{
    struct pulse *own = pulse_own;

    if (own != NULL) {
        uint64_t beats = atomic_load_explicit(&own->beats, memory_order_relaxed);

        atomic_store_explicit(&own->beats, beats + 1, memory_order_relaxed);
    }
}

/* Begin and end of a system call that may wait for a disk. Pairs may be nested. */
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

/* The watchdog's view of another thread's pulse; used by one thread. Times are monotonic. */
struct pulse_view {
    const struct pulse *pulse;
    uint64_t beats;   /* at the last look */
    int64_t moved_ms; /* when it was last seen to have beaten */
    int64_t alive_ms; /* when it last had beaten or was waiting */
};

/* Begin to watch a pulse, which must outlive the view. */
void pulse_view_begin(struct pulse_view *view, const struct pulse *pulse, int64_t now_ms);

/* Read the pulse. Returns false when the thread has neither beaten nor waited for the disk for
 * limit_ms. */
bool pulse_view_alive(struct pulse_view *view, int64_t now_ms, int64_t limit_ms);

/* Returns for how long, at the last pulse_view_alive(), the thread had been inside the same marked
 * call; 0: in none. */
int64_t pulse_view_waiting_ms(const struct pulse_view *view);

#endif
