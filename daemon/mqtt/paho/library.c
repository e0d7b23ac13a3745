/*
 * Paho as a library, before and beside its clients: the environment that must not reach it, its
 * trace, which is where a failed allocation shows, and its version.
 */
#include "mqtt/mqtt.h"

#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "mqtt/paho/lean_internal.h"

/*
 * Paho goes on when an allocation fails, and then acknowledges the message that it could not hand
 * over for want of it: end here. The broker has heard nothing and sends the message again.
 */
_Noreturn void paho_out_of_memory(void)
{
    log_line(LOG_CRIT, "out of memory in Paho: ending, before it acknowledges a message that it "
                       "could not hand over");
    _exit(EX_OSERR);
}

/* Debian's build says so first, on the thread that would write the acknowledgement. */
static void on_trace(enum MQTTASYNC_TRACE_LEVELS level, char *message)
{
    (void)level;
    if (strcasestr(message, "memory allocation error") != NULL) {
        paho_out_of_memory();
    }
    log_debug("paho: %s", message);
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
