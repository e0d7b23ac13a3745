/*
 * The table of keys: for each its section, default, type, range and place. The functions derived
 * from it are here too: finding a key, a hint for an unknown one, and the differences between two
 * configurations. A key that is not in the table does not exist.
 */
#include "config/config_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/similar.h"

#define KEY(SECTION, section, key) CONFIG_##SECTION, #section "." #key, #key
#define IN(member)                 .offset = offsetof(struct config, member)
#define IN_SESSION(name)           .offset = offsetof(struct config_session, name)
#define RANGE(low, high)           .min = (low), .max = (high)

#define SECOND_MS INT64_C(1000)
#define DAY_MS    (SECOND_MS * 3600 * 24)

/* foxtrackrd.conf and foxtrackrd.conf(5) say the same; tests/system/test_documents.py compares. */
/* clang-format off */
const struct config_key config_keys[] = {
    {KEY(BROKER, broker, host), "", &config_value_host, IN(broker.host), .required = true},
    {KEY(BROKER, broker, port), "8883", &config_value_integer, IN(broker.port), RANGE(1, 65535)},
    {KEY(BROKER, broker, tls), "yes", &config_value_yes_no, IN(broker.tls)},
    {KEY(BROKER, broker, ca_file), CONFIG_SYSTEM_BUNDLE, &config_value_path, IN(broker.ca_file)},
    {KEY(BROKER, broker, cert_file), "", &config_value_path, IN(broker.cert_file)},
    {KEY(BROKER, broker, key_file), "", &config_value_path, IN(broker.key_file)},
    {KEY(BROKER, broker, username), "", &config_value_text, IN(broker.username)},
    {KEY(BROKER, broker, password_file), "", &config_value_path, IN(broker.password_file)},
    {KEY(BROKER, broker, password), "", &config_value_secret, IN(broker.password)},
    {KEY(BROKER, broker, keepalive), "60", &config_value_integer, IN(broker.keepalive_s), RANGE(5, 65535)},
    {KEY(BROKER, broker, proxy), "", &config_value_proxy, IN(broker.proxy)},
    {KEY(BROKER, broker, proxy_password_file), "", &config_value_path, IN(broker.proxy_password_file)},
    {KEY(BROKER, broker, protocol), "auto", &config_value_protocol, IN(broker.protocol)},

    {KEY(SESSION, session, given), "", &config_value_name, IN_SESSION(given)},
    {KEY(SESSION, session, number), "01", &config_value_digits, IN_SESSION(number)},
    {KEY(SESSION, session, client_id), "", &config_value_client_id, IN_SESSION(client_id)},
    {KEY(SESSION, session, filters), "foxtrackr/#", &config_filters_type, .offset = 0},
    {KEY(SESSION, session, qos), "2", &config_value_integer, IN_SESSION(qos), RANGE(0, 2)},
    {KEY(SESSION, session, receive_maximum), "1000", &config_value_integer, IN_SESSION(receive_maximum),
     RANGE(1, 65535)},
    /* Paho 1.3.12 cannot send an interval above INT32_MAX s. */
    {KEY(SESSION, session, session_expiry), "7d", &config_value_duration, IN_SESSION(session_expiry_ms),
     RANGE(60 * SECOND_MS, INT32_MAX * SECOND_MS)},
    {KEY(SESSION, session, standby), "no", &config_value_yes_no, IN_SESSION(standby)},

    {KEY(DATABASE, database, engine), "sqlite", &config_value_engine, IN(database.engine)},
    {KEY(DATABASE, database, uri), "", &config_value_uri, IN(database.uri)},
    {KEY(DATABASE, database, password_file), "", &config_value_path, IN(database.password_file)},
    {KEY(DATABASE, database, answer_timeout), "60s", &config_value_duration_int, IN(database.answer_timeout_ms),
     RANGE(10 * SECOND_MS, 600 * SECOND_MS)},
    {KEY(DATABASE, database, path), CONFIG_DATABASE_PATH, &config_value_path, IN(database.path)},
    {KEY(DATABASE, database, durability), "full", &config_value_durability, IN(database.durability_full)},
    {KEY(DATABASE, database, busy_timeout), "5s", &config_value_duration_int, IN(database.busy_timeout_ms),
     RANGE(0, 600 * SECOND_MS)},
    {KEY(DATABASE, database, batch_max), "5000", &config_value_integer, IN(database.batch_max),
     RANGE(1, 1000000), .live = true},
    {KEY(DATABASE, database, retention_days), "0", &config_value_integer, IN(database.retention_days),
     RANGE(0, 36500), .live = true},
    {KEY(DATABASE, database, retention_days_battery), "", &config_value_integer,
     IN(database.retention_days_battery), RANGE(0, 36500), .live = true},
    {KEY(DATABASE, database, retention_days_temperature), "", &config_value_integer,
     IN(database.retention_days_temperature), RANGE(0, 36500), .live = true},
    {KEY(DATABASE, database, retention_days_messages), "", &config_value_integer,
     IN(database.retention_days_messages), RANGE(0, 36500), .live = true},
    {KEY(DATABASE, database, retention_days_quarantine), "0", &config_value_integer,
     IN(database.retention_days_quarantine), RANGE(0, 36500), .live = true},
    {KEY(DATABASE, database, rollup_days), "0", &config_value_integer, IN(database.rollup_days),
     RANGE(0, 36500), .live = true},
    {KEY(DATABASE, database, time_zone), "UTC", &config_value_zone, IN(database.time_zone)},
    {KEY(DATABASE, database, min_free_mb), "64", &config_value_integer, IN(database.min_free_mb),
     RANGE(0, 1048576), .live = true},

    {KEY(PARSER, parser, max_payload), "256KiB", &config_value_size, IN(parser.max_payload),
     RANGE(1024, INT64_C(64) << 20), .live = true},
    {KEY(PARSER, parser, max_future), "1d", &config_value_duration, IN(parser.max_future_ms),
     RANGE(0, 3650 * DAY_MS), .live = true},
    {KEY(PARSER, parser, version_slash), "no", &config_value_yes_no, IN(parser.version_slash), .live = true},

    {KEY(LOG, log, target), "journal", &config_value_log_target, IN(log.target)},
    {KEY(LOG, log, file), "", &config_value_path, IN(log.file)},
    {KEY(LOG, log, level), "info", &config_value_log_level, IN(log.level), .live = true},

    {KEY(STATUS, status, file), "/run/foxtrackrd/status.json", &config_value_path_or_none, IN(status.file)},
    {KEY(STATUS, status, metrics_file), "none", &config_value_path_or_none, IN(status.metrics_file)},
    {KEY(STATUS, status, interval), "5s", &config_value_duration_int, IN(status.interval_ms),
     RANGE(SECOND_MS, 3600 * SECOND_MS), .live = true},
};
/* clang-format on */

const size_t config_keys_count = sizeof(config_keys) / sizeof(config_keys[0]);

_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
               "struct config_loading counts on CONFIG_KEYS_MAX");

const char *config_keys_section(enum config_section section)
{
    static const char *const names[CONFIG_SECTION_COUNT] = {
        [CONFIG_BROKER] = "broker", [CONFIG_SESSION] = "session", [CONFIG_DATABASE] = "database",
        [CONFIG_PARSER] = "parser", [CONFIG_FIELDS] = "fields",   [CONFIG_LOG] = "log",
        [CONFIG_STATUS] = "status", [CONFIG_VIEW] = "view"};

    return names[section];
}

int config_keys_find(enum config_section section, const char *name)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        if (config_keys[i].section == section && strcmp(config_keys[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

void *config_keys_field(const struct config_key *key, struct config *config, size_t session)
{
    char *base = (char *)config;

    if (key->section == CONFIG_SESSION) {
        base = (char *)&config->sessions[session];
    }
    return base + key->offset;
}

void config_keys_full_name(const struct config_key *key, const struct config_session *session,
                           char name[CONFIG_REASON_SIZE])
{
    if (key->section == CONFIG_SESSION && session->name[0] != '\0') {
        snprintf(name, CONFIG_REASON_SIZE, "session %s.%s", session->name, key->name);
    } else {
        snprintf(name, CONFIG_REASON_SIZE, "%s", key->full_name);
    }
}

/* --- hints --- */

/* The sections other than `section` that have this key, as "[log] and [status]"; "" for none. */
static void list_homes(enum config_section section, const char *name, char homes[64])
{
    size_t used = 0;

    homes[0] = '\0';
    for (size_t i = 0; i < config_keys_count; i++) {
        if (config_keys[i].section != section && strcasecmp(config_keys[i].name, name) == 0) {
            used += (size_t)snprintf(homes + used, 64 - used, "%s[%s]", used > 0 ? " and " : "",
                                     config_keys_section(config_keys[i].section));
        }
    }
}

/* "; it has max_payload, max_future, version_slash" */
static void list_keys(enum config_section section, char hint[CONFIG_REASON_SIZE])
{
    size_t used = 0;

    hint[0] = '\0';
    for (size_t i = 0; i < config_keys_count; i++) {
        if (config_keys[i].section == section) {
            used += (size_t)snprintf(hint + used, CONFIG_REASON_SIZE - used, "%s%s",
                                     used > 0 ? ", " : "; it has ", config_keys[i].name);
        }
    }
}

static int hint_elsewhere(const char *name, char hint[CONFIG_REASON_SIZE])
{
    struct similar search = {.word = name};

    for (size_t i = 0; i < config_keys_count; i++) {
        similar_try(&search, config_keys[i].name);
    }
    if (search.best == NULL) {
        return 1;
    }
    snprintf(hint, CONFIG_REASON_SIZE, " (did you mean %s in [%s]?)", search.best,
             config_keys_home(search.best));
    return 0;
}

int config_keys_hint(enum config_section section, const char *name, char hint[CONFIG_REASON_SIZE])
{
    struct similar search = {.word = name};
    char homes[64];

    for (size_t i = 0; i < config_keys_count; i++) {
        if (config_keys[i].section == section) {
            similar_try(&search, config_keys[i].name);
        }
    }
    list_homes(section, name, homes);
    if (homes[0] != '\0' && (search.best == NULL || search.slips > 1)) {
        snprintf(hint, CONFIG_REASON_SIZE, " (that key belongs to %s)", homes);
        return -1;
    }
    if (search.best != NULL) {
        snprintf(hint, CONFIG_REASON_SIZE, " (did you mean %s?)", search.best);
        return config_keys_find(section, search.best);
    }
    if (hint_elsewhere(name, hint) != 0) {
        list_keys(section, hint);
    }
    return -1;
}

const char *config_keys_home(const char *name)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        if (strcmp(config_keys[i].name, name) == 0) {
            return config_keys_section(config_keys[i].section);
        }
    }
    return NULL;
}

/* Recognises [session.north], [session:north], [Session north]. */
static bool has_name(const char *section, const char *kind)
{
    size_t length = strlen(kind);

    return strncasecmp(section, kind, length) == 0 && section[length] != '\0' &&
           config_value_is_name(section + length + 1);
}

void config_keys_section_hint(const char *name, char meant[CONFIG_SECTION_MAX + 1],
                              char hint[CONFIG_REASON_SIZE])
{
    struct similar search = {.word = name};
    size_t used = 0;

    meant[0] = '\0';
    for (int i = 0; i < CONFIG_SECTION_COUNT; i++) {
        similar_try(&search, config_keys_section((enum config_section)i));
    }
    if (has_name(name, "session")) {
        snprintf(meant, CONFIG_SECTION_MAX + 1, "session %.40s", name + 8);
    } else if (has_name(name, "view")) {
        snprintf(meant, CONFIG_SECTION_MAX + 1, "view %.43s", name + 5);
    } else if (search.best != NULL) {
        snprintf(meant, CONFIG_SECTION_MAX + 1, "%s", search.best);
    }
    if (meant[0] != '\0') {
        snprintf(hint, CONFIG_REASON_SIZE, " (did you mean [%s]?)", meant);
        return;
    }
    for (int i = 0; i < CONFIG_SECTION_COUNT; i++) {
        used += (size_t)snprintf(hint + used, CONFIG_REASON_SIZE - used, "%s[%s]",
                                 used > 0 ? ", " : "; there are ",
                                 config_keys_section((enum config_section)i));
    }
}

/* --- differences --- */

static void append_name(char *names, size_t names_size, const char *name)
{
    size_t used = strlen(names);

    snprintf(names + used, names_size - used, "%s%s", used > 0 ? ", " : "", name);
}

/* Compares one key of a section, or of the same session of both configurations. */
static int compare_key(const struct config_key *key, const struct config *running,
                       const struct config *loaded, size_t session, char *names, size_t names_size)
{
    char name[CONFIG_REASON_SIZE];

    /* The cast removes const because config_keys_field() serves writers too; nothing is written
     * here. */
    if (key->live || key->type->same(config_keys_field(key, (struct config *)running, session),
                                     config_keys_field(key, (struct config *)loaded, session))) {
        return 0;
    }
    config_keys_full_name(key, &running->sessions[session], name);
    append_name(names, names_size, name);
    return 1;
}

/* Returns true for database.path where database.uri says the same. */
static bool names_by_uri(const struct config_key *key, const struct config *running,
                         const struct config *loaded)
{
    return key->offset == offsetof(struct config, database.path) &&
           running->database.engine == CONFIG_POSTGRESQL &&
           loaded->database.engine == CONFIG_POSTGRESQL;
}

int config_needs_restart(const struct config *running, const struct config *loaded, char *names,
                         size_t names_size)
{
    size_t sessions = running->session_count < loaded->session_count ? running->session_count
                                                                     : loaded->session_count;
    bool other_sessions = running->session_count != loaded->session_count;
    int differences = 0;

    names[0] = '\0';
    for (size_t i = 0; i < config_keys_count; i++) {
        if (config_keys[i].section != CONFIG_SESSION &&
            !names_by_uri(&config_keys[i], running, loaded)) {
            differences += compare_key(&config_keys[i], running, loaded, 0, names, names_size);
        }
    }
    /* No key of their own holds them. */
    if (!config_value_secret.same(&running->broker.proxy_password,
                                  &loaded->broker.proxy_password)) {
        append_name(names, names_size, "the password for the proxy");
        differences++;
    }
    if (!config_value_secret.same(&running->database.password, &loaded->database.password)) {
        append_name(names, names_size, "the password for the database");
        differences++;
    }
    for (size_t session = 0; session < sessions; session++) {
        if (strcmp(running->sessions[session].name, loaded->sessions[session].name) != 0) {
            other_sessions = true;
        }
    }
    if (other_sessions) {
        append_name(names, names_size, "the list of sessions");
        return differences + 1;
    }
    for (size_t session = 0; session < sessions; session++) {
        /* A client id composed from given and number is not reported: given or number is. */
        bool made =
            running->sessions[session].given != NULL && loaded->sessions[session].given != NULL;

        for (size_t i = 0; i < config_keys_count; i++) {
            if (config_keys[i].section == CONFIG_SESSION &&
                !(made && config_keys[i].type == &config_value_client_id)) {
                differences +=
                    compare_key(&config_keys[i], running, loaded, session, names, names_size);
            }
        }
    }
    return differences;
}

const char *config_key_name(size_t index)
{
    return index < config_keys_count ? config_keys[index].full_name : NULL;
}

const char *config_key_default(size_t index)
{
    return index < config_keys_count ? config_keys[index].standard : NULL;
}

bool config_key_is_live(size_t index)
{
    return index < config_keys_count && config_keys[index].live;
}
