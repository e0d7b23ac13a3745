/* Which JSON the database can work with; see json.c. Pure; any thread. */
#ifndef STORE_POSTGRESQL_JSON_INTERNAL_H
#define STORE_POSTGRESQL_JSON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

/* Returns true when a valid JSON text can be read by ->> and cast to jsonb; else *why is what it
 * has that cannot. */
bool json_allowed(const char *text, size_t length, const char **why);

#endif
