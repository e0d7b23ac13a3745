/*
 * One item of the intake at a time, in the open batch: a message is parsed and becomes rows or a
 * quarantine entry, an event of a session changes its row. Counts and log lines of what went to
 * quarantine are kept until the batch is on disk.
 */
#include "pipeline/writer_apply_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"

struct writer_apply {
    struct store *store;
    struct inbox *inbox;
    const char *const *client_ids;
    unsigned session_count;

    /* The open batch. */
    const struct writer_limits *limits;
    bool *delivered; /* by session index */
    int64_t newest_ms;
    uint64_t batch_quarantined[WRITER_REASONS];

    uint64_t quarantined[WRITER_REASONS];
    struct log_cause causes[WRITER_REASONS];
};

struct writer_apply *writer_apply_new(struct store *store, struct inbox *inbox,
                                      const char *const *client_ids, unsigned session_count)
{
    struct writer_apply *apply = calloc(1, sizeof(*apply));

    if (apply == NULL) {
        return NULL;
    }
    apply->delivered = calloc(session_count, sizeof(*apply->delivered));
    if (apply->delivered == NULL) {
        free(apply);
        return NULL;
    }
    apply->store = store;
    apply->inbox = inbox;
    apply->client_ids = client_ids;
    apply->session_count = session_count;
    return apply;
}

void writer_apply_free(struct writer_apply *apply)
{
    if (apply != NULL) {
        free(apply->delivered);
        free(apply);
    }
}

/*
 * Count and log a quarantined message: for each reason one line, however they differ, and then more
 * and more rarely (log.h). At the level debug each message has its line.
 */
static void note_quarantined(struct writer_apply *apply, const char *client_id,
                             const struct store_packet *packet,
                             const struct foxtrackr_problem *problem)
{
    const char *name = foxtrackr_reason_name(problem->reason);
    const uint64_t any_text = 1;
    unsigned left_out = 0;
    char topic[512]; /* its beginning; the table has it whole */
    char others[64] = "";
    int priority = LOG_DEBUG;
    struct log_fields fields = {
        .session = client_id, .topic = topic, .reason = name, .id = LOG_ID_QUARANTINED};

    apply->batch_quarantined[problem->reason]++;
    if (log_cause_admit(&apply->causes[problem->reason], any_text, clock_monotonic_ms(),
                        &left_out)) {
        priority = LOG_WARNING;
    } else if (!log_enabled(LOG_DEBUG)) {
        return;
    }
    snprintf(topic, sizeof(topic), "%.*s", (int)packet->topic_length, packet->topic);
    if (left_out > 0) {
        snprintf(others, sizeof(others), " (and %u more for that reason before it)", left_out);
    }
    log_line_fields(priority, &fields, "quarantined a message on %s: %s: %s%s", topic, name,
                    problem->detail, others);
}

static int quarantine(struct writer_apply *apply, const char *client_id,
                      const struct store_packet *packet, const struct foxtrackr_problem *problem)
{
    int result = store_quarantine(apply->store, problem, packet);

    if (result == STORE_OK) {
        note_quarantined(apply, client_id, packet, problem);
    }
    return result;
}

static int quarantine_oversize(struct writer_apply *apply, const struct intake_item *item,
                               const struct store_packet *packet)
{
    struct store_packet cut = *packet;
    struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_OVERSIZE};
    char hex[2 * DIGEST_SIZE + 1];

    cut.whole_digest = item->digest;
    digest_hex(item->digest, hex);
    snprintf(problem.detail, sizeof(problem.detail),
             "payload of %zu bytes, over max_payload = %zu; its SHA-256 is %s", item->full_length,
             item->payload_length, hex);
    return quarantine(apply, apply->client_ids[item->session], &cut, &problem);
}

static void note_time(struct writer_apply *apply, const struct foxtrackr_message *message)
{
    if (message->time_ms > apply->newest_ms) {
        apply->newest_ms = message->time_ms;
    }
}

static int put_rows(struct writer_apply *apply, const char *client_id,
                    const struct store_packet *packet, const struct foxtrackr_message *message)
{
    enum store_outcome outcome;
    int result = store_message(apply->store, message, packet, &outcome);

    if (result != STORE_OK) {
        return result;
    }
    note_time(apply, message);
    if (outcome == STORE_QUARANTINED) {
        struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_CONFLICT,
                                            .detail =
                                                "other values are stored for this device and time"};

        note_quarantined(apply, client_id, packet, &problem);
    }
    return STORE_OK;
}

static int parse(const struct writer_apply *apply, const struct store_packet *packet,
                 struct foxtrackr_message *message, struct foxtrackr_problem *problem)
{
    return foxtrackr_message_parse(
        apply->limits->fields, packet->received_ms, apply->limits->max_future_ms, packet->topic,
        packet->topic_length, packet->payload, packet->payload_length, message, problem);
}

/* A whole message becomes its rows, or a quarantine entry. */
static int store_whole(struct writer_apply *apply, const char *client_id,
                       const struct store_packet *packet)
{
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    int result = parse(apply, packet, &message, &problem);

    if (result < 0) {
        return WRITER_APPLY_E_MEMORY;
    }
    if (result > 0) {
        return quarantine(apply, client_id, packet, &problem);
    }
    result = put_rows(apply, client_id, packet, &message);
    foxtrackr_message_clear(&message);
    return result;
}

/* To the inbox, with what it says; what says nothing is for quarantine when its turn comes. */
static int put_into_inbox(struct writer_apply *apply, const char *client_id,
                          const struct store_packet *packet, bool *taken)
{
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    bool says = parse(apply, packet, &message, &problem) == 0;
    int result = inbox_put(apply->inbox, client_id, packet, says ? &message : NULL, taken);

    if (says) {
        foxtrackr_message_clear(&message);
    }
    return result;
}

static int apply_message(struct writer_apply *apply, const struct intake_item *item)
{
    const char *client_id = apply->client_ids[item->session];
    const struct store_packet packet = {
        .topic = item->topic,
        .topic_length = item->topic_length,
        .payload = item->payload,
        .payload_length = item->payload_length,
        .received_ms = item->received_ms,
    };
    bool in_inbox = false;
    int result = STORE_OK;

    apply->delivered[item->session] = true;
    if (item->full_length > item->payload_length) {
        return quarantine_oversize(apply, item, &packet);
    }
    if (inbox_takes(apply->inbox)) {
        result = put_into_inbox(apply, client_id, &packet, &in_inbox);
    }
    return result == STORE_OK && !in_inbox ? store_whole(apply, client_id, &packet) : result;
}

static int sort_message(void *context, const char *client_id, const struct store_packet *packet)
{
    pulse_beat();
    return store_whole(context, client_id, packet);
}

static int sort_readings(void *context, const struct store_reading *readings, int count, bool *done)
{
    struct writer_apply *apply = context;
    int result;

    pulse_beat();
    result = store_readings(apply->store, readings, count, done);
    for (int i = 0; i < count && result == STORE_OK; i++) {
        if (done[i]) {
            note_time(apply, &readings[i].message);
        }
    }
    return result;
}

int writer_apply_sort_some(struct writer_apply *apply, const struct writer_limits *limits,
                           bool idle, uint64_t most)
{
    const struct inbox_sink sink = {sort_message, sort_readings, apply};

    apply->limits = limits;
    return inbox_sort_some(apply->inbox, idle, most, clock_monotonic_ms(), &sink);
}

/* An event's filter as a string; NULL when out of memory. */
static char *filter_of(const struct intake_item *item)
{
    return strndup(item->topic, item->topic_length);
}

static int apply_subscription(struct writer_apply *apply, const struct intake_item *item)
{
    const char *client_id = apply->client_ids[item->session];
    char *filter = filter_of(item);
    int result;

    if (filter == NULL) {
        return WRITER_APPLY_E_MEMORY;
    }
    result = item->kind == INTAKE_SUBSCRIBED
                 ? store_subscribed(apply->store, client_id, filter, item->qos, item->received_ms)
                 : store_unsubscribed(apply->store, client_id, filter);
    free(filter);
    return result;
}

int writer_apply_item(struct writer_apply *apply, const struct writer_limits *limits,
                      const struct intake_item *item)
{
    const char *client_id = apply->client_ids[item->session];

    apply->limits = limits;
    switch (item->kind) {
    case INTAKE_MESSAGE:
        return apply_message(apply, item);
    case INTAKE_CONNECTING:
        return store_session_connecting(apply->store, client_id);
    case INTAKE_REFUSED:
        return store_session_settled(apply->store, client_id, STORE_GAP_NONE, 0);
    case INTAKE_SETTLED:
        return store_session_settled(apply->store, client_id, (enum store_gap)item->gap,
                                     item->received_ms);
    case INTAKE_ESTABLISHED:
        return store_session_established(apply->store, client_id, (enum store_gap)item->gap,
                                         item->received_ms);
    case INTAKE_SUBSCRIBED:
    case INTAKE_UNSUBSCRIBED:
        return apply_subscription(apply, item);
    }
    return STORE_OK;
}

int writer_apply_meanwhile(struct writer_apply *apply)
{
    return inbox_finish(apply->inbox);
}

int writer_apply_finish(struct writer_apply *apply, int64_t now_ms)
{
    int result = inbox_finish(apply->inbox);

    for (unsigned i = 0; i < apply->session_count && result == STORE_OK; i++) {
        if (apply->delivered[i]) {
            result = store_session_durable(apply->store, apply->client_ids[i], now_ms);
        }
    }
    return result;
}

void writer_apply_end(struct writer_apply *apply, bool committed)
{
    for (unsigned i = 0; committed && i < WRITER_REASONS; i++) {
        apply->quarantined[i] += apply->batch_quarantined[i];
    }
    memset(apply->batch_quarantined, 0, sizeof(apply->batch_quarantined));
    memset(apply->delivered, 0, apply->session_count * sizeof(*apply->delivered));
    apply->newest_ms = 0;
}

int64_t writer_apply_newest_ms(const struct writer_apply *apply)
{
    return apply->newest_ms;
}

const uint64_t *writer_apply_quarantined(const struct writer_apply *apply)
{
    return apply->quarantined;
}
