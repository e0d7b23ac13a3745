/*
 * The configurations beside this one, *.conf: a copy for a second daemon must have another
 * database.path, another status.file and another client id. paths_check() compares the files; this
 * file compares the paths that paths_check() takes for those of a copy, and the client ids, by
 * which a broker tells daemons apart. A daemon and its standby are meant to share the client id,
 * and the database of PostgreSQL.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/path_identity.h"
#include "ctl/check_findings_internal.h"
#include "store/tools.h"

#define SUFFIX       ".conf"
#define SIBLINGS_MAX 64

static bool same_file(const char *one, const char *other)
{
    struct path_identity first;
    struct path_identity second;

    path_identity(one, "", false, &first);
    path_identity(other, "", false, &second);
    return path_identity_same(&first, &second);
}

static void say_database(struct ctl_findings *findings, const struct config *config,
                         const struct config *other)
{
    const struct store_options options = store_options_of(config);
    struct store_holder holder;
    char running[64] = "";

    if (store_is_held(&options, &holder) && holder.pid > 0) {
        snprintf(running, sizeof(running), ", which process %ld has now", holder.pid);
    }
    ctl_finding_warning(findings, "configuration",
                        "%s: database.path %s is that of %s too%s: only one of them can run; for a "
                        "second daemon set database.path, status.file and the client id",
                        config->path, config->database.path, other->path, running);
}

static bool waits(const struct config *config)
{
    return config->session_count > 0 && config->sessions[0].standby;
}

/* One client id in two configurations. In one database of PostgreSQL the lock decides who has the
 * session; two databases would share one queue, and each get a part of the messages. */
static void say_client(struct ctl_findings *findings, const struct config *config,
                       const struct config *other, const char *client_id)
{
    bool one_database = config->database.engine == CONFIG_POSTGRESQL &&
                        other->database.engine == CONFIG_POSTGRESQL &&
                        strcmp(config->database.path, other->database.path) == 0;

    if (!one_database) {
        ctl_finding(findings, "configuration", false,
                    "%s: client id %s at %s:%d is that of %s too: the broker would end one "
                    "session for the other; set session.number or session.client_id",
                    config->path, client_id, config->broker.host, config->broker.port, other->path);
    } else if (waits(config) && waits(other)) {
        ctl_finding(findings, "configuration", true,
                    "%s: client id %s at %s:%d and the database are those of %s too: one daemon "
                    "has the session, the other waits as its standby",
                    config->path, client_id, config->broker.host, config->broker.port, other->path);
    } else {
        ctl_finding(findings, "configuration", false,
                    "%s: client id %s at %s:%d and the database are those of %s too, and %s has "
                    "session.standby = yes: set it in both, or for a second session set "
                    "session.number or session.client_id",
                    config->path, client_id, config->broker.host, config->broker.port, other->path,
                    waits(config) || waits(other) ? "only one of them" : "neither of them");
    }
}

static void compare_clients(struct ctl_findings *findings, const struct config *config,
                            const struct config *other)
{
    if (strcasecmp(config->broker.host, other->broker.host) != 0 ||
        config->broker.port != other->broker.port) {
        return;
    }
    for (size_t i = 0; i < config->session_count; i++) {
        for (size_t j = 0; j < other->session_count; j++) {
            if (strcmp(config->sessions[i].client_id, other->sessions[j].client_id) == 0) {
                say_client(findings, config, other, config->sessions[i].client_id);
            }
        }
    }
}

/* A file that is no good configuration is not judged here: its own check does that. */
static void compare(struct ctl_findings *findings, const struct config *config, const char *file)
{
    struct config_problems problems;
    struct config *other;

    if (same_file(config->path, file) || config_load(file, &other, &problems) != 0) {
        return;
    }
    if (config->database.engine == CONFIG_SQLITE && other->database.engine == CONFIG_SQLITE &&
        same_file(config->database.path, other->database.path)) {
        say_database(findings, config, other);
    } else {
        compare_clients(findings, config, other);
    }
    config_free(other);
}

void ctl_check_siblings(struct ctl_findings *findings, const struct config *config)
{
    const char *slash = strrchr(config->path, '/');
    char directory[PATH_MAX];
    char file[2 * PATH_MAX];
    const struct dirent *found;
    int count = 0;
    DIR *stream;

    snprintf(directory, sizeof(directory), "%.*s",
             slash == NULL ? 2 : (int)(slash - config->path) + 1,
             slash == NULL ? "./" : config->path);
    stream = opendir(directory);
    while (stream != NULL && count < SIBLINGS_MAX && (found = readdir(stream)) != NULL) {
        size_t length = strlen(found->d_name);

        if (found->d_name[0] != '.' && length > strlen(SUFFIX) &&
            strcmp(found->d_name + length - strlen(SUFFIX), SUFFIX) == 0) {
            snprintf(file, sizeof(file), "%s%s", directory, found->d_name);
            compare(findings, config, file);
            count++;
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
}
