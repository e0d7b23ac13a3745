/*
 * Paho without its debug heap.
 *
 * Debian builds Eclipse Paho with a heap of its own for finding leaks (every allocation goes into a
 * tree, under a mutex, with the name of its source file) and with a tracer of every function's
 * entry and exit. A QoS 2 message passes some forty allocations and some hundred functions: that is
 * more than half of the time that Paho spends on it. Upstream has a switch that leaves both out
 * (PAHO_HIGH_PERFORMANCE); Debian's build does not use it.
 *
 * The two live in archive members of their own, Heap.c.o and StackTrace.c.o. The private copy of
 * the archive (mqtt/paho/adapt) does not have them, and this file defines what the other members
 * want from them, in the way of upstream's switch: the allocator is the C library's, the tracer
 * does nothing. `foxtrackrd --version` tells whether a program is linked so.
 *
 * Two things differ from upstream's switch. Paho goes on when an allocation fails, and acknowledges
 * the message that it could not store; here a failed allocation ends the program. And memory is
 * handed out zeroed: some of Paho's parsers free a member that they have not set, and the broker
 * chose what was in that memory before. mqtt/paho/check.c keeps the packets that are known to cause
 * that away from the parsers; zeroes are for those that are not known.
 *
 * Must never happen: memory from one allocator is freed by another. A member that needs a symbol of
 * Heap.c.o or StackTrace.c.o that is not defined here fails to link.
 *
 * Relies on: the signatures in Heap.h and StackTrace.h of Paho 1.3, with `enum LOG_LEVELS` passed
 * as an int; each of Paho's members allocates by mymalloc() and myrealloc() what it frees by
 * myfree(). Proved on Paho 1.3.12-1 (Debian 12) and 1.3.14-2 (Debian 13). Checked when the program
 * is built: mqtt/paho/adapt finds the two members, and mqtt/paho/probe.c is linked with this file
 * and run.
 */
#include "mqtt/paho/lean_internal.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

const char paho_lean[] = "lean";

/* Called by Paho's members, whose headers Debian does not ship. */
int Heap_initialize(void);
void Heap_terminate(void);
void *mymalloc(char *file, int line, size_t size);
void *myrealloc(char *file, int line, void *pointer, size_t size);
void myfree(char *file, int line, void *pointer);
void StackTrace_entry(const char *name, int line, int level);
void StackTrace_exit(const char *name, int line, void *result, int level);

int Heap_initialize(void)
{
    return 0;
}

void Heap_terminate(void)
{
}

/* Returns zeroed memory: a pointer that Paho has not set is then NULL, and not a value chosen by
 * the broker. */
void *mymalloc(char *file, int line, size_t size)
{
    void *pointer = calloc(1, size);

    (void)file;
    (void)line;
    if (pointer == NULL && size > 0) {
        paho_out_of_memory();
    }
    return pointer;
}

/*
 * Zeroed where it is new. Rare: Paho's buffer for a packet that is larger than all before it, and
 * Paho's list of sockets. The list of no socket gets a byte: Paho keeps the pointer, and
 * malloc_usable_size() of a block of no size depends on the allocator.
 */
void *myrealloc(char *file, int line, void *pointer, size_t size)
{
    size_t before = pointer != NULL ? malloc_usable_size(pointer) : 0;
    void *moved = mymalloc(file, line, size > 0 ? size : 1);

    if (pointer != NULL) {
        memcpy(moved, pointer, before < size ? before : size);
    }
    free(pointer);
    return moved;
}

void myfree(char *file, int line, void *pointer)
{
    (void)file;
    (void)line;
    free(pointer);
}

void StackTrace_entry(const char *name, int line, int level)
{
    (void)name;
    (void)line;
    (void)level;
}

void StackTrace_exit(const char *name, int line, void *result, int level)
{
    (void)name;
    (void)line;
    (void)result;
    (void)level;
}
