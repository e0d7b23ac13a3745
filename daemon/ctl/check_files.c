/*
 * Checks the permissions of files for the user that the daemon runs as. A child process that has
 * become that user asks the kernel with access(), so modes, groups, access lists and every
 * directory of the path count.
 */
#include "ctl/check_findings_internal.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error_text.h"
#include "store/tools.h"

#define DATABASE_DIRECTORY "directory of database.path"
#define SERVICE_USER       "foxtrackrd" /* User= of the unit */
#define SERVICE_DIRECTORY  "/etc/foxtrackrd/"
#define FILES_MAX          24

struct file {
    const char *key; /* the configuration key, or another name for people */
    char path[PATH_MAX];
    int mode; /* of access() */
    bool may_be_missing;
    bool secret; /* other users must not be able to read it */
};

struct files {
    struct file list[FILES_MAX];
    int count;
};

struct user {
    uid_t uid;
    gid_t gid;
    char name[64];
};

static void add(struct files *files, const char *key, int mode, bool may_be_missing,
                const char *path, const char *suffix)
{
    struct file *file = &files->list[files->count];

    if (path != NULL && files->count < FILES_MAX) {
        *file = (struct file){.key = key, .mode = mode, .may_be_missing = may_be_missing};
        snprintf(file->path, sizeof(file->path), "%s%s", path, suffix);
        files->count++;
    }
}

/*
 * Returns true for a directory that systemd creates at the service's start, so that it may be
 * missing now: one below /run, and for a configuration of the service (foxtrackrd.conf, or
 * NAME.conf of an instance) its StateDirectory= and its LogsDirectory=.
 */
static bool service_makes(const struct config *config, const char *directory)
{
    static const char *const roots[] = {"/var/lib/foxtrackrd", "/var/log/foxtrackrd"};
    static const char suffix[] = ".conf";
    const char *name = config->path;
    char own[PATH_MAX];

    if (strncmp(directory, "/run/", 5) == 0) {
        return true;
    }
    if (strncmp(name, SERVICE_DIRECTORY, strlen(SERVICE_DIRECTORY)) != 0 ||
        strlen(name) < strlen(SERVICE_DIRECTORY) + strlen(suffix)) {
        return false;
    }
    name += strlen(SERVICE_DIRECTORY);
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        snprintf(own, sizeof(own), "%s/%.*s", roots[i], (int)(strlen(name) - strlen(suffix)), name);
        if (strcmp(directory, strcmp(name, "foxtrackrd.conf") == 0 ? roots[i] : own) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds the directory of a file that the daemon creates or replaces. */
static void add_directory(struct files *files, const struct config *config, const char *key,
                          const char *path)
{
    char copy[PATH_MAX];
    const char *directory;

    if (path != NULL) {
        snprintf(copy, sizeof(copy), "%s", path);
        directory = dirname(copy);
        add(files, key, W_OK | X_OK, service_makes(config, directory), directory, "");
    }
}

static void list_files(struct files *files, const struct config *config)
{
    static const char *const companions[] = {"", "-wal", "-shm", ".lock"};

    files->count = 0;
    add(files, "configuration", R_OK, false, config->path, "");
    add(files, "broker.password_file", R_OK, false, config->broker.password_file, "");
    if (config->broker.password_file != NULL) {
        files->list[files->count - 1].secret = true;
    }
    add(files, "broker.proxy_password_file", R_OK, false, config->broker.proxy_password_file, "");
    if (config->broker.proxy_password_file != NULL) {
        files->list[files->count - 1].secret = true;
    }
    if (config->broker.tls) {
        add(files, "broker.ca_file", R_OK, false, config->broker.ca_file, "");
        add(files, "broker.cert_file", R_OK, false, config->broker.cert_file, "");
        add(files, "broker.key_file", R_OK, false, config->broker.key_file, "");
        if (config->broker.key_file != NULL) {
            files->list[files->count - 1].secret = true;
        }
    }
    if (config->database.engine == CONFIG_SQLITE) {
        add_directory(files, config, DATABASE_DIRECTORY, config->database.path);
    } else {
        add(files, "database.password_file", R_OK, false, config->database.password_file, "");
        if (config->database.password_file != NULL) {
            files->list[files->count - 1].secret = true;
        }
    }
    for (size_t i = 0;
         config->database.engine == CONFIG_SQLITE && i < sizeof(companions) / sizeof(companions[0]);
         i++) {
        add(files, "database", R_OK | W_OK, true, config->database.path, companions[i]);
    }
    if (config->log.target == CONFIG_LOG_FILE) {
        add_directory(files, config, "directory of log.file", config->log.file);
        add(files, "log.file", W_OK, true, config->log.file, "");
    }
    add_directory(files, config, "directory of status.file", config->status.file);
    add_directory(files, config, "directory of status.metrics_file", config->status.metrics_file);
}

static void set_user(struct user *user, const struct passwd *entry)
{
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
    snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
}

/*
 * Finds the daemon's user: the service's user for the service's configuration, else the owner of
 * the database or of its directory. Only root can become that user; for another caller the check
 * applies to the caller.
 */
static void find_user(const struct config *config, struct user *user)
{
    char directory[PATH_MAX];
    const struct passwd *entry = NULL;
    struct stat status;

    snprintf(directory, sizeof(directory), "%s", config->database.path);
    if (geteuid() == 0 &&
        strncmp(config->path, SERVICE_DIRECTORY, strlen(SERVICE_DIRECTORY)) == 0) {
        entry = getpwnam(SERVICE_USER);
    }
    if (geteuid() == 0 && entry == NULL &&
        (stat(config->database.path, &status) == 0 || stat(dirname(directory), &status) == 0)) {
        entry = getpwuid(status.st_uid);
    }
    if (entry == NULL) {
        entry = getpwuid(geteuid());
    }
    *user = (struct user){.uid = geteuid(), .gid = getegid()};
    snprintf(user->name, sizeof(user->name), "number %u", (unsigned)geteuid());
    if (entry != NULL) {
        set_user(user, entry);
    }
}

/* In the child: becomes the user, and writes an errno for each file to `out`. Never returns. */
static _Noreturn void look(const struct files *files, const struct user *user, int out)
{
    int errors[FILES_MAX] = {0};

    if (user->uid != geteuid() && (initgroups(user->name, user->gid) != 0 ||
                                   setgid(user->gid) != 0 || setuid(user->uid) != 0)) {
        _exit(1);
    }
    for (int i = 0; i < files->count; i++) {
        errors[i] = access(files->list[i].path, files->list[i].mode) == 0 ? 0 : errno;
    }
    _exit(write(out, errors, sizeof(errors)) == (ssize_t)sizeof(errors) ? 0 : 1);
}

/* Fills `errors`, with 0 for a permitted access. Returns false when the check itself failed. */
static bool ask(const struct files *files, const struct user *user, int errors[FILES_MAX])
{
    const ssize_t size = FILES_MAX * (ssize_t)sizeof(int);
    int ends[2];
    pid_t child;
    ssize_t got;

    if (pipe(ends) < 0) {
        return false;
    }
    child = fork();
    if (child == 0) {
        look(files, user, ends[1]);
    }
    close(ends[1]);
    got = child > 0 ? read(ends[0], errors, (size_t)size) : -1;
    close(ends[0]);
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
    return got == size;
}

static const char *what_for(int mode)
{
    return (mode & W_OK) == 0 ? "read" : "write";
}

/* Reports the problem of one file. Returns true when there is none. */
static bool judge(struct ctl_findings *findings, const struct file *file, const struct user *user,
                  int error)
{
    struct stat status;
    char advice[2 * PATH_MAX];

    if (error == EACCES && strcmp(file->key, "configuration") == 0) {
        snprintf(advice, sizeof(advice), "; chgrp %s %s && chmod 0640 %s", user->name, file->path,
                 file->path);
    } else if (error == ENOENT && strcmp(file->key, DATABASE_DIRECTORY) == 0) {
        snprintf(advice, sizeof(advice), "; install -d -o %s%s -m 2750 %s", user->name,
                 strcmp(user->name, SERVICE_USER) == 0 ? " -g foxtrackr-readers" : "", file->path);
    } else {
        snprintf(advice, sizeof(advice), "%s",
                 error == EACCES   ? "; correct its owner or mode, or those of its directories"
                 : error == ENOENT ? "; create it"
                                   : "");
    }
    if (error != 0 && !(error == ENOENT && file->may_be_missing)) {
        ctl_finding(findings, "files", false, "%s (%s): user %s cannot %s %s: %s%s", file->path,
                    file->key, user->name, what_for(file->mode),
                    (file->mode & X_OK) != 0 ? "there" : "it", error_text(error), advice);
        return false;
    }
    if (file->secret && stat(file->path, &status) == 0 && (status.st_mode & S_IROTH) != 0) {
        ctl_finding(findings, "files", false, "%s (%s): everybody can read it: chmod o-rwx %s",
                    file->path, file->key, file->path);
        return false;
    }
    return true;
}

/* The service makes it; a daemon that is started in another way goes on without its status file. */
static void check_status_directory(struct ctl_findings *findings, const struct config *config)
{
    const struct store_options options = store_options_of(config);
    struct store_holder holder;
    char directory[PATH_MAX];

    if (config->status.file == NULL) {
        return;
    }
    snprintf(directory, sizeof(directory), "%s", config->status.file);
    dirname(directory);
    if (access(directory, F_OK) != 0 && errno == ENOENT && strncmp(directory, "/run/", 5) == 0 &&
        (store_is_held(&options, &holder) || access("/run/systemd/system", F_OK) != 0)) {
        ctl_finding_warning(
            findings, "files",
            "%s (directory of status.file): is not there, so foxtrackrctl status has "
            "nothing to read; the service makes it, and without systemd: install -d "
            "-o foxtrackrd -g foxtrackr-readers -m 0750 %s",
            directory, directory);
    }
}

void ctl_check_files(struct ctl_findings *findings, const struct config *config)
{
    struct files files;
    struct user user;
    int errors[FILES_MAX] = {0};
    bool good = true;

    check_status_directory(findings, config);
    list_files(&files, config);
    find_user(config, &user);
    if (!ask(&files, &user, errors)) {
        ctl_finding(findings, "files", false, "cannot become user %s to see what it may do",
                    user.name);
        return;
    }
    for (int i = 0; i < files.count; i++) {
        good = judge(findings, &files.list[i], &user, errors[i]) && good;
    }
    if (good) {
        ctl_finding(findings, "files", true,
                    "user %s may read and write what the configuration names", user.name);
    }
}
