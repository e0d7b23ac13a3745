/* A packet as Paho reads it, through mqtt/paho/check.c. The file that includes this has the
 * connection, struct net, and stands in for what is behind the check. */
#ifndef PACKET_READER_H
#define PACKET_READER_H

#include <stddef.h>

#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/check_internal.h"

#define COMPLETE     0
#define INTERRUPTED  (-22) /* TCPSOCKET_INTERRUPTED */
#define SOCKET_ERROR (-1)

struct net;

struct packet {
    unsigned char first;
    size_t length; /* of the rest */
    const char *body;
};

/* As MQTTPacket_Factory(): COMPLETE for a whole packet; else INTERRUPTED or SOCKET_ERROR. */
static inline int packet_read(struct net *net, struct packet *out)
{
    unsigned shift = 0;
    size_t actual = 0;
    char byte;
    int rc = paho_check_getch(net, &byte);

    *out = (struct packet){.first = (unsigned char)byte};
    do {
        if (rc != COMPLETE) {
            return rc;
        }
        rc = paho_check_getch(net, &byte);
        out->length |= (size_t)((unsigned char)byte & 0x7F) << shift;
        shift += 7;
    } while (rc != COMPLETE || ((unsigned char)byte & 0x80) != 0);
    out->body = paho_check_getdata(net, out->length, &actual);
    if (out->length > 0 && out->body == NULL) {
        return SOCKET_ERROR;
    }
    return actual < out->length ? INTERRUPTED : COMPLETE;
}

#endif
