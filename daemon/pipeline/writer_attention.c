/*
 * Counts the devices that need attention, for status and metrics: a pass through all devices, every
 * five minutes.
 *
 * A message that arrives during a chunk waits for its end. A chunk therefore takes a few
 * milliseconds, and a rest of nine times as long follows: a pass takes a tenth of the writer's time
 * at most, and a few seconds for 10,000 devices, of which it works for less than half a second.
 * While messages of a catch-up are sorted into their tables there is no pass.
 *
 * Without messages that wait, a pass begins earlier, ten seconds after the last one at least: when
 * a tenth as many messages have come as there are devices, because after a catch-up the last
 * numbers are wrong; and when another program has changed the database, because that may be a new
 * limit.
 */
#include "pipeline/writer_attention_internal.h"

#include "base/clock.h"
#include "base/wall.h"

#define PERIOD_MS     300000
#define AGAIN_MS      10000
#define BUDGET_US     5000
#define REST_FACTOR   9
#define CHANGED_SHARE 10

void writer_attention_init(struct writer_attention *attention)
{
    *attention = (struct writer_attention){.wanted = true, .begun_ms = INT64_MIN / 2};
}

void writer_attention_want(struct writer_attention *attention)
{
    attention->wanted = true;
}

bool writer_attention_due(const struct writer_attention *attention, bool idle, uint64_t received)
{
    int64_t age_ms = clock_monotonic_ms() - attention->begun_ms;
    uint64_t came = received - attention->received;
    bool changed = came > 0 && came >= (uint64_t)attention->last.devices / CHANGED_SHARE;

    if (wall_is_behind(NULL)) {
        return false; /* nobody is silent by such a clock */
    }
    if (attention->active) {
        return clock_monotonic_us() >= attention->rest_until_us;
    }
    return age_ms >= PERIOD_MS || (idle && age_ms >= AGAIN_MS && (attention->wanted || changed));
}

int writer_attention_wait_ms(const struct writer_attention *attention, int limit_ms)
{
    int64_t wait_ms = (attention->rest_until_us - clock_monotonic_us() + 999) / 1000;

    if (!attention->active || wait_ms > limit_ms) {
        return limit_ms;
    }
    return wait_ms > 0 ? (int)wait_ms : 0;
}

int writer_attention_chunk(struct writer_attention *attention, struct store *store,
                           uint64_t received)
{
    const struct store_chunk chunk = {.budget_us = BUDGET_US, .clock_us = clock_monotonic_us};
    int64_t begun_us = clock_monotonic_us();
    int64_t took_us;
    int result;

    if (!attention->active) {
        attention->active = true;
        attention->wanted = false;
        attention->begun_ms = clock_monotonic_ms();
        attention->received = received;
        attention->pass = (struct store_attention){.now_ms = wall_now_ms()};
    }
    result = store_attention(store, &attention->pass, &chunk);
    took_us = clock_monotonic_us() - begun_us;
    attention->rest_until_us = begun_us + took_us + REST_FACTOR * took_us;
    if (result != STORE_OK) {
        attention->active = false;
    } else if (attention->pass.done) {
        attention->active = false;
        attention->known = true;
        attention->last = attention->pass;
    }
    return result;
}
