/*
 * Readings come in rounds: in each, every device reports its battery and then its temperature. The
 * rounds are spread evenly over the span. Between them go messages of another type, garbage and
 * oversized payloads, spread evenly too.
 *
 * The manifest is written from the numbers that went into the messages, never by parsing them, and
 * the numbers as the same text: a test can compare for equality.
 */
#include "story.h"

#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tracker.h"

#define TOPIC_SIZE   256
#define PAYLOAD_SIZE 1024

struct story {
    const struct story_options *options;
    struct tracker *trackers;
    int64_t rounds;
    uint64_t random;
    FILE *manifest;
    story_emit *emit;
    void *context;
};

static void emit(struct story *story, const char *topic, const void *payload, size_t length)
{
    story->emit(story->context, topic, payload, length);
}

/* A line of the manifest, if there is one. */
static void expect(const struct story *story, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void expect(const struct story *story, const char *format, ...)
{
    va_list arguments;

    if (story->manifest == NULL) {
        return;
    }
    va_start(arguments, format);
    vfprintf(story->manifest, format, arguments);
    va_end(arguments);
    fputc('\n', story->manifest);
}

/* A message that ends in quarantine, and what the manifest says about it. Topics here hold nothing
 * that JSON would escape. */
static void emit_quarantined(struct story *story, const char *reason, const char *topic,
                             const unsigned char *payload, size_t length)
{
    emit(story, topic, payload, length);
    if (story->manifest == NULL) {
        return;
    }
    fprintf(story->manifest, "{\"table\":\"quarantine\",\"reason\":\"%s\",\"topic\":\"%s\",",
            reason, topic);
    fputs("\"copies\":1,\"payload\":\"", story->manifest);
    for (size_t i = 0; i < length; i++) {
        fprintf(story->manifest, "%02x", payload[i]);
    }
    fputs("\"}\n", story->manifest);
}

static void make_trackers(struct story *story)
{
    const struct story_options *options = story->options;

    story->trackers = calloc((size_t)options->devices, sizeof *story->trackers);
    if (story->trackers == NULL) {
        errx(EXIT_FAILURE, "out of memory");
    }
    for (int i = 0; i < options->devices; i++) {
        tracker_make(&story->trackers[i], options, i, &story->random);
    }
}

/* When a device reports in a round; the devices of a round follow each other. */
static int64_t reading_time_ms(const struct story *story, int64_t round, int device)
{
    int64_t before_end_ms = story->options->span_ms * (story->rounds - 1 - round) / story->rounds;
    int64_t stagger_ms = story->options->span_ms / story->rounds *
                         (story->options->devices - 1 - device) / story->options->devices;

    return story->options->end_ms - before_end_ms - stagger_ms;
}

static int copies_of(const struct story *story, const struct tracker *tracker)
{
    return story->options->group_topics && tracker->group[0] != '\0' ? 2 : 1;
}

/* The copies of a reading: on the device's topic, and on its group's if asked for. */
static void emit_reading(struct story *story, const struct tracker *tracker, const char *type,
                         const char *payload)
{
    char topic[TOPIC_SIZE];

    snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/%s", tracker->id, type);
    emit(story, topic, payload, strlen(payload));
    if (copies_of(story, tracker) == 2) {
        snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/%s", tracker->group, type);
        emit(story, topic, payload, strlen(payload));
    }
}

/* The battery falls slowly from 4.15 V. */
static void play_battery(struct story *story, struct tracker *tracker, int64_t time_ms)
{
    double full = tracker_charge(tracker, story->options, time_ms);
    bool charging = full > 0.99;
    char volts[16];
    char payload[PAYLOAD_SIZE];
    int level = (int)lround(100 * full);

    snprintf(volts, sizeof volts, "%.3f",
             3.45 + 0.7 * full + 0.006 * (tracker_random(&story->random) - 0.5));
    snprintf(payload, sizeof payload,
             "{\"messageType\":1,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
             "\"battery\":{\"voltage\":%s,\"level\":%d,\"charging\":%s},\"rssi\":%d}",
             tracker->id, time_ms, volts, level, charging ? "true" : "false", tracker->rssi_dbm);
    emit_reading(story, tracker, "bat", payload);
    tracker_note_level(tracker, time_ms, level);
    expect(story,
           "{\"table\":\"battery\",\"device\":\"%s\",\"time_ms\":%" PRId64 ",\"message_type\":1,"
           "\"voltage_v\":%s,\"level_pct\":%d,"
           "\"extra\":{\"battery\":{\"charging\":%s},\"rssi\":%d},\"copies\":%d}",
           tracker->id, time_ms, volts, level, charging ? "true" : "false", tracker->rssi_dbm,
           copies_of(story, tracker));
}

static void play_temperature(struct story *story, struct tracker *tracker, int64_t time_ms)
{
    double celsius = tracker_celsius(tracker, time_ms, tracker_random(&story->random));
    char text[16];
    char payload[PAYLOAD_SIZE];

    snprintf(text, sizeof text, "%.2f", celsius);
    snprintf(payload, sizeof payload,
             "{\"messageType\":2,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
             "\"temperature\":{\"celsius\":%s,\"sensor\":\"internal\"}}",
             tracker->id, time_ms, text);
    emit_reading(story, tracker, "temp", payload);
    tracker_note_celsius(tracker, time_ms, celsius);
    expect(story,
           "{\"table\":\"temperature\",\"device\":\"%s\",\"time_ms\":%" PRId64 ","
           "\"message_type\":2,\"celsius\":%s,"
           "\"extra\":{\"temperature\":{\"sensor\":\"internal\"}},\"copies\":%d}",
           tracker->id, time_ms, text, copies_of(story, tracker));
}

/* A type that has no columns of its own. */
static void play_other(struct story *story, const struct tracker *tracker, int64_t time_ms,
                       int64_t index)
{
    char topic[TOPIC_SIZE];
    char payload[PAYLOAD_SIZE];

    snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/gps", tracker->id);
    snprintf(payload, sizeof payload,
             "{\"messageType\":7,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
             "\"gps\":{\"lat\":%.5f,\"lon\":%.5f,\"fix\":%" PRId64 "}}",
             tracker->id, time_ms, 52.0 + tracker_random(&story->random),
             4.5 + tracker_random(&story->random), index);
    emit(story, topic, payload, strlen(payload));
    expect(story,
           "{\"table\":\"messages\",\"device\":\"%s\",\"type\":\"gps\",\"time_ms\":%" PRId64 ","
           "\"message_type\":7,\"body\":%s,\"copies\":1}",
           tracker->id, time_ms, payload);
}

/*
 * The kinds of garbage. @D is the device, @T the time of its last battery reading, @N a number that
 * makes each message different. `bytes` stands for what a C string cannot hold: it is put in front
 * of the body.
 */
static const struct garbage {
    const char *reason;
    const char *topic;
    const char *body;
    const char *bytes;
    size_t length;
} garbage_kinds[] = {
    {"topic", "foxtrackr/@D/V3.0", "{\"messageType\":1,\"n\":@N}", "", 0},
    {"version", "foxtrackr/@D/v1.0/bat", "{\"messageType\":1,\"n\":@N}", "", 0},
    {"encoding", "foxtrackr/@D/V3.0/temp", "{\"unit\":\"C\",\"n\":@N}", "\xb0\x00", 2},
    {"json", "foxtrackr/@D/V3.0/bat",
     "{\"messageType\":1,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":@T,\"batt@N", "", 0},
    {"envelope", "foxtrackr/@D/V3.0/bat",
     "{\"messageType\":1,\"version\":3,\"timeMs\":@T,\"battery\":{\"voltage\":4,\"n\":@N}}", "", 0},
    {"body", "foxtrackr/@D/V3.0/bat",
     "{\"messageType\":1,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":@T,\"n\":@N}", "", 0},
    {"time", "foxtrackr/@D/V3.0/bat",
     "{\"messageType\":1,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":@N,\"battery\":{\"voltage\":"
     "4}}",
     "", 0},
    {"conflict", "foxtrackr/@D/V3.0/bat",
     "{\"messageType\":1,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":@T,"
     "\"battery\":{\"voltage\":1.5},\"n\":@N}",
     "", 0},
    {"topic", "foxtrackr/@D/V3.0/bat/raw", "{\"n\":@N}", "", 0},
    {"version", "foxtrackr/@D/V3.0/bat",
     "{\"messageType\":1,\"deviceId\":\"@D\",\"version\":2,\"timeMs\":@T,"
     "\"battery\":{\"voltage\":4,\"n\":@N}}",
     "", 0},
    {"encoding", "foxtrackr/@D/V3.0/bat", "{\"messageType\":1,\"n\":@N}", "\xef\xbb\xbf", 3},
    {"json", "foxtrackr/@D/V3.0/bat",
     "{\"messageType\":1,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":@T,"
     "\"battery\":{\"voltage\":4,\"voltage\":3},\"n\":@N}",
     "", 0},
    {"envelope", "foxtrackr/@D/V3.0/temp",
     "{\"messageType\":2,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":\"@N\","
     "\"temperature\":{\"celsius\":4}}",
     "", 0},
    {"body", "foxtrackr/@D/V3.0/temp",
     "{\"messageType\":2,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":@T,"
     "\"temperature\":\"mild\",\"n\":@N}",
     "", 0},
    {"time", "foxtrackr/@D/V3.0/temp", /* the year 2100 */
     "{\"messageType\":2,\"deviceId\":\"@D\",\"version\":3,\"timeMs\":4102444800000,"
     "\"temperature\":{\"celsius\":4,\"n\":@N}}",
     "", 0},
};

/* Fill in a template of garbage_kinds; returns the length. */
static size_t expand(char *out, size_t size, const char *template, const struct tracker *tracker,
                     int64_t time_ms, int64_t number)
{
    size_t length = 0;

    while (*template != '\0' && length + 32 < size) {
        char *at = out + length;
        size_t room = size - length;

        if (*template != '@') {
            out[length++] = *template ++;
            continue;
        }
        if (template[1] == 'D') {
            length += (size_t)snprintf(at, room, "%s", tracker->id);
        } else {
            length += (size_t)snprintf(at, room, "%" PRId64, template[1] == 'T' ? time_ms : number);
        }
        template += 2;
    }
    out[length] = '\0';
    return length;
}

static void play_garbage(struct story *story, const struct tracker *tracker, int64_t time_ms,
                         int64_t index)
{
    const int64_t kinds = (int64_t)(sizeof garbage_kinds / sizeof garbage_kinds[0]);
    const struct garbage *kind = &garbage_kinds[index % kinds];
    char topic[TOPIC_SIZE];
    char payload[PAYLOAD_SIZE];
    size_t length;

    expand(topic, sizeof topic, kind->topic, tracker, time_ms, index);
    memcpy(payload, kind->bytes, kind->length);
    length = kind->length + expand(payload + kind->length, sizeof payload - kind->length,
                                   kind->body, tracker, time_ms, index);
    emit_quarantined(story, kind->reason, topic, (unsigned char *)payload, length);
}

/* A good reading, but for a member so long that the payload exceeds the limit. */
static void play_oversize(struct story *story, const struct tracker *tracker, int64_t time_ms,
                          int64_t index)
{
    size_t length = story->options->max_payload + 1 + (size_t)index;
    char *payload = malloc(length + 1);
    char topic[TOPIC_SIZE];
    int head;

    if (payload == NULL) {
        errx(EXIT_FAILURE, "out of memory");
    }
    snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/bat", tracker->id);
    memset(payload, 'x', length);
    head = snprintf(payload, length,
                    "{\"messageType\":1,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
                    "\"battery\":{\"voltage\":4},\"note\":\"",
                    tracker->id, time_ms);
    payload[head] = 'x';
    payload[length - 2] = '"';
    payload[length - 1] = '}';
    emit_quarantined(story, "oversize", topic, (unsigned char *)payload, length);
    free(payload);
}

/* Plays the events between the readings: `done` of `total` was played, and of the readings
 * `part`. */
static void play_due(struct story *story, const struct tracker *tracker, int64_t time_ms,
                     double part, int64_t *done, int64_t total,
                     void (*play)(struct story *, const struct tracker *, int64_t, int64_t))
{
    while (*done < total && (double)*done < part * (double)total) {
        play(story, tracker, time_ms, *done);
        (*done)++;
    }
}

static void expect_groups(const struct story *story)
{
    const struct story_options *options = story->options;

    for (int i = 0; i < options->devices && INT64_C(2) * i < options->readings; i++) {
        if (copies_of(story, &story->trackers[i]) == 2) {
            expect(story, "{\"table\":\"device_groups\",\"device\":\"%s\",\"group\":\"%s\"}",
                   story->trackers[i].id, story->trackers[i].group);
        }
    }
}

static void play(struct story *story)
{
    const struct story_options *options = story->options;
    const struct tracker *heard = NULL; /* the last one that has reported, and when */
    int64_t heard_ms = 0;
    int64_t garbage = 0;
    int64_t other = 0;
    int64_t oversize = 0;

    expect_groups(story);
    for (int64_t i = 0; i < options->readings; i += 2) {
        int number = (int)(i / 2 % options->devices);
        struct tracker *tracker = &story->trackers[number];
        int64_t time_ms = reading_time_ms(story, i / 2 / options->devices, number);
        double part = i + 2 >= options->readings ? 1.0 : (double)i / (double)options->readings;
        bool reports = tracker_reports(tracker, time_ms);

        if (reports) {
            play_battery(story, tracker, time_ms);
            heard = tracker;
            heard_ms = time_ms;
        }
        if (heard != NULL) {
            play_due(story, heard, heard_ms, part, &garbage, options->garbage, play_garbage);
            play_due(story, heard, heard_ms, part, &other, options->other, play_other);
            play_due(story, heard, heard_ms, part, &oversize, options->oversize, play_oversize);
        }
        if (reports && i + 1 < options->readings) {
            play_temperature(story, tracker, time_ms);
        }
        if (!reports) { /* as many as above: the readings of the others do not change */
            (void)tracker_random(&story->random);
            (void)tracker_random(&story->random);
        }
    }
}

void story_tell(const struct story_options *options, FILE *manifest, FILE *truth,
                story_emit *emit_message, void *context)
{
    int64_t round = 2 * (int64_t)options->devices;
    struct story story = {.options = options,
                          .rounds = (options->readings + round - 1) / round,
                          .random = options->seed,
                          .manifest = manifest,
                          .emit = emit_message,
                          .context = context};

    make_trackers(&story);
    play(&story);
    for (int i = 0; truth != NULL && i < options->devices; i++) {
        if (story.trackers[i].seen.last_ms != 0) {
            tracker_write_truth(&story.trackers[i], options, truth);
        }
    }
    free(story.trackers);
}
