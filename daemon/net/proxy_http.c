/*
 * CONNECT of an HTTP proxy (RFC 9110 §9.3.6).
 *
 * The head of the answer is read byte by byte, because its length is unknown and the broker's bytes
 * follow it. A successful answer has no body, whatever its header says. The body of a refusal is
 * not read: the connection is closed.
 *
 * A proxy that does not take the user name and password should answer 407; tinyproxy answers 401.
 * Squid answers 403 for a port that it does not allow, tinyproxy 500 for a broker that it does not
 * reach, most others 502, 503 or 504.
 */
#include <ctype.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/escape.h"
#include "net/proxy_internal.h"

#define VERSION   "HTTP/1."
#define BASE64_OF (4 * ((2 * PROXY_SECRET_MAX + 1 + 2) / 3) + 1)

/* --- the request ---------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void add(struct proxy_talk *talk, const char *format,
                                                      ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf((char *)talk->out + talk->out_length, sizeof(talk->out) - talk->out_length,
                       format, arguments);
    va_end(arguments);
    talk->out_length += (size_t)length;
}

/* Adds the credentials in the scheme Basic (RFC 7617 §2). */
static void add_credentials(struct proxy_talk *talk)
{
    const struct proxy *proxy = talk->proxy;
    char pair[2 * PROXY_SECRET_MAX + 2];
    unsigned char encoded[BASE64_OF];
    int length = snprintf(pair, sizeof(pair), "%.*s:%.*s", PROXY_SECRET_MAX, proxy->user,
                          PROXY_SECRET_MAX, proxy->password != NULL ? proxy->password : "");

    EVP_EncodeBlock(encoded, (const unsigned char *)pair, length);
    add(talk, "Proxy-Authorization: Basic %s\r\n", (const char *)encoded);
    explicit_bzero(pair, sizeof(pair));
    explicit_bzero(encoded, sizeof(encoded));
}

void proxy_http_begin(struct proxy_talk *talk)
{
    add(talk, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", talk->target, talk->target);
    if (talk->proxy->user != NULL) {
        add_credentials(talk);
    }
    add(talk, "\r\n");
    talk->stage = PROXY_STAGE_CONNECT;
    talk->wanted = 1;
}

/* --- refusals ------------------------------------------------------------------------------- */

static void say_authentication(const struct proxy_talk *talk)
{
    const struct proxy *proxy = talk->proxy;

    if (!talk->has_basic && talk->scheme[0] != '\0') {
        snprintf(
            talk->problem, PROXY_PROBLEM_SIZE,
            "the proxy demands authentication by %s (%s), and foxtrackrd knows Basic alone: ask "
            "its operator for another way",
            talk->scheme, talk->reason);
    } else if (proxy->user == NULL) {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the proxy demands a user name and a password (%s): write the user into "
                 "broker.proxy, as http://USER@HOST:PORT, and set broker.proxy_password_file",
                 talk->reason);
    } else {
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the proxy refuses the user %.100s or the password (%s): %s", proxy->user,
                 talk->reason,
                 proxy->password == NULL ? "no password is set: see broker.proxy_password_file"
                                         : "check broker.proxy and broker.proxy_password_file");
    }
}

static void say_refusal(const struct proxy_talk *talk)
{
    switch (talk->status) {
    case 401:
    case 407:
        say_authentication(talk);
        break;
    case 403:
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the proxy forbids a connection to %.120s (%s): its operator has to allow CONNECT "
                 "to this host and port",
                 talk->target, talk->reason);
        break;
    case 500:
    case 502:
    case 503:
    case 504:
        snprintf(talk->problem, PROXY_PROBLEM_SIZE,
                 "the proxy has not reached the broker at %.120s (%s): is the broker running, and "
                 "does the proxy know this name?",
                 talk->target, talk->reason);
        break;
    default:
        snprintf(
            talk->problem, PROXY_PROBLEM_SIZE,
            "the server at broker.proxy answers CONNECT with \"%s\": it may be a web server, or "
            "a proxy that does not allow CONNECT",
            talk->reason);
        break;
    }
}

/* --- the answer ----------------------------------------------------------------------------- */

/* Returns false when the first line does not begin as that of HTTP/1. */
static bool begins_well(const struct proxy_talk *talk)
{
    size_t length = talk->in_length < strlen(VERSION) ? talk->in_length : strlen(VERSION);

    return memcmp(talk->in, VERSION, length) == 0;
}

/* Takes "HTTP/1.1 200 Connection established"; the reason may be missing (RFC 9112 §4). */
static bool take_status(struct proxy_talk *talk, const char *line)
{
    const char *at = line + strlen(VERSION);
    char reason[PROXY_REASON_SIZE];

    if (strlen(line) < strlen(VERSION "1 200") || !isdigit((unsigned char)at[0]) || at[1] != ' ' ||
        strspn(at + 2, "0123456789") != 3 || at[2] == '0' || (at[5] != ' ' && at[5] != '\0')) {
        return false;
    }
    talk->status = (at[2] - '0') * 100 + (at[3] - '0') * 10 + (at[4] - '0');
    snprintf(reason, sizeof(reason), "%.60s", at + 2);
    escape_line(talk->reason, sizeof(talk->reason), reason);
    return true;
}

/* Notes the schemes of "Proxy-Authenticate: Negotiate" and "Proxy-Authenticate: Basic realm=...".
 */
static void take_header(struct proxy_talk *talk, const char *line)
{
    static const char proxy[] = "Proxy-Authenticate:";
    static const char server[] = "WWW-Authenticate:"; /* with 401 */
    const char *value;
    size_t length;

    if (strncasecmp(line, proxy, strlen(proxy)) == 0) {
        value = line + strlen(proxy);
    } else if (strncasecmp(line, server, strlen(server)) == 0) {
        value = line + strlen(server);
    } else {
        return;
    }
    value += strspn(value, " \t");
    length = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    if (strcasestr(value, "basic ") != NULL || strcasecmp(value, "basic") == 0) {
        talk->has_basic = true;
    } else if (talk->scheme[0] == '\0') {
        snprintf(talk->scheme, sizeof(talk->scheme), "%.*s", (int)length, value);
    }
}

static enum proxy_step end_head(struct proxy_talk *talk)
{
    if (talk->status >= 200 && talk->status < 300) {
        return PROXY_STEP_OPEN;
    }
    if (talk->status < 200 && talk->status != 101) {
        /* RFC 9110 §15.2: an interim answer, which the final one follows. */
        talk->status = 0;
        talk->in_length = 0;
        talk->wanted = 1;
        return PROXY_STEP_READ;
    }
    say_refusal(talk);
    return PROXY_STEP_REFUSED;
}

/* Takes a whole line; a longer one than `in` has lost its end. */
static enum proxy_step take_line(struct proxy_talk *talk)
{
    char line[PROXY_IN_SIZE];
    size_t length = talk->in_length - 1;

    if (length > 0 && talk->in[length - 1] == '\r') {
        length--;
    }
    memcpy(line, talk->in, length);
    line[length] = '\0';
    if (talk->status == 0) {
        if (!take_status(talk, line)) {
            return PROXY_STEP_STRANGE;
        }
    } else if (length == 0) {
        return end_head(talk);
    } else {
        take_header(talk, line);
    }
    talk->in_length = 0;
    talk->wanted = 1;
    return PROXY_STEP_READ;
}

enum proxy_step proxy_http_step(struct proxy_talk *talk)
{
    if (talk->status == 0 && !begins_well(talk)) {
        return PROXY_STEP_STRANGE;
    }
    if (talk->in[talk->in_length - 1] == '\n') {
        return take_line(talk);
    }
    if (talk->in_length == sizeof(talk->in) - 1) {
        talk->in_length--; /* the next byte takes this one's place */
    }
    talk->wanted = 1;
    return PROXY_STEP_READ;
}
