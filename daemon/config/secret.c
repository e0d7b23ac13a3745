/*
 * The passwords: the broker's from its file, from the systemd credential, or from the configuration
 * itself; those for the proxy and for the database from their file or credential.
 *
 * A password is taken unchanged, except for additions of editors: one end of line at the end and a
 * byte order mark are removed. Invisible characters that stay part of a password (a blank at an
 * end, a control character) are a warning: the broker would only say "bad user name or password".
 * Neither a problem nor a warning holds a password.
 */
#include "config/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_text.h"

#define PASSWORD_MAX    65535 /* MQTT 3.1.1 §3.1.3.5 */
#define PROXY_MAX       255   /* RFC 1929 §2 */
#define DATABASE_MAX    1000  /* the server reads no longer one */
#define END_MAX         2     /* CR LF */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* A password, and the file that it is read from. */
struct secret {
    char **out;
    size_t max; /* bytes, without the end of line */
    const char *too_long;
    const char *refusal; /* the sign of a wrong password */
    const char *path;
    const char *name; /* of the key or the credential, for a problem */
    int line;         /* 0: none */
};

/* Reads at most `size` bytes. */
static int read_all(int fd, char *buffer, size_t size, size_t *length)
{
    *length = 0;
    while (*length < size) {
        ssize_t got = read(fd, buffer + *length, size - *length);

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

/* Removes one end of line at the end. Returns the fault of the file's text, or NULL. */
static const char *trim_password(const struct secret *secret, char *text, size_t *length)
{
    if (*length > secret->max + END_MAX) {
        return secret->too_long;
    }
    if (*length >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
        return "is UTF-16 with a byte order mark: save it as UTF-8";
    }
    if (*length > 0 && text[*length - 1] == '\n') {
        (*length)--;
    }
    if (*length > 0 && text[*length - 1] == '\r') {
        (*length)--;
    }
    text[*length] = '\0';
    if (*length > secret->max) {
        return secret->too_long;
    }
    if (*length == 0) {
        return "is empty";
    }
    if (memchr(text, '\0', *length) != NULL) {
        return "holds a NUL byte";
    }
    if (memchr(text, '\n', *length) != NULL) {
        return "holds more than one line: leave the password alone in it, on one line";
    }
    return NULL;
}

/* Warns of invisible characters in a password, which are part of it. */
static int warn_of_hidden(struct config_loading *loading, const struct secret *secret,
                          const char *text, size_t length)
{
    bool blank = strchr(" \t", text[0]) != NULL || strchr(" \t", text[length - 1]) != NULL;
    bool control = false;

    for (size_t i = 0; i < length; i++) {
        control = control || (unsigned char)text[i] < ' ' || text[i] == 0x7f;
    }
    if (blank || config_text_lookalike(text, length, true) != 0) {
        return config_warn(loading, secret->line, secret->name,
                           "%.200s: the password begins or ends with a blank, which is part of it: "
                           "remove the blank if %s",
                           secret->path, secret->refusal);
    }
    if (control) {
        return config_warn(loading, secret->line, secret->name,
                           "%.200s: the password holds a control character, which is part of it: "
                           "write the file anew if %s",
                           secret->path, secret->refusal);
    }
    return 0;
}

/* Takes the file's text as the password, without a byte order mark. */
static int keep_password(struct config_loading *loading, const struct secret *secret,
                         const char *text, size_t length)
{
    size_t mark = strlen(BYTE_ORDER_MARK);

    if (strncmp(text, BYTE_ORDER_MARK, mark) == 0) {
        if (length == mark) {
            return config_fail(loading, secret->line, secret->name,
                               "%.200s holds a byte order mark and no password", secret->path);
        }
        if (config_warn(loading, secret->line, secret->name,
                        "%.200s begins with a byte order mark, which is not taken as part of the "
                        "password: save it as UTF-8 without one",
                        secret->path) != 0) {
            return 1;
        }
        text += mark;
        length -= mark;
    }
    if (warn_of_hidden(loading, secret, text, length) != 0) {
        return 1;
    }
    *secret->out = strdup(text);
    return *secret->out != NULL ? 0
                                : config_fail(loading, secret->line, secret->name, "out of memory");
}

/* The file is open as `fd`, which this closes. */
static int read_password(struct config_loading *loading, const struct secret *secret, int fd)
{
    size_t size = secret->max + END_MAX + 1; /* one more shows when the file is too long */
    char *text = malloc(size + 1);
    size_t length = 0;
    const char *fault = NULL;
    int result = text != NULL ? read_all(fd, text, size, &length) : -ENOMEM;

    close(fd);
    if (result < 0) {
        result = config_fail(loading, secret->line, secret->name, "%.200s: cannot read: %s",
                             secret->path, error_text(-result));
    } else if ((fault = trim_password(secret, text, &length)) != NULL) {
        result = config_fail(loading, secret->line, secret->name, "%.200s %s", secret->path, fault);
    } else {
        result = keep_password(loading, secret, text, length);
    }
    if (text != NULL) {
        explicit_bzero(text, size + 1);
    }
    free(text);
    return result;
}

static int load_file(struct config_loading *loading, const struct secret *secret)
{
    const char *path = secret->path;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int error = errno;
    struct stat status;

    if (fd < 0) {
        return config_fail(
            loading, secret->line, secret->name, "%.120s: cannot read: %s%s%.120s%s", path,
            error_text(error),
            error == ENOENT ? "; make it: install -m 0640 -g foxtrackrd /dev/stdin " : "",
            error == ENOENT ? path : "", error == ENOENT ? " (type it, Enter, Ctrl-D)" : "");
    }
    if (fstat(fd, &status) == 0 && (status.st_mode & S_IROTH) != 0) {
        close(fd);
        return config_fail(loading, secret->line, secret->name,
                           "%.200s can be read by everybody: chmod o-rwx %.200s", path, path);
    }
    return read_password(loading, secret, fd);
}

/* Loads a systemd credential in place of a file. A missing one is no error: most installations have
 * none. */
static int load_credential(struct config_loading *loading, const struct secret *secret,
                           const char *credential)
{
    struct secret found = *secret;
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char path[4096];
    char name[64];
    int fd;

    if (directory == NULL ||
        snprintf(path, sizeof(path), "%s/%s", directory, credential) >= (int)sizeof(path)) {
        return 0;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        return 0;
    }
    snprintf(name, sizeof(name), "credential %s", credential);
    if (fd < 0) {
        return config_fail(loading, 0, name, "cannot read: %s", error_text(errno));
    }
    found.path = path;
    found.name = name;
    found.line = 0;
    return read_password(loading, &found, fd);
}

/* --- the three of them ----------------------------------------------------------------------- */

/* Notes the mistakes of the keys for the broker's password. Returns true when it is to be read from
 * a file or a credential. */
static bool broker_needs_one(struct config_loading *loading)
{
    int password = config_check_line(loading, "password");
    int password_file = config_check_line(loading, "password_file");

    loading->config->broker.password_inline = password != 0;
    if (password != 0 && password_file != 0) {
        config_note(loading, password, "broker.password",
                    "stands beside password_file on line %d: keep one of them", password_file);
    }
    if (password != 0 && loading->others_read_it) {
        config_note(loading, password, "broker.password",
                    "everybody can read this file: chmod o-rwx %.200s, or use password_file",
                    loading->config->path);
    }
    return password == 0;
}

static void check_broker_user(struct config_loading *loading)
{
    int password = config_check_line(loading, "password");

    if (loading->config->broker.username == NULL && !config_check_wrong(loading, "username")) {
        config_note(loading, password != 0 ? password : config_check_line(loading, "password_file"),
                    "broker.username",
                    "is required where there is a password (MQTT 3.1.1 §3.1.2.9)");
    }
}

/* The same for the proxy's: it needs none if there is no proxy. */
static bool proxy_needs_one(struct config_loading *loading)
{
    int file = config_check_line(loading, "proxy_password_file");

    if (loading->config->broker.proxy != NULL) {
        return true;
    }
    if (file != 0 && !config_check_wrong(loading, "proxy_password_file") &&
        !config_check_wrong(loading, "proxy")) {
        config_note(loading, file, "broker.proxy_password_file",
                    "needs proxy, the proxy that the password is for");
    }
    return false;
}

static void check_proxy_user(struct config_loading *loading)
{
    if (loading->config->broker.proxy->user == NULL) {
        config_note(loading, config_check_line(loading, "proxy"), "broker.proxy",
                    "names no user, and there is a password for the proxy: write USER@ in front of "
                    "the host");
    }
}

/* The same for the database's; config/database.c has noted a key that does not belong there. */
static bool database_needs_one(struct config_loading *loading)
{
    return loading->config->database.engine == CONFIG_POSTGRESQL;
}

static void check_database_user(struct config_loading *loading)
{
    (void)loading; /* libpq takes the user's name from the URI or from the process */
}

#define IN(member) offsetof(struct config, member)

static const struct kind {
    enum config_section section;
    const char *name;      /* of the key of the file: "broker.password_file" */
    const char *other_key; /* of [broker], that may hold the password instead; NULL: none */
    const char *credential;
    size_t path; /* offset in struct config, as the next one */
    size_t out;
    size_t max; /* as in struct secret, like the next two */
    const char *too_long;
    const char *refusal;
    bool (*needs_one)(struct config_loading *loading);
    void (*check_user)(struct config_loading *loading); /* there is a password */
} kinds[] = {
    {CONFIG_BROKER, "broker.password_file", "password", CONFIG_CREDENTIAL, IN(broker.password_file),
     IN(broker.password), PASSWORD_MAX, "holds more than 65535 bytes, the most that MQTT allows",
     "the broker says \"bad user name or password\" or \"not authorised\"", broker_needs_one,
     check_broker_user},
    {CONFIG_BROKER, "broker.proxy_password_file", NULL, CONFIG_PROXY_SECRET,
     IN(broker.proxy_password_file), IN(broker.proxy_password), PROXY_MAX,
     "holds more than 255 bytes, the most that a proxy takes (RFC 1929)", "the proxy refuses it",
     proxy_needs_one, check_proxy_user},
    {CONFIG_DATABASE, "database.password_file", NULL, CONFIG_DATABASE_SECRET,
     IN(database.password_file), IN(database.password), DATABASE_MAX, "holds more than 1000 bytes",
     "the database refuses it", database_needs_one, check_database_user},
};

/* Loads the password from its file, or from its credential where the keys name none. A key that is
 * wrong may have been meant to. */
static int load(struct config_loading *loading, const struct kind *kind)
{
    char *config = (char *)loading->config;
    const char *key = strchr(kind->name, '.') + 1;
    const struct secret secret = {
        .out = (char **)(void *)(config + kind->out),
        .max = kind->max,
        .too_long = kind->too_long,
        .refusal = kind->refusal,
        .path = *(char **)(void *)(config + kind->path),
        .name = kind->name,
        .line = config_check_line_of(loading, kind->section, key, 0),
    };

    if (secret.path != NULL) {
        return load_file(loading, &secret);
    }
    if (config_check_wrong_of(loading, kind->section, key, 0) ||
        (kind->other_key != NULL && config_check_wrong(loading, kind->other_key))) {
        return 0;
    }
    return load_credential(loading, &secret, kind->credential);
}

void config_secret_load(struct config_loading *loading)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct kind *kind = &kinds[i];

        if ((!kind->needs_one(loading) || load(loading, kind) == 0) &&
            *(char **)(void *)((char *)loading->config + kind->out) != NULL) {
            kind->check_user(loading);
        }
    }
}
