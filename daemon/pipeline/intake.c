/*
 * A ring of bytes that holds whole records, one a message, contiguous in memory.
 *
 * Three positions count bytes since the start and never wrap; their offset in the buffer is the
 * position modulo the capacity:
 *
 *     released ≤ read ≤ head ≤ released + capacity
 *
 *     released .. read   the writer's open batch: applied, not yet durable
 *     read .. head       not yet read
 *
 * A record that does not fit before the buffer's end leaves a skip record there and starts at
 * offset 0. The capacity is at least twice the largest record, so an empty ring always has room
 * for one, wherever the head stands: intake_put() cannot wait for ever while the writer runs.
 *
 * A larger max_payload needs a larger buffer. intake_set_max_payload() only allocates it. The
 * writer's thread, which reads without the mutex, switches to it when it has no open batch, and
 * moves the unread records; until then intake_put() blocks for a record that needs it.
 *
 * The ring is common to all sessions and first in, first out. A session's message can wait for
 * another session's messages twice, each time for at most the ring's size: while Paho's thread
 * waits for room, and while the acknowledgement waits for earlier messages. That limits the delay
 * by a flood; a larger ring means a longer delay. Paho's thread turns to the other connections
 * after a few packets (mqtt/paho/ahead.c).
 *
 * The number of a message is its place in the order of puts. `taken` is raised under the mutex and
 * before intake_put() returns, and Paho writes an acknowledgement only after that: when the gate
 * reads acknowledgement bytes, `taken` covers every message that they can acknowledge.
 */
#include "pipeline/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define TOPIC_MAX 65535U /* MQTT 3.1.1 §1.5.3 */
#define ALIGNMENT 8U

struct record {
    size_t size; /* of the whole record, a multiple of ALIGNMENT */
    bool skip;   /* no record here: the next one is at offset 0 */
    int gap;
    int kind;
    int qos;
    unsigned session;
    int protocol;
    int64_t protocol_asked_ms;
    uint64_t in_flight;
    int64_t received_ms;
    size_t topic_length;
    size_t payload_length;
    size_t full_length;
    uint8_t digest[DIGEST_SIZE];
    char bytes[]; /* topic, payload */
};

struct intake {
    pthread_mutex_t mutex;
    pthread_cond_t filled; /* the writer waits here */
    pthread_cond_t room;   /* Paho's thread waits here */
    bool writer_waits;

    uint8_t *buffer;
    size_t capacity;
    uint8_t *grown_buffer; /* allocated for a larger max_payload and not used yet; NULL: none */
    size_t grown_capacity;
    _Atomic size_t max_payload;

    uint64_t head;
    uint64_t read;
    uint64_t released;
    uint64_t read_number; /* of the last message read */
    uint64_t released_number;
    uint64_t
        known_head; /* the head as the writer last saw it: up to here it reads without the mutex */

    bool closed;
    bool stalled;
    struct watermark *watermark;
};

static size_t record_size(size_t topic_length, size_t payload_length)
{
    size_t size = sizeof(struct record) + topic_length + payload_length;

    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct record *record_at(const struct intake *intake, uint64_t position)
{
    return (struct record *)(void *)(intake->buffer + position % intake->capacity);
}

/* Returns a capacity of at least `least`, with room for two records with max_payload bytes of
 * payload; a multiple of the alignment, so that a record header fits wherever a record may
 * start. */
static size_t capacity_for(size_t max_payload, size_t least)
{
    size_t capacity = 2 * record_size(TOPIC_MAX, max_payload);

    capacity = capacity < least ? least : capacity;
    return (capacity + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

int intake_new(struct intake **out, size_t capacity, size_t max_payload,
               struct watermark *watermark)
{
    struct intake *intake = calloc(1, sizeof(*intake));

    if (intake == NULL) {
        return -ENOMEM;
    }
    capacity = capacity_for(max_payload, capacity);
    intake->buffer = malloc(capacity);
    if (intake->buffer == NULL) {
        free(intake);
        return -ENOMEM;
    }
    intake->capacity = capacity;
    intake->max_payload = max_payload;
    intake->watermark = watermark;
    pthread_mutex_init(&intake->mutex, NULL);
    clock_cond_init(&intake->filled);
    clock_cond_init(&intake->room);
    *out = intake;
    return 0;
}

void intake_free(struct intake *intake)
{
    if (intake == NULL) {
        return;
    }
    pthread_cond_destroy(&intake->room);
    pthread_cond_destroy(&intake->filled);
    pthread_mutex_destroy(&intake->mutex);
    free(intake->grown_buffer);
    free(intake->buffer);
    free(intake);
}

/* Returns by how many bytes the head must advance for a record of this size: the record, and the
 * rest of the buffer if the record does not fit there. */
static size_t advance_for(const struct intake *intake, size_t size)
{
    size_t to_end = intake->capacity - (size_t)(intake->head % intake->capacity);

    return size <= to_end ? size : to_end + size;
}

/* With the mutex. Returns false also for a record that only the grown buffer can hold. */
static bool has_room(const struct intake *intake, size_t size)
{
    return size <= intake->capacity / 2 &&
           intake->head + advance_for(intake, size) - intake->released <= intake->capacity;
}

static void append(struct intake *intake, const struct intake_item *item, size_t kept,
                   const uint8_t digest[DIGEST_SIZE])
{
    size_t size = record_size(item->topic_length, kept);
    size_t advance = advance_for(intake, size);
    struct record *record;

    if (advance > size && advance - size >= sizeof(struct record)) {
        record = record_at(intake, intake->head);
        record->size = advance - size;
        record->skip = true;
    }
    intake->head += advance - size;
    record = record_at(intake, intake->head);
    record->size = size;
    record->skip = false;
    record->gap = item->gap;
    record->protocol = item->protocol;
    record->protocol_asked_ms = item->protocol_asked_ms;
    record->kind = (int)item->kind;
    record->qos = item->qos;
    record->session = item->session;
    record->in_flight = item->in_flight;
    record->received_ms = item->received_ms;
    record->topic_length = item->topic_length;
    record->payload_length = kept;
    record->full_length = item->full_length;
    memcpy(record->digest, digest, DIGEST_SIZE);
    if (item->topic_length > 0) {
        memcpy(record->bytes, item->topic, item->topic_length);
    }
    if (kept > 0) {
        memcpy(record->bytes + item->topic_length, item->payload, kept);
    }
    intake->head += size;
}

int intake_put(struct intake *intake, const struct intake_item *item)
{
    uint8_t digest[DIGEST_SIZE] = {0};
    size_t kept;
    size_t size;
    int result = INTAKE_E_REFUSED;

    kept = atomic_load(&intake->max_payload);
    kept = item->payload_length < kept ? item->payload_length : kept;
    if (item->payload_length < item->full_length) {
        memcpy(digest, item->digest, DIGEST_SIZE);
    } else if (kept < item->full_length &&
               digest_sha256(item->payload, item->full_length, NULL, 0, digest) != 0) {
        return INTAKE_E_REFUSED; /* out of memory: the broker will send it again */
    }
    size = record_size(item->topic_length, kept);

    pthread_mutex_lock(&intake->mutex);
    while (!intake->closed && !intake->stalled && !has_room(intake, size)) {
        pthread_cond_wait(&intake->room, &intake->mutex);
    }
    if (!intake->closed && !intake->stalled) {
        append(intake, item, kept, digest);
        atomic_fetch_add(&intake->watermark->taken, 1);
        if (intake->writer_waits) {
            pthread_cond_signal(&intake->filled);
        }
        result = INTAKE_OK;
    }
    pthread_mutex_unlock(&intake->mutex);
    return result;
}

/* Switches to the grown buffer, if there is one and no batch is open. The writer's thread, with the
 * mutex. */
static void use_grown_buffer(struct intake *intake)
{
    uint64_t from = intake->read;
    uint64_t to = 0;

    if (intake->grown_buffer == NULL || intake->read != intake->released) {
        return;
    }
    while (from != intake->head) {
        size_t to_end = intake->capacity - (size_t)(from % intake->capacity);
        const struct record *record = record_at(intake, from);

        if (to_end < sizeof(*record)) {
            from += to_end;
            continue;
        }
        if (!record->skip) {
            memcpy(intake->grown_buffer + to, record, record->size);
            to += record->size;
        }
        from += record->size;
    }
    free(intake->buffer);
    intake->buffer = intake->grown_buffer;
    intake->capacity = intake->grown_capacity;
    intake->grown_buffer = NULL;
    intake->released = 0;
    intake->read = 0;
    intake->head = to;
    intake->known_head = to;
    pthread_cond_broadcast(&intake->room);
}

/* Waits for a record to read. Returns false when none came in time. */
static bool wait_filled(struct intake *intake, int64_t timeout_us, bool *closed)
{
    struct timespec deadline;
    int rc = 0;

    pthread_mutex_lock(&intake->mutex);
    use_grown_buffer(intake);
    if (intake->read == intake->head && !intake->closed && timeout_us > 0) {
        deadline = clock_deadline_us(timeout_us);
        intake->writer_waits = true;
        while (intake->read == intake->head && !intake->closed && rc == 0) {
            rc = pthread_cond_timedwait(&intake->filled, &intake->mutex, &deadline);
            use_grown_buffer(intake);
        }
        intake->writer_waits = false;
    }
    intake->known_head = intake->head;
    *closed = intake->closed;
    pthread_mutex_unlock(&intake->mutex);
    return intake->read != intake->known_head;
}

/* Returns the record at the read position, after any skip record. */
static struct record *record_to_read(struct intake *intake)
{
    size_t to_end = intake->capacity - (size_t)(intake->read % intake->capacity);
    struct record *record;

    if (to_end < sizeof(struct record)) {
        intake->read += to_end; /* too little room for even a skip record */
    }
    record = record_at(intake, intake->read);
    if (record->skip) {
        intake->read += record->size;
        record = record_at(intake, intake->read);
    }
    return record;
}

int intake_next(struct intake *intake, struct intake_item *out, int64_t timeout_us)
{
    struct record *record;
    bool closed = false;
    int result;

    /* Only this thread moves `read`, and no thread changes the records before a head already seen;
     * taking the mutex for every record would only delay Paho's thread. */
    if (intake->read != intake->known_head || wait_filled(intake, timeout_us, &closed)) {
        record = record_to_read(intake);
        intake->read += record->size;
        intake->read_number++;
        out->kind = (enum intake_kind)record->kind;
        out->session = record->session;
        out->in_flight = record->in_flight;
        out->qos = record->qos;
        out->gap = record->gap;
        out->protocol = record->protocol;
        out->protocol_asked_ms = record->protocol_asked_ms;
        out->received_ms = record->received_ms;
        out->topic = record->bytes;
        out->topic_length = record->topic_length;
        out->payload = record->bytes + record->topic_length;
        out->payload_length = record->payload_length;
        out->full_length = record->full_length;
        memcpy(out->digest, record->digest, DIGEST_SIZE);
        result = INTAKE_OK;
    } else {
        result = closed ? INTAKE_E_CLOSED : INTAKE_E_EMPTY;
    }
    return result;
}

uint64_t intake_release(struct intake *intake)
{
    uint64_t number;

    pthread_mutex_lock(&intake->mutex);
    intake->released = intake->read;
    intake->released_number = intake->read_number;
    number = intake->released_number;
    use_grown_buffer(intake);
    pthread_cond_broadcast(&intake->room);
    pthread_mutex_unlock(&intake->mutex);
    return number;
}

void intake_rewind(struct intake *intake)
{
    pthread_mutex_lock(&intake->mutex);
    intake->read = intake->released;
    intake->read_number = intake->released_number;
    pthread_mutex_unlock(&intake->mutex);
}

void intake_set_stalled(struct intake *intake, bool stalled)
{
    pthread_mutex_lock(&intake->mutex);
    intake->stalled = stalled;
    pthread_cond_broadcast(&intake->room);
    pthread_mutex_unlock(&intake->mutex);
}

int intake_set_max_payload(struct intake *intake, size_t max_payload)
{
    size_t capacity = capacity_for(max_payload, 0);
    uint8_t *buffer = NULL;
    uint8_t *unused = NULL;
    bool grows;

    pthread_mutex_lock(&intake->mutex);
    grows = capacity > intake->capacity &&
            (intake->grown_buffer == NULL || capacity > intake->grown_capacity);
    pthread_mutex_unlock(&intake->mutex);
    if (grows) {
        buffer = malloc(capacity);
        if (buffer == NULL) {
            return -ENOMEM;
        }
    }
    pthread_mutex_lock(&intake->mutex);
    if (grows) {
        unused = intake->grown_buffer;
        intake->grown_buffer = buffer;
        intake->grown_capacity = capacity;
        pthread_cond_signal(&intake->filled);
    }
    atomic_store(&intake->max_payload, max_payload);
    pthread_mutex_unlock(&intake->mutex);
    free(unused);
    return 0;
}

void intake_close(struct intake *intake)
{
    pthread_mutex_lock(&intake->mutex);
    intake->closed = true;
    pthread_cond_broadcast(&intake->filled);
    pthread_cond_broadcast(&intake->room);
    pthread_mutex_unlock(&intake->mutex);
}

bool intake_wait_closed(struct intake *intake, int timeout_ms)
{
    const struct timespec deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    bool closed;
    int rc = 0;

    pthread_mutex_lock(&intake->mutex);
    while (!intake->closed && timeout_ms > 0 && rc == 0) {
        rc = pthread_cond_timedwait(&intake->filled, &intake->mutex, &deadline);
    }
    closed = intake->closed;
    pthread_mutex_unlock(&intake->mutex);
    return closed;
}

void intake_pending(struct intake *intake, uint64_t *items, size_t *bytes)
{
    pthread_mutex_lock(&intake->mutex);
    *items = atomic_load(&intake->watermark->taken) - intake->released_number;
    *bytes = (size_t)(intake->head - intake->released);
    pthread_mutex_unlock(&intake->mutex);
}
