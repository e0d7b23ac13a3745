/*
 * A persistence plugin for Paho that stores nothing and has nothing to give back.
 *
 * Paho gives an incoming QoS 2 PUBLISH to its persistence before it writes PUBREC, and removes it
 * when PUBREL has come. These two calls are all that this program wants of a persistence: the
 * database is the store.
 */
#include "mqtt/paho/plugin_internal.h"

static int plugin_open(void **handle, const char *client_id, const char *uri, void *context)
{
    (void)client_id;
    (void)uri;
    *handle = context;
    return 0;
}

static int plugin_close(void *handle)
{
    (void)handle;
    return 0;
}

static int plugin_get(void *handle, char *key, char **buffer, int *length)
{
    (void)handle;
    (void)key;
    *buffer = NULL;
    *length = 0;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

static int plugin_keys(void *handle, char ***keys, int *count)
{
    (void)handle;
    *keys = NULL;
    *count = 0;
    return 0;
}

static int plugin_contains_key(void *handle, char *key)
{
    (void)handle;
    (void)key;
    return MQTTCLIENT_PERSISTENCE_ERROR;
}

MQTTClient_persistence paho_plugin(Persistence_put put, Persistence_remove removed, void *context)
{
    return (MQTTClient_persistence){
        .context = context,
        .popen = plugin_open,
        .pclose = plugin_close,
        .pput = put,
        .pget = plugin_get,
        .premove = removed,
        .pkeys = plugin_keys,
        .pclear = plugin_close,
        .pcontainskey = plugin_contains_key,
    };
}
