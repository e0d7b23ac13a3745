/*
 * Large messages in front of Paho's reads: Paho gets a small packet for each, the message comes
 * back where Paho passes that packet on, and all other packets come as they were sent. This file
 * stands in for Paho: it reads as MQTTPacket_Factory() does, and keeps parts of what it reads as
 * SocketBuffer.c does. However the bytes arrive, the packets are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "base/digest.h"
#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/lean_internal.h"
#include "mqtt/paho/shorten_internal.h"
#include "packet_reader.h"

#define LIMIT     1000
#define PIECE     16384
#define BYTES_MAX (2 * 1024 * 1024)

/* A connection: what the broker sends, and how much of it has arrived. */
struct net {
    unsigned char *bytes;
    size_t count;
    size_t there;
    size_t record; /* no read goes beyond a multiple of this */
    size_t at;
    /* The part of a packet that Paho keeps until the rest has come. */
    unsigned char header[5];
    size_t header_count;
    size_t header_at;
    char data[BYTES_MAX];
    size_t data_count;
    size_t asked;
    size_t asked_most; /* for which Paho would have taken memory */
};

int WebSocket_getch(struct net *net, char *byte);
char *WebSocket_getdata(struct net *net, size_t bytes, size_t *actual);
int WebSocket_putdatas(struct net *net, char **header, size_t *length, struct paho_buffers *rest);
void WebSocket_close(struct net *net, int status, const char *reason);

_Noreturn void paho_out_of_memory(void)
{
    abort();
}

/* --- what is behind the check ----------------------------------------------------------------- */

int WebSocket_getch(struct net *net, char *byte)
{
    if (net->header_at < net->header_count) {
        *byte = (char)net->header[net->header_at++];
        return COMPLETE;
    }
    if (net->at == net->there) {
        net->header_at = 0;
        return INTERRUPTED;
    }
    assert_true(net->header_count < sizeof(net->header));
    net->header[net->header_count++] = net->bytes[net->at++];
    net->header_at = net->header_count;
    *byte = (char)net->header[net->header_at - 1];
    return COMPLETE;
}

char *WebSocket_getdata(struct net *net, size_t bytes, size_t *actual)
{
    size_t some = net->record - net->at % net->record;

    if (net->data_count > 0) {
        assert_int_equal(bytes, net->asked); /* or Paho takes another part than it kept */
    }
    net->asked = bytes;
    net->asked_most = bytes > net->asked_most ? bytes : net->asked_most;
    some = some < net->there - net->at ? some : net->there - net->at;
    some = some < bytes - net->data_count ? some : bytes - net->data_count;
    memcpy(net->data + net->data_count, net->bytes + net->at, some);
    net->at += some;
    net->data_count += some;
    *actual = net->data_count;
    if (net->data_count == bytes) {
        net->data_count = 0;
        net->header_count = 0;
    }
    net->header_at = 0;
    return bytes > 0 ? net->data : NULL;
}

int WebSocket_putdatas(struct net *net, char **header, size_t *length, struct paho_buffers *rest)
{
    (void)net;
    (void)header;
    (void)length;
    (void)rest;
    return COMPLETE;
}

void WebSocket_close(struct net *net, int status, const char *reason)
{
    (void)status;
    (void)reason;
    net->data_count = net->header_count = net->header_at = 0;
}

/* --- what is in front of it ------------------------------------------------------------------- */

static size_t number_at(const char *bytes)
{
    return (size_t)(unsigned char)bytes[0] << 8 | (unsigned char)bytes[1];
}

/* A PUBLISH as Paho passes it on. */
static struct paho_message read_publish(const struct packet *packet, enum mqtt_version version,
                                        unsigned *id)
{
    size_t at = 2 + number_at(packet->body);
    struct paho_message out = {
        .topic = packet->body + 2, .topic_length = at - 2, .qos = packet->first >> 1 & 3};
    size_t size = 0;

    *id = 0;
    if (out.qos > 0) {
        *id = (unsigned)number_at(packet->body + at);
        at += 2;
    }
    if (version == MQTT_5) {
        assert_true(mqtt_properties_size((const unsigned char *)packet->body + at,
                                         packet->length - at, &size));
        at += size;
    }
    assert_true(at <= packet->length);
    out.payload = packet->body + at;
    out.payload_length = out.full_length = packet->length - at;
    return out;
}

static void send_connect(struct net *net, enum mqtt_version version)
{
    char header[] = "\x10\x10";
    char body[] = "\0\4MQTT\4\2\0\5\0\1x";
    char *header_at = header;
    char *body_at = body;
    size_t header_length = 2;
    size_t length = sizeof(body) - 1;
    struct paho_buffers rest = {.count = 1, .buffers = &body_at, .lengths = &length};

    body[6] = (char)version;
    assert_int_equal(paho_check_putdatas(net, &header_at, &header_length, &rest), COMPLETE);
}

static void add(struct net *net, const void *bytes, size_t length)
{
    assert_true(net->count + length <= BYTES_MAX);
    memcpy(net->bytes + net->count, bytes, length);
    net->count += length;
}

/* A connection with all of its bytes still to come. */
static void begin(struct net *net, enum mqtt_version version, size_t record)
{
    net->count = net->there = net->at = 0;
    net->header_count = net->header_at = net->data_count = net->asked_most = 0;
    net->record = record;
    send_connect(net, version);
    if (version == MQTT_5) {
        add(net, "\x20\3\0\0\0", 5);
    } else {
        add(net, "\x20\2\0\0", 4);
    }
}

static void accept_connection(struct net *net, enum mqtt_version version)
{
    struct packet packet;

    begin(net, version, PIECE);
    net->there = net->count;
    assert_int_equal(packet_read(net, &packet), COMPLETE);
    assert_int_equal(packet.first, 0x20);
}

/* --- a conversation --------------------------------------------------------------------------- */

struct sent {
    int qos;
    unsigned id;
    size_t properties; /* bytes of a User Property's value */
    size_t payload;
    int length_bytes; /* 0: as few as possible */
};

static const struct sent conversation[] = {
    {2, 1, 0, 10, 0},       {2, 2, 0, 2000, 0},         {0, 0, 0, 40000, 0},
    {1, 65535, 0, 5000, 4}, {1, 3, 0, 100, 4},          {2, 4, 20000, 3, 0},
    {2, 4, 20000, 3, 0},    {2, 2, 0, 3 * PIECE, 0},    {2, 5, 0, LIMIT - 1, 0},
    {0, 0, 0, 0, 0},        {2, 6, 100, 300 * 1024, 0}, {2, 7, 5, 1, 0},
};

#define SENT (sizeof(conversation) / sizeof(conversation[0]))

static void put_length(struct net *net, size_t length, int bytes)
{
    for (int i = 1; length > 0 || i <= bytes || i == 1; i++) {
        unsigned char byte = (unsigned char)(length & 0x7F);

        length >>= 7;
        if (length > 0 || i < bytes) {
            byte |= 0x80;
        }
        add(net, &byte, 1);
    }
}

static char payload_byte(size_t number, size_t at)
{
    return (char)(number * 17 + at * 7 + at / 250);
}

static size_t id_size(const struct sent *sent)
{
    return sent->qos > 0 ? 2 : 0;
}

static size_t properties_size(const struct sent *sent, enum mqtt_version version)
{
    if (version != MQTT_5) {
        return 0;
    }
    return sent->properties == 0 ? 1 : 3 + 1 + 4 + sent->properties;
}

static void add_publish(struct net *net, size_t number, enum mqtt_version version)
{
    const struct sent *sent = &conversation[number];
    size_t size = properties_size(sent, version);
    unsigned char first = (unsigned char)(0x30 | sent->qos << 1);
    unsigned char id[] = {(unsigned char)(sent->id >> 8), (unsigned char)sent->id};
    char topic[24];

    snprintf(topic, sizeof(topic), "t/%05zu", number);
    add(net, &first, 1);
    put_length(net, 2 + 7 + id_size(sent) + size + sent->payload, sent->length_bytes);
    add(net, "\0\7", 2);
    add(net, topic, 7);
    add(net, id, id_size(sent));
    if (size > 1) {
        unsigned char head[] = {0, 0, 0, 0x26, 0, 0, 0, 0};

        head[0] = (unsigned char)((size - 3) & 0x7F) | 0x80;
        head[1] = (unsigned char)((size - 3) >> 7 & 0x7F) | 0x80;
        head[2] = (unsigned char)((size - 3) >> 14);
        head[6] = (unsigned char)(sent->properties >> 8);
        head[7] = (unsigned char)sent->properties;
        add(net, head, sizeof(head));
        for (size_t i = 0; i < sent->properties; i++) {
            add(net, "\x34", 1);
        }
    } else {
        add(net, "", size);
    }
    for (size_t i = 0; i < sent->payload; i++) {
        char byte = payload_byte(number, i);

        add(net, &byte, 1);
    }
    add(net, "\xd0\0", 2); /* a PINGRESP behind each */
}

static void assert_message(const struct net *net, size_t number, const struct packet *packet,
                           enum mqtt_version version)
{
    static char payload[BYTES_MAX];
    const struct sent *sent = &conversation[number];
    bool is_large = 2 + 7 + id_size(sent) + properties_size(sent, version) + sent->payload > LIMIT;
    size_t kept = is_large && sent->payload > LIMIT ? LIMIT : sent->payload;
    uint8_t digest[DIGEST_SIZE];
    char topic[24];
    unsigned id;
    struct paho_message message = read_publish(packet, version, &id);

    snprintf(topic, sizeof(topic), "t/%05zu", number);
    for (size_t i = 0; i < sent->payload; i++) {
        payload[i] = payload_byte(number, i);
    }
    assert_int_equal(digest_sha256(payload, sent->payload, NULL, 0, digest), 0);
    assert_int_equal(id, sent->id);
    assert_int_equal(message.qos, sent->qos);
    if (is_large) {
        assert_true(packet->length <= PAHO_SHORTEN_STAND_IN);
        assert_true(paho_shorten_is_stand_in(message.topic, message.topic_length));
        assert_int_equal(message.payload_length, 1);
    }
    assert_true(paho_check_restore(&message, id));
    assert_int_equal(message.topic_length, 7);
    assert_memory_equal(message.topic, topic, 7);
    assert_int_equal(message.full_length, sent->payload);
    assert_int_equal(message.payload_length, kept);
    assert_memory_equal(message.payload, payload, kept);
    if (is_large) {
        assert_memory_equal(message.digest, digest, DIGEST_SIZE);
    } else {
        assert_null(message.digest);
    }
    assert_true(net->asked_most <= PIECE);
}

/* Reads what is there. *number counts messages and the PINGRESPs between them. */
static void read_all(struct net *net, size_t *number, enum mqtt_version version)
{
    for (;;) {
        struct packet packet;
        size_t before = net->at;
        int rc = packet_read(net, &packet);

        if (rc == INTERRUPTED && net->at == net->there && net->at == before) {
            return;
        }
        if (rc == INTERRUPTED) {
            continue; /* Paho has other connections, and then comes again */
        }
        assert_int_equal(rc, COMPLETE);
        if (packet.first == 0x20) {
            continue;
        }
        if (*number % 2 == 0) {
            assert_int_equal(packet.first >> 4, 3);
            assert_message(net, *number / 2, &packet, version);
        } else {
            assert_int_equal(packet.first, 0xd0);
            assert_int_equal(packet.length, 0);
        }
        ++*number;
    }
}

static struct net *new_net(void)
{
    struct net *net = calloc(1, sizeof(*net));

    assert_non_null(net);
    net->bytes = malloc(BYTES_MAX);
    assert_non_null(net->bytes);
    return net;
}

static void free_net(struct net *net)
{
    paho_check_close(net, 1000, NULL);
    free(net->bytes);
    free(net);
}

/* On two connections in turn, one of each version. */
static void talk(size_t arriving, size_t record)
{
    static const enum mqtt_version versions[] = {MQTT_3_1_1, MQTT_5};
    struct net *nets[] = {new_net(), new_net()};
    size_t numbers[] = {0, 0};

    for (int i = 0; i < 2; i++) {
        begin(nets[i], versions[i], record);
        for (size_t number = 0; number < SENT; number++) {
            add_publish(nets[i], number, versions[i]);
        }
    }
    while (nets[0]->there < nets[0]->count || nets[1]->there < nets[1]->count) {
        for (int i = 0; i < 2; i++) {
            size_t left = nets[i]->count - nets[i]->there;

            nets[i]->there += arriving < left ? arriving : left;
            read_all(nets[i], &numbers[i], versions[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(numbers[i], 2 * SENT);
        free_net(nets[i]);
    }
}

static void messages_come_whole_in_all_parts(void **state)
{
    static const size_t arriving[] = {1, 2, 3, 1460, 16383, 16384, BYTES_MAX};
    static const size_t records[] = {1, 1000, 16383, 16384, BYTES_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(arriving) / sizeof(arriving[0]); i++) {
        for (size_t j = 0; j < sizeof(records) / sizeof(records[0]); j++) {
            if (arriving[i] > 100 || records[j] == BYTES_MAX) {
                talk(arriving[i], records[j]);
            }
        }
    }
}

/* --- one message ------------------------------------------------------------------------------ */

/* A connection with one large PUBLISH that has not been read. */
static struct net *with_large(enum mqtt_version version, const char *head, size_t head_length,
                              size_t length)
{
    struct net *net = new_net();

    accept_connection(net, version);
    add(net, head, 1);
    put_length(net, length, 0);
    add(net, head + 1, head_length - 1);
    while (length-- > head_length - 1) {
        add(net, "x", 1);
    }
    net->there = net->count;
    return net;
}

#define WITH_LARGE(version, head, length) with_large(version, head, sizeof(head) - 1, length)

static void large_malformed_packets_are_refused(void **state)
{
    static const struct {
        enum mqtt_version version;
        const char *head;
        size_t length;
        const char *said;
    } cases[] = {
        {MQTT_3_1_1, "\x34\xff\xff", 3, "PUBLISH (its topic is longer than the packet)"},
        {MQTT_3_1_1, "\x34\0\1x\0\0", 6, "PUBLISH (its packet identifier is 0)"},
        {MQTT_5, "\x30\0\1x\xff\xff\x7f", 7, "its properties are longer than the packet"},
        {MQTT_5, "\x34\0\1x\0\1\3\x23\0\1", 10, "it has a Topic Alias"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net *net = with_large(cases[i].version, cases[i].head, cases[i].length, 5000);
        char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
        struct packet packet;

        assert_int_equal(packet_read(net, &packet), SOCKET_ERROR);
        paho_check_close(net, 1000, NULL);
        assert_true(paho_check_take(net, problem));
        assert_non_null(strstr(problem, cases[i].said));
        /* A connection in the same memory begins with a header. */
        accept_connection(net, cases[i].version);
        free_net(net);
    }
}

/* With a close, and where CONNECT comes without one. */
static void a_connection_that_ends_in_the_middle_leaves_nothing(void **state)
{
    struct net *net = WITH_LARGE(MQTT_3_1_1, "\x34\0\1x\0\1", 5000);
    struct packet packet;
    unsigned before = paho_check_pieces(net);

    (void)state;
    net->there -= 1;
    assert_int_equal(packet_read(net, &packet), INTERRUPTED);
    assert_int_not_equal(paho_check_pieces(net), before);
    assert_int_equal(packet_read(net, &packet), INTERRUPTED);
    paho_check_close(net, 1000, NULL);
    add(net, "\xd0\0", 2);
    net->there = net->count;
    net->at = net->there - 2;
    assert_int_equal(packet_read(net, &packet), COMPLETE);
    assert_int_equal(packet.first, 0xd0);
    add(net, "\x34\xff\xff\3\0\1x\0\1", 9);
    net->there = net->count;
    assert_int_equal(packet_read(net, &packet), INTERRUPTED);
    accept_connection(net, MQTT_5);
    free_net(net);
    assert_int_equal(paho_check_pieces(NULL), 0);
}

static void a_stand_in_is_no_message_and_a_message_no_stand_in(void **state)
{
    struct net *net = WITH_LARGE(MQTT_3_1_1, "\x34\0\1x\0\7", 5000);
    struct packet packet;
    char name[32];
    unsigned id;
    struct paho_message message;
    struct paho_message other = {.topic = "other", .topic_length = 5, .qos = 2};

    (void)state;
    add(net, "\xd0\0\x34\4\0\0\0\1", 8);
    net->there = net->count;
    assert_int_equal(packet_read(net, &packet), COMPLETE);
    message = read_publish(&packet, MQTT_3_1_1, &id);
    memcpy(name, message.topic, sizeof(name));
    assert_int_equal(id, 7);
    assert_false(paho_check_restore(&other, 7));
    assert_false(paho_check_restore(&(struct paho_message){.topic = name, .topic_length = 32}, 7));
    other = message;
    assert_false(paho_check_restore(&other, 8));
    assert_true(paho_check_restore(&message, 7));
    assert_int_equal(message.full_length, 4995);
    other = (struct paho_message){.topic = name, .topic_length = 32, .qos = 2};
    assert_int_equal(packet_read(net, &packet), COMPLETE); /* PINGRESP */
    assert_false(paho_check_restore(&other, 7));
    other.topic_length = 31;
    assert_true(paho_check_restore(&other, 7));
    assert_int_equal(packet_read(net, &packet), COMPLETE);
    message = read_publish(&packet, MQTT_3_1_1, &id);
    assert_true(paho_check_restore(&message, id));
    assert_int_equal(message.topic_length, 0);
    free_net(net);
}

static void the_limit_holds_from_the_next_packet_on(void **state)
{
    struct net *net = WITH_LARGE(MQTT_3_1_1, "\x34\0\1x\0\7", 5000);
    struct packet packet;
    struct paho_message message;
    unsigned id;

    (void)state;
    net->there -= 1;
    assert_int_equal(packet_read(net, &packet), INTERRUPTED);
    paho_shorten_limit(100000);
    net->there += 1;
    assert_int_equal(packet_read(net, &packet), COMPLETE);
    message = read_publish(&packet, MQTT_3_1_1, &id);
    assert_true(paho_check_restore(&message, id));
    assert_int_equal(message.payload_length, LIMIT);
    free_net(net);
    net = WITH_LARGE(MQTT_3_1_1, "\x34\0\1x\0\7", 5000);
    assert_int_equal(packet_read(net, &packet), COMPLETE);
    assert_int_equal(packet.length, 5000);
    paho_shorten_limit(LIMIT);
    free_net(net);
}

static int set_limit(void **state)
{
    (void)state;
    assert_false(paho_shorten_applies(0x34, 268435455));
    assert_false(paho_shorten_is_stand_in("01234567890123456789012345678901", 32));
    paho_shorten_limit(LIMIT);
    assert_true(paho_shorten_applies(0x34, LIMIT + 1));
    assert_false(paho_shorten_applies(0x34, LIMIT));
    assert_false(paho_shorten_applies(0x20, LIMIT + 1));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_whole_in_all_parts),
        cmocka_unit_test(large_malformed_packets_are_refused),
        cmocka_unit_test(a_connection_that_ends_in_the_middle_leaves_nothing),
        cmocka_unit_test(a_stand_in_is_no_message_and_a_message_no_stand_in),
        cmocka_unit_test(the_limit_holds_from_the_next_packet_on),
    };

    return cmocka_run_group_tests_name("paho_shorten", tests, set_limit, NULL);
}
