/* The numbers of devices, and their groups, that are known to be committed. Cleared with every new
 * connection, because another server may lack them. */
#ifndef STORE_POSTGRESQL_DEVICES_INTERNAL_H
#define STORE_POSTGRESQL_DEVICES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

struct pg_devices;

struct pg_devices *devices_new(void);
void devices_free(struct pg_devices *devices); /* NULL is allowed */
void devices_clear(struct pg_devices *devices);

/* Returns the number of a device; 0: not known. */
int64_t devices_find(const struct pg_devices *devices, const char *family, const char *device_id);
bool devices_in_group(const struct pg_devices *devices, const char *group, int64_t device);

/* Note what the open transaction has found or added. Without memory it is not noted, and is looked
 * up again. */
void devices_note(struct pg_devices *devices, const char *family, const char *device_id,
                  int64_t device);
void devices_note_group(struct pg_devices *devices, const char *group, int64_t device);

/* End of the transaction: keep what was noted in it, or forget it. */
void devices_settle(struct pg_devices *devices, bool committed);

#endif
