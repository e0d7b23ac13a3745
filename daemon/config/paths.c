/*
 * Checks that no file serves two purposes.
 *
 * A daemon appends to its log, replaces its status files, and rewrites its database. An operator
 * who gives two of these purposes one file, by a slip or by a symbolic link, would lose the
 * database, the configuration or a key. So every file that a daemon uses is put into one list
 * together with its use, and every pair of the list is compared (base/path_identity.c):
 *
 *   read      the configuration, certificates, keys, the password: one file may serve several
 *   written   everything else: no other entry may be the same file
 *
 * SQLite's companions of the database (-wal, -shm, -journal), our lock beside it and the temporary
 * files of the status files are entries too, whether they exist now or not. Rotated logs have names
 * that follow the log's own.
 *
 * Other daemons of this machine have their configurations beside this one, as *.conf. Their files
 * are entries of a second list. A file with another purpose in the other daemon is an error. A file
 * with the same purpose in both (two status files) is an error only if it would be one within a
 * single daemon: a copy of a configuration is no mistake, and two daemons cannot run on one
 * database or write one status file because of the locks on these files (base/own_file.c).
 */
#include "config/config.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path_identity.h"
#include "config/path_list_internal.h"

#define ENTRIES_MAX  32
#define SIBLINGS_MAX 64
#define SUFFIX       ".conf"

enum use { READ, WRITTEN };

struct entry {
    char key[64]; /* "database.path", "the write-ahead log of database.path" */
    char path[PATH_MAX + 16];
    enum use use;
    bool rotates;
    struct path_identity identity;
};

struct paths {
    struct entry *entries;
    int count;
};

/* --- the list ------------------------------------------------------------------------------- */

static struct entry *add(struct paths *paths, const char *key, enum use use, const char *path,
                         const char *suffix)
{
    struct entry *entry = &paths->entries[paths->count];

    if (paths->count == ENTRIES_MAX) {
        return NULL;
    }
    *entry = (struct entry){.use = use};
    snprintf(entry->key, sizeof(entry->key), "%s", key);
    snprintf(entry->path, sizeof(entry->path), "%s%s", path, suffix);
    path_identity(path, suffix, strcmp(suffix, ".tmp") == 0, &entry->identity);
    paths->count++;
    return entry;
}

static void add_database(struct paths *paths, const char *path)
{
    static const char *const companions[][2] = {
        {"the write-ahead log of database.path", "-wal"},
        {"the shared memory of database.path", "-shm"},
        {"the journal of database.path", "-journal"},
        {"the lock of database.path", ".lock"},
    };

    add(paths, "database.path", WRITTEN, path, "");
    for (size_t i = 0; i < sizeof(companions) / sizeof(companions[0]); i++) {
        add(paths, companions[i][0], WRITTEN, path, companions[i][1]);
    }
}

/* A config_path_fn. An unknown key counts as a file that is written. */
static void add_key(void *context, const char *key, const char *path)
{
    static const char *const read_only[] = {
        "broker.ca_file",       "broker.cert_file",           "broker.key_file",
        "broker.password_file", "broker.proxy_password_file", "database.password_file"};
    struct paths *paths = context;
    enum use use = WRITTEN;
    struct entry *entry;

    if (strcmp(key, "database.path") == 0) {
        add_database(paths, path);
        return;
    }
    for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
        use = strcmp(key, read_only[i]) == 0 ? READ : use;
    }
    entry = add(paths, key, use, path, "");
    if (entry != NULL) {
        entry->rotates = strcmp(key, "log.file") == 0;
    }
    if (strncmp(key, "status.", 7) == 0) {
        char temporary[64];

        snprintf(temporary, sizeof(temporary), "the temporary file of %s", key);
        add(paths, temporary, WRITTEN, path, ".tmp");
    }
}

static void add_credential(struct paths *paths)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");

    if (directory != NULL) {
        add(paths, "the credential " CONFIG_CREDENTIAL, READ, directory, "/" CONFIG_CREDENTIAL);
        add(paths, "the credential " CONFIG_PROXY_SECRET, READ, directory, "/" CONFIG_PROXY_SECRET);
        add(paths, "the credential " CONFIG_DATABASE_SECRET, READ, directory,
            "/" CONFIG_DATABASE_SECRET);
    }
}

static bool begin(struct paths *paths)
{
    paths->count = 0;
    paths->entries = calloc(ENTRIES_MAX, sizeof(*paths->entries));
    return paths->entries != NULL;
}

static bool list_own(struct paths *paths, const struct config *config)
{
    if (!begin(paths)) {
        return false;
    }
    add(paths, "the configuration", READ, config->path, "");
    add_credential(paths);
    config_each_path(config, add_key, paths);
    return true;
}

/* --- one pair ------------------------------------------------------------------------------- */

static bool collide(const struct entry *one, const struct entry *other)
{
    return (one->use == WRITTEN || other->use == WRITTEN) &&
           (path_identity_same(&one->identity, &other->identity) ||
            (one->rotates && path_identity_is_rotated(&one->identity, &other->identity)) ||
            (other->rotates && path_identity_is_rotated(&other->identity, &one->identity)));
}

/* Returns true for an entry that a configuration key names; such an entry is named first. */
static bool names_key(const struct entry *entry)
{
    return strchr(entry->key, ' ') == NULL && strcmp(entry->key, "database.path") != 0;
}

static int say_collision(const struct config *config, const struct entry *one,
                         const struct entry *other, const char *whose, char *problem)
{
    char text[2 * CONFIG_PROBLEM_SIZE];

    if (!names_key(one) && names_key(other) && whose[0] == '\0') {
        const struct entry *swap = one;

        one = other;
        other = swap;
    }
    /* A text that does not fit loses its end, which is only advice. */
    snprintf(text, sizeof(text),
             "%.130s: %s: %.130s is the same file as %s%.130s (%.130s): one would destroy the "
             "other; give each a file of its own",
             config->path, one->key, one->path, other->key, whose, other->path);
    snprintf(problem, CONFIG_PROBLEM_SIZE, "%.*s", CONFIG_PROBLEM_SIZE - 1, text);
    return 1;
}

static int compare_own(const struct config *config, const struct paths *paths, char *problem)
{
    for (int i = 0; i < paths->count; i++) {
        for (int j = 0; j < i; j++) {
            if (collide(&paths->entries[j], &paths->entries[i])) {
                return say_collision(config, &paths->entries[j], &paths->entries[i], "", problem);
            }
        }
    }
    return 0;
}

/* --- configurations beside this one ----------------------------------------------------------- */

static void directory_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    snprintf(out, PATH_MAX, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
             slash == NULL ? "." : path);
}

static bool is_configuration_name(const char *name)
{
    size_t length = strlen(name);

    return name[0] != '.' && length > strlen(SUFFIX) &&
           strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* Returns true to continue with the next file. */
typedef bool (*sibling_fn)(void *context, const char *file, const struct paths *theirs);

static bool look_at_sibling(const char *file, const struct path_identity *own, sibling_fn each,
                            void *context)
{
    struct paths theirs;
    struct entry *entry;
    bool go_on = true;

    if (!begin(&theirs)) {
        return false;
    }
    entry = add(&theirs, "the configuration", READ, file, "");
    if (entry != NULL && S_ISREG(entry->identity.mode) &&
        !path_identity_same(&entry->identity, own) &&
        config_peek_paths(file, add_key, &theirs) == 0) {
        go_on = each(context, file, &theirs);
    }
    free(theirs.entries);
    return go_on;
}

static void each_sibling(const struct config *config, sibling_fn each, void *context)
{
    struct path_identity own;
    char directory[PATH_MAX];
    char file[2 * PATH_MAX];
    const struct dirent *found;
    DIR *stream;
    int count = 0;
    bool go_on = true;

    path_identity(config->path, "", false, &own);
    directory_of(config->path, directory);
    stream = opendir(directory);
    if (stream == NULL) {
        return;
    }
    while (go_on && count < SIBLINGS_MAX && (found = readdir(stream)) != NULL) {
        if (is_configuration_name(found->d_name)) {
            snprintf(file, sizeof(file), "%s%s%s", directory,
                     directory[strlen(directory) - 1] == '/' ? "" : "/", found->d_name);
            go_on = look_at_sibling(file, &own, each, context);
            count++;
        }
    }
    closedir(stream);
}

struct comparison {
    const struct config *config;
    const struct paths *ours;
    char *problem;
    int result;
};

/* A sibling_fn: another purpose for one file. */
static bool compare_with_sibling(void *context, const char *file, const struct paths *theirs)
{
    struct comparison *comparison = context;
    char whose[PATH_MAX + 8];

    snprintf(whose, sizeof(whose), " in %s", file);
    for (int i = 0; i < comparison->ours->count; i++) {
        for (int j = 0; j < theirs->count; j++) {
            const struct entry *ours = &comparison->ours->entries[i];
            const struct entry *other = &theirs->entries[j];

            if (strcmp(ours->key, other->key) != 0 && collide(ours, other)) {
                comparison->result =
                    say_collision(comparison->config, ours, other, whose, comparison->problem);
                return false;
            }
        }
    }
    return true;
}

int paths_check(const struct config *config, char *problem)
{
    struct paths paths;
    struct comparison comparison = {config, &paths, problem, 0};

    if (!list_own(&paths, config)) {
        snprintf(problem, CONFIG_PROBLEM_SIZE, "%.200s: out of memory", config->path);
        return 1;
    }
    comparison.result = compare_own(config, &paths, problem);
    if (comparison.result == 0) {
        each_sibling(config, compare_with_sibling, &comparison);
    }
    free(paths.entries);
    return comparison.result;
}

/* --- a file that an operator names ------------------------------------------------------------ */

struct target {
    const struct entry *entry;
    const char *what;
    char *problem;
    int result;
};

static bool compare_with_target(void *context, const char *file, const struct paths *theirs)
{
    struct target *target = context;

    for (int i = 0; i < theirs->count && target->result == 0; i++) {
        const struct entry *entry = &theirs->entries[i];

        if (collide(target->entry, entry)) {
            bool database = strcmp(entry->key, "database.path") == 0;

            snprintf(target->problem, CONFIG_PROBLEM_SIZE,
                     "%.150s: is %s%s in %.150s; choose another name for %s", target->entry->path,
                     database ? "the database itself, database.path" : "the same file as ",
                     database ? "" : entry->key, file, target->what);
            target->result = 1;
        }
    }
    return target->result == 0;
}

int paths_check_target(const struct config *config, const char *target, const char *what,
                       char *problem)
{
    struct paths paths;
    struct paths one;
    struct target check = {.what = what, .problem = problem, .result = 1};

    snprintf(problem, CONFIG_PROBLEM_SIZE, "%.200s: out of memory", target);
    if (!begin(&one)) {
        return 1;
    }
    if (list_own(&paths, config)) {
        check.result = 0;
        check.entry = add(&one, "", WRITTEN, target, "");
        if (compare_with_target(&check, config->path, &paths)) {
            each_sibling(config, compare_with_target, &check);
        }
        free(paths.entries);
    }
    free(one.entries);
    return check.result;
}

/* --- one purpose, two daemons ------------------------------------------------------------------
 */

struct sharing {
    const struct config *config;
    const struct paths *ours;
    void (*each)(void *context, const char *sentence);
    void *context;
};

static const struct entry *find(const struct paths *paths, const char *key)
{
    for (int i = 0; i < paths->count; i++) {
        if (strcmp(paths->entries[i].key, key) == 0) {
            return &paths->entries[i];
        }
    }
    return NULL;
}

/* A sibling_fn. A configuration with the same database is a copy or another version of this one. */
static bool share_with_sibling(void *context, const char *file, const struct paths *theirs)
{
    static const char *const keys[] = {"log.file", "status.file", "status.metrics_file"};
    const struct sharing *sharing = context;
    const struct entry *database = find(sharing->ours, "database.path");
    const struct entry *other = find(theirs, "database.path");
    char sentence[CONFIG_PROBLEM_SIZE];

    if (database == NULL || other == NULL || collide(database, other)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct entry *one = find(sharing->ours, keys[i]);

        other = find(theirs, keys[i]);
        if (one != NULL && other != NULL && collide(one, other)) {
            snprintf(sentence, sizeof(sentence),
                     "%.150s: %s: %.150s is that of %.150s too; give each daemon its own",
                     sharing->config->path, keys[i], one->path, file);
            sharing->each(sharing->context, sentence);
        }
    }
    return true;
}

void paths_each_shared(const struct config *config,
                       void (*each)(void *context, const char *sentence), void *context)
{
    struct paths paths;
    struct sharing sharing = {config, &paths, each, context};

    if (list_own(&paths, config)) {
        each_sibling(config, share_with_sibling, &sharing);
        free(paths.entries);
    }
}
