/* Reads packets, answers them, and sends messages as far as the window allows. */
#include "connection.h"

#include <stdio.h>
#include <string.h>

#include "properties.h"

/* Room kept in `out` for answers, so that acting upon a packet never fails for want of it. */
#define ANSWER_ROOM 128

/* A subscriber has nothing longer to say, and it must fit the buffer. */
#define PACKET_MAX ((size_t)64 * 1024)

bool connection_open(struct connection *connection, struct broker *broker, int fd)
{
    connection->broker = broker;
    connection->session = NULL;
    connection->watching_write = connection->leaving = false;
    connection->in_start = connection->in_due = connection->in_end = 0;
    connection->chunk_first = connection->chunk_count = 0;
    connection->out_start = connection->out_end = 0;
    return wire_open(&connection->wire, fd, broker->tls) == 0;
}

void connection_close(struct connection *connection)
{
    wire_close(&connection->wire);
    if (connection->session != NULL && connection->session->carrier == connection) {
        connection->session->carrier = NULL;
    }
    connection->session = NULL;
}

/* --- in, after the delay ------------------------------------------------------------------- */

static void note_chunk(struct connection *connection, size_t length)
{
    int64_t delay_ns = (int64_t)(connection->broker->options.delay_ms * 1e6);
    struct connection_chunk *chunk;

    if (delay_ns == 0) {
        connection->in_due += length;
        return;
    }
    if (connection->chunk_count == CONNECTION_CHUNKS) {
        /* Very many small ones: the last takes it in, and waits longer than it must. */
        chunk = &connection->chunks[(connection->chunk_first + connection->chunk_count - 1) %
                                    CONNECTION_CHUNKS];
    } else {
        chunk = &connection->chunks[(connection->chunk_first + connection->chunk_count++) %
                                    CONNECTION_CHUNKS];
        chunk->length = 0;
    }
    chunk->length += length;
    chunk->due_ns = broker_now_ns() + delay_ns;
}

static void let_due(struct connection *connection)
{
    int64_t now_ns = connection->chunk_count > 0 ? broker_now_ns() : 0;

    while (connection->chunk_count > 0 &&
           connection->chunks[connection->chunk_first].due_ns <= now_ns) {
        connection->in_due += connection->chunks[connection->chunk_first].length;
        connection->chunk_first = (connection->chunk_first + 1) % CONNECTION_CHUNKS;
        connection->chunk_count--;
    }
}

int64_t connection_due_ns(const struct connection *connection)
{
    return connection->chunk_count > 0 ? connection->chunks[connection->chunk_first].due_ns : 0;
}

/* False: the peer has gone. */
static bool read_all(struct connection *connection)
{
    for (;;) {
        ssize_t got;

        if (connection->in_start > 0 && connection->in_end > CONNECTION_IN_SIZE / 2) {
            memmove(connection->in, connection->in + connection->in_start,
                    connection->in_end - connection->in_start);
            connection->in_due -= connection->in_start;
            connection->in_end -= connection->in_start;
            connection->in_start = 0;
        }
        if (connection->in_end == CONNECTION_IN_SIZE) {
            return true;
        }
        got = wire_read(&connection->wire, connection->in + connection->in_end,
                        CONNECTION_IN_SIZE - connection->in_end);
        if (got == WIRE_AGAIN) {
            return true;
        }
        if (got == WIRE_GONE) {
            return false;
        }
        connection->in_end += (size_t)got;
        note_chunk(connection, (size_t)got);
    }
}

/* --- packets ------------------------------------------------------------------------------- */

static void answer(struct connection *connection, const void *bytes, size_t length)
{
    memcpy(connection->out + connection->out_end, bytes, length);
    connection->out_end += length;
}

#define LEVEL_3_1_1 4
#define LEVEL_5     5

/* The fields of CONNECT that this broker heeds. */
struct greeting {
    bool mqtt_5;
    unsigned receive_maximum; /* 0: not asked for */
    const char *client_id;
    size_t id_length;
};

/*
 * §3.1 of MQTT 3.1.1 and 5: protocol name and level, flags, keep alive, the properties of MQTT 5,
 * and first of the payload the client id.
 */
static bool read_connect(const uint8_t *body, size_t length, struct greeting *greeting)
{
    size_t at = 10;

    greeting->receive_maximum = 0;
    if (length < at || (body[6] != LEVEL_3_1_1 && body[6] != LEVEL_5)) {
        return false;
    }
    greeting->mqtt_5 = body[6] == LEVEL_5;
    if (greeting->mqtt_5) {
        size_t size;

        if (!properties_read(body + at, length - at, &size, &greeting->receive_maximum)) {
            return false;
        }
        at += size;
    }
    if (length < at + 2) {
        return false;
    }
    greeting->id_length = (size_t)body[at] << 8 | body[at + 1];
    greeting->client_id = (const char *)body + at + 2;
    return greeting->id_length > 0 && greeting->id_length <= length - at - 2;
}

static bool on_connect(struct connection *connection, const uint8_t *body, size_t length)
{
    struct broker *broker = connection->broker;
    uint8_t connack[5] = {0x20, 2, 0, 0, 0}; /* the last byte, in MQTT 5: no properties */
    struct greeting greeting;
    bool present;

    if (!read_connect(body, length, &greeting)) {
        fputs("broker: a CONNECT that is neither MQTT 3.1.1 nor 5; closing\n", stderr);
        return false;
    }
    connection->session = broker_session(broker, greeting.client_id, greeting.id_length, &present);
    if (connection->session == NULL) {
        return false;
    }
    if (connection->session->carrier != NULL) {
        connection_close(connection->session->carrier); /* §3.1.4: the newer one wins */
    }
    connection->session->carrier = connection;
    broker->window = greeting.receive_maximum > 0 && !broker->options.own_window
                         ? greeting.receive_maximum
                         : broker->options.window;
    session_connected(connection->session, greeting.mqtt_5, broker->window);
    connack[1] = greeting.mqtt_5 ? 3 : 2;
    connack[2] = present;
    answer(connection, connack, 2 + (size_t)connack[1]);
    return true;
}

/*
 * Where the filters of a SUBSCRIBE or an UNSUBSCRIBE begin: behind the packet identifier and the
 * properties of MQTT 5. 0: the packet cannot be.
 */
static size_t filters_begin(const struct connection *connection, const uint8_t *body, size_t length)
{
    size_t size = 0;
    unsigned unused;

    if (length < 2 || (connection->session->delivery.mqtt_5 &&
                       !properties_read(body + 2, length - 2, &size, &unused))) {
        return 0;
    }
    return 2 + size;
}

/* SUBSCRIBE: every filter is granted, none is looked at. */
static bool on_subscribe(struct connection *connection, const uint8_t *body, size_t length)
{
    struct session *session = connection->session;
    uint8_t suback[5 + 100] = {0x90};
    size_t at = filters_begin(connection, body, length);
    size_t granted = session->delivery.mqtt_5 ? 5 : 4; /* behind an empty block of properties */
    int qos = connection->broker->options.qos;

    if (at == 0) {
        return false;
    }
    memcpy(suback + 2, body, 2);
    while (at + 2 < length && granted < sizeof(suback)) {
        size_t filter = (size_t)body[at] << 8 | body[at + 1];

        if (at + 2 + filter >= length) {
            return false;
        }
        suback[granted++] = body[at + 2 + filter] & 3; /* MQTT 5 has more options in this byte */
        qos = suback[granted - 1] < qos ? suback[granted - 1] : qos;
        at += 2 + filter + 1;
    }
    if (qos == 0) {
        fputs("broker: QoS 0 was asked for, which is never acknowledged; closing\n", stderr);
        return false;
    }
    suback[1] = (uint8_t)(granted - 2);
    if (!session->subscribed) {
        session->delivery.qos = qos;
        session->subscribed = true;
    }
    answer(connection, suback, granted);
    return true;
}

/* UNSUBSCRIBE: every filter is given up, and nothing changes. */
static bool on_unsubscribe(struct connection *connection, const uint8_t *body, size_t length)
{
    uint8_t unsuback[5 + 100] = {0xb0, 2};
    size_t at = filters_begin(connection, body, length);

    if (at == 0) {
        return false;
    }
    memcpy(unsuback + 2, body, 2);
    if (connection->session->delivery.mqtt_5) { /* no properties, and a code 0 for each filter */
        unsuback[1] = 3;
        while (at + 2 <= length && 2 + (size_t)unsuback[1] < sizeof(unsuback)) {
            at += 2 + ((size_t)body[at] << 8 | body[at + 1]);
            unsuback[1]++;
        }
    }
    answer(connection, unsuback, 2 + (size_t)unsuback[1]);
    return true;
}

static bool on_acknowledgement(struct connection *connection, uint8_t type, const uint8_t *body,
                               size_t length)
{
    bool through;

    if (length > 2 && type != 0x70 && body[2] >= 0x80) { /* a reason code of MQTT 5 */
        fprintf(stderr, "broker: a message is refused with 0x%02x; closing\n", body[2]);
        return false;
    }
    connection->out_end +=
        session_answer(connection->session, type, (uint16_t)(body[0] << 8 | body[1]),
                       connection->out + connection->out_end, &through);
    connection->broker->answers++;
    if (through) {
        broker_note_acknowledged(connection->broker);
    }
    return true;
}

static bool on_packet(struct connection *connection, uint8_t type, const uint8_t *body,
                      size_t length)
{
    static const uint8_t pingresp[] = {0xd0, 0};

    if (connection->session == NULL) {
        return type == 0x10 && on_connect(connection, body, length);
    }
    switch (type) {
    case 0x40:
    case 0x50:
    case 0x70:
        return length >= 2 && on_acknowledgement(connection, type, body, length);
    case 0x80:
        return on_subscribe(connection, body, length);
    case 0xa0:
        return on_unsubscribe(connection, body, length);
    case 0xc0:
        answer(connection, pingresp, sizeof(pingresp));
        return true;
    case 0xe0:
        connection->leaving = true;
        return true;
    default:
        return false;
    }
}

/* Act upon the packets that are whole, due, and have room for their answers. */
static bool act(struct connection *connection)
{
    while (CONNECTION_OUT_SIZE - connection->out_end >= ANSWER_ROOM && !connection->leaving) {
        const uint8_t *at = connection->in + connection->in_start;
        size_t there = connection->in_due - connection->in_start;
        size_t length = 0;
        size_t header = 1;

        do {
            if (there <= header || header > 4) {
                return header <= 4;
            }
            length |= (size_t)(at[header] & 0x7f) << 7 * (header - 1);
        } while ((at[header++] & 0x80) != 0);
        if (header + length > PACKET_MAX) {
            return false;
        }
        if (there < header + length) {
            return true;
        }
        if (!on_packet(connection, at[0] & 0xf0, at + header, length)) {
            return false;
        }
        connection->in_start += header + length;
    }
    return true;
}

/* --- out ----------------------------------------------------------------------------------- */

static void stream(struct connection *connection)
{
    struct broker *broker = connection->broker;
    struct session *session = connection->session;
    size_t room = CONNECTION_OUT_SIZE - connection->out_end;

    if (session == NULL || !session->subscribed || !broker->streaming || room <= ANSWER_ROOM) {
        return;
    }
    broker_note_start(broker);
    connection->out_end +=
        session_send(session, connection->out + connection->out_end, room - ANSWER_ROOM);
}

/* False: gone. *blocked: the socket takes no more for now. */
static bool write_all(struct connection *connection, bool *blocked)
{
    *blocked = false;
    while (connection->out_start < connection->out_end) {
        ssize_t sent = wire_write(&connection->wire, connection->out + connection->out_start,
                                  connection->out_end - connection->out_start);

        if (sent == WIRE_GONE) {
            return false;
        }
        if (sent == WIRE_AGAIN) {
            *blocked = true;
            break;
        }
        connection->out_start += (size_t)sent;
    }
    if (connection->out_start == connection->out_end) {
        connection->out_start = connection->out_end = 0;
    }
    return true;
}

/*
 * The peer has gone. What it said before counts, at once and without an answer: an acknowledgement
 * that has left the client is a promise, and the benchmark checks that it was kept.
 */
static void act_upon_rest(struct connection *connection)
{
    size_t before;

    connection->in_due = connection->in_end;
    connection->chunk_count = 0;
    do {
        before = connection->in_start;
        connection->out_start = connection->out_end = 0;
    } while (act(connection) && connection->in_start > before);
}

bool connection_serve(struct connection *connection, bool *wants_write)
{
    bool alive = read_all(connection);
    bool more = true;

    if (!alive) {
        act_upon_rest(connection);
    }
    while (alive && more) {
        let_due(connection);
        alive = act(connection);
        if (alive && !connection->leaving) {
            stream(connection);
        }
        more = connection->out_end > connection->out_start;
        alive = alive && write_all(connection, wants_write) && !connection->leaving;
        more = more && !*wants_write;
    }
    if (!alive) {
        connection_close(connection);
    }
    return alive;
}
