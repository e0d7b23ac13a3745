/* What can be said only when the whole file is known. */
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD_MAX 65535 /* MQTT 3.1.1 §3.1.3.5 */

/* The line of a key in the file; 0: not there. */
static int key_line(const struct config_loading *loading, enum config_section section,
                    const char *name, size_t session)
{
    return loading->key_lines[session][config_keys_find(section, name)];
}

static int broker_line(const struct config_loading *loading, const char *name)
{
    return key_line(loading, CONFIG_BROKER, name, 0);
}

static int default_key(struct config_loading *loading, size_t index, size_t session)
{
    const struct config_key *key = &config_keys[index];
    char reason[CONFIG_REASON_SIZE];

    if (loading->key_lines[session][index] != 0 || key->standard[0] == '\0') {
        return 0;
    }
    if (key->type->parse(key, key->standard, config_keys_field(key, loading->config, session),
                         reason) != 0) {
        return config_fail(loading, 0, key->full_name, "%s", reason);
    }
    return 0;
}

/* Quarantine is not among them: what nobody has understood yet is kept until somebody says how
 * long. */
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

static int apply_defaults(struct config_loading *loading)
{
    struct config *config = loading->config;

    for (size_t i = 0; i < config_keys_count; i++) {
        size_t rows = config_keys[i].section == CONFIG_SESSION ? config->session_count : 1;

        for (size_t row = 0; row < rows; row++) {
            if (default_key(loading, i, row) != 0) {
                return 1;
            }
        }
        if (config_keys[i].required && loading->key_lines[0][i] == 0) {
            return config_fail(loading, 0, config_keys[i].full_name,
                               "is required: set %s = in section [%s]", config_keys[i].name,
                               config_keys_section(config_keys[i].section));
        }
    }
    follow_retention_days(loading);
    if (!config->broker.tls && broker_line(loading, "port") == 0) {
        config->broker.port = 1883;
    }
    return 0;
}

/* --- sessions --- */

static int name_client(struct config_loading *loading, size_t index)
{
    struct config_session *session = &loading->config->sessions[index];
    int given = key_line(loading, CONFIG_SESSION, "given", index);
    int number = key_line(loading, CONFIG_SESSION, "number", index);
    int client_id = key_line(loading, CONFIG_SESSION, "client_id", index);
    char name[CONFIG_REASON_SIZE];

    snprintf(name, sizeof(name), "session%s%s", session->name[0] != '\0' ? " " : "", session->name);
    if (client_id != 0 && (given != 0 || number != 0)) {
        return config_fail(loading, client_id, name,
                           "client_id is the whole name: leave out %s on line %d",
                           given != 0 ? "given" : "number", given != 0 ? given : number);
    }
    if (client_id == 0 && given == 0) {
        return config_fail(loading, loading->session_lines[index], name,
                           "given (or client_id) is required: it is the name that the provider "
                           "gave you");
    }
    if (session->filter_count == 0) {
        return config_fail(loading, key_line(loading, CONFIG_SESSION, "filters", index), name,
                           "filters lists no topic filter: write one, such as foxtrackr/#");
    }
    if (client_id == 0 &&
        asprintf(&session->client_id, "id-%s-%s", session->given, session->number) < 0) {
        session->client_id = NULL;
        return config_fail(loading, 0, name, "out of memory");
    }
    return 0;
}

static int check_sessions(struct config_loading *loading)
{
    struct config *config = loading->config;

    if (config->session_count == 0) {
        return config_fail(loading, 0, "session",
                           "is required: add a section [session] with given "
                           "= the name that the provider gave you");
    }
    for (size_t i = 0; i < config->session_count; i++) {
        if (name_client(loading, i) != 0) {
            return 1;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(config->sessions[i].client_id, config->sessions[j].client_id) == 0) {
                return config_fail(loading, loading->session_lines[i], "session",
                                   "client id %.60s is that of the session on line %d too: the "
                                   "broker would end one for the other; give each its number",
                                   config->sessions[i].client_id, loading->session_lines[j]);
            }
        }
    }
    return 0;
}

/* --- secrets --- */

/* Reads at most PASSWORD_MAX bytes; *length may be one more when there are more. */
static int read_all(int fd, char *buffer, size_t *length)
{
    *length = 0;
    while (*length <= PASSWORD_MAX) {
        ssize_t got = read(fd, buffer + *length, PASSWORD_MAX + 1 - *length);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            return 0;
        }
        *length += (size_t)got;
    }
    return 0;
}

/* Returns what is wrong with a file's text, or NULL with its last end of line removed. */
static const char *trim_password(char *text, size_t *length)
{
    if (*length > PASSWORD_MAX) {
        return "holds more than 65535 bytes, the most that MQTT allows";
    }
    if (*length > 0 && text[*length - 1] == '\n') {
        (*length)--;
    }
    if (*length > 0 && text[*length - 1] == '\r') {
        (*length)--;
    }
    text[*length] = '\0';
    if (*length == 0) {
        return "is empty";
    }
    if (memchr(text, '\0', *length) != NULL) {
        return "holds a NUL byte";
    }
    if (memchr(text, '\n', *length) != NULL) {
        return "holds more than one line";
    }
    return NULL;
}

/* The file is open as `fd`, which this closes. `name` and `line` are for the problem. */
static int read_password(struct config_loading *loading, int fd, const char *path, const char *name,
                         int line)
{
    char *text = malloc(PASSWORD_MAX + 2);
    size_t length = 0;
    const char *fault = NULL;
    int result = text != NULL ? read_all(fd, text, &length) : -ENOMEM;

    close(fd);
    if (result < 0) {
        result =
            config_fail(loading, line, name, "%.200s: cannot read: %s", path, strerror(-result));
    } else if ((fault = trim_password(text, &length)) != NULL) {
        result = config_fail(loading, line, name, "%.200s %s", path, fault);
    } else if ((loading->config->broker.password = strdup(text)) == NULL) {
        result = config_fail(loading, line, name, "out of memory");
    }
    if (text != NULL) {
        explicit_bzero(text, PASSWORD_MAX + 2);
    }
    free(text);
    return result;
}

static int load_password_file(struct config_loading *loading)
{
    const char *path = loading->config->broker.password_file;
    int line = broker_line(loading, "password_file");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    if (fd < 0) {
        return config_fail(loading, line, "broker.password_file", "%.200s: cannot read: %s", path,
                           strerror(errno));
    }
    if (fstat(fd, &status) == 0 && (status.st_mode & S_IROTH) != 0) {
        close(fd);
        return config_fail(loading, line, "broker.password_file",
                           "%.200s can be read by everybody: chmod o-rwx %.200s", path, path);
    }
    return read_password(loading, fd, path, "broker.password_file", line);
}

/* A credential that is not there is no error: most installations have none. */
static int load_credential(struct config_loading *loading)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char path[4096];
    int fd;

    if (directory == NULL ||
        snprintf(path, sizeof(path), "%s/" CONFIG_CREDENTIAL, directory) >= (int)sizeof(path)) {
        return 0;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return 0;
    }
    if (fd < 0) {
        return config_fail(loading, 0, "credential " CONFIG_CREDENTIAL, "cannot read: %s",
                           strerror(errno));
    }
    return read_password(loading, fd, path, "credential " CONFIG_CREDENTIAL, 0);
}

static int check_broker(struct config_loading *loading)
{
    struct config *config = loading->config;
    int password = broker_line(loading, "password");
    int password_file = broker_line(loading, "password_file");
    int result = 0;

    if (config->broker.key_file != NULL && config->broker.cert_file == NULL) {
        return config_fail(loading, broker_line(loading, "key_file"), "broker.key_file",
                           "needs cert_file, the certificate that it belongs to");
    }
    if (password != 0 && password_file != 0) {
        return config_fail(loading, password, "broker.password",
                           "stands beside password_file on line %d: keep one of them",
                           password_file);
    }
    if (password != 0 && loading->others_read_it) {
        return config_fail(loading, password, "broker.password",
                           "everybody can read this file: chmod o-rwx %.200s, or use "
                           "password_file",
                           config->path);
    }
    if (password_file != 0) {
        result = load_password_file(loading);
    } else if (password == 0) {
        result = load_credential(loading);
    }
    if (result == 0 && config->broker.password != NULL && config->broker.username == NULL) {
        return config_fail(loading, password != 0 ? password : password_file, "broker.username",
                           "is required where there is a password (MQTT 3.1.1 §3.1.2.9)");
    }
    return result;
}

static int check_log(struct config_loading *loading)
{
    const struct config *config = loading->config;

    if (config->log.target == CONFIG_LOG_FILE && config->log.file == NULL) {
        return config_fail(loading, key_line(loading, CONFIG_LOG, "target", 0), "log.file",
                           "is required with target = file, such as "
                           "/var/log/foxtrackrd/foxtrackrd.log");
    }
    if (config->log.target != CONFIG_LOG_FILE && config->log.file != NULL) {
        return config_fail(loading, key_line(loading, CONFIG_LOG, "file", 0), "log.file",
                           "needs target = file");
    }
    return 0;
}

int config_check_all(struct config_loading *loading)
{
    if (apply_defaults(loading) != 0 || check_sessions(loading) != 0 ||
        check_broker(loading) != 0 || check_log(loading) != 0) {
        return 1;
    }
    return 0;
}
