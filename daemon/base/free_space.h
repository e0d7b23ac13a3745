/* How much a file system has left for a process without privileges. Any thread. */
#ifndef BASE_FREE_SPACE_H
#define BASE_FREE_SPACE_H

#include <stdint.h>

/* Bytes that are free on the file system of a path, or of an open file: the blocks that are
 * reserved for root do not count. -1 with errno set when the system does not say. */
int64_t free_space(const char *path);
int64_t free_space_fd(int fd);

#endif
