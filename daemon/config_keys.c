/*
 * The table of keys: for each its section, default, type, range and place. Everything that is
 * derived from it is here too: finding a key, a hint for one that is not there, and what differs
 * between two configurations. A key that is not in the table does not exist.
 */
#include "config_internal.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

    {KEY(SESSION, session, given), "", &config_value_name, IN_SESSION(given)},
    {KEY(SESSION, session, number), "01", &config_value_digits, IN_SESSION(number)},
    {KEY(SESSION, session, client_id), "", &config_value_client_id, IN_SESSION(client_id)},
    {KEY(SESSION, session, filters), "foxtrackr/#", &config_filters_type, .offset = 0},
    {KEY(SESSION, session, qos), "2", &config_value_integer, IN_SESSION(qos), RANGE(0, 2)},

    {KEY(DATABASE, database, path), "/var/lib/foxtrackrd/foxtrackr.db", &config_value_path, IN(database.path)},
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
    {KEY(DATABASE, database, min_free_mb), "64", &config_value_integer, IN(database.min_free_mb),
     RANGE(0, 1048576), .live = true},

    {KEY(PARSER, parser, max_payload), "256KiB", &config_value_size, IN(parser.max_payload),
     RANGE(1024, INT64_C(64) << 20), .live = true},
    {KEY(PARSER, parser, max_future), "1d", &config_value_duration, IN(parser.max_future_ms),
     RANGE(0, 3650 * DAY_MS), .live = true},

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
        [CONFIG_STATUS] = "status"};

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

static bool same_letter(char one, char other)
{
    return tolower((unsigned char)one) == tolower((unsigned char)other);
}

/* Levenshtein's distance of two short words, without regard to case; anything long is far. */
static unsigned distance(const char *one, const char *other)
{
    enum { SIZE = 24 };
    size_t one_length = strlen(one);
    size_t other_length = strlen(other);
    unsigned row[SIZE + 1] = {0};

    if (one_length > SIZE || other_length > SIZE) {
        return UINT_MAX;
    }
    for (unsigned j = 0; j <= other_length; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; i <= one_length; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= other_length; j++) {
            unsigned best = diagonal + (same_letter(one[i - 1], other[j - 1]) ? 0 : 1);

            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[other_length];
}

/* Two slips of the finger are a typing error, in a short word one. */
static unsigned allowed_distance(const char *name)
{
    return strlen(name) > 3 ? 2 : 1;
}

void config_keys_hint(enum config_section section, const char *name, char hint[CONFIG_REASON_SIZE])
{
    const struct config_key *closest = NULL;
    const struct config_key *elsewhere = NULL;
    unsigned closest_distance = allowed_distance(name) + 1;

    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        unsigned away = distance(key->name, name);

        if (key->section == section && away < closest_distance) {
            closest = key;
            closest_distance = away;
        }
        if (closest == NULL && key->section == section && strlen(name) > 3 &&
            strncmp(key->name, name, strlen(name)) == 0) {
            closest = key; /* retention for retention_days; a typing error is closer */
        }
        if (away == 0) {
            elsewhere = key;
        }
    }
    if (closest != NULL) {
        snprintf(hint, CONFIG_REASON_SIZE, " (did you mean %s?)", closest->name);
    } else if (elsewhere != NULL) {
        snprintf(hint, CONFIG_REASON_SIZE, " (it belongs to [%s])",
                 config_keys_section(elsewhere->section));
    } else {
        hint[0] = '\0';
    }
}

void config_keys_section_hint(const char *name, char hint[CONFIG_REASON_SIZE])
{
    hint[0] = '\0';
    /* [session.north], [session:north], [Session north] */
    if (strncasecmp(name, "session", 7) == 0 && name[7] != '\0' && config_value_is_name(name + 8)) {
        snprintf(hint, CONFIG_REASON_SIZE, " (did you mean [session %.40s]?)", name + 8);
        return;
    }
    for (int i = 0; i < CONFIG_SECTION_COUNT; i++) {
        const char *known = config_keys_section((enum config_section)i);

        if (distance(known, name) <= allowed_distance(name)) {
            snprintf(hint, CONFIG_REASON_SIZE, " (did you mean [%s]?)", known);
            return;
        }
    }
}

static void append_name(char *names, size_t names_size, const char *name)
{
    size_t used = strlen(names);

    snprintf(names + used, names_size - used, "%s%s", used > 0 ? ", " : "", name);
}

/* Keys of one section, or of one session of both configurations. */
static int compare_key(const struct config_key *key, const struct config *running,
                       const struct config *loaded, size_t session, char *names, size_t names_size)
{
    char name[CONFIG_REASON_SIZE];

    /* config_keys_field() serves writers too; nothing is written here. */
    if (key->live || key->type->same(config_keys_field(key, (struct config *)running, session),
                                     config_keys_field(key, (struct config *)loaded, session))) {
        return 0;
    }
    config_keys_full_name(key, &running->sessions[session], name);
    append_name(names, names_size, name);
    return 1;
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
        if (config_keys[i].section != CONFIG_SESSION) {
            differences += compare_key(&config_keys[i], running, loaded, 0, names, names_size);
        }
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
        /* A client id that was made from given and number is not what somebody changed. */
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
