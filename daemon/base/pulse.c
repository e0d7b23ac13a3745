/* One thread writes its pulse, another watches whether it changes; see base/pulse.h. */
#include "base/pulse.h"

_Thread_local struct pulse *pulse_own;

void pulse_attach(struct pulse *pulse)
{
    pulse_own = pulse;
}

void pulse_view_begin(struct pulse_view *view, const struct pulse *pulse, int64_t now_ms)
{
    *view = (struct pulse_view){
        .pulse = pulse,
        .beats = atomic_load_explicit(&pulse->beats, memory_order_relaxed),
        .moved_ms = now_ms,
        .alive_ms = now_ms,
    };
}

bool pulse_view_alive(struct pulse_view *view, int64_t now_ms, int64_t limit_ms)
{
    bool waits = atomic_load_explicit(&view->pulse->waits, memory_order_relaxed) > 0;
    uint64_t beats = atomic_load_explicit(&view->pulse->beats, memory_order_relaxed);

    if (beats != view->beats) {
        view->beats = beats;
        view->moved_ms = now_ms;
        view->alive_ms = now_ms;
    }
    if (waits) {
        view->alive_ms = now_ms;
    }
    return now_ms - view->alive_ms < limit_ms;
}

int64_t pulse_view_waiting_ms(const struct pulse_view *view)
{
    bool waits = atomic_load_explicit(&view->pulse->waits, memory_order_relaxed) > 0;

    return waits ? view->alive_ms - view->moved_ms : 0;
}
