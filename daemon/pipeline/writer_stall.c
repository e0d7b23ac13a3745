/*
 * The writer when the disk does not take a batch.
 *
 * A cause that may pass (full, locked, read-only) is a stall: every link is severed so that no
 * acknowledgement can leave, the intake refuses, and the batch is tried again with backoff. Where
 * the database cannot be trusted any more, the thread ends. Must never happen: an acknowledgement
 * leaves between the failure and the moment when the links are severed. It cannot, because only
 * writer_publish() raises `durable`.
 */
#include "pipeline/writer_internal.h"

#include <stdio.h>

#include "base/clock.h"

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS  30000

void writer_set_state(struct writer *writer, enum writer_state state, const char *reason)
{
    pthread_mutex_lock(&writer->mutex);
    writer->status.state = state;
    snprintf(writer->status.reason, sizeof(writer->status.reason), "%s", reason);
    pthread_mutex_unlock(&writer->mutex);
}

enum writer_state writer_state_of(struct writer *writer)
{
    enum writer_state state;

    pthread_mutex_lock(&writer->mutex);
    state = writer->status.state;
    pthread_mutex_unlock(&writer->mutex);
    return state;
}

/* Severs all links; `reason` becomes the reason that their sessions report. */
static void cut_links(struct writer *writer, const char *problem, const char *reason)
{
    char why[GATE_REASON_SIZE];

    snprintf(why, sizeof(why), "%s: %s", problem, reason);
    gate_sever_all(writer->parts.gate, why);
}

void writer_fail(struct writer *writer, int result, const char *reason)
{
    bool lost = result == STORE_E_LOST;

    log_error("database: %s", reason);
    cut_links(writer, lost ? "another daemon has the sessions" : "the database failed", reason);
    intake_set_stalled(writer->parts.intake, true);
    writer_set_state(writer, lost ? WRITER_LOST : WRITER_FATAL, reason);
}

void writer_stall(struct writer *writer, const char *reason)
{
    const struct log_fields fields = {.id = LOG_ID_STALLED};
    char text[WRITER_REASON_SIZE];

    snprintf(text, sizeof(text), "%s", reason);
    cut_links(writer, "the database is not writable", text);
    intake_set_stalled(writer->parts.intake, true);
    writer->backoff_ms = writer->backoff_ms == 0 ? BACKOFF_FIRST_MS : 2 * writer->backoff_ms;
    if (writer->backoff_ms > BACKOFF_LAST_MS) {
        writer->backoff_ms = BACKOFF_LAST_MS;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->status.retry_at_ms = clock_monotonic_ms() + writer->backoff_ms;
    pthread_mutex_unlock(&writer->mutex);
    writer_set_state(writer, WRITER_STALLED, text);
    if (log_line_limited(&writer->stall_cause, LOG_ERR, &fields,
                         "database: %s; no message is taken or acknowledged until it works again",
                         text)) {
        writer->stall_said = true;
    }
}

bool writer_leave(struct writer *writer)
{
    if (!intake_wait_closed(writer->parts.intake, 0)) {
        return false;
    }
    writer_expire_say(&writer->expire);
    writer_set_state(writer, WRITER_LEFT, "");
    return true;
}

void writer_unstall(struct writer *writer)
{
    const struct log_fields fields = {.id = LOG_ID_RESUMED};

    writer->backoff_ms = 0;
    if (writer_state_of(writer) == WRITER_STALLED) {
        intake_set_stalled(writer->parts.intake, false);
        writer_set_state(writer, WRITER_RUNNING, "");
        log_line_fields(writer->stall_said ? LOG_NOTICE : LOG_DEBUG, &fields,
                        "database: works again, going on");
        writer->stall_said = false;
        log_cause_over(&writer->stall_cause);
    }
}

bool writer_batch_failed(struct writer *writer, int result)
{
    struct store *store = writer->parts.store;
    char reason[WRITER_REASON_SIZE];

    snprintf(reason, sizeof(reason), "%s",
             result == WRITER_APPLY_E_MEMORY ? "out of memory" : store_error(store));
    intake_rewind(writer->parts.intake);
    writer_apply_end(writer->apply, false);
    writer->summary_due = true; /* a failed commit may have taken effect */
    if (result > 0 && store_rollback(store) == STORE_OK) {
        writer_stall(writer, reason);
        return !writer_leave(writer);
    }
    writer_fail(writer, result, result > 0 ? store_error(store) : reason);
    return false;
}
