/*
 * What libpq is told about a connection. A later value of a keyword takes the place of an earlier
 * one, and the URI stands in the place of `dbname`: what it says itself is not replaced by our
 * defaults, which come first, but for what a URI must not change, which comes last.
 */
#include <string.h>

#include "store/postgresql/postgresql_internal.h"

void pg_parameters_add(struct pg_parameters *parameters, const char *key, const char *value)
{
    parameters->keys[parameters->count] = key;
    parameters->values[parameters->count] = value;
    parameters->count++;
    parameters->keys[parameters->count] = NULL;
}

/*
 * Returns true when the URI asks to verify the server. Only then libpq gets the authorities of the
 * system: it would use them with any sslmode, refuse a server's own certificate with `require`, and
 * go on without TLS with `prefer`.
 */
static bool verifies(const char *uri)
{
    PQconninfoOption *options = PQconninfoParse(uri, NULL);
    bool found = false;

    for (int i = 0; options != NULL && options[i].keyword != NULL; i++) {
        found = found || (strcmp(options[i].keyword, "sslmode") == 0 && options[i].val != NULL &&
                          strncmp(options[i].val, "verify", strlen("verify")) == 0);
    }
    PQconninfoFree(options);
    return found;
}

void pg_parameters_choose(const char *uri, const char *name, bool read_only,
                          struct pg_parameters *parameters)
{
    parameters->count = 0;
    pg_parameters_add(parameters, "connect_timeout", "5");
    pg_parameters_add(parameters, "target_session_attrs", read_only ? "any" : "read-write");
    pg_parameters_add(parameters, "keepalives_idle", "5");
    pg_parameters_add(parameters, "keepalives_interval", "2");
    pg_parameters_add(parameters, "keepalives_count", "3");
    pg_parameters_add(parameters, "tcp_user_timeout", "10000");
    if (verifies(uri)) {
        pg_parameters_add(parameters, "sslrootcert", CONFIG_SYSTEM_BUNDLE);
    }
    pg_parameters_add(parameters, "dbname", uri);
    pg_parameters_add(parameters, "application_name", name);
    pg_parameters_add(parameters, "client_encoding", "UTF8");
    pg_parameters_add(parameters, "gssencmode", "disable");
    /* No folder can be below /dev/null: libpq finds no file and says nothing. */
    pg_parameters_add(parameters, "passfile", "/dev/null/none");
}
