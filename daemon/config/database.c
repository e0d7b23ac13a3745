/*
 * Checks of the database's keys that depend on each other: some are for one engine only, and a
 * standby needs the locks of a server.
 *
 * With PostgreSQL, config.database.path becomes the name of the database for people, so that every
 * message names the database that is used.
 */
#include "config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int line_of(const struct config_loading *loading, const char *name)
{
    return config_check_line_of(loading, CONFIG_DATABASE, name, 0);
}

static bool wrong(const struct config_loading *loading, const char *name)
{
    return config_check_wrong_of(loading, CONFIG_DATABASE, name, 0);
}

/* Keys of SQLite, with the reason why PostgreSQL has none. */
static void refuse_keys_of_sqlite(struct config_loading *loading)
{
    static const char *const keys[][2] = {
        {"path", "is the file of SQLite: with engine = postgresql, uri names the database"},
        {"rollup_days", "is for SQLite: the PostgreSQL engine has no roll-ups, its views read the "
                        "readings"},
        {"min_free_mb", "is for SQLite: the disk of a PostgreSQL server is not looked at; the "
                        "server says when it is full"},
    };
    char name[64];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (line_of(loading, keys[i][0]) != 0) {
            snprintf(name, sizeof(name), "database.%s", keys[i][0]);
            config_note(loading, line_of(loading, keys[i][0]), name, "%s", keys[i][1]);
        }
    }
}

static void refuse_keys_of_postgresql(struct config_loading *loading)
{
    static const char *const keys[] = {"uri", "password_file"};
    char name[64];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (line_of(loading, keys[i]) != 0 && !wrong(loading, keys[i])) {
            snprintf(name, sizeof(name), "database.%s", keys[i]);
            config_note(loading, line_of(loading, keys[i]), name, "needs engine = postgresql");
        }
    }
}

/* Takes the name for people, and warns when anybody on the way could read or change what is
 * stored. */
static void look_at_uri(struct config_loading *loading)
{
    struct config *config = loading->config;
    char reason[CONFIG_REASON_SIZE];
    struct config_uri uri = {0};

    if (config_uri_read(config->database.uri, &uri, reason) != 0) {
        config_note(loading, line_of(loading, "uri"), "database.uri", "%s", reason);
        return;
    }
    free(config->database.path);
    config->database.path = uri.shown;
    if (!uri.sockets && strcmp(uri.sslmode, "verify-full") != 0) {
        config_warn(loading, line_of(loading, "uri"), "database.uri",
                    "with sslmode=%s the server does not have to prove who it is, and whoever is "
                    "on the way may read and change what is stored: write sslmode=verify-full",
                    uri.sslmode[0] != '\0' ? uri.sslmode : "prefer");
    }
}

static void check_standby(struct config_loading *loading)
{
    const struct config *config = loading->config;

    for (size_t i = 0; i < config->session_count; i++) {
        int line = config_check_line_of(loading, CONFIG_SESSION, "standby", i);

        if (config->sessions[i].standby && config->database.engine != CONFIG_POSTGRESQL &&
            !wrong(loading, "engine")) {
            config_note(loading, line, "session.standby",
                        "needs engine = postgresql: a file of SQLite is of one machine");
            return;
        }
        if (config->sessions[i].standby != config->sessions[0].standby) {
            config_note(loading, line != 0 ? line : loading->session_lines[i], "session.standby",
                        "differs from that of the first session: all sessions of a daemon wait "
                        "together, or none");
            return;
        }
    }
}

void config_database_check(struct config_loading *loading)
{
    const struct config *config = loading->config;

    check_standby(loading);
    if (wrong(loading, "engine")) {
        return;
    }
    if (config->database.engine == CONFIG_SQLITE) {
        refuse_keys_of_postgresql(loading);
        return;
    }
    refuse_keys_of_sqlite(loading);
    if (config->database.uri != NULL) {
        look_at_uri(loading);
    } else if (!wrong(loading, "uri")) {
        config_note(loading, line_of(loading, "engine"), "database.uri",
                    "is required with engine = postgresql, such as "
                    "postgresql://foxtrackrd@db.example.org/fleet?sslmode=verify-full");
    }
}
