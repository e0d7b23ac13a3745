/* The configured broker as Paho is told about it: for the sessions, and for `check --connect`. */
#ifndef BROKER_OPTIONS_H
#define BROKER_OPTIONS_H

#include "config.h"
#include "paho.h"

#define BROKER_URI_SIZE 512

/*
 * Address, TLS and credentials of [broker]; the rest is for the caller to set. The result borrows
 * `config` and `uri`, which the address is written to. Any thread.
 */
struct paho_options broker_options(const struct config *config, char uri[BROKER_URI_SIZE]);

#endif
