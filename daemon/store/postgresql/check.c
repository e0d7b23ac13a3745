/*
 * Checks the URI without the server. libpq says whether it takes the values when it begins to
 * connect, so it is given a host that cannot be: a socket below /dev/null.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define NO_HOST    "/dev/null/none"
#define ATTEMPT    "connection to server " /* begins libpq's text once it has taken the values */
#define PARAMETERS 64                      /* libpq has about forty */
#define PORT_MAX   65535

/* Returns true when each port of a list is a number, or empty: the default. libpq looks at a port
 * when the turn is that of its host. */
static bool are_ports(const char *list)
{
    const char *at = list;

    for (;;) {
        size_t length = strcspn(at, ",");
        unsigned long port = strtoul(at, NULL, 10);

        if (strspn(at, "0123456789") < length || (length > 0 && (port == 0 || port > PORT_MAX))) {
            return false;
        }
        if (at[length] == '\0') {
            return true;
        }
        at += length + 1;
    }
}

/* Adds what the URI says, but for the host. Returns false when a port is wrong. */
static bool take(const PQconninfoOption *option, const char **keys, const char **values, int count)
{
    for (; option->keyword != NULL && count < PARAMETERS - 1; option++) {
        if (option->val == NULL || strcmp(option->keyword, "host") == 0 ||
            strcmp(option->keyword, "hostaddr") == 0) {
            continue;
        }
        if (strcmp(option->keyword, "port") != 0) {
            keys[count] = option->keyword;
            values[count++] = option->val;
        } else if (!are_ports(option->val)) {
            return false;
        }
    }
    return true;
}

static int refuse(char *problem, size_t problem_size, const char *text)
{
    snprintf(problem, problem_size, "database.uri: %.*s", (int)strcspn(text, "\n"), text);
    return STORE_E_PATH;
}

static int without_memory(char *problem, size_t problem_size)
{
    snprintf(problem, problem_size, "out of memory");
    return STORE_E_RETRY;
}

static int begin_to_connect(const PQconninfoOption *option, char *problem, size_t problem_size)
{
    const char *keys[PARAMETERS] = {"host", "gssencmode", "passfile"};
    const char *values[PARAMETERS] = {NO_HOST, "disable", NO_HOST};
    int result = STORE_OK;
    PGconn *db;

    if (!take(option, keys, values, 3)) {
        return refuse(problem, problem_size, "a port is no number from 1 to 65535");
    }
    db = PQconnectStartParams(keys, values, 0);
    if (db == NULL) {
        return without_memory(problem, problem_size);
    }
    if (strncmp(PQerrorMessage(db), ATTEMPT, strlen(ATTEMPT)) != 0) {
        result = refuse(problem, problem_size, PQerrorMessage(db));
    }
    PQfinish(db);
    return result;
}

int postgresql_check(const struct store_options *options, char *problem, size_t problem_size)
{
    char *text = NULL;
    PQconninfoOption *parsed = PQconninfoParse(options->uri, &text);
    int result;

    if (parsed != NULL) {
        result = begin_to_connect(parsed, problem, problem_size);
    } else if (text != NULL) {
        result = refuse(problem, problem_size, text);
    } else {
        result = without_memory(problem, problem_size);
    }
    PQconninfoFree(parsed);
    PQfreemem(text);
    return result;
}
