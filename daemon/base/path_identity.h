/* Whether two paths lead to one file, however they are spelled. Any thread; nothing is changed. */
#ifndef BASE_PATH_IDENTITY_H
#define BASE_PATH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PATH_IDENTITY_REST 512 /* bytes of what stands behind the directory, at most */

/* A place for a name: a directory that exists, and what stands behind it. */
struct path_place {
    bool known;
    dev_t device;
    ino_t inode;
    char rest[PATH_IDENTITY_REST];
};

struct path_identity {
    bool exists;
    dev_t device;
    ino_t inode;
    mode_t mode;             /* of the file; 0 when there is none */
    struct path_place named; /* the place of the name itself, be it a symbolic link */
    struct path_place real;  /* the place of the file that it leads to, or would lead to */
};

/*
 * Look at a path. `suffix` is appended to the name of the file that it leads to ("-wal"); "" for
 * none. With `suffix_of_name` it is appended to the name as it is given (".tmp"), and only the
 * place counts: a name that is always made anew, never opened when it is there. A relative path
 * begins at the working directory. What cannot be looked at is compared by its name.
 */
void path_identity(const char *path, const char *suffix, bool suffix_of_name,
                   struct path_identity *out);

/* Whether both lead to one file, or would lead to one once it is made, or name one place. */
bool path_identity_same(const struct path_identity *one, const struct path_identity *other);

/* Whether `other` stands where logrotate puts what it rotates away of `log`: the same name followed
 * by '.' or '-' and a digit. */
bool path_identity_is_rotated(const struct path_identity *log, const struct path_identity *other);

#endif
