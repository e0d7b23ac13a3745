/*
 * The URI of a database of PostgreSQL:
 *
 *     postgresql://[USER@][HOST[:PORT][,...]][/DATABASE][?KEY=VALUE&...]
 *
 * libpq reads it when it connects, and says what is wrong with it; this file reads the parts that
 * the checks of a configuration need, without libpq, which is not on every machine.
 *
 * A password in a URI is refused, because everybody who can read the configuration would see it.
 * Nothing of the URI is quoted: the password may stand in any place of it.
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

/* The parts of a URI, in a copy of its text. */
struct parts {
    char *copy;
    char *hosts;   /* with their ports; "" is the socket of libpq's default folder */
    char *address; /* hostaddr, which takes the place of hosts; "": none */
    char *database;
    bool has_password;
    bool has_wrong_port;
    char sslmode[CONFIG_SSLMODE_SIZE];
};

/* Returns true when each port of a list is a number, or empty: the default. libpq, which takes
 * blanks and a sign besides, looks at a port when the turn is that of its host. */
static bool are_ports(const char *list, size_t length)
{
    for (const char *at = list; at <= list + length; at++) {
        size_t digits = strspn(at, "0123456789");
        unsigned long port = strtoul(at, NULL, 10);

        if (digits > 0 && (port == 0 || port > 65535)) {
            return false;
        }
        at += digits;
        if (at < list + length && *at != ',') {
            return false;
        }
    }
    return true;
}

/* Takes KEY=VALUE. What libpq meets last counts, so a host here takes the place of that in front.
 */
static bool take_parameter(char *text, struct parts *parts)
{
    char *value = strchr(text, '=');

    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    if (!config_percent_decode(text) || !config_percent_decode(value)) {
        return false;
    }
    if (strcmp(text, "password") == 0 || strcmp(text, "sslpassword") == 0) {
        parts->has_password = true;
    } else if (strcmp(text, "sslmode") == 0) {
        snprintf(parts->sslmode, sizeof(parts->sslmode), "%s", value);
    } else if (strcmp(text, "ssl") == 0 && strcmp(value, "true") == 0) {
        snprintf(parts->sslmode, sizeof(parts->sslmode), "require"); /* as JDBC writes it */
    } else if (strcmp(text, "host") == 0) {
        parts->hosts = value;
    } else if (strcmp(text, "hostaddr") == 0) {
        parts->address = value;
    } else if (strcmp(text, "port") == 0) {
        parts->has_wrong_port = parts->has_wrong_port || !are_ports(value, strlen(value));
    } else if (strcmp(text, "dbname") == 0) {
        parts->database = value;
    }
    return true;
}

static bool take_parameters(char *text, struct parts *parts)
{
    char *rest = NULL;

    for (char *one = strtok_r(text, "&", &rest); one != NULL; one = strtok_r(NULL, "&", &rest)) {
        if (!take_parameter(one, parts)) {
            return false;
        }
    }
    return true;
}

/* Returns what follows USER@; the text itself when there is none. */
static char *skip_user(char *text, struct parts *parts)
{
    char *at = text + strcspn(text, "@/");

    if (*at != '@') {
        return text;
    }
    *at = '\0';
    parts->has_password = strchr(text, ':') != NULL;
    return at + 1;
}

/* Returns the end of HOST[:PORT],...; NULL when an address in brackets does not end. */
static char *skip_hosts(char *text, struct parts *parts)
{
    char *at = text;

    for (;;) {
        at = *at == '[' ? strchr(at, ']') : at;
        if (at == NULL) {
            return NULL;
        }
        at += strcspn(at, ":/?,");
        if (*at == ':') {
            size_t length = strcspn(at + 1, "/?,");

            parts->has_wrong_port = parts->has_wrong_port || !are_ports(at + 1, length);
            at += 1 + length;
        }
        if (*at != ',') {
            return at;
        }
        at++;
    }
}

/* Splits the text behind the scheme, where libpq splits it: otherwise a password could be taken for
 * another part. Returns false when a part is no part of a URI. */
static bool split(struct parts *parts)
{
    char *end;
    char *query = NULL;

    parts->hosts = skip_user(parts->copy, parts);
    parts->address = parts->database = "";
    end = skip_hosts(parts->hosts, parts);
    if (end == NULL) {
        return false;
    }
    if (*end == '/') {
        parts->database = end + 1;
        *end = '\0';
        end = parts->database + strcspn(parts->database, "?");
    }
    if (*end == '?') {
        query = end + 1;
        *end = '\0';
    }
    /* An @ here is the end of a password with a / in it. */
    if (strchr(parts->hosts, '@') != NULL || strchr(parts->database, '@') != NULL ||
        !config_percent_decode(parts->hosts) ||
        (parts->database[0] != '\0' && !config_percent_decode(parts->database))) {
        return false;
    }
    return query == NULL || take_parameters(query, parts);
}

/* Returns true when every host is the folder of a socket, an abstract one, or libpq's default. */
static bool only_sockets(const char *hosts)
{
    const char *at = hosts;

    for (;;) {
        if (*at != '/' && *at != '@' && *at != '\0' && *at != ',' && *at != ':') {
            return false;
        }
        at = strchr(at, ',');
        if (at == NULL) {
            return true;
        }
        at++;
    }
}

/* Returns the sentence about what is wrong; NULL: nothing is. */
static const char *fault_of(struct parts *parts)
{
    bool good = split(parts);

    if (parts->has_password) {
        return NULL; /* that is told of first, and by those who read the configuration */
    }
    if (!good) {
        return "has an @, a % or a parameter that is not written as in a URI: write %40 for @, %25 "
               "for %, and KEY=VALUE behind the question mark";
    }
    return parts->has_wrong_port ? "has a port that is no number from 1 to 65535" : NULL;
}

static const char *place(const struct parts *parts)
{
    if (parts->hosts[0] != '\0') {
        return parts->hosts;
    }
    return parts->address[0] != '\0' ? parts->address : "localhost";
}

void config_uri_clear(struct config_uri *uri)
{
    free(uri->shown);
    uri->shown = NULL;
}

int config_uri_read(const char *text, struct config_uri *uri, char *reason)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    struct parts parts = {0};
    const char *fault;
    size_t skip = 0;
    int result = 0;

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]) && skip == 0; i++) {
        skip = strncasecmp(text, schemes[i], strlen(schemes[i])) == 0 ? strlen(schemes[i]) : 0;
    }
    if (skip == 0) {
        return fail(reason, "is not the URI of a database of PostgreSQL: write "
                            "postgresql://USER@HOST/DATABASE?sslmode=verify-full");
    }
    parts.copy = strdup(text + skip);
    if (parts.copy == NULL) {
        return fail(reason, "out of memory");
    }
    fault = fault_of(&parts);
    if (fault != NULL) {
        result = fail(reason, fault);
    } else if (asprintf(&uri->shown, "%s/%s", place(&parts), parts.database) < 0) {
        uri->shown = NULL;
        result = fail(reason, "out of memory");
    } else {
        uri->has_password = parts.has_password;
        uri->sockets = parts.address[0] == '\0' && only_sockets(parts.hosts);
        snprintf(uri->sslmode, sizeof(uri->sslmode), "%s", parts.sslmode);
    }
    free(parts.copy);
    return result;
}

static int uri_parse(const struct config_key *key, const char *text, void *field, char *reason)
{
    struct config_uri uri = {0};
    int result = config_uri_read(text, &uri, reason);

    if (result == 0 && uri.has_password) {
        result = fail(reason, "holds a password, which others see more easily there: leave it out, "
                              "and put it into a file that database.password_file names");
    }
    config_uri_clear(&uri);
    return result == 0 ? config_value_text.parse(key, text, field, reason) : 1;
}

static bool uri_same(const void *one, const void *other)
{
    return config_value_text.same(one, other);
}

static void uri_clear(void *field)
{
    config_value_text.clear(field);
}

const struct config_type config_value_uri = {
    .parse = uri_parse, .same = uri_same, .clear = uri_clear};
