/* The names of states and protocols that the status file and the metrics file share. */
#include "status/file_internal.h"

const char *status_file_protocol(int version)
{
    switch (version) {
    case PAHO_MQTT_5:
        return "5";
    case PAHO_MQTT_3_1_1:
        return "3.1.1";
    default:
        return "";
    }
}

const char *status_file_engine(enum config_engine engine)
{
    return engine == CONFIG_SQLITE ? "sqlite" : "postgresql";
}

const char *status_file_session_state(enum session_state state)
{
    static const char *const names[] = {
        [SESSION_IDLE] = "stopped",          [SESSION_CONNECTING] = "connecting",
        [SESSION_SUBSCRIBED] = "subscribed", [SESSION_PARTIAL] = "partly subscribed",
        [SESSION_WAITING] = "waiting",       [SESSION_PAUSED] = "paused",
    };

    return names[state];
}

const char *status_file_writer_state(enum writer_state state)
{
    static const char *const names[] = {
        [WRITER_RUNNING] = "running", [WRITER_STALLED] = "takes nothing", [WRITER_FATAL] = "failed",
        [WRITER_LOST] = "lost",       [WRITER_ENDED] = "stopped",         [WRITER_LEFT] = "stopped",
    };

    return names[state];
}
