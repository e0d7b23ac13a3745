/*
 * Declarations shared by the files of the proxy: net/proxy.c moves the bytes, net/proxy_http.c and
 * net/proxy_socks.c know the two protocols. Not for other rooms.
 *
 * A conversation is a sequence of steps. Each step names exactly how many bytes it needs next, and
 * those are bytes of the proxy in any case. So nothing of the broker's is read, however the bytes
 * are split.
 */
#ifndef NET_PROXY_INTERNAL_H
#define NET_PROXY_INTERNAL_H

#include "net/net.h"

#define PROXY_OUT_SIZE    2048
#define PROXY_IN_SIZE     512
#define PROXY_ANSWER_MAX  16384 /* bytes of an answer; a proxy's has some hundred */
#define PROXY_TARGET_SIZE 288
#define PROXY_REASON_SIZE 80

/* The next thing to do. */
enum proxy_step {
    PROXY_STEP_READ,    /* `wanted` bytes, then the next step */
    PROXY_STEP_SEND,    /* `out`, then as PROXY_STEP_READ */
    PROXY_STEP_OPEN,    /* the proxy has connected to the broker */
    PROXY_STEP_REFUSED, /* `problem` is set */
    PROXY_STEP_STRANGE, /* `in` is not of the expected protocol */
};

/* The answer that is awaited. */
enum proxy_stage {
    PROXY_STAGE_CONNECT, /* HTTP */
    PROXY_STAGE_METHOD,  /* SOCKS: which authentication */
    PROXY_STAGE_VERDICT, /* SOCKS: on user name and password */
    PROXY_STAGE_REPLY,   /* SOCKS: on the request */
    PROXY_STAGE_ADDRESS, /* SOCKS: the rest of a good reply */
};

/* One conversation with a proxy. */
struct proxy_talk {
    const struct proxy *proxy;
    char host[HOST_IDENTITY_SIZE]; /* the broker's, without a zone */
    bool is_address;
    int port;
    char target[PROXY_TARGET_SIZE]; /* "host:port" or "[address]:port" */
    char *problem;                  /* of PROXY_PROBLEM_SIZE bytes */

    unsigned char out[PROXY_OUT_SIZE]; /* may hold the password */
    size_t out_length;
    unsigned char in[PROXY_IN_SIZE]; /* what the current step has got */
    size_t in_length;
    size_t wanted; /* further bytes that the current step needs; fits into `in` */
    enum proxy_stage stage;

    /* HTTP */
    int status;                     /* of the status line; 0: not read yet */
    char reason[PROXY_REASON_SIZE]; /* "403 Forbidden", safe for a terminal */
    bool has_basic;                 /* the proxy knows the scheme Basic */
    char scheme[24];                /* another one that it names; "": none */
};

/* Fill `out` with the first message and set what is read after it. */
void proxy_http_begin(struct proxy_talk *talk);
void proxy_socks_begin(struct proxy_talk *talk);

/* Take the bytes in `in`, of which the wanted ones have all come. Pure. */
enum proxy_step proxy_http_step(struct proxy_talk *talk);
enum proxy_step proxy_socks_step(struct proxy_talk *talk);

#endif
