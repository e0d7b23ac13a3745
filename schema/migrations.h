/*
 * The migrations of the folders beside this file, embedded by the build: migrations[n] takes a
 * database from schema version n to n + 1. A program has those of an engine only if it is linked
 * with them: PostgreSQL's are in the engine's module.
 */
#ifndef MIGRATIONS_H
#define MIGRATIONS_H

extern const char *const sqlite_migrations[];
extern const int sqlite_migration_count;

extern const char *const postgresql_migrations[];
extern const int postgresql_migration_count;

#endif
