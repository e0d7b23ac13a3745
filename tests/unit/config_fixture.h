/* A directory with a configuration file, for tests of config/config.c. */
#ifndef CONFIG_FIXTURE_H
#define CONFIG_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

#define BROKER  "[broker]\nhost = mqtt.acme.net\n"
#define SESSION "[session]\ngiven = acme\n"

static char directory[] = "/tmp/test_config.XXXXXX";
static char path[64];
static char secret_path[64];

static inline void write_file(const char *name, const void *text, size_t length, mode_t mode)
{
    int fd;

    unlink(name);
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline struct config *load(const char *text)
{
    struct config_problems problems;
    struct config *config = NULL;

    write_file(path, text, strlen(text), 0640);
    if (config_load(path, &config, &problems) != 0) {
        fail_msg("refused: %s\n%s", problems.sentences[0], text);
    }
    return config;
}

/* `says` follows the file's name, which every problem begins with; it is that of the first one. */
static inline void refuse_bytes(const char *text, size_t length, mode_t mode, const char *says)
{
    struct config_problems problems;
    const char *problem = problems.sentences[0];
    struct config *config = NULL;

    write_file(path, text, length, mode);
    if (config_load(path, &config, &problems) != 1) {
        fail_msg("accepted, and should say \"%s\":\n%s", says, text);
    }
    assert_null(config);
    if (strncmp(problem, path, strlen(path)) != 0 || strstr(problem + strlen(path), says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\" of\n%s", problem, says, text);
    }
    for (size_t i = 0; i < problems.count && i < CONFIG_PROBLEMS_MAX; i++) {
        if (strstr(problems.sentences[i], "hunter2") != NULL) {
            fail_msg("a secret was told: %s", problems.sentences[i]);
        }
    }
}

static inline void refuse(const char *text, const char *says)
{
    refuse_bytes(text, strlen(text), 0640, says);
}

static inline int make_directory(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/conf", directory);
    snprintf(secret_path, sizeof(secret_path), "%s/" CONFIG_CREDENTIAL, directory);
    return 0;
}

static inline int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    unlink(secret_path);
    return rmdir(directory);
}

#endif
