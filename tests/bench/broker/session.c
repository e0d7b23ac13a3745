/* Numbers, not messages: a session knows which of its messages are in flight, and in what state. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

void session_init(struct session *session, const struct message_plan *plan, uint64_t first,
                  uint64_t end)
{
    memset(session, 0, sizeof(*session));
    session->plan = plan;
    session->next = first;
    session->end = end;
}

static const struct session *sorted_session; /* qsort() passes no context */

static int by_number(const void *left, const void *right)
{
    uint64_t a = sorted_session->numbers[*(const uint16_t *)left];
    uint64_t b = sorted_session->numbers[*(const uint16_t *)right];

    return a < b ? -1 : a > b;
}

void session_connected(struct session *session, bool mqtt_5, unsigned window)
{
    session->delivery.mqtt_5 = mqtt_5;
    session->window = window;
    session->free_first = session->free_count = 0;
    session->again_first = session->again_count = 0;
    session->beyond = 0;
    for (unsigned id = 1; id <= SESSION_WINDOW_MAX; id++) {
        if (session->states[id] != FLIGHT_FREE) {
            session->again[session->again_count++] = (uint16_t)id;
            session->beyond += id > window;
        } else if (id <= window) {
            session->free_ids[session->free_count++] = (uint16_t)id;
        }
    }
    sorted_session = session;
    qsort(session->again, session->again_count, sizeof(session->again[0]), by_number);
}

static size_t put_short(uint8_t *out, uint8_t first, uint16_t packet_id)
{
    out[0] = first;
    out[1] = 2;
    out[2] = (uint8_t)(packet_id >> 8);
    out[3] = (uint8_t)packet_id;
    return 4;
}

static size_t send_again(struct session *session, uint8_t *out)
{
    uint16_t id = session->again[session->again_first++];

    session->again_count--;
    session->resent++;
    if (session->states[id] == FLIGHT_RELEASED) {
        return put_short(out, 0x62, id); /* PUBREL */
    }
    if (session->states[id] == FLIGHT_SENT) {
        return message_put(session->plan, session->numbers[id], &session->delivery, id, true, out);
    }
    return 0; /* acknowledged meanwhile */
}

size_t session_send(struct session *session, uint8_t *out, size_t room)
{
    size_t length = 0;

    while (session->again_count > 0 && room - length >= MESSAGE_MAX) {
        length += send_again(session, out + length);
    }
    while (session->next < session->end && session->free_count > session->beyond &&
           room - length >= MESSAGE_MAX) {
        uint16_t id = session->free_ids[session->free_first];

        session->free_first = (session->free_first + 1) % session->window;
        session->free_count--;
        session->states[id] = FLIGHT_SENT;
        session->numbers[id] = session->next++;
        length += message_put(session->plan, session->numbers[id], &session->delivery, id, false,
                              out + length);
    }
    return length;
}

static void release(struct session *session, uint16_t id)
{
    session->states[id] = FLIGHT_FREE;
    session->acknowledged++;
    if (id > session->window) {
        session->beyond--;
        return;
    }
    session->free_ids[(session->free_first + session->free_count) % session->window] = id;
    session->free_count++;
}

size_t session_answer(struct session *session, uint8_t type, uint16_t packet_id, uint8_t *out,
                      bool *acknowledged)
{
    uint8_t state = session->states[packet_id];

    *acknowledged = false;
    switch (type) {
    case 0x40: /* PUBACK */
        if (session->delivery.qos == 1 && state == FLIGHT_SENT) {
            release(session, packet_id);
            *acknowledged = true;
        }
        return 0;
    case 0x50: /* PUBREC */
        if (state == FLIGHT_SENT) {
            session->states[packet_id] = FLIGHT_RELEASED;
        }
        return put_short(out, 0x62, packet_id);
    default: /* PUBCOMP */
        if (state == FLIGHT_RELEASED) {
            release(session, packet_id);
            *acknowledged = true;
        }
        return 0;
    }
}
