/* Reads packets, answers them, and sends messages as far as the window allows. */
#include "connection.h"

#include <stdio.h>
#include <string.h>

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

/* CONNECT: the client id is the first of the payload (MQTT 3.1.1 §3.1.3). */
static bool on_connect(struct connection *connection, const uint8_t *body, size_t length)
{
    uint8_t connack[4] = {0x20, 2, 0, 0};
    size_t id_length = length >= 12 ? (size_t)body[10] << 8 | body[11] : 0;
    bool present;

    if (id_length == 0 || length < 12 + id_length) {
        return false;
    }
    connection->session =
        broker_session(connection->broker, (const char *)body + 12, id_length, &present);
    if (connection->session == NULL) {
        return false;
    }
    if (connection->session->carrier != NULL) {
        connection_close(connection->session->carrier); /* §3.1.4: the newer one wins */
    }
    connection->session->carrier = connection;
    if (present) {
        session_resume(connection->session);
    }
    connack[2] = present;
    answer(connection, connack, sizeof(connack));
    return true;
}

/* SUBSCRIBE: every filter is granted, none is looked at. */
static bool on_subscribe(struct connection *connection, const uint8_t *body, size_t length)
{
    uint8_t suback[5 + 100] = {0x90, 0, body[0], body[1]};
    int qos = connection->broker->options.qos;
    size_t granted = 4;

    for (size_t at = 2; at + 2 < length && granted < sizeof(suback);) {
        size_t filter = (size_t)body[at] << 8 | body[at + 1];

        if (at + 2 + filter >= length) {
            return false;
        }
        suback[granted++] = body[at + 2 + filter];
        qos = suback[granted - 1] < qos ? suback[granted - 1] : qos;
        at += 2 + filter + 1;
    }
    if (qos == 0) {
        fputs("broker: QoS 0 was asked for, which is never acknowledged; closing\n", stderr);
        return false;
    }
    suback[1] = (uint8_t)(granted - 2);
    if (!connection->session->subscribed) {
        connection->session->qos = qos;
        connection->session->subscribed = true;
    }
    answer(connection, suback, granted);
    return true;
}

static bool on_acknowledgement(struct connection *connection, uint8_t type, const uint8_t *body)
{
    bool through;

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
        return length >= 2 && on_acknowledgement(connection, type, body);
    case 0x80:
        return length >= 2 && on_subscribe(connection, body, length);
    case 0xa0: {
        const uint8_t unsuback[] = {0xb0, 2, length >= 2 ? body[0] : 0, length >= 2 ? body[1] : 0};

        answer(connection, unsuback, sizeof(unsuback));
        return length >= 2;
    }
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
