/* Messages for the tests of the PostgreSQL engine, and the steps of a batch. */
#ifndef PG_MESSAGES_H
#define PG_MESSAGES_H

#include "pg_fixture.h"

/* Readings from before 2010 are refused. */
#define BASE INT64_C(1780000000000)

#define BAT  "foxtrackr/%s/V3.0/bat"
#define BODY "{\"messageType\":1,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%lld,%s}"

/* A message whose bytes live until the next call of reset(). */
static char memory[1 << 22];
static size_t memory_used;

static inline const char *keep(const char *text)
{
    char *copy = memory + memory_used;
    size_t length = strlen(text) + 1;

    assert_true(memory_used + length < sizeof(memory));
    memcpy(copy, text, length);
    memory_used += length;
    return copy;
}

static inline struct store_packet make(const char *topic, const char *payload, int64_t received_ms)
{
    struct store_packet packet = {.received_ms = received_ms};

    packet.topic = keep(topic);
    packet.topic_length = strlen(topic);
    packet.payload = keep(payload);
    packet.payload_length = strlen(payload);
    return packet;
}

static inline struct store_packet reading(const char *name, const char *device, int64_t time_ms,
                                          const char *data)
{
    char topic[128];
    char body[512];

    snprintf(topic, sizeof(topic), BAT, name);
    snprintf(body, sizeof(body), BODY, device, (long long)(BASE + time_ms), data);
    return make(topic, body, PG_NOW_MS + 5);
}

static inline void apply(struct store *store, const struct store_packet *packet)
{
    if (store_apply(store, packet) != STORE_OK) {
        fail_msg("%s", store_error(store));
    }
}

static inline void begin(struct store *store)
{
    if (store_begin(store) != STORE_OK) {
        fail_msg("%s", store_error(store));
    }
}

static inline void commit(struct store *store)
{
    if (store_commit(store) != STORE_OK) {
        fail_msg("%s", store_error(store));
    }
}

static inline void assert_counts(const struct store *store, uint64_t stored, uint64_t duplicate,
                                 uint64_t quarantined)
{
    struct store_counts counts;

    store_counts(store, &counts);
    assert_int_equal(counts.stored, stored);
    assert_int_equal(counts.duplicate, duplicate);
    assert_int_equal(counts.quarantined, quarantined);
    assert_int_equal(counts.received, stored + duplicate + quarantined);
}

#define VOLTS(v) "\"battery\":{\"voltage\":" v "}"
#define RUNS     "SELECT concat_ws(' ', received, stored, duplicate, quarantined) FROM runs"

static inline void end_backend(struct pg_fixture *fixture)
{
    pg_look(fixture->super, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                            " WHERE usename = 'foxtrackrd' AND datname = current_database()");
}

#endif
