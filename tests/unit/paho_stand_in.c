/* Paho on both sides of mqtt/paho/check.c; see paho_stand_in.h. */
#include "paho_stand_in.h"

#include <stdlib.h>
#include <string.h>

#include "mqtt/paho/lean_internal.h"

int WebSocket_getch(struct net *net, char *byte);
char *WebSocket_getdata(struct net *net, size_t bytes, size_t *actual);
int WebSocket_putdatas(struct net *net, char **header, size_t *length, struct paho_buffers *rest);
void WebSocket_close(struct net *net, int status, const char *reason);

/* --- what is behind the check ----------------------------------------------------------------- */

int WebSocket_getch(struct net *net, char *byte)
{
    if (net->at == net->count) {
        net->at = net->packet_at;
        return INTERRUPTED;
    }
    *byte = (char)net->bytes[net->at++];
    return COMPLETE;
}

/* As Paho's: memory, with as much of the packet as is there; NULL only for zero bytes. */
char *WebSocket_getdata(struct net *net, size_t bytes, size_t *actual)
{
    char *data = (char *)net->bytes + net->at;

    net->asked = bytes;
    *actual = net->count - net->at < bytes ? net->count - net->at : bytes;
    if (*actual < bytes) {
        net->at = net->packet_at;
    } else {
        net->at += bytes;
        net->packet_at = net->at;
    }
    return bytes > 0 ? data : NULL;
}

int WebSocket_putdatas(struct net *net, char **header, size_t *length, struct paho_buffers *rest)
{
    (void)header;
    (void)length;
    (void)rest;
    net->written++;
    return COMPLETE;
}

void WebSocket_close(struct net *net, int status, const char *reason)
{
    assert_int_equal(status, 1000);
    assert_null(reason);
    net->closed++;
}

_Noreturn void paho_out_of_memory(void)
{
    abort();
}

/* --- what is in front of it ------------------------------------------------------------------- */

void arrive(struct net *net, const char *bytes, size_t length)
{
    assert_true(net->count + length <= BYTES_MAX);
    memcpy(net->bytes + net->count, bytes, length);
    net->count += length;
}

int read_packet(struct net *net, size_t *length)
{
    struct packet packet;
    int rc = packet_read(net, &packet);

    *length = packet.length;
    return rc;
}

void assert_read(struct net *net, size_t length)
{
    size_t found;

    assert_int_equal(read_packet(net, &found), COMPLETE);
    assert_int_equal(found, length);
}

void send_packet(struct net *net, unsigned char first, const char *body, size_t length)
{
    char header[2] = {(char)first, (char)length};
    char *header_at = header;
    size_t header_length = sizeof(header);
    char copy[BYTES_MAX];
    char *bodies[] = {body != NULL ? copy : NULL};
    struct paho_buffers rest = {.count = 1, .buffers = bodies, .lengths = &length};
    unsigned before = net->written;

    if (body != NULL) {
        memcpy(copy, body, length);
    }
    assert_int_equal(paho_check_putdatas(net, &header_at, &header_length, &rest), COMPLETE);
    assert_int_equal(net->written, before + 1);
}

void assert_complaint(const struct net *net, const char *part)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";

    assert_true(paho_check_take(net, problem));
    if (strstr(problem, part) == NULL) {
        fail_msg("\"%s\" does not have \"%s\"", problem, part);
    }
    assert_false(paho_check_take(net, problem)); /* once */
}

void assert_refused(struct net *net, const char *part)
{
    size_t length;

    assert_int_equal(read_packet(net, &length), SOCKET_ERROR);
    assert_ptr_equal(paho_check_connection(), net);
    assert_complaint(net, part);
}

void accept_connection(struct net *net)
{
    *net = (struct net){0};
    SEND(net, 0x10, "\0\4MQTT\4\2\0\5\0\1x");
    ARRIVE(net, "\x20\2\0\0");
    assert_read(net, 2);
}

void connect_5(struct net *net, unsigned char keepalive_s)
{
    char body[] = "\0\4MQTT\5\0\0\0\0\0\1x";

    body[9] = (char)keepalive_s;
    *net = (struct net){0};
    send_packet(net, 0x10, body, sizeof(body) - 1);
}

void accept_connection_5(struct net *net)
{
    connect_5(net, 5);
    ARRIVE(net, "\x20\3\0\0\0");
    assert_read(net, 3);
}

void end_connection(struct net *net)
{
    unsigned before = net->closed;

    paho_check_close(net, 1000, NULL);
    assert_int_equal(net->closed, before + 1);
}
