/* The larger parts of foxtrackrctl check. */
#ifndef CTL_CHECK_FINDINGS_INTERNAL_H
#define CTL_CHECK_FINDINGS_INTERNAL_H

#include "config/config.h"
#include "ctl/findings_internal.h"
#include "store/store.h"

/* ctl/check_config.c: add what the configuration says, without asking the network: broker, protocol
 * and proxy, client id and filters of each session; warnings for values that were probably not
 * meant, and for a password that is in the file or is sent without TLS; an error where this build
 * cannot speak MQTT 5. */
void ctl_check_configuration(struct ctl_findings *findings, const struct config *config);

/* ctl/check_siblings.c: the configurations beside this one: whether one has the same database or
 * the same client id at the same broker. */
void ctl_check_siblings(struct ctl_findings *findings, const struct config *config);

/* Reports on the files that the configuration names: whether the daemon's user may read or write
 * them, and whether others may not. */
void ctl_check_files(struct ctl_findings *findings, const struct config *config);

/* The broker: TCP, TLS, credentials, and whether it grants the filters. Uses a client id of its own
 * and a clean session, so that no durable session is affected. */
void ctl_check_connect(struct ctl_findings *findings, const struct config *config);

/* ctl/check_paths.c: reports files that are used for two purposes, or are not foxtrackrd's. */
void ctl_check_paths(struct ctl_findings *findings, const struct config *config);

/* ctl/check_server.c: the server of PostgreSQL: its version, whether it keeps what it commits, what
 * is to be mended there, who has the client ids, and the space that a week needs; week_bytes -1:
 * unknown. */
void ctl_check_server(struct ctl_findings *findings, struct store *store, int64_t week_bytes);

/* ctl/check_limits.c: warns of rows of the table `limits` that are for no device of the database.
 */
void ctl_check_limits(struct ctl_findings *findings, struct store *store);

/* ctl/check_views.c: the sections [view NAME] and the views in the database, and whether its
 * messages have the paths of the columns; `store` NULL: there is no database yet. */
void ctl_check_views(struct ctl_findings *findings, const struct config *config,
                     struct store *store);

#endif
