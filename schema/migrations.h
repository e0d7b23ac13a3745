/* The migrations of this directory, embedded by the build: migrations[n] takes a database from
 * user_version n to n + 1. */
#ifndef MIGRATIONS_H
#define MIGRATIONS_H

extern const char *const migrations[];
extern const int migration_count;

#endif
