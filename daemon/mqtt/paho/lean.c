/*
 * Paho without its debug heap.
 *
 * Debian builds Eclipse Paho with a heap of its own for finding leaks (every allocation goes into a
 * tree, under a mutex, with the name of its source file) and with a tracer of every function's
 * entry and exit. A QoS 2 message passes some forty allocations and some hundred functions: that is
 * more than half of the time that Paho spends on it. Upstream has a switch that leaves both out
 * (PAHO_HIGH_PERFORMANCE); Debian's build does not use it, and its headers give no other way.
 *
 * But the two live in archive members of their own, Heap.c.o and StackTrace.c.o, and a linker takes
 * a member out of an archive only for a symbol that nothing has defined yet. So this file defines
 * every symbol that the other members want from those two, in the way of upstream's switch: the
 * allocator is the C library's, the tracer does nothing. The rest of the library is Debian's,
 * byte for byte.
 *
 * What must never happen: half of it. If a member wanted a symbol of theirs that is missing here,
 * the linker would take the member in, and memory from one allocator would be freed by the other.
 * It cannot happen unnoticed: the member would define what is defined here, and linking fails. The
 * Makefile tries that link once (paho.flags) and takes the shared library where it fails, or where
 * there is no archive; it says which. `foxtrackrd --version` tells it afterwards.
 *
 * The signatures are those of Heap.h and StackTrace.h of Paho 1.3; `enum LOG_LEVELS` is passed
 * as an int.
 *
 * Two things are not as in upstream's build. Paho goes on when an allocation fails and acknowledges
 * the message that it could not store, so a failure ends the program here.
 *
 * And memory is handed out zeroed. Some of Paho's parsers free a member that they have not set;
 * what was in that memory before came from the broker. mqtt/paho/check.c keeps the packets that are
 * known to do so away from the parsers; zeroes are for those that are not known.
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

/* Zeroed: what Paho has not set is NULL then, and not what the broker sent before. */
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
