/*
 * Applies the items of the intake to the store: a message becomes its rows or a quarantine entry,
 * and a session event is recorded.
 *
 * The store decides when it stores a message in its tables. It then calls parse(), which uses the
 * limits of that moment, and reports the result by understood() or quarantined(), which count it
 * for status and log it. The counts of a batch are dropped when the batch is rolled back.
 */
#include "pipeline/writer_apply_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/sessions.h"

struct writer_apply {
    struct store *store;
    const struct writer_limits *limits;
    const char *const *client_ids;
    unsigned session_count;

    /* The open batch. */
    bool *delivered; /* by session index */
    int64_t newest_ms;
    uint64_t batch_quarantined[WRITER_REASONS];

    uint64_t quarantined[WRITER_REASONS];
    struct log_cause causes[WRITER_REASONS];
};

struct writer_apply *writer_apply_new(struct store *store, const struct writer_limits *limits,
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
    apply->limits = limits;
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

/* --- called by the store -------------------------------------------------------------------- */

static int parse(void *context, const struct store_packet *packet,
                 struct foxtrackr_message *message, struct foxtrackr_problem *problem)
{
    const struct writer_limits *limits = ((const struct writer_apply *)context)->limits;

    return foxtrackr_message_parse(limits->fields, packet->received_ms, limits->max_future_ms,
                                   packet->topic, packet->topic_length, packet->payload,
                                   packet->payload_length, message, problem);
}

static void understood(void *context, int64_t time_ms)
{
    struct writer_apply *apply = context;

    if (time_ms > apply->newest_ms) {
        apply->newest_ms = time_ms;
    }
}

/*
 * Counts and logs a quarantined message. The first message of each reason has a line in the log,
 * and further ones more and more rarely, whatever their details (base/log.h). At level debug every
 * message has one.
 */
static void quarantined(void *context, const struct store_packet *packet,
                        const struct foxtrackr_problem *problem)
{
    struct writer_apply *apply = context;
    const char *name = foxtrackr_reason_name(problem->reason);
    const uint64_t any_text = 1;
    unsigned left_out = 0;
    char topic[512]; /* cut; the table has the whole topic */
    char others[64] = "";
    int priority = LOG_DEBUG;
    struct log_fields fields = {
        .session = packet->client_id, .topic = topic, .reason = name, .id = LOG_ID_QUARANTINED};

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

int writer_apply_attach(struct writer_apply *apply)
{
    const struct store_handler handler = {parse, understood, quarantined, apply};

    return store_attach(apply->store, &handler);
}

/* --- items --------------------------------------------------------------------------------- */

static int quarantine_oversize(struct writer_apply *apply, const struct intake_item *item,
                               const struct store_packet *packet)
{
    struct store_packet cut = *packet;
    struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_OVERSIZE};
    char hex[2 * DIGEST_SIZE + 1];
    int result;

    cut.whole_digest = item->digest;
    digest_hex(item->digest, hex);
    snprintf(problem.detail, sizeof(problem.detail),
             "payload of %zu bytes, over max_payload = %zu; its SHA-256 is %s", item->full_length,
             item->payload_length, hex);
    result = store_quarantine(apply->store, &problem, &cut);
    if (result == STORE_OK) {
        quarantined(apply, &cut, &problem);
    }
    return result;
}

static int apply_message(struct writer_apply *apply, const struct intake_item *item)
{
    const struct store_packet packet = {
        .client_id = apply->client_ids[item->session],
        .topic = item->topic,
        .topic_length = item->topic_length,
        .payload = item->payload,
        .payload_length = item->payload_length,
        .received_ms = item->received_ms,
    };

    apply->delivered[item->session] = true;
    return item->full_length > item->payload_length ? quarantine_oversize(apply, item, &packet)
                                                    : store_apply(apply->store, &packet);
}

/* Returns an event's filter as a string, for free(); NULL when out of memory. */
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

int writer_apply_item(struct writer_apply *apply, const struct intake_item *item)
{
    const char *client_id = apply->client_ids[item->session];
    const struct store_protocol protocol = {.version = item->protocol,
                                            .asked_ms = item->protocol_asked_ms};

    switch (item->kind) {
    case INTAKE_MESSAGE:
        return apply_message(apply, item);
    case INTAKE_CONNECTING:
        return store_session_connecting(apply->store, client_id);
    case INTAKE_REFUSED:
        return store_session_settled(apply->store, client_id, STORE_GAP_NONE, NULL, 0);
    case INTAKE_SETTLED:
        return store_session_settled(apply->store, client_id, (enum store_gap)item->gap, &protocol,
                                     item->received_ms);
    case INTAKE_ESTABLISHED:
        return store_session_established(apply->store, client_id, (enum store_gap)item->gap,
                                         &protocol, item->received_ms);
    case INTAKE_SUBSCRIBED:
    case INTAKE_UNSUBSCRIBED:
        return apply_subscription(apply, item);
    }
    return STORE_OK;
}

int writer_apply_finish(struct writer_apply *apply, int64_t now_ms)
{
    int result = store_flush(apply->store);

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
