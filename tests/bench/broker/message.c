/*
 * A message is a template with digits patched in: a broker that formatted every message would be
 * what the benchmark measures. Devices take turns. Battery and temperature alternate from message
 * to message, and for an even number of devices from turn to turn of each, as a fleet mixes them:
 * thousands of one type in a row would dirty one table only in each commit. A device's times
 * increase, so that each message is one new row.
 */
#include "message.h"

#include <string.h>

#define DEVICE_DIGITS 6
#define TIME_DIGITS   13

/* '#': a digit of the device, '@': of the time in ms, '%': of the value. */
static const char battery_topic[] = "foxtrackr/dev######/V3.0/bat";
static const char battery_body[] =
    "{\"messageType\":1,\"deviceId\":\"dev######\",\"version\":3,\"timeMs\":@@@@@@@@@@@@@,"
    "\"battery\":{\"voltage\":3.%%%,\"level\":87}}";
static const char temperature_topic[] = "foxtrackr/dev######/V3.0/temp";
static const char temperature_body[] =
    "{\"messageType\":2,\"deviceId\":\"dev######\",\"version\":3,\"timeMs\":@@@@@@@@@@@@@,"
    "\"temperature\":{\"celsius\":21.%%%}}";

static void put_digits(uint8_t *first, size_t count, uint64_t value)
{
    for (size_t i = count; i-- > 0; value /= 10) {
        first[i] = (uint8_t)('0' + value % 10);
    }
}

/* Copy the template and patch the runs of '#', '@' and '%'. */
static uint8_t *put(uint8_t *out, const char *text, size_t length, uint64_t device, int64_t time_ms,
                    uint64_t value)
{
    const char *at;

    memcpy(out, text, length);
    at = memchr(text, '#', length);
    put_digits(out + (at - text), DEVICE_DIGITS, device);
    at = memchr(text, '@', length);
    if (at != NULL) {
        put_digits(out + (at - text), TIME_DIGITS, (uint64_t)time_ms);
        at = memchr(text, '%', length);
        put_digits(out + (at - text), 3, value % 1000);
    }
    return out + length;
}

size_t message_put(const struct message_plan *plan, uint64_t number,
                   const struct delivery *delivery, uint16_t packet_id, bool duplicate,
                   uint8_t *out)
{
    uint64_t device = number % plan->devices;
    uint64_t turn = number / plan->devices;
    bool battery = (device + turn) % 2 == 0;
    int64_t time_ms = plan->start_ms + (int64_t)turn * plan->step_ms;
    const char *topic = battery ? battery_topic : temperature_topic;
    size_t topic_length = battery ? sizeof(battery_topic) - 1 : sizeof(temperature_topic) - 1;
    const char *body = battery ? battery_body : temperature_body;
    size_t body_length = battery ? sizeof(battery_body) - 1 : sizeof(temperature_body) - 1;
    size_t remaining =
        2 + topic_length + (delivery->qos > 0 ? 2 : 0) + delivery->mqtt_5 + body_length;
    uint8_t *at = out;

    *at++ = (uint8_t)(0x30 | (duplicate ? 0x08 : 0) | delivery->qos << 1);
    if (remaining > 127) {
        *at++ = (uint8_t)(remaining % 128 | 0x80);
        *at++ = (uint8_t)(remaining / 128);
    } else {
        *at++ = (uint8_t)remaining;
    }
    *at++ = (uint8_t)(topic_length >> 8);
    *at++ = (uint8_t)topic_length;
    at = put(at, topic, topic_length, device, time_ms, number);
    if (delivery->qos > 0) {
        *at++ = (uint8_t)(packet_id >> 8);
        *at++ = (uint8_t)packet_id;
    }
    if (delivery->mqtt_5) {
        *at++ = 0;
    }
    at = put(at, body, body_length, device, time_ms, number);
    return (size_t)(at - out);
}
