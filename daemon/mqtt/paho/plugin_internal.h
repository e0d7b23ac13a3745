/* The persistence plugin that stores nothing: see mqtt/paho/plugin.c. */
#ifndef MQTT_PAHO_PLUGIN_INTERNAL_H
#define MQTT_PAHO_PLUGIN_INTERNAL_H

#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>

/* Returns a plugin for MQTTAsync_create() that passes what is put to `put`, and the keys of what is
 * removed to `removed`, with `context` as its handle. Paho refuses a plugin without a context: it
 * is not NULL. Any thread. */
MQTTClient_persistence paho_plugin(Persistence_put put, Persistence_remove removed, void *context);

#endif
