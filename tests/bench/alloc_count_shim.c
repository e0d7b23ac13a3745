/*
 * How often each thread allocates: LD_PRELOAD this, and at the exit ALLOC_COUNT_FILE has a line
 * "thread's-name calls" for each thread. Counts malloc, calloc and realloc.
 *
 * glibc's own allocator is reached by its __libc_ names: dlsym() would itself allocate.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

#define THREADS 64

static struct counter {
    char name[16]; /* as of the last call: a thread names itself after it has begun */
    uint64_t calls;
} counters[THREADS];
static atomic_uint counter_count;

static void count_one(void)
{
    /* initial-exec: found without a call that could allocate */
    static _Thread_local struct counter *mine __attribute__((tls_model("initial-exec")));

    if (mine == NULL) {
        unsigned index = atomic_fetch_add(&counter_count, 1);

        mine = &counters[index < THREADS ? index : THREADS - 1];
    }
    if (mine->calls % 1000 < 2) {
        prctl(PR_GET_NAME, mine->name);
    }
    mine->calls++;
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("ALLOC_COUNT_FILE");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

    for (unsigned i = 0; fd >= 0 && i < THREADS && i < atomic_load(&counter_count); i++) {
        char line[64];
        int length =
            snprintf(line, sizeof(line), "%s %llu\n", counters[i].name[0] ? counters[i].name : "?",
                     (unsigned long long)counters[i].calls);

        (void)!write(fd, line, (size_t)length);
    }
}

void *malloc(size_t size)
{
    count_one();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_one();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    count_one();
    return __libc_realloc(old, size);
}
