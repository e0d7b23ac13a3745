/* SQLite's files, with every call that may wait for the disk marked in the calling thread's pulse;
 * see store_disk.c. Only for the other store files. */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include <sqlite3.h>

/* The VFS that lies over the system's default one, for another to lie over it: it is not
 * registered, so it has no name to ask for. NULL where there is no default. Any thread. */
sqlite3_vfs *store_disk_vfs(void);

#endif
