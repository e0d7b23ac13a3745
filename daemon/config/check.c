/*
 * Checks that need the whole file: defaults, required keys, keys that exclude each other, and
 * client ids, which must differ. A configuration that passes them is complete.
 *
 * Values with a problem may be missing here. A problem that only follows from another one is not
 * noted, so that each reported line is one mistake to correct.
 */
#include "config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The line of a key in the file; 0: not there. */
static int key_line(const struct config_loading *loading, enum config_section section,
                    const char *name, size_t session)
{
    return loading->key_lines[session][config_keys_find(section, name)];
}

/* Returns true when a problem with the key, or with a misspelling of it, was noted. */
static bool key_wrong(const struct config_loading *loading, enum config_section section,
                      const char *name, size_t session)
{
    return loading->key_wrong[session][config_keys_find(section, name)];
}

int config_check_line_of(const struct config_loading *loading, enum config_section section,
                         const char *name, size_t session)
{
    return key_line(loading, section, name, session);
}

bool config_check_wrong_of(const struct config_loading *loading, enum config_section section,
                           const char *name, size_t session)
{
    return key_wrong(loading, section, name, session);
}

bool config_check_wrong(const struct config_loading *loading, const char *broker_key)
{
    return key_wrong(loading, CONFIG_BROKER, broker_key, 0);
}

int config_check_line(const struct config_loading *loading, const char *broker_key)
{
    return key_line(loading, CONFIG_BROKER, broker_key, 0);
}

static void default_key(struct config_loading *loading, size_t index, size_t session)
{
    const struct config_key *key = &config_keys[index];
    char reason[CONFIG_REASON_SIZE];

    if (loading->key_lines[session][index] == 0 && key->standard[0] != '\0' &&
        key->type->parse(key, key->standard, config_keys_field(key, loading->config, session),
                         reason) != 0) {
        config_note(loading, 0, key->full_name, "%s", reason);
    }
}

/* retention_days_quarantine does not follow: messages that could not be parsed are kept until an
 * operator sets a limit. */
static void follow_retention_days(struct config_loading *loading)
{
    static const char *const names[] = {"retention_days_battery", "retention_days_temperature",
                                        "retention_days_messages"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (key_line(loading, CONFIG_DATABASE, names[i], 0) == 0) {
            const struct config_key *key =
                &config_keys[config_keys_find(CONFIG_DATABASE, names[i])];

            *(int *)config_keys_field(key, loading->config, 0) =
                loading->config->database.retention_days;
        }
    }
}

static void apply_defaults(struct config_loading *loading)
{
    struct config *config = loading->config;

    for (size_t i = 0; i < config_keys_count; i++) {
        size_t rows = config_keys[i].section == CONFIG_SESSION ? config->session_count : 1;

        for (size_t row = 0; row < rows; row++) {
            default_key(loading, i, row);
        }
        if (config_keys[i].required && loading->key_lines[0][i] == 0 && !loading->key_wrong[0][i]) {
            config_note(loading, 0, config_keys[i].full_name,
                        "is required: set %s = in section [%s]%s", config_keys[i].name,
                        config_keys_section(config_keys[i].section),
                        config_check_line(loading, "username") == 0
                            ? ", and username and password_file if the broker asks for them"
                            : "");
        }
    }
    follow_retention_days(loading);
    if (!config->broker.tls && config_check_line(loading, "port") == 0) {
        config->broker.port = 1883;
    }
}

/* --- sessions --- */

/* Composes the client id from given and number, if both are known. */
static int compose_client(struct config_loading *loading, size_t index)
{
    struct config_session *session = &loading->config->sessions[index];

    if (key_line(loading, CONFIG_SESSION, "client_id", index) != 0 ||
        key_wrong(loading, CONFIG_SESSION, "client_id", index) ||
        key_wrong(loading, CONFIG_SESSION, "number", index) || session->given == NULL) {
        return 0;
    }
    if (asprintf(&session->client_id, "id-%s-%s", session->given, session->number) < 0) {
        session->client_id = NULL;
        return config_fail(loading, 0, "session", "out of memory");
    }
    return 0;
}

static int name_client(struct config_loading *loading, size_t index)
{
    const struct config_session *session = &loading->config->sessions[index];
    int given = key_line(loading, CONFIG_SESSION, "given", index);
    int number = key_line(loading, CONFIG_SESSION, "number", index);
    int client_id = key_line(loading, CONFIG_SESSION, "client_id", index);
    bool wrong = key_wrong(loading, CONFIG_SESSION, "given", index) ||
                 key_wrong(loading, CONFIG_SESSION, "client_id", index);
    char name[CONFIG_REASON_SIZE];

    snprintf(name, sizeof(name), "session%s%s", session->name[0] != '\0' ? " " : "", session->name);
    if (client_id != 0 && (given != 0 || number != 0)) {
        config_note(loading, client_id, name,
                    "client_id is the whole name: leave out %s on line %d",
                    given != 0 ? "given" : "number", given != 0 ? given : number);
    }
    if (client_id == 0 && given == 0 && !wrong) {
        config_note(loading, loading->session_lines[index], name,
                    "given (or client_id) is required: it is the name that the provider gave you");
    }
    if (session->filter_count == 0 && !key_wrong(loading, CONFIG_SESSION, "filters", index)) {
        config_note(loading, key_line(loading, CONFIG_SESSION, "filters", index), name,
                    "filters lists no topic filter: write one, such as foxtrackr/#");
    }
    return compose_client(loading, index);
}

/* Notes a problem when an earlier session has the same client id. */
static void check_taken(struct config_loading *loading, size_t index)
{
    const struct config_session *sessions = loading->config->sessions;

    for (size_t i = 0; i < index; i++) {
        if (sessions[i].client_id != NULL && sessions[index].client_id != NULL &&
            strcmp(sessions[i].client_id, sessions[index].client_id) == 0) {
            config_note(loading, loading->session_lines[index], "session",
                        "client id %.60s is that of the session on line %d too: the broker would "
                        "end one for the other; give each its number",
                        sessions[i].client_id, loading->session_lines[i]);
            return;
        }
    }
}

static void check_sessions(struct config_loading *loading)
{
    if (loading->config->session_count == 0) {
        config_note(loading, 0, "session",
                    "is required: add a section [session] with given = the name that the provider "
                    "gave you");
    }
    for (size_t i = 0; i < loading->config->session_count; i++) {
        if (name_client(loading, i) != 0) {
            return;
        }
        check_taken(loading, i);
    }
}

/* --- keys that depend on each other --- */

static void check_broker(struct config_loading *loading)
{
    if (loading->config->broker.key_file != NULL && loading->config->broker.cert_file == NULL &&
        !config_check_wrong(loading, "cert_file")) {
        config_note(loading, config_check_line(loading, "key_file"), "broker.key_file",
                    "needs cert_file, the certificate that it belongs to");
    }
}

static void check_log(struct config_loading *loading)
{
    const struct config *config = loading->config;

    if (key_wrong(loading, CONFIG_LOG, "target", 0) || key_wrong(loading, CONFIG_LOG, "file", 0)) {
        return;
    }
    if (config->log.target == CONFIG_LOG_FILE && config->log.file == NULL) {
        config_note(loading, key_line(loading, CONFIG_LOG, "target", 0), "log.file",
                    "is required with target = file, such as /var/log/foxtrackrd/foxtrackrd.log");
    }
    if (config->log.target != CONFIG_LOG_FILE && config->log.file != NULL) {
        config_note(loading, key_line(loading, CONFIG_LOG, "file", 0), "log.file",
                    "needs target = file");
    }
}

void config_check_all(struct config_loading *loading)
{
    apply_defaults(loading);
    check_sessions(loading);
    check_broker(loading);
    config_database_check(loading);
    config_secret_load(loading);
    check_log(loading);
    config_views_check(loading);
}
