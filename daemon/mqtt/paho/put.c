/*
 * The packets that Paho gives to its persistence, and nothing taken on trust.
 *
 * Paho acknowledges a QoS 2 message as soon as it has put the packet, whatever the plugin made of
 * it. A key that is not known, another number of buffers or a packet that is cut short may
 * therefore be a message that goes lost. None of them can come from Paho 1.3 with a well-formed
 * packet, so each is told apart from what is known to be none of the plugin's business.
 */
#include "mqtt/paho/put_internal.h"

#include <stdbool.h>
#include <string.h>

#include "mqtt/paho/properties_internal.h"

#define BUFFERS      2 /* the fixed header, and the rest of the packet */
#define TYPE_PUBLISH 3
#define ID_MAX       65535

/* Commands of ours that wait to be sent, messages that wait for messageArrived, and the two keys of
 * a message that is being sent: where nothing is checked (mqtt/paho/check.c), Paho answers an
 * unasked PUBREC with a PUBREL, and stores that. */
static const char *const others[] = {"c-", "q-", "s-", "sc-", "c5-", "q5-", "s5-", "sc5-"};

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_of_others(const char *key)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (starts_with(key, others[i])) {
            return true;
        }
    }
    return false;
}

/*
 * Look at every key first by this: it is called twice a message, and others[] takes longer.
 * Returns the digits of the key of a PUBLISH received, "r-ID" or in MQTT 5 "r5-ID", and sets *is_5;
 * NULL: it is another key.
 */
static const char *digits_of_received(const char *key, bool *is_5)
{
    if (key[0] != 'r') {
        return NULL;
    }
    *is_5 = key[1] == '5';
    key += *is_5 ? 2 : 1;
    return key[0] == '-' ? key + 1 : NULL;
}

/* A packet identifier in decimal digits; 0: it is none. */
static unsigned packet_id(const char *digits)
{
    unsigned id = 0;

    for (; *digits >= '0' && *digits <= '9' && id <= ID_MAX; digits++) {
        id = id * 10 + (unsigned)(*digits - '0');
    }
    return *digits == '\0' && id <= ID_MAX ? id : 0;
}

static unsigned two_bytes(const char *bytes)
{
    return (unsigned)(unsigned char)bytes[0] << 8 | (unsigned char)bytes[1];
}

/* A PUBLISH without its fixed header: topic, packet identifier, in MQTT 5 properties, payload
 * (§3.3). NULL, or what is wrong with it. */
static const char *read_publish(const char *bytes, size_t length, bool is_5, struct paho_put *out)
{
    size_t topic_length = length < 2 ? 0 : two_bytes(bytes);
    size_t before_payload = 2 + topic_length + 2;
    size_t properties = 0;

    if (length < before_payload ||
        (is_5 && !mqtt_properties_size((const unsigned char *)bytes + before_payload,
                                       length - before_payload, &properties))) {
        return "a packet that is cut short";
    }
    before_payload += properties;
    *out = (struct paho_put){
        .id = two_bytes(bytes + 2 + topic_length),
        .topic = bytes + 2,
        .topic_length = topic_length,
        .payload = bytes + before_payload,
        .payload_length = length - before_payload,
    };
    return NULL;
}

enum paho_put_kind paho_put_read(const char *key, int count, char *const buffers[],
                                 const int lengths[], struct paho_put *out, const char **reason)
{
    bool is_5 = false;
    const char *digits = digits_of_received(key, &is_5);
    struct paho_put read = {0};

    if (digits == NULL && is_of_others(key)) {
        return PAHO_PUT_NOTHING;
    }
    *reason = NULL;
    if (digits == NULL) {
        *reason = "an unknown persistence key";
    } else if (count != BUFFERS || lengths[0] < 2 || lengths[1] < 0) {
        *reason = "another number of buffers for a packet";
    } else if ((unsigned char)buffers[0][0] >> 4 != TYPE_PUBLISH ||
               ((unsigned char)buffers[0][0] >> 1 & 3) != 2) {
        *reason = "a packet that is no PUBLISH with QoS 2";
    } else {
        *reason = read_publish(buffers[1], (size_t)lengths[1], is_5, &read);
    }
    if (*reason == NULL && (read.id == 0 || read.id != packet_id(digits))) {
        *reason = "a key that is not of its packet";
    }
    if (*reason != NULL) {
        return PAHO_PUT_UNEXPECTED;
    }
    *out = read;
    return PAHO_PUT_MESSAGE;
}

unsigned paho_put_removed(const char *key)
{
    bool is_5 = false;
    const char *digits = digits_of_received(key, &is_5);

    return digits != NULL && is_5 ? packet_id(digits) : 0;
}
