/*
 * Memory that runs out: LD_PRELOAD this and the Nth allocation of one program or library fails.
 *
 *     FAULT_OWNER    whose allocations: "main" for the program's own code, part of a library's name
 *                    (libsqlite3), "functions", or "any". It goes by the return address of the
 * call. FAULT_FUNCTIONS  functions of the program that are not its own code, by address: those of a
 *                    library that is linked statically. FROM-TO,FROM-TO in hexadecimal, as nm has
 * it. FAULT_NTH      the first allocation that fails, from 1; 0: none, only count FAULT_LENGTH how
 * many fail from then on; 0: all of them FAULT_REPORT   a file that exists, of two uint64_t: how
 * many calls matched, how many failed FAULT_TRACE    a file that exists, for the call stack of the
 * first that fails
 *
 * glibc's own allocator is reached by its __libc_ names: dlsym() would itself allocate.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
int __asprintf_chk(char **out, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define RANGES 16
#define FRAMES 32

struct report {
    _Atomic uint64_t matched;
    _Atomic uint64_t failed;
};

static struct report nowhere;

static struct {
    const char *owner;
    bool any;
    uint64_t nth;
    uint64_t length;
    uintptr_t from[RANGES];
    uintptr_t to[RANGES];
    unsigned ranges;
    uintptr_t function_from[RANGES];
    uintptr_t function_to[RANGES];
    unsigned functions;
    bool ready;
    int trace_fd; /* -1: none */
    struct report *report;
} plan;

static uint64_t number(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static void note_functions(uintptr_t base)
{
    const char *at = getenv("FAULT_FUNCTIONS");

    while (at != NULL && *at != '\0' && plan.functions < RANGES) {
        char *end;

        plan.function_from[plan.functions] = base + strtoull(at, &end, 16);
        plan.function_to[plan.functions] = base + strtoull(end + 1, &end, 16);
        plan.functions++;
        at = *end == ',' ? end + 1 : end;
    }
}

/* Notes the address range of the owner's code. The program itself has no name in this list. */
static int note_owner(struct dl_phdr_info *info, size_t size, void *context)
{
    bool main_program = info->dlpi_name[0] == '\0' && *(unsigned *)context == 0;

    (void)size;
    ++*(unsigned *)context;
    if (main_program) {
        note_functions(info->dlpi_addr);
    }
    if (strcmp(plan.owner, "main") == 0 ? !main_program
                                        : strstr(info->dlpi_name, plan.owner) == NULL) {
        return 0;
    }
    for (unsigned i = 0; i < info->dlpi_phnum && plan.ranges < RANGES; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
            plan.from[plan.ranges] = info->dlpi_addr + segment->p_vaddr;
            plan.to[plan.ranges] = plan.from[plan.ranges] + segment->p_memsz;
            plan.ranges++;
        }
    }
    return 0;
}

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("FAULT_REPORT");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;
    unsigned seen = 0;

    if (fd >= 0) {
        map = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    plan.report = map != MAP_FAILED ? map : &nowhere;
    plan.owner = getenv("FAULT_OWNER");
    if (plan.owner == NULL) {
        return;
    }
    path = getenv("FAULT_TRACE");
    plan.trace_fd = path != NULL ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (plan.trace_fd >= 0) {
        void *frame;

        backtrace(&frame, 1); /* the first call loads a library, with memory that it needs */
    }
    plan.any = strcmp(plan.owner, "any") == 0;
    plan.nth = number("FAULT_NTH");
    plan.length = number("FAULT_LENGTH");
    dl_iterate_phdr(note_owner, &seen);
    plan.ready = true;
}

static bool is_owner(uintptr_t caller)
{
    for (unsigned i = 0; i < plan.functions && !plan.any; i++) {
        if (caller >= plan.function_from[i] && caller < plan.function_to[i]) {
            return strcmp(plan.owner, "functions") == 0;
        }
    }
    for (unsigned i = 0; i < plan.ranges; i++) {
        if (caller >= plan.from[i] && caller < plan.to[i]) {
            return true;
        }
    }
    return plan.any;
}

static void note_stack(void)
{
    void *frames[FRAMES];

    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), plan.trace_fd);
}

static bool fails(const void *caller)
{
    uint64_t count;

    if (!plan.ready || !is_owner((uintptr_t)caller)) {
        return false;
    }
    count = atomic_fetch_add(&plan.report->matched, 1) + 1;
    if (plan.nth == 0 || count < plan.nth ||
        (plan.length != 0 && count - plan.nth >= plan.length)) {
        return false;
    }
    if (atomic_fetch_add(&plan.report->failed, 1) == 0 && plan.trace_fd >= 0) {
        note_stack();
    }
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

/* libc's own would call malloc() from inside libc, and hide who wanted it. */
char *strndup(const char *string, size_t limit)
{
    size_t length = strnlen(string, limit);
    char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(length + 1);

    if (copy != NULL) {
        memcpy(copy, string, length);
        copy[length] = '\0';
    }
    return copy;
}

char *strdup(const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

    return copy != NULL ? memcpy(copy, string, size) : NULL;
}

int __asprintf_chk(char **out, int flag, const char *format, ...)
{
    va_list arguments;
    int length;

    (void)flag;
    if (fails(__builtin_return_address(0))) {
        *out = NULL;
        return -1;
    }
    va_start(arguments, format);
    length = vasprintf(out, format, arguments);
    va_end(arguments);
    return length;
}
