/* The part of `foxtrackrctl check` about the server of PostgreSQL; store_server() knows its facts.
 */
#include <inttypes.h>

#include "base/plural.h"
#include "ctl/check_findings_internal.h"
#include "store/tools.h"

#define MIB (INT64_C(1024) * 1024)

void ctl_check_server(struct ctl_findings *findings, struct store *store, int64_t week_bytes)
{
    struct store_server server;

    if (store_server(store, &server) != STORE_OK) {
        ctl_finding(findings, "server", false, "%s", store_error(store));
        return;
    }
    ctl_finding(findings, "server", true, "PostgreSQL %s at %s: %s; %" PRId64 " deadlock%s so far",
                server.version, server.where, server.durable, server.deadlocks,
                plural_s(server.deadlocks));
    for (unsigned i = 0; i < server.warning_count; i++) {
        if (i == 0 && server.refused) {
            ctl_finding(findings, "server", false, "%s", server.warnings[i]);
        } else {
            ctl_finding_warning(findings, "server", "%s", server.warnings[i]);
        }
    }
    if (server.holder.text[0] != '\0') {
        ctl_finding(findings, "sessions", true, "%s has them now", server.holder.text);
    } else {
        ctl_finding(findings, "sessions", true, "no daemon has them now");
    }
    if (week_bytes < 0) {
        ctl_finding(findings, "disk", true,
                    "the server's is not seen from here; no rate known yet for a forecast");
    } else {
        ctl_finding(findings, "disk", true,
                    "the server's is not seen from here; 7 days at the rate of the last ones need "
                    "about %" PRId64 " MiB there",
                    week_bytes / MIB);
    }
}
