/*
 * The operations of an engine that keeps nothing on a disk and has nothing to do in idle time. The
 * others are NULL: memory_engine.c has them.
 */
#ifndef MEMORY_NOTHING_H
#define MEMORY_NOTHING_H

#include "store/engine.h"

extern const struct store_engine memory_nothing;

#endif
