/*
 * The typed views of the configuration, at the start and after a reload: the store makes them in a
 * transaction between two batches. A view that cannot be made is no reason to stop messages: its
 * name is logged, and an error that may pass is tried again.
 */
#include "pipeline/writer_internal.h"

#include "base/clock.h"
#include "store/views.h"

#define AGAIN_MS 5000

/* A store_view_fn. */
static void log_view(void *context, enum store_view_state state, const char *name, const char *kind)
{
    (void)context;
    switch (state) {
    case STORE_VIEW_STANDS:
        log_debug("view %s: is as configured", name);
        break;
    case STORE_VIEW_MADE:
        log_notice("view %s: made", name);
        break;
    case STORE_VIEW_REPLACED:
        log_notice("view %s: made anew, since its section has changed", name);
        break;
    case STORE_VIEW_REMOVED:
        log_notice("view %s: removed with its section", name);
        break;
    case STORE_VIEW_TAKEN:
        log_warning("view %s: not made: " STORE_VIEW_TAKEN_BY, name, kind, name);
        break;
    case STORE_VIEW_LEFT:
        log_warning("view %s: its section is gone, but somebody has changed the view: it stays",
                    name);
        break;
    }
}

bool writer_look_at_views(struct writer *writer)
{
    int result;

    if (!writer->views_due || writer->limits.views == NULL ||
        writer_state_of(writer) == WRITER_STALLED || clock_monotonic_ms() < writer->views_ms) {
        return true;
    }
    result = store_set_views(writer->parts.store, writer->limits.views, log_view, NULL);
    if (result != STORE_OK) {
        writer->views_ms = clock_monotonic_ms() + AGAIN_MS;
        return writer_chore_failed(writer, &writer->views_cause, result,
                                   "the typed views stay as they are for the moment");
    }
    writer->views_due = false;
    log_cause_over(&writer->views_cause);
    return true;
}
