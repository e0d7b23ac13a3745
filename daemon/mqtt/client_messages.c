/*
 * Takes messages from Paho and hands them over before Paho can acknowledge them: QoS 2 by the
 * persistence plugin, QoS 0 and 1 by messageArrived. See mqtt/client.c, which also says what must
 * never happen. Everything here but client_messages_init() and client_messages_reset() runs on
 * Paho's receive thread.
 */
#include <string.h>

#include "mqtt/client_internal.h"
#include "mqtt/paho/library_internal.h"
#include "mqtt/paho/plugin_internal.h"
#include "mqtt/paho/put_internal.h"

/* --- QoS 2: the persistence plugin ---------------------------------------------------------- */

/* Hands a message over, the one that it stands for where it stands for one. `id` is its packet
 * identifier. Counts it for client_slot_wait(), whose time limit starts again with each message. */
static void hand_over(struct paho *paho, struct paho_message *message, unsigned id)
{
    if (paho_check_restore != NULL && !paho_check_restore(message, id)) {
        paho_unexpected("a message of another packet than the last one");
    }
    pthread_mutex_lock(&paho->mutex);
    paho->is_handing_over = true;
    pthread_mutex_unlock(&paho->mutex);
    paho->handler.message(paho->handler.context, message);
    pthread_mutex_lock(&paho->mutex);
    paho->is_handing_over = false;
    paho->heard++;
    pthread_mutex_unlock(&paho->mutex);
}

static bool is_put(const struct paho *paho, int id)
{
    return id > 0 && id < CLIENT_PACKET_IDS &&
           (paho->put[id / CHAR_BIT] >> (unsigned)id % CHAR_BIT & 1) != 0;
}

static int store_put(void *handle, char *key, int count, char *buffers[], int lengths[])
{
    struct paho *paho = handle;
    struct paho_message message = {.qos = 2};
    const char *reason;
    struct paho_put put;

    switch (paho_put_read(key, count, buffers, lengths, &put, &reason)) {
    case PAHO_PUT_MESSAGE:
        message.topic = put.topic;
        message.topic_length = put.topic_length;
        message.payload = put.payload;
        message.payload_length = message.full_length = put.payload_length;
        message.is_repeated = is_put(paho, (int)put.id);
        paho->put[put.id / CHAR_BIT] |= (unsigned char)(1U << put.id % CHAR_BIT);
        hand_over(paho, &message, put.id);
        break;
    case PAHO_PUT_NOTHING:
        break;
    default:
        paho_unexpected(reason);
    }
    return 0;
}

static int store_remove(void *handle, char *key)
{
    struct paho *paho = handle;
    unsigned id = paho_put_removed(key);

    if (is_put(paho, (int)id)) {
        paho->put[id / CHAR_BIT] &= (unsigned char)~(1U << id % CHAR_BIT);
        paho->handler.released(paho->handler.context);
    }
    return 0;
}

void client_messages_init(struct paho *paho)
{
    paho->persistence = paho_plugin(store_put, store_remove, paho);
}

void client_messages_reset(struct paho *paho)
{
    memset(paho->put, 0, sizeof(paho->put));
}

/* --- QoS 0 and 1: messageArrived ------------------------------------------------------------ */

static void deliver(struct paho *paho, const char *topic, int topic_length,
                    const MQTTAsync_message *message)
{
    struct paho_message given = {
        .topic = topic,
        .topic_length = topic_length > 0 ? (size_t)topic_length : strlen(topic),
        .payload = message->payload,
        .payload_length = (size_t)message->payloadlen,
        .full_length = (size_t)message->payloadlen,
        .qos = message->qos,
    };

    switch (message->qos) {
    case 0:
    case 1:
        hand_over(paho, &given, message->qos > 0 ? (unsigned)message->msgid : 0);
        break;
    case 2:
        if (!is_put(paho, message->msgid)) {
            paho_unexpected("a QoS 2 message that was not given to the persistence");
        }
        break;
    default:
        paho_unexpected("a message with another QoS than 0, 1 and 2");
    }
}

int client_on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    if (topic != NULL && topic_length >= 0 && message != NULL && message->payloadlen >= 0) {
        deliver(context, topic, topic_length, message);
    } else {
        paho_unexpected("a message without a topic or a payload");
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}
