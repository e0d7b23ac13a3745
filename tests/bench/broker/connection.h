/* A client's connection: MQTT 3.1.1 or 5 as far as a subscriber needs it. */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker.h"
#include "wire.h"

#define CONNECTION_IN_SIZE  ((size_t)512 * 1024) /* an answer each for the largest window */
#define CONNECTION_OUT_SIZE ((size_t)32 * 1024)
#define CONNECTION_CHUNKS   4096

/* Bytes that arrived together, and when they may be acted upon. */
struct connection_chunk {
    int64_t due_ns;
    size_t length;
};

struct connection {
    struct broker *broker;
    struct wire wire;        /* fd -1: free */
    struct session *session; /* NULL before CONNECT */
    bool watching_write;
    bool leaving; /* DISCONNECT has come */

    uint8_t in[CONNECTION_IN_SIZE];
    size_t in_start;
    size_t in_due; /* up to here it may be acted upon */
    size_t in_end;
    struct connection_chunk chunks[CONNECTION_CHUNKS]; /* a ring, of what is not due */
    unsigned chunk_first;
    unsigned chunk_count;

    uint8_t out[CONNECTION_OUT_SIZE];
    size_t out_start;
    size_t out_end;
};

/* Take an accepted socket. False: closed again. */
bool connection_open(struct connection *connection, struct broker *broker, int fd);
void connection_close(struct connection *connection);

/*
 * Read, act upon what is due, stream, write. Returns false when the connection has ended (and is
 * closed). *wants_write: epoll should say when more can be written.
 */
bool connection_serve(struct connection *connection, bool *wants_write);

/* When something is due next, CLOCK_MONOTONIC; 0: nothing waits. */
int64_t connection_due_ns(const struct connection *connection);

#endif
