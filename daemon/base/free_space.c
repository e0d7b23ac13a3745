/* Free space as statvfs() tells it. The number is old at once: others write to the disk too. */
#include "base/free_space.h"

#include <sys/statvfs.h>

static int64_t available(int result, const struct statvfs *fs)
{
    return result == 0 ? (int64_t)fs->f_bavail * (int64_t)fs->f_frsize : -1;
}

int64_t free_space(const char *path)
{
    struct statvfs fs;
    int result = statvfs(path, &fs);

    return available(result, &fs);
}

int64_t free_space_fd(int fd)
{
    struct statvfs fs;
    int result = fstatvfs(fd, &fs);

    return available(result, &fs);
}
