/*
 * Goal: any bytes as a configuration file are a configuration that keeps the promises of
 * config/config.h, or sentences that name the file; nothing is read but what the file names, and no
 * secret gets into a sentence.
 *
 * The first character of the input is a set of bits (see VARIANT_), the rest is the file. Nothing
 * touches the disk: the file is in memory, and open() (linked with --wrap=open), by which secrets
 * are read, gives the same secret for every path and keeps the input away from /dev.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syslog.h>
#include <unistd.h>

#include "config/config_internal.h"
#include "fuzz.h"

enum {
    VARIANT_PRELUDE = 1,    /* the sections that are required stand above the input */
    VARIANT_READABLE = 2,   /* by others */
    VARIANT_CREDENTIAL = 4, /* systemd gives a password */
    VARIANT_BAD_SECRET = 8, /* what is read as a secret is the input */
};

#define PRELUDE                                                                                    \
    "[session]\ngiven = some-body\n[broker]\nhost = localhost\nusername = me\n"                    \
    "password = " SECRET_INSIDE "\n"
/* They do not begin with a digit that may end an escaped byte. */
#define SECRET_INSIDE "some-horse"
#define SECRET_READ   "staple-horse"

static char file_path[64];
static int file_fd = -1;
static int secret_fd = -1;
static bool loading;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    char secret_path[64];
    va_list arguments;
    mode_t mode;

    if (loading) {
        FUZZ_CHECK(path[0] == '/');
        FUZZ_CHECK((flags & O_ACCMODE) == O_RDONLY && (flags & O_CREAT) == 0);
        snprintf(secret_path, sizeof(secret_path), "/proc/self/fd/%d", secret_fd);
        return __real_open(secret_path, flags);
    }
    va_start(arguments, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return __real_open(path, flags, mode);
}

static int make_file(mode_t mode)
{
    int fd = memfd_create("foxtrackrd.conf", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(fchmod(fd, mode) == 0);
    return fd;
}

static void write_file(int fd, const char *before, const uint8_t *data, size_t size)
{
    size_t length = strlen(before);

    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, before, length, 0) == (ssize_t)length);
    FUZZ_CHECK(pwrite(fd, data, size, (off_t)length) == (ssize_t)size);
}

/* Put the files where config_load() will read them. Returns whether they hold the known secrets. */
static bool prepare(int variant, const uint8_t *data, size_t size)
{
    if (file_fd < 0) {
        file_fd = make_file(0600);
        secret_fd = make_file(0600);
        snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file_fd);
    }
    FUZZ_CHECK(fchmod(file_fd, (variant & VARIANT_READABLE) != 0 ? 0644 : 0600) == 0);
    write_file(file_fd, (variant & VARIANT_PRELUDE) != 0 ? PRELUDE : "", data, size);
    if ((variant & VARIANT_BAD_SECRET) != 0) {
        write_file(secret_fd, "", data, size);
    } else {
        write_file(secret_fd, SECRET_READ "\n", data, 0);
    }
    if ((variant & VARIANT_CREDENTIAL) != 0) {
        FUZZ_CHECK(setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1) == 0);
    } else {
        FUZZ_CHECK(unsetenv("CREDENTIALS_DIRECTORY") == 0);
    }
    /* A secret that the input holds too may well be quoted, from where it is none. */
    return !memmem(data, size, SECRET_READ, strlen(SECRET_READ)) &&
           !memmem(data, size, SECRET_INSIDE, strlen(SECRET_INSIDE));
}

static void check_problem(const char *problem, bool secrets_known)
{
    size_t length = strnlen(problem, CONFIG_PROBLEM_SIZE);

    FUZZ_CHECK(length < CONFIG_PROBLEM_SIZE);
    FUZZ_CHECK(strncmp(problem, file_path, strlen(file_path)) == 0);
    FUZZ_CHECK(problem[strlen(file_path)] == ':');
    FUZZ_CHECK(!strpbrk(problem, "\r\n"));
    if (secrets_known) {
        FUZZ_CHECK(!strstr(problem, SECRET_READ) && !strstr(problem, SECRET_INSIDE));
    }
}

static void check_session(const struct config_session *session)
{
    FUZZ_CHECK(session->name && session->number);
    FUZZ_CHECK(session->client_id && session->client_id[0] != '\0');
    FUZZ_CHECK(session->qos >= 0 && session->qos <= 2);
    FUZZ_CHECK(session->filter_count > 0);
    for (size_t i = 0; i < session->filter_count; i++) {
        FUZZ_CHECK(session->filters[i][0] != '\0');
        FUZZ_CHECK(fuzz_is_one_line(session->filters[i]));
    }
}

static bool is_sql_name(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= 44 && !config_views_reserved(name) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               length;
}

static void check_view(const struct config_view *view)
{
    FUZZ_CHECK(is_sql_name(view->name));
    FUZZ_CHECK(view->type[0] != '\0' && strpbrk(view->type, "/+#\n") == NULL);
    FUZZ_CHECK(view->column_count > 0 && view->column_count <= CONFIG_COLUMNS_MAX);
    for (size_t i = 0; i < view->column_count; i++) {
        const struct config_column *column = &view->columns[i];

        FUZZ_CHECK(is_sql_name(column->name));
        FUZZ_CHECK(column->path[0] != '\0' && strpbrk(column->path, "\"\\\n") == NULL);
        FUZZ_CHECK(column->factor == NULL ||
                   strspn(column->factor, "+-.0123456789eE") == strlen(column->factor));
        FUZZ_CHECK(column->divisor != 0);
        for (size_t j = 0; j < i; j++) {
            FUZZ_CHECK(strcasecmp(view->columns[j].name, column->name) != 0);
        }
    }
}

static void check_config(const struct config *config)
{
    FUZZ_CHECK(strcmp(config->path, file_path) == 0);
    FUZZ_CHECK(config->broker.host && config->broker.host[0] != '\0');
    FUZZ_CHECK(config->broker.port >= 1 && config->broker.port <= 65535);
    FUZZ_CHECK(config->broker.keepalive_s >= 5 && config->broker.keepalive_s <= 65535);
    FUZZ_CHECK(config->broker.ca_file && config->broker.ca_file[0] == '/');
    FUZZ_CHECK(!config->broker.key_file || config->broker.cert_file);
    FUZZ_CHECK(!config->broker.password || config->broker.username);
    FUZZ_CHECK(!config->broker.password || strlen(config->broker.password) <= 65535);
    FUZZ_CHECK(!config->broker.proxy_password || config->broker.proxy->user);
    FUZZ_CHECK(!config->broker.proxy_password || strlen(config->broker.proxy_password) <= 255);
    if (config->broker.proxy) {
        FUZZ_CHECK(config->broker.proxy->host[0] != '\0');
        FUZZ_CHECK(config->broker.proxy->port >= 1 && config->broker.proxy->port <= 65535);
        FUZZ_CHECK(!config->broker.proxy->user || config->broker.proxy->user[0] != '\0');
    }
    FUZZ_CHECK(config->session_count >= 1 && config->session_count <= CONFIG_SESSIONS_MAX);
    for (size_t i = 0; i < config->session_count; i++) {
        check_session(&config->sessions[i]);
        for (size_t j = 0; j < i; j++) {
            FUZZ_CHECK(strcmp(config->sessions[i].client_id, config->sessions[j].client_id) != 0);
            FUZZ_CHECK(strcmp(config->sessions[i].name, config->sessions[j].name) != 0);
        }
    }
    FUZZ_CHECK(config->database.path[0] == '/');
    FUZZ_CHECK(config->database.busy_timeout_ms >= 0 && config->database.batch_max >= 1);
    FUZZ_CHECK(config->database.retention_days >= 0 && config->database.min_free_mb >= 0);
    FUZZ_CHECK(config->parser.max_payload >= 1024 && config->parser.max_payload <= 64U << 20);
    FUZZ_CHECK(config->parser.max_future_ms >= 0);
    FUZZ_CHECK(config->fields);
    for (size_t i = 0; i < config->views->count; i++) {
        check_view(&config->views->list[i]);
    }
    FUZZ_CHECK((config->log.target == CONFIG_LOG_FILE) == (config->log.file != NULL));
    FUZZ_CHECK(config->log.level >= LOG_ERR && config->log.level <= LOG_DEBUG);
    FUZZ_CHECK(config->status.interval_ms >= 1000);
}

static void check_problems(const struct config_problems *problems, bool secrets_known)
{
    FUZZ_CHECK(problems->count > 0);
    for (size_t i = 0; i < problems->count && i < CONFIG_PROBLEMS_MAX; i++) {
        check_problem(problems->sentences[i], secrets_known);
        FUZZ_CHECK(i == 0 || problems->lines[i] >= problems->lines[i - 1]);
    }
}

static int load(struct config **out, struct config_problems *problems)
{
    int result;

    memset(problems, 0x5A, sizeof(*problems));
    loading = true;
    result = config_load(file_path, out, problems);
    loading = false;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct config *again = NULL;
    static struct config_problems problems;
    static struct config_problems again_problems;
    char same[CONFIG_PROBLEM_SIZE];
    bool secrets_known;
    int result;

    if (size == 0) {
        return 0;
    }
    secrets_known = prepare(data[0], data + 1, size - 1);
    result = load(&config, &problems);
    FUZZ_CHECK(load(&again, &again_problems) == result);
    if (result == 0) {
        check_config(config);
        for (size_t i = 0; i < config->warning_count; i++) {
            check_problem(config->warnings[i], secrets_known);
        }
        FUZZ_CHECK(config_needs_restart(config, again, same, sizeof(same)) == 0);
        FUZZ_CHECK(same[0] == '\0');
    } else {
        FUZZ_CHECK(result == 1 && !config && !again);
        check_problems(&problems, secrets_known);
        FUZZ_CHECK(problems.count == again_problems.count);
        FUZZ_CHECK(strcmp(problems.sentences[0], again_problems.sentences[0]) == 0);
    }
    config_free(again);
    config_free(config);
    return 0;
}
