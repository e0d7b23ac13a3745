/* The configured broker as Paho is told about it: for the sessions, and for `check --connect`. */
#ifndef SESSION_BROKER_OPTIONS_H
#define SESSION_BROKER_OPTIONS_H

#include "config/config.h"
#include "gate/gate.h"
#include "mqtt/mqtt.h"

#define BROKER_URI_SIZE    512
#define BROKER_TARGET_SIZE 300
#define BROKER_PROXY_SIZE  (GATE_AUTHORITY_SIZE + 16)

/*
 * Address, TLS and credentials of [broker]; the rest is for the caller to set. The result borrows
 * `config` and `uri`, which the address is written to. Any thread.
 */
struct paho_options broker_options(const struct config *config, char uri[BROKER_URI_SIZE]);

/* What Paho's CONNECT to the gate will ask for, "host:port": the gate's target. Any thread. */
void broker_target(const struct config *config, char target[BROKER_TARGET_SIZE]);

/* The gate, with the token of a session, as Paho's proxy URL. Any thread. */
void broker_proxy(const struct config *config, const struct gate *gate, unsigned session,
                  char proxy[BROKER_PROXY_SIZE]);

#endif
