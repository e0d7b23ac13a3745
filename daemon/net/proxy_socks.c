/*
 * SOCKS 5 (RFC 1928), with user name and password (RFC 1929) or without.
 *
 * With a user name, both methods are offered: a proxy that knows this machine may ask for nothing.
 * The broker's name is sent unresolved (ATYP 3), an address as such. When the proxy refuses, the
 * exchange ends at the second byte of that reply; the rest is not read.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "net/proxy_internal.h"

#define VERSION       5
#define NO_METHOD     0xFF
#define METHOD_NONE   0
#define METHOD_SECRET 2
#define ATYP_IPV4     1
#define ATYP_NAME     3
#define ATYP_IPV6     4

static void put(struct proxy_talk *talk, unsigned byte)
{
    talk->out[talk->out_length++] = (unsigned char)byte;
}

/* Adds a text of at most 255 bytes behind its length. */
static void put_text(struct proxy_talk *talk, const char *text)
{
    size_t length = strnlen(text, PROXY_SECRET_MAX);

    put(talk, (unsigned)length);
    memcpy(talk->out + talk->out_length, text, length);
    talk->out_length += length;
}

static enum proxy_step await(struct proxy_talk *talk, enum proxy_stage stage, size_t wanted,
                             enum proxy_step step)
{
    talk->stage = stage;
    talk->in_length = 0;
    talk->wanted = wanted;
    return step;
}

void proxy_socks_begin(struct proxy_talk *talk)
{
    bool has_user = talk->proxy->user != NULL;

    put(talk, VERSION);
    put(talk, has_user ? 2 : 1);
    put(talk, METHOD_NONE);
    if (has_user) {
        put(talk, METHOD_SECRET);
    }
    (void)await(talk, PROXY_STAGE_METHOD, 2, PROXY_STEP_SEND);
}

/* Sends user name and password. RFC 1929 demands a password of one byte at least; an empty one lets
 * the proxy refuse it. */
static enum proxy_step send_secret(struct proxy_talk *talk)
{
    put(talk, 1); /* the version of RFC 1929 */
    put_text(talk, talk->proxy->user);
    put_text(talk, talk->proxy->password != NULL ? talk->proxy->password : "");
    return await(talk, PROXY_STAGE_VERDICT, 2, PROXY_STEP_SEND);
}

/* Sends the request to connect: VER, CMD 1, RSV, ATYP, address, port. */
static enum proxy_step send_request(struct proxy_talk *talk)
{
    unsigned char address[16];

    put(talk, VERSION);
    put(talk, 1);
    put(talk, 0);
    if (inet_pton(AF_INET, talk->host, address) == 1) {
        put(talk, ATYP_IPV4);
        memcpy(talk->out + talk->out_length, address, 4);
        talk->out_length += 4;
    } else if (inet_pton(AF_INET6, talk->host, address) == 1) {
        put(talk, ATYP_IPV6);
        memcpy(talk->out + talk->out_length, address, 16);
        talk->out_length += 16;
    } else {
        put(talk, ATYP_NAME);
        put_text(talk, talk->host);
    }
    put(talk, (unsigned)talk->port >> 8);
    put(talk, (unsigned)talk->port & 0xFF);
    return await(talk, PROXY_STAGE_REPLY, 2, PROXY_STEP_SEND);
}

static enum proxy_step refuse(const struct proxy_talk *talk, const char *sentence)
{
    snprintf(talk->problem, PROXY_PROBLEM_SIZE, "%s", sentence);
    return PROXY_STEP_REFUSED;
}

static enum proxy_step take_method(struct proxy_talk *talk)
{
    bool has_user = talk->proxy->user != NULL;

    if (talk->in[0] != VERSION) {
        return PROXY_STEP_STRANGE;
    }
    switch (talk->in[1]) {
    case METHOD_NONE:
        return send_request(talk);
    case METHOD_SECRET:
        if (has_user) {
            return send_secret(talk);
        }
        break;
    case NO_METHOD:
        return refuse(talk,
                      has_user ? "the proxy takes neither a user name with a password nor a client "
                                 "without: it demands another authentication (GSS-API?), which "
                                 "foxtrackrd does not know"
                               : "the proxy demands a user name and a password, or refuses this "
                                 "machine: write the user into broker.proxy, as "
                                 "socks5://USER@HOST:PORT, and set broker.proxy_password_file");
    default:
        break;
    }
    return PROXY_STEP_STRANGE;
}

static enum proxy_step take_verdict(struct proxy_talk *talk)
{
    if (talk->in[1] == 0) {
        return send_request(talk);
    }
    snprintf(talk->problem, PROXY_PROBLEM_SIZE,
             "the proxy refuses the user %.100s or the password: %s", talk->proxy->user,
             talk->proxy->password == NULL ? "no password is set: see broker.proxy_password_file"
                                           : "check broker.proxy and broker.proxy_password_file");
    return PROXY_STEP_REFUSED;
}

/* The replies of RFC 1928 §6. */
static enum proxy_step refuse_reply(const struct proxy_talk *talk)
{
    static const struct {
        const char *before; /* the target */
        const char *after;
    } sentences[] = {
        [1] = {"the proxy has failed to connect to ",
               ": it may not know this name; its log tells why"},
        [2] = {"the proxy forbids a connection to ",
               ": its operator has to allow this host and port"},
        [3] = {"the proxy has no route to the network of the broker at ", ""},
        [4] = {"the proxy does not reach the broker at ",
               ": there is no route to it, or the proxy does not know this name"},
        [5] = {"nothing listens at ",
               ", the proxy says: is the broker running, and is broker.port right?"},
        [6] = {"the proxy has not reached the broker at ",
               " in time: a firewall, or a wrong broker.host?"},
        [7] = {"the proxy connects no client, as to ", ": it does not know the command CONNECT"},
        [8] = {"the proxy does not take the kind of address of ",
               ": write a name into broker.host, or an address of the other version"},
    };
    unsigned reply = talk->in[1];

    if (reply < sizeof(sentences) / sizeof(sentences[0])) {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE, "%s%.120s%s", sentences[reply].before,
                 talk->target, sentences[reply].after);
    } else {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the proxy refuses a connection to %.120s with the unknown code %u", talk->target,
                 reply);
    }
    return PROXY_STEP_REFUSED;
}

/* Checks VER and REP, the first two bytes of the reply to CONNECT, and asks for the next three,
 * which take_address() reads. */
static enum proxy_step take_reply(struct proxy_talk *talk)
{
    if (talk->in[0] != VERSION) {
        return PROXY_STEP_STRANGE;
    }
    if (talk->in[1] != 0) {
        return refuse_reply(talk);
    }
    /* RSV, ATYP and the first byte of the address, which is the length of a name. */
    return await(talk, PROXY_STAGE_ADDRESS, 3, PROXY_STEP_READ);
}

/* The address of the proxy's own end, with its port: read, because the broker's bytes follow. */
static enum proxy_step take_address(struct proxy_talk *talk)
{
    size_t rest;

    if (talk->in_length > 3) {
        return PROXY_STEP_OPEN;
    }
    switch (talk->in[1]) {
    case ATYP_IPV4:
        rest = 3;
        break;
    case ATYP_IPV6:
        rest = 15;
        break;
    case ATYP_NAME:
        rest = talk->in[2];
        break;
    default:
        return PROXY_STEP_STRANGE;
    }
    talk->wanted = rest + 2;
    return PROXY_STEP_READ;
}

enum proxy_step proxy_socks_step(struct proxy_talk *talk)
{
    talk->out_length = 0;
    switch (talk->stage) {
    case PROXY_STAGE_METHOD:
        return take_method(talk);
    case PROXY_STAGE_VERDICT:
        return take_verdict(talk);
    case PROXY_STAGE_REPLY:
        return take_reply(talk);
    default:
        return take_address(talk);
    }
}
