/*
 * The URL of the proxy: http://HOST:PORT or socks5://HOST:PORT, with USER@ in front of the host if
 * the proxy asks for one.
 *
 * A reason quotes nothing of the URL except its host: a password may stand in it, where it does not
 * belong. So that the host holds none of it, an @ or a colon that does not belong there ends the
 * reading first.
 */
#include "config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int fail(char *reason, const char *sentence)
{
    snprintf(reason, CONFIG_REASON_SIZE, "%s", sentence);
    return 1;
}

/* Takes the scheme; *text becomes what follows it. */
static int take_scheme(const char **text, struct config_proxy *proxy, char *reason)
{
    static const char http[] = "http://";
    static const char socks5[] = "socks5://";

    if (strncasecmp(*text, http, strlen(http)) == 0) {
        *text += strlen(http);
        return 0;
    }
    if (strncasecmp(*text, socks5, strlen(socks5)) == 0) {
        *text += strlen(socks5);
        proxy->socks5 = true;
        return 0;
    }
    if (strncasecmp(*text, "socks5h://", strlen("socks5h://")) == 0) {
        return fail(reason, "write socks5://, with which the proxy resolves the broker's name too");
    }
    if (strncasecmp(*text, "socks4", strlen("socks4")) == 0 ||
        strncasecmp(*text, "socks://", strlen("socks://")) == 0) {
        return fail(reason,
                    "names a SOCKS proxy of another version: only SOCKS 5 is supported, write "
                    "socks5://HOST:PORT if the proxy speaks it");
    }
    if (strncasecmp(*text, "https://", strlen("https://")) == 0) {
        return fail(reason, "begins with https://: foxtrackrd does not speak TLS to a proxy (the "
                            "broker's TLS goes through it all the same); write http://");
    }
    return fail(reason, "is not the URL of a proxy: write http://HOST:PORT or socks5://HOST:PORT");
}

static bool holds_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            return true;
        }
    }
    return false;
}

/* A line of the file is shorter than 255 bytes, the most that RFC 1929 allows. */
static int take_user(const char *text, size_t length, struct config_proxy *proxy, char *reason)
{
    if (memchr(text, ':', length) != NULL) {
        return fail(reason,
                    "holds a password, which others see more easily there: write USER@ "
                    "alone, and put the password into a file that proxy_password_file names");
    }
    if (memchr(text, '@', length) != NULL || memchr(text, '/', length) != NULL) {
        return fail(reason, "has an @ or a / in the user name: write %40 for @, %2F for /");
    }
    if (config_value_copy(text, length, &proxy->user, reason) != 0) {
        return 1;
    }
    if (strstr(proxy->user, "%00") != NULL || !config_percent_decode(proxy->user)) {
        return fail(reason, "has a % in the user name without the two hexadecimal digits of a "
                            "character: write %25 for %");
    }
    if (holds_control(proxy->user)) {
        return fail(reason, "has a control character in the user name");
    }
    if (proxy->user[0] == '\0') {
        return fail(reason, "has an @ with no user name in front of it");
    }
    if (!proxy->socks5 && strchr(proxy->user, ':') != NULL) {
        return fail(reason,
                    "has a user name with a colon, which HTTP cannot transmit (RFC 7617 §2)");
    }
    return 0;
}

/* Takes ":3128" or ":3128/". */
static int take_port(const char *text, struct config_proxy *proxy, char *reason)
{
    size_t length;
    long port;

    if (*text != ':') {
        return fail(reason, "names no port: write it behind the host, as in http://HOST:3128");
    }
    length = strspn(++text, "0123456789");
    port = strtol(text, NULL, 10);
    if (length == 0 || (text[length] != '\0' && strcmp(text + length, "/") != 0) || port < 1 ||
        port > 65535) {
        return fail(reason, "has no port from 1 to 65535 at its end");
    }
    proxy->port = (int)port;
    return 0;
}

/* Takes "proxy.example:3128" or "[::1]:3128". */
static int take_place(const struct config_key *key, const char *text, struct config_proxy *proxy,
                      char *reason)
{
    size_t skip = *text == '[';
    size_t length = strcspn(text, skip ? "]" : ":/");
    char *host = NULL;
    int result;

    if (skip && text[length] == '\0') {
        return fail(reason, "has no ] behind the address");
    }
    if (length - skip == 0) {
        return fail(reason, "names no host: write http://HOST:PORT or socks5://HOST:PORT");
    }
    /* The port first: a host is quoted, and may be the user of a URL whose @HOST was forgotten. */
    result = take_port(text + length + skip, proxy, reason);
    if (result == 0) {
        result = config_value_copy(text + skip, length - skip, &host, reason);
    }
    if (result == 0) {
        result = config_value_host.parse(key, host, &proxy->host, reason);
    }
    free(host);
    return result;
}

static void proxy_clear(void *field)
{
    struct config_proxy **proxy = field;

    if (*proxy != NULL) {
        free((*proxy)->host);
        free((*proxy)->user);
    }
    free(*proxy);
    *proxy = NULL;
}

static int proxy_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    struct config_proxy *proxy = calloc(1, sizeof(*proxy));
    const char *at;
    int result;

    if (proxy == NULL) {
        return fail(reason, "out of memory");
    }
    result = take_scheme(&text, proxy, reason);
    at = strrchr(text, '@');
    if (result == 0 && at != NULL) {
        result = take_user(text, (size_t)(at - text), proxy, reason);
        text = at + 1;
    }
    if (result == 0) {
        result = take_place(key, text, proxy, reason);
    }
    if (result != 0) {
        proxy_clear(&proxy);
        return 1;
    }
    *(struct config_proxy **)field = proxy;
    return 0;
}

static bool same_user(const char *one, const char *other)
{
    return (one == NULL && other == NULL) ||
           (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool proxy_same(const void *one, const void *other)
{
    const struct config_proxy *a = *(struct config_proxy *const *)one;
    const struct config_proxy *b = *(struct config_proxy *const *)other;

    if (a == NULL || b == NULL) {
        return a == b;
    }
    return a->socks5 == b->socks5 && a->port == b->port && strcmp(a->host, b->host) == 0 &&
           same_user(a->user, b->user);
}

const struct config_type config_value_proxy = {
    .parse = proxy_parse, .same = proxy_same, .clear = proxy_clear};
