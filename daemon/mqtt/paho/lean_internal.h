/*
 * Paho without its debug heap: see mqtt/paho/lean.c. Only mqtt/paho/library.c and what else links
 * Paho include this.
 */
#ifndef MQTT_PAHO_LEAN_INTERNAL_H
#define MQTT_PAHO_LEAN_INTERNAL_H

/* In a program that is linked with paho_lean.o. Weak: its address is NULL in one that is not. */
extern const char paho_lean[] __attribute__((weak));

/*
 * An allocation of Paho's has failed. The program defines it, and must not return: Paho would go
 * on, and acknowledge a message that it could not hand over. Called on any of Paho's threads.
 */
_Noreturn void paho_out_of_memory(void);

#endif
