/*
 * The two numbers that the promise is made of.
 *
 * Every message that Paho hands over gets the next number when it enters the intake: `taken` is the
 * last one given. `durable` is the last one whose transaction is on disk; messages become durable
 * in order. Intake raises `taken` before Paho writes that message's acknowledgement to its socket;
 * the writer, and nobody else, raises `durable`, after the commit. The gate reads both.
 */
#ifndef GATE_WATERMARK_H
#define GATE_WATERMARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct watermark {
    _Atomic uint64_t taken;
    _Atomic uint64_t durable;
};

/* Is every message that has a number durable? */
static inline bool watermark_settled(const struct watermark *watermark)
{
    return atomic_load(&watermark->durable) == atomic_load(&watermark->taken);
}

#endif
