/*
 * The identity of a path.
 *
 * A path can be spelled in many ways: "./", "..", symbolic links of files and of directories, hard
 * links, a file system that is mounted twice. Two paths of existing files are the same when device
 * and inode are. A file that does not exist yet is identified by the device and inode of its
 * directory and its name there; if the directory does not exist either, by the deepest directory
 * that does and the rest of the path.
 *
 * The path is walked one component at a time with a descriptor of the directory, as the kernel
 * does, so ".." after a symbolic link means what it means to open(). Text is only interpreted
 * behind the last existing directory, where there can be no links.
 *
 * The place of a symbolic link and the place of its target both count: replacing the link by
 * rename() is as bad as replacing the file.
 */
#include "base/path_identity.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as in the kernel */

/* A walk: the directory that was reached, and the rest of the path behind it. */
struct walk {
    int fd; /* O_PATH, or -1 */
    char rest[PATH_MAX];
};

static bool enter(struct walk *walk, const char *name)
{
    int next = openat(walk->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (next < 0) {
        return false;
    }
    close(walk->fd);
    walk->fd = next;
    return true;
}

static void append(char rest[PATH_MAX], const char *name)
{
    size_t length = strlen(rest);

    snprintf(rest + length, PATH_MAX - length, "%s%s", length > 0 ? "/" : "", name);
}

/* Takes one component: enters an existing directory, unless the name is the last. */
static void step(struct walk *walk, const char *name, bool last)
{
    char *slash;

    if (name[0] == '\0' || strcmp(name, ".") == 0) {
        return;
    }
    if (strcmp(name, "..") == 0) {
        if (walk->rest[0] == '\0') {
            enter(walk, "..");
        } else {
            slash = strrchr(walk->rest, '/');
            *(slash != NULL ? slash : walk->rest) = '\0';
        }
    } else if (last || walk->rest[0] != '\0' || !enter(walk, name)) {
        append(walk->rest, name);
    }
}

/* Walk from the directory of `walk`, or from the root. */
static void go(struct walk *walk, const char *path)
{
    int root;

    walk->rest[0] = '\0';
    if (path[0] == '/') {
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) {
            return;
        }
        close(walk->fd);
        walk->fd = root;
    }
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        const char *next = path + length + strspn(path + length, "/");
        char name[NAME_MAX + 1];

        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        step(walk, name, *next == '\0');
        path = next;
    }
}

/* Follow the symbolic links of the last component. */
static void follow(struct walk *walk)
{
    char target[PATH_MAX];

    for (int links = 0; links < LINKS_MAX && walk->rest[0] != '\0'; links++) {
        ssize_t length = readlinkat(walk->fd, walk->rest, target, sizeof(target) - 1);

        if (length < 0) {
            return;
        }
        target[length] = '\0';
        go(walk, target);
    }
}

static void note_place(const struct walk *walk, struct path_place *place)
{
    struct stat status;

    place->known = fstat(walk->fd, &status) == 0 && snprintf(place->rest, sizeof(place->rest), "%s",
                                                             walk->rest) < (int)sizeof(place->rest);
    if (place->known) {
        place->device = status.st_dev;
        place->inode = status.st_ino;
    }
}

static void add_suffix(struct walk *walk, const char *suffix)
{
    size_t length = strlen(walk->rest);

    snprintf(walk->rest + length, sizeof(walk->rest) - length, "%s", suffix);
}

void path_identity(const char *path, const char *suffix, bool suffix_of_name,
                   struct path_identity *out)
{
    struct walk walk = {.fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    struct stat status;

    *out = (struct path_identity){0};
    if (walk.fd < 0) {
        return;
    }
    go(&walk, path);
    if (suffix_of_name) {
        add_suffix(&walk, suffix);
        note_place(&walk, &out->named);
        out->real = out->named;
        close(walk.fd);
        return;
    }
    note_place(&walk, &out->named);
    follow(&walk);
    add_suffix(&walk, suffix);
    note_place(&walk, &out->real);
    if (suffix[0] != '\0') {
        out->named = out->real;
    }
    if (fstatat(walk.fd, walk.rest, &status, AT_EMPTY_PATH) == 0) {
        out->exists = true;
        out->device = status.st_dev;
        out->inode = status.st_ino;
        out->mode = status.st_mode;
    }
    close(walk.fd);
}

static bool same_place(const struct path_place *one, const struct path_place *other)
{
    return one->known && other->known && one->device == other->device &&
           one->inode == other->inode && strcmp(one->rest, other->rest) == 0;
}

bool path_identity_same(const struct path_identity *one, const struct path_identity *other)
{
    return (one->exists && other->exists && one->device == other->device &&
            one->inode == other->inode) ||
           same_place(&one->named, &other->named) || same_place(&one->named, &other->real) ||
           same_place(&one->real, &other->named) || same_place(&one->real, &other->real);
}

static bool is_rotated_place(const struct path_place *log, const struct path_place *other)
{
    size_t length = strlen(log->rest);

    return log->known && other->known && log->device == other->device &&
           log->inode == other->inode && strncmp(log->rest, other->rest, length) == 0 &&
           (other->rest[length] == '.' || other->rest[length] == '-') &&
           isdigit((unsigned char)other->rest[length + 1]);
}

bool path_identity_is_rotated(const struct path_identity *log, const struct path_identity *other)
{
    return is_rotated_place(&log->named, &other->named) ||
           is_rotated_place(&log->named, &other->real) ||
           is_rotated_place(&log->real, &other->named) ||
           is_rotated_place(&log->real, &other->real);
}
