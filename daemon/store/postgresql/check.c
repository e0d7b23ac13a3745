/*
 * Checks the URI without the server. libpq refuses most of what it cannot use when it begins to
 * connect; so it begins here with the same parameters, but for addresses that are none. A few
 * values it looks at only once there is an address, and they are checked here.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define NOWHERE "none"
#define TAKEN   "could not parse network address " /* begins libpq's text about that */

/* Hosts and ports of a URI; NULL: not in it. */
struct hosts {
    const char *names;
    const char *addresses;
    const char *ports;
};

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

/* --- values that libpq looks at later --------------------------------------------------------- */

static bool is_number(const char *text)
{
    char *end;

    strtol(text, &end, 10);
    return end != text && end[strspn(end, " \t\n\v\f\r")] == '\0';
}

static bool is_address(const char *text, size_t length)
{
    const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    char address[128];

    if (length == 0) {
        return true; /* the host's name counts */
    }
    if (length >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, length);
    address[length] = '\0';
    if (getaddrinfo(address, NULL, &numeric, &found) != 0) {
        return false;
    }
    freeaddrinfo(found);
    return true;
}

static bool are_addresses(const char *list)
{
    const char *at = list;

    for (;;) {
        size_t length = strcspn(at, ",");

        if (!is_address(at, length)) {
            return false;
        }
        if (at[length] == '\0') {
            return true;
        }
        at += length + 1;
    }
}

/* Checks a value, and takes it if it is about hosts. */
static int look(const PQconninfoOption *option, struct hosts *hosts, char *problem, size_t size)
{
    static const char *const numbers[] = {"keepalives", "keepalives_idle", "keepalives_interval",
                                          "keepalives_count", "tcp_user_timeout"};
    char text[PG_NOTICE_SIZE];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(option->keyword, numbers[i]) == 0 && !is_number(option->val)) {
            snprintf(text, sizeof(text), "%s is no number", numbers[i]);
            return refuse(problem, size, text);
        }
    }
    if (strcmp(option->keyword, "hostaddr") == 0) {
        hosts->addresses = option->val;
        if (!are_addresses(option->val)) {
            return refuse(problem, size, "hostaddr is no address in numbers");
        }
    } else if (strcmp(option->keyword, "host") == 0) {
        hosts->names = option->val;
    } else if (strcmp(option->keyword, "port") == 0) {
        hosts->ports = option->val;
    }
    return STORE_OK;
}

/* --- what libpq says at once ------------------------------------------------------------------ */

/* Returns a list of as many addresses that are none, for free(); NULL: out of memory. */
static char *as_many(const char *list)
{
    char *out = malloc((strlen(list) + 1) * sizeof(NOWHERE));
    char *to = out;

    if (out == NULL) {
        return NULL;
    }
    to = stpcpy(to, NOWHERE);
    while ((list = strchr(list, ',')) != NULL) {
        to = stpcpy(to, "," NOWHERE);
        list++;
    }
    return out;
}

static int begin_to_connect(const char *uri, const char *names, const char *addresses,
                            const char *ports, char *problem, size_t problem_size)
{
    struct pg_parameters parameters;
    int result = STORE_OK;
    PGconn *db;

    pg_parameters_choose(uri, "foxtrackrd", false, &parameters);
    pg_parameters_add(&parameters, "host", names);
    pg_parameters_add(&parameters, "hostaddr", addresses);
    pg_parameters_add(&parameters, "port", ports);
    db = PQconnectStartParams(parameters.keys, parameters.values, 1);
    if (db == NULL) {
        return without_memory(problem, problem_size);
    }
    if (strncmp(PQerrorMessage(db), TAKEN, strlen(TAKEN)) != 0) {
        result = refuse(problem, problem_size, PQerrorMessage(db));
    }
    PQfinish(db);
    return result;
}

/* As many hosts, addresses and ports as the URI has: libpq compares their numbers. */
static int try(const char *uri, const struct hosts *hosts, char *problem, size_t problem_size)
{
    const char *either = hosts->names != NULL ? hosts->names : hosts->addresses;
    char *names = as_many(either != NULL ? either : "");
    char *addresses = as_many(hosts->addresses != NULL ? hosts->addresses
                              : either != NULL         ? either
                                                       : "");
    int result =
        names != NULL && addresses != NULL
            ? begin_to_connect(uri, names, addresses, hosts->ports != NULL ? hosts->ports : "5432",
                               problem, problem_size)
            : without_memory(problem, problem_size);

    free(names);
    free(addresses);
    return result;
}

static int check(const char *uri, const PQconninfoOption *option, char *problem,
                 size_t problem_size)
{
    struct hosts hosts = {0};
    int result = STORE_OK;

    for (; result == STORE_OK && option->keyword != NULL; option++) {
        if (option->val != NULL) {
            result = look(option, &hosts, problem, problem_size);
        }
    }
    return result == STORE_OK ? try(uri, &hosts, problem, problem_size) : result;
}

int postgresql_check(const struct store_options *options, char *problem, size_t problem_size)
{
    char *text = NULL;
    PQconninfoOption *parsed = PQconninfoParse(options->uri, &text);
    int result;

    if (parsed != NULL) {
        result = check(options->uri, parsed, problem, problem_size);
    } else if (text != NULL) {
        result = refuse(problem, problem_size, text);
    } else {
        result = without_memory(problem, problem_size);
    }
    PQconninfoFree(parsed);
    PQfreemem(text);
    return result;
}
