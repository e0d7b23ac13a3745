/* Compares paths by the files that they lead to, not by their spelling. Any thread; nothing is
 * changed. */
#ifndef BASE_PATH_IDENTITY_H
#define BASE_PATH_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PATH_IDENTITY_REST 512 /* size of the rest of a path behind the directory */

/* A place for a name: an existing directory, and the rest of the path behind it. */
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
    struct path_place named; /* the place of the name itself, also of a symbolic link */
    struct path_place real;  /* the place of the file that it leads to, or would lead to */
};

/*
 * Look at a path. `suffix` is appended to the name of the file that it leads to ("-wal"); "" for
 * none. With `suffix_of_name` it is appended to the name as it is given (".tmp"), and only the
 * place counts: such a file is always created, never opened if it exists. A relative path begins at
 * the working directory. A path that cannot be examined is compared by its name.
 */
void path_identity(const char *path, const char *suffix, bool suffix_of_name,
                   struct path_identity *out);

/* Returns true when both lead to one file, would do so once it is created, or name one place. */
bool path_identity_same(const struct path_identity *one, const struct path_identity *other);

/* Returns true when `other` has a name that logrotate gives to rotated files of `log`: the same
 * name followed by '.' or '-' and a digit. */
bool path_identity_is_rotated(const struct path_identity *log, const struct path_identity *other);

#endif
