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
    char *hosts; /* "" is the socket of libpq's default folder */
    char *database;
    bool has_password;
    char sslmode[CONFIG_SSLMODE_SIZE];
};

/* Takes KEY=VALUE. A host here counts when there is none in front. */
static bool take_parameter(char *text, struct parts *parts)
{
    char *value = strchr(text, '=');

    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    if (!config_percent_decode(value)) {
        return false;
    }
    if (strcmp(text, "password") == 0 || strcmp(text, "sslpassword") == 0) {
        parts->has_password = true;
    } else if (strcmp(text, "sslmode") == 0) {
        snprintf(parts->sslmode, sizeof(parts->sslmode), "%s", value);
    } else if (strcmp(text, "host") == 0 || strcmp(text, "hostaddr") == 0) {
        parts->hosts = parts->hosts[0] == '\0' ? value : parts->hosts;
    } else if (strcmp(text, "dbname") == 0) {
        parts->database = parts->database[0] == '\0' ? value : parts->database;
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

/* Splits the text behind the scheme. Returns false when a part is no part of a URI. */
static bool split(struct parts *parts)
{
    char *text = parts->copy;
    char *query = strchr(text, '?');
    char *slash;
    char *at;

    if (query != NULL) {
        *query++ = '\0';
    }
    slash = strchr(text, '/');
    parts->database = "";
    if (slash != NULL) {
        *slash = '\0';
        parts->database = slash + 1;
    }
    at = strrchr(text, '@');
    parts->hosts = at != NULL ? at + 1 : text;
    if (at != NULL) {
        *at = '\0';
        parts->has_password = strchr(text, ':') != NULL;
    }
    if (strchr(parts->hosts, '@') != NULL || !config_percent_decode(parts->hosts) ||
        (slash != NULL && !config_percent_decode(parts->database))) {
        return false;
    }
    return query == NULL || take_parameters(query, parts);
}

/* Returns true when every host is the folder of a socket, or libpq's default for one. */
static bool only_sockets(const char *hosts)
{
    const char *at = hosts;

    for (;;) {
        if (*at != '/' && *at != '\0' && *at != ',' && *at != ':') {
            return false;
        }
        at = strchr(at, ',');
        if (at == NULL) {
            return true;
        }
        at++;
    }
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
    if (!split(&parts)) {
        result = fail(reason, "has an @, a % or a parameter that is not written as in a URI: write "
                              "%40 for @, %25 for %, and KEY=VALUE behind the question mark");
    } else if (asprintf(&uri->shown, "%s/%s", parts.hosts[0] != '\0' ? parts.hosts : "localhost",
                        parts.database) < 0) {
        uri->shown = NULL;
        result = fail(reason, "out of memory");
    } else {
        uri->has_password = parts.has_password;
        uri->sockets = only_sockets(parts.hosts);
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
