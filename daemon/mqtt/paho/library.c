/*
 * Paho as a library, before and beside its clients: the environment that must not reach it, how a
 * failed allocation and unexpected behaviour end the process, and its version.
 *
 * Paho goes on when an allocation of its own fails, and then acknowledges the message that it could
 * not hand over. Must never happen: that this passes unseen.
 *  - Linked statically, Paho allocates by mqtt/paho/lean.c, which calls paho_out_of_memory().
 *  - Linked with the shared library, the only sign is a line of Paho's trace, "Memory allocation
 *    error", on the thread that would write the acknowledgement. on_trace() ends the process there.
 *    A build of Paho without its heap (PAHO_HIGH_PERFORMANCE) has no such line. Therefore
 *    paho_library_try() provokes one failure before a client connects, and ends the process when
 *    the line does not come: with such a library the daemon does not run at all.
 *
 * The broker has heard nothing of the message and sends it again.
 */
#include "mqtt/mqtt.h"

#include <MQTTAsync.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "mqtt/paho/lean_internal.h"
#include "mqtt/paho/library_internal.h"
#include "mqtt/paho/shorten_internal.h"

/* No allocator has so much; with what Paho adds to it, it does not overflow. */
#define TOO_MUCH (SIZE_MAX / 2)

static _Thread_local bool is_trial; /* this thread provokes a failure */
static _Thread_local bool was_told; /* the trace told of it */

_Noreturn void paho_unexpected(const char *reason)
{
    char version[PAHO_PROBLEM_SIZE];

    paho_describe(version);
    log_line(LOG_CRIT,
             "Paho does otherwise than this program expects (%s): ending, before it acknowledges a "
             "message that was not handed over; install the version of the library that this "
             "program was built for, or report this; the library is %s",
             reason, version);
    _exit(EX_SOFTWARE);
}

_Noreturn void paho_out_of_memory(void)
{
    log_line(LOG_CRIT, "out of memory in Paho: ending, before it acknowledges a message that it "
                       "could not hand over");
    _exit(EX_OSERR);
}

static void on_trace(enum MQTTASYNC_TRACE_LEVELS level, char *message)
{
    bool is_failure = strcasestr(message, "memory allocation error") != NULL;

    (void)level;
    if (is_failure && is_trial) {
        was_told = true;
        return;
    }
    if (is_failure) {
        paho_out_of_memory();
    }
    log_debug("paho: %s", message);
}

void paho_library_try(void)
{
    void *memory;

    if (paho_lean != NULL) {
        return;
    }
    is_trial = true;
    was_told = false;
    memory = MQTTAsync_malloc(TOO_MUCH);
    is_trial = false;
    if (memory != NULL) {
        MQTTAsync_free(memory);
    }
    if (!was_told) {
        paho_unexpected("it does not tell of an allocation that fails");
    }
}

void paho_library_init(void)
{
    /* Paho would take a proxy from here, or go past ours: past the gate. */
    static const char *const variables[] = {"http_proxy",         "https_proxy", "no_proxy",
                                            "HTTP_PROXY",         "HTTPS_PROXY", "NO_PROXY",
                                            "MQTT_C_CLIENT_TRACE"};

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        unsetenv(variables[i]);
    }
    /* Before the first client: it takes a quarter of the time that Debian's build spends tracing.
     * (FATAL would not: it leaves the internal level as it was.) */
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    MQTTAsync_setTraceCallback(on_trace);
}

void paho_limit_payload(size_t bytes)
{
    if (paho_shorten_limit != NULL) {
        paho_shorten_limit(bytes);
    }
}

void paho_describe(char out[PAHO_PROBLEM_SIZE])
{
    const MQTTAsync_nameValue *info = MQTTAsync_getVersionInfo();
    const char *version = "unknown";

    for (; info->name != NULL; info++) {
        if (strcmp(info->name, "Version") == 0) {
            version = info->value;
        }
    }
    snprintf(out, PAHO_PROBLEM_SIZE, "Eclipse Paho MQTT C %s, %s", version,
             paho_lean != NULL ? "static, without its debug heap" : "shared library");
}
