/*
 * Warnings for valid values that were probably not meant: a client id with its prefix twice, a
 * placeholder copied from instructions, a quotation mark at the end, a topic filter that begins
 * with a /. Each may be right at some broker, so none is an error.
 */
#include "config/config_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PREFIX "id-"
#define FAMILY "foxtrackr" /* the first level of trackers' topics */

/* Windows outside of this are doubted. */
#define WINDOW_SMALL 20
#define WINDOW_LARGE 10000

#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* Recognises placeholders of instructions, in any case: a beginning such as change_me or your_, a
 * word such as example or xxx, or <...>. */
static bool is_placeholder(const char *text)
{
    static const char *const beginnings[] = {"change_me",  "change-me", "changeme", "replace_me",
                                             "replace-me", "your_",     "your-",    "my-broker"};
    static const char *const words[] = {"example", "xxx", "xxxx", "todo"};
    size_t length = strlen(text);

    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (strncasecmp(text, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return length > 1 && text[0] == '<' && text[length - 1] == '>';
}

/* Recognises the names that RFC 2606 reserves for examples: "example" itself, and example.com, .net
 * and .org. */
static bool is_example_host(const char *host)
{
    static const char *const names[] = {"example", "example.com", "example.net", "example.org"};
    size_t length = strlen(host);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t own = strlen(names[i]);

        if (length >= own && strcasecmp(host + length - own, names[i]) == 0 &&
            (length == own || host[length - own - 1] == '.')) {
            return true;
        }
    }
    return false;
}

static bool is_text(const struct config_key *key)
{
    return key->type == &config_value_text || key->type == &config_value_name ||
           key->type == &config_value_client_id || key->type == &config_value_host ||
           key->type == &config_value_path || key->type == &config_value_path_or_none;
}

/* Checks one value of the configuration file. */
static int doubt_text(struct config_loading *loading, const struct config_key *key, size_t session,
                      int line)
{
    const char *text = *(char **)config_keys_field(key, loading->config, session);
    char name[CONFIG_REASON_SIZE];

    if (text == NULL || line == 0) {
        return 0;
    }
    config_keys_full_name(key, &loading->config->sessions[session], name);
    if (is_placeholder(text) || (key->type == &config_value_host && is_example_host(text))) {
        return config_warn(loading, line, name,
                           "\"%.80s\" reads like a placeholder: write your own value", text);
    }
    if (strchr("\"'", text[strlen(text) - 1]) != NULL) {
        return config_warn(loading, line, name,
                           "ends with a quotation mark, which is part of the value: values are "
                           "written without quotes");
    }
    return 0;
}

static int doubt_texts(struct config_loading *loading)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        size_t rows = key->section == CONFIG_SESSION ? loading->config->session_count : 1;

        for (size_t row = 0; row < rows && is_text(key); row++) {
            if (doubt_text(loading, key, row, loading->key_lines[row][i]) != 0) {
                return 1;
            }
        }
    }
    return 0;
}

static int doubt_password(struct config_loading *loading)
{
    const char *password = loading->config->broker.password;
    int inline_line = config_check_line(loading, "password");
    int file_line = config_check_line(loading, "password_file");

    if (password == NULL || !is_placeholder(password)) {
        return 0;
    }
    return config_warn(loading, inline_line != 0 ? inline_line : file_line,
                       inline_line != 0 ? "broker.password" : "broker.password_file",
                       "the password reads like a placeholder: write your own");
}

/* Host and user of the proxy, and the password for it. */
static int doubt_proxy(struct config_loading *loading)
{
    const struct config_proxy *proxy = loading->config->broker.proxy;
    const char *password = loading->config->broker.proxy_password;

    if (proxy == NULL) {
        return 0;
    }
    if ((is_placeholder(proxy->host) || is_example_host(proxy->host) ||
         (proxy->user != NULL && is_placeholder(proxy->user))) &&
        config_warn(loading, config_check_line(loading, "proxy"), "broker.proxy",
                    "reads like a placeholder: write your own value") != 0) {
        return 1;
    }
    if (password == NULL || !is_placeholder(password)) {
        return 0;
    }
    return config_warn(loading, config_check_line(loading, "proxy_password_file"),
                       "broker.proxy_password_file",
                       "the password reads like a placeholder: write your own");
}

/* Returns true when `given` ends with "-" and the number, as a client id does. */
static bool ends_with_number(const struct config_session *session)
{
    size_t length = strlen(session->given);
    size_t own = strlen(session->number);

    return length > own + 1 && session->given[length - own - 1] == '-' &&
           strcmp(session->given + length - own, session->number) == 0;
}

static int doubt_client_id(struct config_loading *loading, size_t index)
{
    const struct config_session *session = &loading->config->sessions[index];
    bool composed = session->given != NULL;
    const char *key = composed ? "given" : "client_id";
    char name[CONFIG_REASON_SIZE];
    int row = config_keys_find(CONFIG_SESSION, key);
    int line = loading->key_lines[index][row];

    config_keys_full_name(&config_keys[row], session, name);
    if (strncasecmp(session->client_id, PREFIX PREFIX, 2 * strlen(PREFIX)) == 0) {
        return config_warn(loading, line, name,
                           composed ? "the client id is %.80s: write given without id- in front, "
                                      "which is put there"
                                    : "the client id is %.80s, which begins with id- twice",
                           session->client_id);
    }
    if (composed && ends_with_number(session)) {
        return config_warn(loading, line, name,
                           "the client id is %.80s: write given without the number at its end, "
                           "which is put there",
                           session->client_id);
    }
    return 0;
}

/* Returns what is shared by a filter such as $share/foxtrackr/#, whose NAME was probably meant as
 * the first level of the topics; or NULL. */
static const char *shared_too_much(const char *filter)
{
    static const char beginning[] = "$share/" FAMILY "/";

    if (strncasecmp(filter, beginning, strlen(beginning)) != 0) {
        return NULL;
    }
    filter += strlen(beginning);
    return strncasecmp(filter, FAMILY "/", strlen(FAMILY "/")) != 0 ? filter : NULL;
}

static int doubt_filters(struct config_loading *loading, size_t index)
{
    const struct config_session *session = &loading->config->sessions[index];
    int row = config_keys_find(CONFIG_SESSION, "filters");
    const char *shared;
    char name[CONFIG_REASON_SIZE];

    config_keys_full_name(&config_keys[row], session, name);
    for (size_t i = 0; i < session->filter_count; i++) {
        if (session->filters[i][0] == '/' &&
            config_warn(loading, loading->key_lines[index][row], name,
                        "\"%.80s\" begins with a /, and no topic of a tracker does: write it "
                        "without",
                        session->filters[i]) != 0) {
            return 1;
        }
        shared = shared_too_much(session->filters[i]);
        if (shared != NULL && config_warn(loading, loading->key_lines[index][row], name,
                                          "\"%.80s\" shares the topics %.80s under the name " FAMILY
                                          ": did you mean $share/NAME/" FAMILY "/%.80s?",
                                          session->filters[i], shared, shared) != 0) {
            return 1;
        }
    }
    return 0;
}

/* Without QoS 1 or 2 the broker keeps no queue: the promise of the daemon ends there. */
static int doubt_qos(struct config_loading *loading, size_t index)
{
    const struct config_session *session = &loading->config->sessions[index];
    int row = config_keys_find(CONFIG_SESSION, "qos");
    char name[CONFIG_REASON_SIZE];

    if (session->qos != 0) {
        return 0;
    }
    config_keys_full_name(&config_keys[row], session, name);
    return config_warn(loading, loading->key_lines[index][row], name,
                       "with QoS 0 the broker keeps nothing: what is published while foxtrackrd is "
                       "stopped or not connected is lost, and the table gaps does not say so; 1 or "
                       "2 keep it");
}

/* id-acme-1 is another queue than id-acme-01, which is how providers write it. */
static int doubt_number(struct config_loading *loading, size_t index)
{
    const struct config_session *session = &loading->config->sessions[index];
    int row = config_keys_find(CONFIG_SESSION, "number");
    char name[CONFIG_REASON_SIZE];

    if (session->given == NULL || strlen(session->number) != 1) {
        return 0;
    }
    config_keys_full_name(&config_keys[row], session, name);
    return config_warn(loading, loading->key_lines[index][row], name,
                       "the client id is %.80s, another queue than id-%.80s-0%s: write the number "
                       "with as many digits as the provider does",
                       session->client_id, session->given, session->number);
}

/* Warns of a key of MQTT 5 that has no effect, or of a value that was probably not meant. */
static int doubt_protocol_key(struct config_loading *loading, size_t index, const char *key,
                              const char *doubt)
{
    int row = config_keys_find(CONFIG_SESSION, key);
    int line = loading->key_lines[index][row];
    char name[CONFIG_REASON_SIZE];

    if (line == 0) {
        return 0;
    }
    config_keys_full_name(&config_keys[row], &loading->config->sessions[index], name);
    if (loading->config->broker.protocol == CONFIG_MQTT_3_1_1) {
        doubt = "has no effect with broker.protocol = 3.1.1: MQTT 5 has it";
    }
    return doubt != NULL ? config_warn(loading, line, name, "%s", doubt) : 0;
}

static int doubt_protocol(struct config_loading *loading, size_t index)
{
    const struct config_session *session = &loading->config->sessions[index];
    const char *window = NULL;
    const char *expiry = NULL;

    if (session->receive_maximum < WINDOW_SMALL) {
        window = "is smaller than the window that brokers choose by themselves (mosquitto: 20): a "
                 "backlog drains more slowly";
    } else if (session->receive_maximum > WINDOW_LARGE) {
        window =
            "is more than is of use: 1000 let 16000 messages a second pass over a round trip of "
            "30 ms, and the broker keeps what is in flight in memory";
    }
    if (session->session_expiry_ms < DAY_MS) {
        expiry = "is less than a day: the broker forgets the session, and what it keeps for it, "
                 "when foxtrackrd has been away for longer";
    }
    return doubt_protocol_key(loading, index, "receive_maximum", window) != 0 ||
           doubt_protocol_key(loading, index, "session_expiry", expiry) != 0;
}

/* Roll-ups always outlive the readings that they are made of; only a longer time makes a
 * difference. */
static int doubt_rollup_days(struct config_loading *loading)
{
    static const char key[] = "rollup_days";
    const struct config *config = loading->config;
    int days = config->database.rollup_days;
    int battery = config->database.retention_days_battery;
    int temperature = config->database.retention_days_temperature;
    int line = loading->key_lines[0][config_keys_find(CONFIG_DATABASE, key)];

    if (days == 0 || line == 0 || (battery != 0 && days > battery) ||
        (temperature != 0 && days > temperature)) {
        return 0;
    }
    return config_warn(loading, line, "database.rollup_days",
                       battery == 0 && temperature == 0
                           ? "has no effect: without retention_days every reading is kept, and the "
                             "roll-ups with them"
                           : "has no effect: it is not longer than retention_days");
}

int config_doubt_field(struct config_loading *loading, const char *name, const char *source)
{
    int length = (int)strcspn(source, "*");

    while (length > 0 && strchr(" \t", source[length - 1]) != NULL) {
        length--;
    }
    if ((int)strcspn(source, " \t/") >= length) {
        return 0;
    }
    return config_warn(loading, loading->line, name,
                       "\"%.*s\" is taken for the name of a member: a factor is written behind a "
                       "*, such as * 0.001, and there is no division",
                       length < 80 ? length : 80, source);
}

int config_doubt_all(struct config_loading *loading)
{
    if (doubt_texts(loading) != 0 || doubt_password(loading) != 0 || doubt_proxy(loading) != 0 ||
        doubt_rollup_days(loading) != 0) {
        return 1;
    }
    for (size_t i = 0; i < loading->config->session_count; i++) {
        if (doubt_client_id(loading, i) != 0 || doubt_number(loading, i) != 0 ||
            doubt_qos(loading, i) != 0 || doubt_filters(loading, i) != 0 ||
            doubt_protocol(loading, i) != 0) {
            return 1;
        }
    }
    return 0;
}
