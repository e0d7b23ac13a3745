/* Waiting for a writer, in unit tests of the pipeline. */
#ifndef WRITER_WAIT_H
#define WRITER_WAIT_H

#include "pipeline/pipeline.h"
#include "unit_wait.h"

struct writer_watch {
    const struct watermark *watermark;
    uint64_t durable;
    struct writer *writer;
    enum writer_state state;
    struct writer_status *status;
};

static inline bool is_durable(void *context)
{
    const struct writer_watch *watch = context;

    return atomic_load(&watch->watermark->durable) == watch->durable;
}

/* Wait until the messages up to this number are published as durable, and no more. */
static inline void wait_durable(const struct watermark *watermark, uint64_t number)
{
    struct writer_watch watch = {.watermark = watermark, .durable = number};

    unit_wait(is_durable, &watch, "what is committed to be published");
}

static inline bool is_in_state(void *context)
{
    const struct writer_watch *watch = context;

    writer_status(watch->writer, watch->status);
    return watch->status->state == watch->state;
}

/* Wait until the writer is in this state; *status is its status then. */
static inline void wait_state(struct writer *writer, enum writer_state state,
                              struct writer_status *status)
{
    struct writer_watch watch = {.writer = writer, .state = state, .status = status};

    unit_wait(is_in_state, &watch, "a state of the writer");
}

#endif
