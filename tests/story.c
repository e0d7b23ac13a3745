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

#define TOPIC_SIZE   256
#define PAYLOAD_SIZE 1024
#define DAY_MS       INT64_C(86400000)

/* One tracker. What it reports depends on its number, the seed and the time. */
struct device {
    char id[16];
    char group[24];
    double phase;       /* of its day, radians: where it stands */
    double discharge_h; /* hours from full to empty */
    double charged_h;   /* how long ago it was full when the story begins, hours */
    int rssi_dbm;
};

struct story {
    const struct story_options *options;
    struct device *devices;
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

/* splitmix64: small, and the same on every machine. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static double random_unit(struct story *story)
{
    return (double)(random_next(&story->random) >> 11) / 9007199254740992.0;
}

static void make_devices(struct story *story)
{
    static const char *const names[] = {"depot-north", "depot-south", "trailers",
                                        "reefers",     "rentals",     "spares"};
    const struct story_options *options = story->options;
    const int name_count = (int)(sizeof names / sizeof names[0]);

    story->devices = calloc((size_t)options->devices, sizeof *story->devices);
    if (story->devices == NULL) {
        errx(EXIT_FAILURE, "out of memory");
    }
    for (int i = 0; i < options->devices; i++) {
        struct device *device = &story->devices[i];
        int group = options->groups > 0 ? i % options->groups : 0;

        /* Five hexadecimal digits, like the ids in the wild; some of them look like numbers. */
        snprintf(device->id, sizeof device->id, "%05X", (unsigned)(0x1BBC0 + i * 14));
        if (group < name_count) {
            snprintf(device->group, sizeof device->group, "%s", names[group]);
        } else {
            snprintf(device->group, sizeof device->group, "group-%d", group);
        }
        device->phase = random_unit(story) * 0.8;
        device->discharge_h = 24 * (9 + 12 * random_unit(story));
        device->charged_h = device->discharge_h * 0.7 * random_unit(story);
        device->rssi_dbm = -60 - (int)(40 * random_unit(story));
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

/* The copies of a reading: on the device's topic, and on its group's if asked for. */
static void emit_reading(struct story *story, const struct device *device, const char *type,
                         const char *payload)
{
    char topic[TOPIC_SIZE];

    snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/%s", device->id, type);
    emit(story, topic, payload, strlen(payload));
    if (story->options->group_topics) {
        snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/%s", device->group, type);
        emit(story, topic, payload, strlen(payload));
    }
}

/* The battery falls slowly from 4.15 V; at 15 % somebody charges it. */
static void play_battery(struct story *story, const struct device *device, int64_t time_ms)
{
    double hours =
        (double)(time_ms - story->options->end_ms + story->options->span_ms) / 3600000.0 +
        device->charged_h;
    double full = 1.0 - 0.85 * fmod(hours, device->discharge_h) / device->discharge_h;
    bool charging = full > 0.99;
    char volts[16];
    char payload[PAYLOAD_SIZE];
    int level = (int)lround(100 * full);

    snprintf(volts, sizeof volts, "%.3f", 3.45 + 0.7 * full + 0.006 * (random_unit(story) - 0.5));
    snprintf(payload, sizeof payload,
             "{\"messageType\":1,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
             "\"battery\":{\"voltage\":%s,\"level\":%d,\"charging\":%s},\"rssi\":%d}",
             device->id, time_ms, volts, level, charging ? "true" : "false", device->rssi_dbm);
    emit_reading(story, device, "bat", payload);
    expect(story,
           "{\"table\":\"battery\",\"device\":\"%s\",\"time_ms\":%" PRId64 ",\"message_type\":1,"
           "\"voltage_v\":%s,\"level_pct\":%d,"
           "\"extra\":{\"battery\":{\"charging\":%s},\"rssi\":%d},\"copies\":%d}",
           device->id, time_ms, volts, level, charging ? "true" : "false", device->rssi_dbm,
           story->options->group_topics ? 2 : 1);
}

/* The temperature follows the day: coldest before dawn, warmest in the afternoon. */
static void play_temperature(struct story *story, const struct device *device, int64_t time_ms)
{
    double day = 2 * M_PI * (double)(time_ms % DAY_MS) / (double)DAY_MS;
    double celsius = 11 - 7.5 * cos(day - 1.0 + device->phase) + 0.8 * random_unit(story);
    char text[16];
    char payload[PAYLOAD_SIZE];

    snprintf(text, sizeof text, "%.2f", celsius);
    snprintf(payload, sizeof payload,
             "{\"messageType\":2,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
             "\"temperature\":{\"celsius\":%s,\"sensor\":\"internal\"}}",
             device->id, time_ms, text);
    emit_reading(story, device, "temp", payload);
    expect(story,
           "{\"table\":\"temperature\",\"device\":\"%s\",\"time_ms\":%" PRId64 ","
           "\"message_type\":2,\"celsius\":%s,"
           "\"extra\":{\"temperature\":{\"sensor\":\"internal\"}},\"copies\":%d}",
           device->id, time_ms, text, story->options->group_topics ? 2 : 1);
}

/* A type that has no columns of its own. */
static void play_other(struct story *story, const struct device *device, int64_t time_ms,
                       int64_t index)
{
    char topic[TOPIC_SIZE];
    char payload[PAYLOAD_SIZE];

    snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/gps", device->id);
    snprintf(payload, sizeof payload,
             "{\"messageType\":7,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
             "\"gps\":{\"lat\":%.5f,\"lon\":%.5f,\"fix\":%" PRId64 "}}",
             device->id, time_ms, 52.0 + random_unit(story), 4.5 + random_unit(story), index);
    emit(story, topic, payload, strlen(payload));
    expect(story,
           "{\"table\":\"messages\",\"device\":\"%s\",\"type\":\"gps\",\"time_ms\":%" PRId64 ","
           "\"message_type\":7,\"body\":%s,\"copies\":1}",
           device->id, time_ms, payload);
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
static size_t expand(char *out, size_t size, const char *template, const struct device *device,
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
            length += (size_t)snprintf(at, room, "%s", device->id);
        } else {
            length += (size_t)snprintf(at, room, "%" PRId64, template[1] == 'T' ? time_ms : number);
        }
        template += 2;
    }
    out[length] = '\0';
    return length;
}

static void play_garbage(struct story *story, const struct device *device, int64_t time_ms,
                         int64_t index)
{
    const int64_t kinds = (int64_t)(sizeof garbage_kinds / sizeof garbage_kinds[0]);
    const struct garbage *kind = &garbage_kinds[index % kinds];
    char topic[TOPIC_SIZE];
    char payload[PAYLOAD_SIZE];
    size_t length;

    expand(topic, sizeof topic, kind->topic, device, time_ms, index);
    memcpy(payload, kind->bytes, kind->length);
    length = kind->length + expand(payload + kind->length, sizeof payload - kind->length,
                                   kind->body, device, time_ms, index);
    emit_quarantined(story, kind->reason, topic, (unsigned char *)payload, length);
}

/* A good reading, but for a member so long that the payload exceeds the limit. */
static void play_oversize(struct story *story, const struct device *device, int64_t time_ms,
                          int64_t index)
{
    size_t length = story->options->max_payload + 1 + (size_t)index;
    char *payload = malloc(length + 1);
    char topic[TOPIC_SIZE];
    int head;

    if (payload == NULL) {
        errx(EXIT_FAILURE, "out of memory");
    }
    snprintf(topic, sizeof topic, "foxtrackr/%s/V3.0/bat", device->id);
    memset(payload, 'x', length);
    head = snprintf(payload, length,
                    "{\"messageType\":1,\"deviceId\":\"%s\",\"version\":3,\"timeMs\":%" PRId64 ","
                    "\"battery\":{\"voltage\":4},\"note\":\"",
                    device->id, time_ms);
    payload[head] = 'x';
    payload[length - 2] = '"';
    payload[length - 1] = '}';
    emit_quarantined(story, "oversize", topic, (unsigned char *)payload, length);
    free(payload);
}

/* Plays the events between the readings: `done` of `total` was played, and of the readings
 * `part`. */
static void play_due(struct story *story, const struct device *device, int64_t time_ms, double part,
                     int64_t *done, int64_t total,
                     void (*play)(struct story *, const struct device *, int64_t, int64_t))
{
    while (*done < total && (double)*done < part * (double)total) {
        play(story, device, time_ms, *done);
        (*done)++;
    }
}

static void play(struct story *story)
{
    const struct story_options *options = story->options;
    int64_t garbage = 0;
    int64_t other = 0;
    int64_t oversize = 0;

    if (options->group_topics) {
        for (int i = 0; i < options->devices && INT64_C(2) * i < options->readings; i++) {
            expect(story, "{\"table\":\"device_groups\",\"device\":\"%s\",\"group\":\"%s\"}",
                   story->devices[i].id, story->devices[i].group);
        }
    }

    for (int64_t i = 0; i < options->readings; i += 2) {
        int number = (int)(i / 2 % options->devices);
        const struct device *device = &story->devices[number];
        int64_t time_ms = reading_time_ms(story, i / 2 / options->devices, number);
        double part = i + 2 >= options->readings ? 1.0 : (double)i / (double)options->readings;

        play_battery(story, device, time_ms);
        play_due(story, device, time_ms, part, &garbage, options->garbage, play_garbage);
        play_due(story, device, time_ms, part, &other, options->other, play_other);
        play_due(story, device, time_ms, part, &oversize, options->oversize, play_oversize);
        if (i + 1 < options->readings) {
            play_temperature(story, device, time_ms);
        }
    }
}

void story_tell(const struct story_options *options, FILE *manifest, story_emit *emit_message,
                void *context)
{
    int64_t round = 2 * (int64_t)options->devices;
    struct story story = {.options = options,
                          .rounds = (options->readings + round - 1) / round,
                          .random = options->seed,
                          .manifest = manifest,
                          .emit = emit_message,
                          .context = context};

    make_devices(&story);
    play(&story);
    free(story.devices);
}
