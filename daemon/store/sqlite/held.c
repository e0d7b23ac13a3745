/*
 * Lets SQLite use a file that is held open by a descriptor.
 *
 * SQLite opens files by name, and first replaces symbolic links in the name by what they point to.
 * In a directory that belongs to another user, the name of a file that was just created may lead to
 * another file a moment later: a symbolic link to a database, which would then be overwritten. The
 * file of an open descriptor cannot be exchanged.
 *
 * The name "/proc/self/fd/N" is a link that the kernel follows to the open file itself, not to its
 * name. This VFS is the system's default one, except that it does not resolve symbolic links:
 * resolving would turn the link into a name again. SQLite also opens every file with O_NOFOLLOW,
 * which refuses such a link. SQLite's open() is replaced by one that leaves that flag out for names
 * of exactly this form, and for no others. The replacement is made once for the whole process, only
 * in foxtrackrctl, and before it has a second thread.
 */
#include "store/sqlite/held_internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define VFS_NAME  "foxtrackrd-held"
#define NAME_SIZE 64
#define HELD_NAME "/proc/self/fd/"

static sqlite3_vfs held;
static int registered = SQLITE_ERROR;

static int keep_name(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void)vfs;
    return snprintf(out, (size_t)size, "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int open_file(const char *name, int flags, int mode)
{
    const char *number = name + strlen(HELD_NAME);

    if (strncmp(name, HELD_NAME, strlen(HELD_NAME)) == 0 && number[0] != '\0' &&
        number[strspn(number, "0123456789")] == '\0') {
        flags &= ~(O_NOFOLLOW | O_CREAT);
    }
    return open(name, flags, (mode_t)mode);
}

static void make_vfs(void)
{
    sqlite3_vfs *found = sqlite3_vfs_find(NULL);

    if (found == NULL || found->iVersion < 3 ||
        found->xSetSystemCall(found, "open", (sqlite3_syscall_ptr)open_file) != SQLITE_OK) {
        return;
    }
    held = *found;
    held.pNext = NULL;
    held.zName = VFS_NAME;
    held.xFullPathname = keep_name;
    registered = sqlite3_vfs_register(&held, 0);
}

int store_held_open(int fd, bool immutable, sqlite3 **db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char name[NAME_SIZE];

    pthread_once(&once, make_vfs);
    *db = NULL;
    if (registered != SQLITE_OK) {
        return registered;
    }
    snprintf(name, sizeof(name), "file:" HELD_NAME "%d%s", fd, immutable ? "?immutable=1" : "");
    return sqlite3_open_v2(name, db,
                           (immutable ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                               SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                           VFS_NAME);
}
